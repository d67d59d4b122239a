"""Every way in which sealing or storing can fail: the sender gets 4xx or 5xx, an IMAP client NO, nothing is stored, and
the server recovers without a restart.

what fails                from outside (here)                    from inside
no key                    test_key_taken_away                    unit/sealer/test_sealer_keys.c::test_no_key,
                                                                 unit/ingest/test_ingest.c::test_recipients
revoked key               test_certificates_that_must_be_refused unit/gpg/test_gpg.c::judge_refuses,
                                                                 script/test_cli.py::test_a_revoked_key_seals_no_more
broken certificate        test_certificates_that_must_be_refused unit/sealer/test_sealer_keys.c::test_broken_certificate
gpg role dead             test_gpg_role_dies                     unit/sealer/test_sealer_keys.c::test_gpg_fails,
                                                                 unit/ingest/test_ingest.c::test_gpg
gpg role hangs            test_roles_that_hang                   unit/ingest/test_ingest.c::test_stall
gpg cannot seal           -                                      unit/gpg/test_gpg.c::seal_fails_closed
vault dead                test_vault_dies_under_a_delivery       unit/ingest/test_ingest.c::test_vault_returns
vault hangs               test_roles_that_hang                   unit/vault/test_vault_client.c::test_wait_ends
a hanging role is ended   -                                      unit/master/test_master_restarts.c::hangs_are_ended
gate refuses              -                                      unit/vault/test_vault_requests.c::test_gate
                                                                 and ::test_unsealed_parcel,
                                                                 unit/ingest/test_ingest.c::test_store_fails
queue full                test_waiting_deliveries_past_the_limit unit/vault/test_vault_client.c::test_bounds,
                                                                 unit/ingest/test_ingest_limits.c::
                                                                 test_budget_of_parcels
disk full                 test_disk_full_for_senders_and_readers unit/vault/test_vault_fail.c::test_full,
                                                                 unit/vault/test_vault_main.c::test_disk_full
disk broken               -                                      unit/vault/test_vault_fail.c::test_io,
                                                                 unit/store/test_engine.c::test_every_failure
over quota                -                                      unit/vault/test_vault_requests.c::test_quota,
                                                                 unit/ingest/test_ingest.c::test_quota_reserved
no Landlock in the kernel test_without_landlock                  unit/base/test_doors.c (each profile, ABI 1 pretended)
"""
import concurrent.futures
import contextlib
import ctypes
import os
import pathlib
import re
import signal
import smtplib
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from disk import code_of, harness, small_disk  # noqa: E402


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
    """Of a kind that the native engine leaves to gpg: ElGamal. The key is a ready one, since making its prime takes
    seconds."""
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


@pytest.fixture
def with_gpg(instance):
    """An instance with alice, and odd, whose key gpg seals to."""
    i = instance.init()
    i.alice = i.add_account("alice")
    i.odd = f"odd@{harness.DOMAIN}"
    cert = i.place / "odd.asc"
    cert.write_bytes(certificate_for_gpg(i, i.odd))
    i.run("account", "add", i.odd, "--key", cert)
    i.app_password(i.odd)
    return i.serve()


def send_until_taken(instance, to, message, seconds=30):
    end = time.monotonic() + seconds
    while (code := code_of(instance, to, message)) != 250:
        assert 400 <= code < 500 and time.monotonic() < end
        time.sleep(0.05)


def test_gpg_role_dies(with_gpg):
    i = with_gpg
    send_until_taken(i, i.odd, harness.mail("by gpg"))
    assert b"Subject: by gpg" in i.unseal(next(iter(i.fetch_all(i.odd).values())))
    for n in range(3):
        for pid in i.pids("gpg-seal"):
            os.kill(pid, signal.SIGKILL)
        send_until_taken(i, i.odd, harness.mail(f"after gpg {n}"))
    assert stored(i) == 4


def running(instance, role):
    end = time.monotonic() + 20
    while not (pids := [r["pid"] for r in instance.status()["roles"]
                        if r["role"] == role and r["pid"] and r["counters"]]):
        assert time.monotonic() < end
        time.sleep(0.05)
    return pids[0]  # it answers, so it serves


