"""Mail that strangers encrypted and keys that they made, of tests/cases: the mail is kept as it came and opens, the
keys are taken."""
import re

import harness
import pytest

CASES = harness.ROOT / "tests/cases"
ALICE, ANN = "alice@example.test", "ann@example.test"


@pytest.fixture(scope="module")
def instance():
    with harness.Instance() as i:
        i.init().run("domain", "add", "example.test")
        i.keyring.import_file(CASES / "alice.asc")
        certificate = i.place / "alice.cert"
        certificate.write_bytes(i.keyring.export(ALICE))
        i.run("account", "add", ALICE, "--key", certificate)
        i.app_password(ALICE)
        yield i.serve()


@pytest.mark.parametrize("name", ["e-badcrc", "e-ver-b64", "f-b64both"])
def test_mail_that_came_encrypted_is_kept_and_opens(instance, name):
    mail = harness.crlf((CASES / f"{name}.eml").read_text(encoding="utf-8").replace("\r\n", "\n"))
    assert instance.send(ALICE, mail) == {}
    served = list(instance.fetch_all(ALICE).values())[-1]
    header = served.partition(b"\r\n\r\n")[0]
    assert f"<{name}@example.org>".encode() in header
    assert b"\r\nSealed-By:" not in header and b"\r\nSubject: ...\r\n" in header
    assert re.search(rb'\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"', header)
    opened = instance.keyring.gpg("--status-fd", "2", "--decrypt", data=harness.armor_of(served))
    assert b"DECRYPTION_OKAY" in opened.stderr and opened.stdout


def test_a_certificate_whose_checksum_is_false_is_taken(instance):
    assert instance.run("account", "add", ANN, "--key", CASES / "a-badcrc.asc").returncode == 0
    assert b"current" in instance.run("key", "list", ANN).stdout
