"""gpg-wks-client, the Web Key Service's own client, publishes a key here by mail alone: it finds the submission address
and its key by WKD over HTTPS, and answers the request that came by IMAP, sealed like any mail."""
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
pytestmark = pytest.mark.needs("root", "unshare", "openssl", "dirmngr", "/usr/lib/gnupg/gpg-wks-client")
DOMAIN = harness.DOMAIN
ANN = f"Ann.Lee@{DOMAIN}"
SCRIPT = """
set -eu
ip link set lo up
mount --bind hosts /etc/hosts
mount --bind ca.pem /etc/ssl/certs/ca-certificates.crt
{binary} serve >serve.log 2>&1 & server=$!
trap 'for h in home others; do GNUPGHOME=$PWD/$h gpgconf --kill all; done; kill $server; wait $server || true' EXIT
n=0; until grep -q '^ready' serve.log; do n=$((n + 1)); [ $n -lt 1200 ]; sleep 0.1; done
export GNUPGHOME=$PWD/home
/usr/bin/python3 {client} {address} {password} {fpr}
"""


def openssl(place, *args):
    subprocess.run(["openssl", *args], cwd=place, capture_output=True, check=True)


def tls(i):
    """An authority of the test's, whose word for the names is in the namespace's bundle."""
    place = i.place
    openssl(place, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", "ca.key", "-out",
            "ca.pem", "-subj", "/CN=A test's authority")
    openssl(place, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "csr", "-subj", f"/CN={DOMAIN}")
    (place / "ext").write_text(f"subjectAltName=DNS:{DOMAIN},DNS:openpgpkey.{DOMAIN}\n")
    openssl(place, "x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
            "30", "-extfile", "ext", "-out", "chain")
    (i.dir / "tls" / "chain.pem").write_bytes((place / "chain").read_bytes() + (place / "ca.pem").read_bytes())
    (i.dir / "tls" / "key.pem").write_bytes((place / "key").read_bytes())
    (place / "hosts").write_text(f"127.0.0.1 localhost {DOMAIN} openpgpkey.{DOMAIN}\n")


def test_gpg_wks_client_publishes_a_key():
    with harness.Instance() as i:
        i.init(port_base=0, https="yes", smtp="yes", submissions="yes", submission="no", imap="no", imaps="yes")
        cert = i.place / "cert"
        cert.write_bytes(i.keyring.generate(ANN))
        i.run("account", "add", ANN, "--key", cert)
        i.app_password(ANN)
        tls(i)
        fpr = i.keyring.fingerprint(ANN)
        i.keyring.unasked("--quick-set-expire", fpr, "7y")
        home = i.place / "home"
        for place in home, i.place / "others":
            place.mkdir(mode=0o700)
            (place / "dirmngr.conf").write_text("standard-resolver\ndisable-ipv6\n")
        for data in i.keyring.export(ANN), i.keyring.secret(fpr):
            subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--import"], input=data, check=True,
                           capture_output=True)
        # What is the reader's own, as where it was made: the client asks for that.
        subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--import-ownertrust"],
                       input=f"{fpr}:6:\n".encode(), check=True, capture_output=True)
        p = subprocess.run(["unshare", "-n", "-m", "sh", "-c", SCRIPT.format(
            binary=i.binary, client=HERE / "wks_client.py", address=ANN, password=i.passwords[ANN], fpr=fpr)],
            cwd=i.place, env=i.env, capture_output=True, timeout=580)
        assert p.returncode == 0, p.stderr.decode() + (i.place / "serve.log").read_text()
        told = json.loads(p.stdout)
        assert told["supported"] == told["check"] == 0
        assert told["to"] == [f"key-submission@{DOMAIN}"] * 2
        assert told["after"] == told["own"] > told["before"]
