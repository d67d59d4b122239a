"""Every way in which sealing or storing can fail, from outside: the sender gets 4xx or 5xx, nothing is stored, and the server recovers without a restart. What cannot be
provoked from outside (an account without a key, a gate that refuses, a full queue) is in tests/unit/sealer and tests/unit/vault."""
import contextlib
import os
import pathlib
import signal
import smtplib
import subprocess

import harness
import pytest


def code_of(instance, to, message=None):
    try:
        instance.send(to, message or harness.mail())
        return 250
    except smtplib.SMTPRecipientsRefused as e:
        return next(iter(e.recipients.values()))[0]
    except smtplib.SMTPResponseException as e:
        return e.smtp_code


def stored(instance):
    return instance.status()["messages"]


@contextlib.contextmanager
def stopped(instance, role):
    """The role hangs, as a process stuck in the kernel would."""
    pids = instance.pids(role)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def certificate_for_gpg(instance, address):
    """Of a kind that the native engine leaves to gpg: ElGamal. The key is a ready one, since making its prime takes seconds."""
    k = instance.keyring
    k.import_file(pathlib.Path(__file__).parent / "elgamal.key")
    k.gpg("--quick-add-uid", k.fingerprint("A test"), address)
    return k.export(address)


@pytest.fixture(scope="module")
def served():
    with harness.Instance() as i:
        i.init()
        i.add_account("alice")
        i.serve()
        yield i


def test_unknown_address_and_no_relaying(served):
    before = stored(served)
    assert code_of(served, f"nobody@{harness.DOMAIN}") == 550
    assert code_of(served, "someone@elsewhere.example") == 550
    assert stored(served) == before


def test_vault_hangs_then_lives(served):
    alice = f"alice@{harness.DOMAIN}"
    message = harness.mail("while the vault hangs")
    before = stored(served)
    with stopped(served, "vault"):
        assert 400 <= code_of(served, alice, message) < 500
    assert code_of(served, alice, message) == 250
    assert stored(served) == before + 1, "the retry is the same message, not another"


def test_vault_dies_under_a_delivery(served):
    alice = f"alice@{harness.DOMAIN}"
    before = stored(served)
    for n in range(5):
        message = harness.mail(f"death {n}")
        for pid in served.pids("vault"):
            os.kill(pid, signal.SIGKILL)
        code = code_of(served, alice, message)
        while code != 250:
            assert 400 <= code < 500
            code = code_of(served, alice, message)
    assert stored(served) == before + 5


def test_gpg_role_hangs_and_dies(instance):
    i = instance.init()
    address = f"curve@{harness.DOMAIN}"
    cert = i.place / "curve.asc"
    cert.write_bytes(certificate_for_gpg(i, address))
    i.run("account", "add", address, "--key", cert)
    i.passwords[address] = i.run("app-password", "add", address, "--label", "t").stdout.decode().strip()
    i.serve()
    assert code_of(i, address, harness.mail("by gpg")) == 250
    assert b"Subject: by gpg" in i.unseal(next(iter(i.fetch_all(address).values())))
    before = stored(i)
    message = harness.mail("while gpg hangs")
    with stopped(i, "gpg-seal"):
        assert 400 <= code_of(i, address, message) < 500
        assert stored(i) == before
    for pid in i.pids("gpg-seal"):
        os.kill(pid, signal.SIGKILL)
    code = code_of(i, address, message)
    while code != 250:
        assert 400 <= code < 500
        code = code_of(i, address, message)
    assert stored(i) == before + 1


@pytest.mark.parametrize("kind", ["revoked", "signing only", "broken", "secret", "empty", "not a key", "weak"])
def test_certificates_that_must_be_refused(instance, kind):
    i = instance.init()
    address = f"x@{harness.DOMAIN}"
    cert = i.place / "x.asc"
    k = i.keyring
    if kind == "revoked":
        k.generate(address)
        fpr = k.fingerprint(address)
        rev = (k.path / "openpgp-revocs.d" / f"{fpr}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
        k.gpg("--import", data=rev.encode())
        cert.write_bytes(k.export(address))
    elif kind == "signing only":
        k.gpg("--passphrase", "", "--quick-gen-key", address, "ed25519", "sign")
        cert.write_bytes(k.export(address))
    elif kind == "broken":
        raw = bytearray(k.gpg("--export", "--armor", address, check=False).stdout or k.generate(address))
        raw = bytearray(k.gpg("--export", address).stdout)
        raw[60:200] = os.urandom(140)
        cert.write_bytes(bytes(raw))
    elif kind == "secret":
        k.generate(address)
        cert.write_bytes(k.gpg("--passphrase", "", "--pinentry-mode", "loopback", "--armor", "--export-secret-keys", address).stdout)
    elif kind == "empty":
        cert.write_bytes(b"")
    elif kind == "not a key":
        cert.write_bytes(b"Dear server, here is my key.\n")
    elif kind == "weak":
        k.gpg("--passphrase", "", "--quick-gen-key", address, "rsa1024")
        k.gpg("--passphrase", "", "--quick-add-key", k.fingerprint(address), "rsa1024", "encr")
        cert.write_bytes(k.export(address))
    p = i.run("account", "add", address, "--key", cert, check=False)
    assert p.returncode == 1, p
    line = p.stderr.decode().strip()
    assert line.startswith("letterlock account add: ") and "\n" not in line, line
    assert i.run("account", "list").stdout == b""


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_disk_full_and_recovery(instance):
    i = instance.init()
    alice = i.add_account("alice")
    store = i.dir / "store"
    saved = i.place / "saved"
    subprocess.run(["cp", "-a", store, saved], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", store], check=True)
    try:
        subprocess.run(f"cp -a {saved}/. {store}/ && chown --reference={saved} {store}", shell=True, check=True)
        i.serve()
        accepted, refused = [], 0
        for n in range(200):
            message = harness.mail(f"filling {n}", ("x" * 900 + "\n") * 220)
            code = code_of(i, alice, message)
            if code == 250:
                accepted.append(n)
            else:
                assert 400 <= code < 500
                refused += 1
                if refused == 3:
                    break
        assert refused == 3 and accepted
        assert stored(i) == len(accepted)
        subprocess.run(["mount", "-o", "remount,size=64m", store], check=True)
        assert code_of(i, alice, harness.mail("there is room again")) == 250
        messages = i.fetch_all(alice)
        assert len(messages) == len(accepted) + 1
        for m in messages.values():
            i.unseal(m)
        assert i.run("audit").returncode == 0
    finally:
        i.stop()
        subprocess.run(["umount", store], check=False)
