"""testssl.sh against every port that speaks TLS: nothing that it finds weighs more than LOW. The short run asks HTTPS
for protocols, ciphers and the certificate; the long run asks everything, everywhere."""
import json
import subprocess
import sys

import pytest

import harness

sys.path.insert(0, str(harness.ROOT / "tests"))
import web  # noqa: E402

LIGHT = {"OK", "INFO", "LOW", "DEBUG"}
# That it ends soon, and names no authority's lists: a CA for tests is like that.
OF_THE_CERTIFICATE = {"cert_expirationStatus", "cert_notAfter", "cert_revocation"}
# What is compressed are pages that are the same for everybody: there is no secret in them, and nothing of the request.
EXPECTED = {("https", "BREACH")}
PORTS = {"https": [], "imaps": [], "submissions": [], "smtp": ["-t", "smtp"], "submission": ["-t", "smtp"],
         "imap": ["-t", "imap"]}
SOME = ["-p", "-s", "-S"]


@pytest.fixture(scope="module")
def i(tmp_path_factory):
    place = tmp_path_factory.mktemp("ca")
    made = web.Certificates(place, [harness.DOMAIN])
    with harness.Instance(web=True).init(web_instances=1, ingest_instances=1, access_instances=1) as instance:
        for to, kind in ("chain.pem", "pem"), ("key.pem", "key"):
            (instance.dir / "tls" / to).write_text(made.file("good", kind).read_text())
        instance.ca = made.ca
        yield instance.serve()


def findings(i, port, file, *checks):
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--ip", "127.0.0.1",
               "--add-ca", i.ca, "--jsonfile", file, *checks, *PORTS[port], f"{harness.DOMAIN}:{i.port(port)}"]
    p = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900)
    assert file.exists(), p.stdout + p.stderr
    return json.loads(file.read_text())


def judge(i, port, file, *checks):
    found = findings(i, port, file, *checks)
    by_id = {f["id"]: f["finding"] for f in found}
    assert by_id["cert_chain_of_trust"].startswith("passed") and by_id["TLS1_3"].startswith("offered"), by_id
    return [f for f in found if f["severity"] not in LIGHT and f["id"] not in OF_THE_CERTIFICATE
            and (port, f["id"]) not in EXPECTED]


@pytest.mark.needs("testssl")
def test_https(i, tmp_path):
    assert judge(i, "https", tmp_path / "found", *SOME) == []


@pytest.mark.needs("the long run", "testssl")
@pytest.mark.parametrize("port", PORTS)
def test_everything(i, port, tmp_path):
    assert judge(i, port, tmp_path / "found") == []
