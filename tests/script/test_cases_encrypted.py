"""Mail that strangers encrypted and keys that they made, of tests/cases and beside them: the mail is kept as it came
and opens, the keys are taken."""
import re
import time

import harness
import pytest

CASES = harness.ROOT / "tests/cases"
ALICE, ANN = "alice@example.test", "ann@example.test"

MIME = """From: sender@example.org
Subject: as published
MIME-Version: 1.0
Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="b"

--b
Content-Type: application/pgp-encrypted

Version: 1

--b
Content-Type: application/octet-stream

{packets}
--b--
"""


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


HEADER, CHECKSUM = r"\n\n", r"\n=\S{4}\n"


@pytest.mark.parametrize("algo", ["future-default", "rsa"])
def test_a_certificate_is_taken_in_every_armour(algo):
    """Checksums that are false, cut short, malformed or left out; header lines that nobody knows. RFC 9580 sections 6.1
    and 6.2.2. A line too long for a checksum is none."""
    with harness.Instance() as i:
        address = i.init().serve().add_account("alice", algo)
        good, certificate = i.keyring.export(address).decode(), i.place / "changed.asc"

        def add(*changes):
            text = good
            for pattern, put in changes:
                text, n = re.subn(pattern, put, text, count=1)
                assert n == 1, pattern
            certificate.write_text(text)
            return i.run("key", "add", address, certificate, check=False).returncode

        assert add() == 0
        for changes in ([(CHECKSUM, "\n=AAAA\n")], [(CHECKSUM, "\n=AA\n")], [(CHECKSUM, "\n=\n")],
                        [(CHECKSUM, "\n=????\n")], [(CHECKSUM, "\n")],
                        [(HEADER, "\nX-Own: y\n\n")], [(HEADER, "\nComment:\nEmailAddress:a@example.org\n\n")],
                        [(HEADER, "\nX-Own: y\n\n"), (CHECKSUM, "\n=AAAA\n")]):
            assert add(*changes) == 0, changes
        assert add((CHECKSUM, "\n=this is readable\n")) == 1


@pytest.mark.parametrize("option", ["--recipient", "--hidden-recipient"])
def test_what_was_kept_for_a_key_of_before_its_renewal_passes_the_audit(option):
    """The new encryption key is of another algorithm: what came before could not be for it."""
    with harness.Instance() as i:
        address = i.init().serve().add_account("alice")
        inner = b"Content-Type: text/plain\r\n\r\nhello\r\n"
        packets = i.keyring.gpg("--armor", option, address, "--encrypt", data=inner).stdout.decode()
        assert i.send(address, harness.crlf(MIME.format(packets=packets))) == {}
        time.sleep(1.1)  # the newest key seals
        i.keyring.unasked("--quick-add-key", i.keyring.fingerprint(address), "rsa2048", "encr")
        renewed = i.place / "renewed.cert"
        renewed.write_bytes(i.keyring.export(address))
        i.run("key", "add", address, renewed)
        assert b"RSA" in i.run("key", "list", address).stdout
        assert b"Sealed-By" not in list(i.fetch_all(address).values())[0]
        assert i.run("audit").returncode == 0