def test_gpg_dies_under_a_seal(with_gpg):
    """Its role is stopped, so that the seal is under way when it dies."""
    i = with_gpg
    message = harness.mail("under way")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for n in range(3):
            pid = running(i, "gpg-seal")
            os.kill(pid, signal.SIGSTOP)
            sending = pool.submit(code_of, i, i.odd, message)
            time.sleep(0.3)
            assert not sending.done()
            os.kill(pid, signal.SIGKILL)
            assert 400 <= sending.result(20) < 500
            assert stored(i) == 0
    send_until_taken(i, i.odd, message)
    assert stored(i) == 1


@pytest.mark.needs("the long run")  # waits 30 s for a role that does not answer
def test_roles_that_hang(with_gpg):
    i = with_gpg
    messages = {i.alice: harness.mail("while the vault hangs"), i.odd: harness.mail("while gpg hangs")}
    with stopped(i, "vault"), stopped(i, "gpg-seal"), concurrent.futures.ThreadPoolExecutor() as pool:
        for code in pool.map(lambda to: code_of(i, to, messages[to]), messages):
            assert 400 <= code < 500
    for to, message in messages.items():
        send_until_taken(i, to, message)
    assert stored(i) == 2, "the retry is the same message, not another"


def test_key_taken_away(served):
    address = served.add_account("keyless")
    assert code_of(served, address) == 250
    fpr = served.keyring.fingerprint(address)
    before = stored(served)
    p = served.run("key", "retire", address, fpr, check=False)
    if p.returncode == 0:
        assert 400 <= code_of(served, address) < 500
    else:  # the last key stays: an account without one cannot come about
        assert p.returncode == 1 and code_of(served, address) == 250
        before += 1
    assert stored(served) == before


def test_waiting_deliveries_past_the_limit(instance):
    """While the vault takes nothing, what waits for it is bounded: those past the bound are told to come back at
    once, and the others are stored when it goes on."""
    i = instance.init(plaintext_budget="8000000", plaintext_budget_peer="8000000", message_max="1000000",
                      ingest_instances="1")
    alice = i.add_account("alice")
    i.serve()
    messages = [harness.mail(f"waiting {n}", ("x" * 900 + "\n") * 800) for n in range(24)]
    with concurrent.futures.ThreadPoolExecutor(len(messages)) as pool:
        with stopped(i, "vault"):
            sending = {pool.submit(code_of, i, alice, m): m for m in messages}
            concurrent.futures.wait(sending, 120, concurrent.futures.FIRST_COMPLETED)
            done, waiting = concurrent.futures.wait(sending, 3)
            assert done and waiting, (len(done), len(waiting))
            assert all(400 <= d.result() < 500 for d in done), "nothing is promised"
        assert {w.result(120) for w in waiting} == {250}
    for d in done:
        send_until_taken(i, alice, sending[d])
    assert stored(i) == len(messages)


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
        cert.write_bytes(k.unasked("--armor",
                               "--export-secret-keys", address).stdout)
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


class Filler:
    """Sends to three accounts at once, from several sessions, so that groups of the vault hold several accounts."""

    def __init__(self, instance, accounts):
        self.instance, self.accounts = instance, accounts
        self.accepted, self.refused = {}, {}

    def send(self, n):
        message = harness.mail(f"filling {n}", ("x" * 900 + "\n") * (20 + n * 37 % 300))
        code = code_of(self.instance, self.accounts, message)
        assert code == 250 or 400 <= code < 500, code
        (self.accepted if code == 250 else self.refused)[n] = message

    def fill(self):
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for at in range(0, 600, 6):
                list(pool.map(self.send, range(at, at + 6)))
                if len(self.refused) > 8:
                    return
        raise AssertionError("the disk was never full")


def state_of(instance, address, mailbox="INBOX"):
    m = instance.imap(address)
    m.select(mailbox, readonly=True)
    typ, data = m.uid("FETCH", "1:*", "(FLAGS)")
    m.logout()
    return sorted(d.split(b" ", 1)[1].replace(rb" \Recent", b"").replace(rb"\Recent", b"") for d in data if d)


