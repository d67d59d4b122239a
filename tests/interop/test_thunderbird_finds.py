"""Thunderbird finds people here by its own discovery of OpenPGP keys: by WKD in both methods and by a key server, over
HTTPS with names and an authority that it trusts, in a network namespace where every name is this server. What it finds
it asks about, takes, and encrypts to."""
import json
import pathlib
import subprocess
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parent)]
import harness  # noqa: E402
import thunderbird  # noqa: E402
import web  # noqa: E402

pytestmark = pytest.mark.needs("root", "unshare", "openssl", *thunderbird.PROGRAMS)
DOMAIN, DIRECT = harness.DOMAIN, "direct.test"
ANN, BOB, DAN, HID, KIM = (f"{n}@{d}" for n, d in (("ann", DOMAIN), ("bob", DOMAIN), ("dan", DIRECT), ("hid", DOMAIN),
                                                  ("kim", DIRECT)))
PREFS = {"network.proxy.type": 0, "mail.openpgp.keyserver_list": f"vks://{DOMAIN}, hkps://{DOMAIN}"}


def pair(i):
    """Of everything but openpgpkey.DIRECT, which is then not the name that the certificate is for."""
    c = web.Certificates(i.place, ["localhost", DOMAIN, f"openpgpkey.{DOMAIN}", DIRECT])
    (i.dir / "tls/chain.pem").write_bytes(c.file("good", "pem").read_bytes() + c.ca.read_bytes())
    (i.dir / "tls/key.pem").write_bytes(c.file("good", "key").read_bytes())
    return c.ca.read_text()


def inside():
    """In the namespace. Prints what was found."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with harness.Instance(web=True) as i:
        i.init(port_base=0, https="yes", http="no", smtp="no")
        i.run("domain", "add", DIRECT)
        for address in ANN, BOB, DAN, HID, KIM:
            i.add_account(address)
        i.run("account", "set", HID, "--publish", "no")
        authority = pair(i)
        i.serve()
        base, i.base = i.base, 0
        try:
            with thunderbird.Thunderbird(i, {ANN: i.passwords[ANN]}, prefs=PREFS) as t:
                found = {"hid": t.discover(HID, authority=authority), "nobody": t.discover(f"nobody@{DOMAIN}")}
                found["bob"], found["dan"] = t.discover(BOB), t.discover(DAN)
                found["kim"] = t.discover(KIM, i.keyring.fingerprint(KIM))
                t.write(ANN, BOB, "Found", "A text for whom I found.\n", True)
            found["got"] = i.keyring.decrypt(harness.armor_of(next(iter(i.fetch_all(BOB).values())))).decode()
            found["fingerprints"] = {a: i.keyring.fingerprint(a) for a in (BOB, DAN, KIM)}
        finally:
            i.base = base
    print("found: " + json.dumps(found))


@pytest.fixture(scope="module")
def found():
    # Once, on a loaded machine, Thunderbird said that sending failed, and not why.
    for _ in range(2):
        p = subprocess.run(["unshare", "-n", "-m", sys.executable, __file__], capture_output=True, text=True,
                           timeout=600)
        if "Sending of the message failed" not in p.stderr:
            break
    assert p.returncode == 0, p.stderr[-3000:]
    return json.loads(p.stdout.split("found: ")[1])


@pytest.mark.parametrize("who,address", [("bob", BOB), ("dan", DAN), ("kim", KIM)])
def test_found_and_taken(found, who, address):
    """Bob by WKD's advanced method, Dan by the direct one, Kim by her fingerprint from a key server."""
    asked, fpr = found[who], found["fingerprints"][address]
    assert fpr in asked["fingerprint"].replace(" ", "") and asked["names"] == [address] and asked["imported"]
    assert asked["keys"] == [{"fingerprint": fpr, "acceptance": "unverified"}]


def test_who_is_hidden_is_not_found(found):
    assert found["hid"] is None and found["nobody"] is None


def test_a_mail_to_whom_was_found(found):
    assert "A text for whom I found." in found["got"]


if __name__ == "__main__":
    inside()
