"""gpg, sq, and npm's clients find people here as they do anywhere: by WKD and a key server, over HTTPS with names and
authorities, in a network namespace where those names lead to this server. Of DIRECT there is no openpgpkey name, so its
people are found by WKD's direct method."""
import json
import pathlib
import shlex
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
import named  # noqa: E402

pytestmark = pytest.mark.needs("root", "unshare", "openssl", "dirmngr", "sq", "OpenPGP.js (npm)")
INTEROP = pathlib.Path(__file__).resolve().parent
DOMAIN, DIRECT = harness.DOMAIN, "direct.test"
ANN, HID, DAN = f"Ann.Lee@{DOMAIN}", f"hid@{DOMAIN}", f"dan@{DIRECT}"
# dirmngr asks for SRV records where no port is given, and there is no DNS here.
WORDS = """
export SSL_CERT_FILE=$PWD/ca.pem
get() {{ name=$1; shift; timeout 100 "$@" >"$name.out" 2>"$name.err" || echo $? >"$name.status"; }}
wkd="gpg --batch --no-tty --auto-key-locate clear,nodefault,wkd --locate-external-keys"
get wkd $wkd {ann}
get hidden $wkd {hid}
get nobody $wkd nobody@{domain}
rm -f home/pubring.kbx
get hkp gpg --batch --no-tty --keyserver hkps://{domain}:443 --recv-keys {fpr}
get list gpg --batch --no-tty --with-colons --list-keys
get search gpg --batch --no-tty --with-colons --keyserver hkps://{domain}:443 --search-keys {ann}
get sq-wkd sq wkd get {ann}
get sq-elsewhere sq wkd get {dan}
get sq-direct sq wkd get --binary {ann}
get sq-key sq keyserver --server hkps://{domain}:443 get {fpr}
get imported gpg --batch --no-tty --import renewed
get send gpg --batch --no-tty --keyserver hkps://{domain}:443 --send-keys {fpr}
get sq-send sq keyserver --server hkps://{domain}:443 send renewed
n=0; until {binary} status --json | grep -q '"verify_mails": 2'; do n=$((n + 1)); [ $n -lt 600 ]; sleep 0.1; done
get npm env NODE_EXTRA_CA_CERTS=$PWD/ca.pem node {npm}
"""


def fetched(*words):
    return subprocess.run([INTEROP / words[0], *words[1:]], check=True, capture_output=True, text=True).stdout.strip()


def npm(fpr, cert):
    """The words of node's."""
    asked = {"server": f"https://{DOMAIN}",
             "wkd": {"ann": ANN, "case": ANN.lower(), "direct": DAN, "hidden": HID, "nobody": f"nobody@{DOMAIN}"},
             "hkp": {"fingerprint": {"keyId": fpr}, "keyid": {"keyId": fpr[-16:]}, "address": {"query": ANN},
                     "user id": {"query": f"Somebody <{ANN}>"}, "hidden": {"query": HID},
                     "short": {"keyId": fpr[-8:]}},
             "upload": cert.decode()}
    return [INTEROP / "keyserver_client.mjs", fetched("fetch_openpgpjs"),
            fetched("fetch_npm", "@openpgp/wkd-client", "0.0.4"), fetched("fetch_npm", "@openpgp/hkp-client", "0.0.3"),
            json.dumps(asked)]


def answer(out):
    status = out.with_suffix(".status")
    return int(status.read_text()) if status.exists() else 0, out.read_bytes(), out.with_suffix(".err").read_bytes()


@pytest.fixture(scope="module")
def found():
    """{name: (exit status, stdout, stderr)} of each command, and Ann's fingerprint."""
    with harness.Instance() as i:
        i.init(port_base=0, https="yes", http="yes", smtp="yes", submissions="no", submission="no", imap="no",
               imaps="no")
        place = i.place
        i.run("domain", "add", DIRECT)
        for address in ANN, HID, DAN:
            cert = place / address
            cert.write_bytes(i.keyring.generate(address))
            i.run("account", "add", address, "--key", cert)
        i.run("account", "set", HID, "--publish", "no")
        named.prepare(i, DIRECT)
        fpr = i.keyring.fingerprint(ANN)
        first = i.keyring.export(ANN)
        i.keyring.unasked("--quick-set-expire", fpr, "7y")
        (place / "renewed").write_bytes(i.keyring.export(ANN))
        named.run(i, WORDS.format(binary=i.binary, ann=ANN, hid=HID, dan=DAN, domain=DOMAIN, fpr=fpr,
                                  npm=shlex.join(map(str, npm(fpr, first)))))
        yield fpr, {f.stem: answer(f) for f in place.glob("*.out")}


def test_gpg_by_wkd(found):
    fpr, of = found
    status, out, err = of["wkd"]
    assert status == 0 and fpr.encode() in out and ANN.encode() in out, err


def test_gpg_tells_nobody_from_nobody(found):
    fpr, of = found
    assert of["hidden"][0] == of["nobody"][0] != 0
    assert of["hidden"][2].replace(HID.encode(), b"X") == of["nobody"][2].replace(b"nobody@" + DOMAIN.encode(), b"X")


def test_gpg_by_key_server(found):
    fpr, of = found
    assert of["hkp"][0] == 0 and fpr.encode() in of["list"][1], of["hkp"]
    assert fpr.encode() in of["search"][1] and b"info:1:1" in of["search"][1], of["search"]


def test_sq(found):
    fpr, of = found
    for name in "sq-wkd", "sq-direct", "sq-elsewhere", "sq-key":
        assert of[name][0] == 0 and of[name][1], of[name]


def test_certificates_are_sent_in(found):
    """A mail came of each, or the script would wait still."""
    fpr, of = found
    for name in "imported", "send", "sq-send":
        assert of[name][0] == 0, of[name]


def test_npm(found):
    fpr, of = found
    status, out, err = of["npm"]
    assert status == 0, err
    told = json.loads(out)
    same = {"fingerprint": fpr.lower(), "userIDs": [ANN]}
    assert told["wkd"]["ann"] == told["wkd"]["case"] == same
    assert told["wkd"]["direct"]["userIDs"] == [DAN]
    assert "error" in told["wkd"]["hidden"] and told["wkd"]["hidden"] == told["wkd"]["nobody"]
    assert {n: told["hkp"][n] for n in ("fingerprint", "keyid", "address", "user id")} == dict.fromkeys(
        ("fingerprint", "keyid", "address", "user id"), same)
    assert told["hkp"]["hidden"] is None and told["hkp"]["short"] is None
    assert told["upload"] == 200