def subjects(instance, address):
    return sorted(re.search(rb"Subject: (filling \d+)", instance.unseal(m)).group(1)
                  for m in instance.fetch_all(address).values())


@pytest.mark.needs("root")
def test_disk_full_for_senders_and_readers(instance):
    i = instance.init()
    accounts = [i.add_account(name) for name in ("alice", "bob", "carol")]
    with small_disk(i, "6m") as store:
        i.serve()
        filler = Filler(i, accounts)
        filler.fill()
        assert len(filler.accepted) >= 3
        counts = [len(i.fetch_all(a)) for a in accounts]
        assert min(counts) >= len(filler.accepted)

        m = i.imap(accounts[0])
        m.select("INBOX")
        appended, large = 0, harness.mail("appended", ("y" * 900 + "\n") * 400)
        refused = 0
        while refused < 3:
            answer = m.append("Sent", r"(\Seen)", None, large)
            assert answer[0] in ("OK", "NO") and appended < 20, answer
            appended, refused = appended + (answer[0] == "OK"), refused + (answer[0] == "NO")
        for n in range(60):  # a small one may find room still
            before = state_of(i, accounts[0])
            answer = m.uid("STORE", "1:*", "+FLAGS" if n % 2 == 0 else "-FLAGS", r"(\Flagged)")
            assert answer[0] in ("OK", "NO"), answer
            after = state_of(i, accounts[0])
            if answer[0] == "OK":
                assert sum(b"Flagged" in entry for entry in after) == (len(after) if n % 2 == 0 else 0)
            else:
                assert after == before, "refused, and done in part"
            answer = m.append("Sent", None, None, harness.mail(f"small {n}"))
            assert answer[0] in ("OK", "NO"), answer
            appended += answer[0] == "OK"
            if n > 3 and answer[0] == "NO":
                break
        assert len(i.fetch_all(accounts[0], "Sent")) == appended
        assert m.noop()[0] == "OK", "the session goes on"

        subprocess.run(["mount", "-o", "remount,size=64m", store], check=True)
        for message in filler.refused.values():
            send_until_taken(i, accounts, message)  # twice a second the vault looks whether there is room
        assert m.append("Sent", None, None, large)[0] == "OK"
        assert m.uid("STORE", "1:*", "+FLAGS", r"(\Answered)")[0] == "OK"
        m.logout()
        expected = sorted(b"filling %d" % n for n in (*filler.accepted, *filler.refused))
        for a in accounts:
            assert subjects(i, a) == expected, "each exactly once, whether its first try was cut in two or not"
        assert i.run("audit").returncode == 0


def refuse_landlock():
    """In the child: landlock_create_ruleset is no system call any more, as on a kernel without it."""
    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    load_nr, jump_if_equal, ret = 0x20, 0x15, 0x06
    landlock_create_ruleset, enosys = 444, 38
    code = b"".join(struct.pack("HBBI", *x) for x in [(load_nr, 0, 0, 0),
                                                      (jump_if_equal, 0, 1, landlock_create_ruleset),
                                                      (ret, 0, 0, 0x00050000 | enosys), (ret, 0, 0, 0x7FFF0000)])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    if libc.prctl(22, 2, ctypes.byref(Program(4, code)), 0, 0) != 0:  # PR_SET_SECCOMP, a filter
        os._exit(99)


def test_without_landlock(instance):
    i = instance.init()
    alice = i.add_account("alice")
    p = subprocess.run([i.binary, "serve"], env=i.env, capture_output=True, timeout=60, preexec_fn=refuse_landlock)
    line = p.stderr.decode().strip().splitlines()[-1]
    assert p.returncode == 1 and line.startswith("letterlock serve: "), p
    assert "Landlock" in line and "allow_no_landlock" in line, p
    i.configure(allow_no_landlock="yes")
    i.serve(preexec_fn=refuse_landlock)
    i.send(alice, harness.mail("all the same"))
    assert len(i.fetch_all(alice)) == 1
    assert any("Landlock" in line for line in i.status()["mind"])
