"""The kernel's generator fails in a role that runs: nothing is promised and nothing stored, neither sealed badly nor
not at all; afterwards all is well. The engine answers with an error (tests/unit/crypto/test_session_key.c has every way
in which that can happen); libsodium, which makes the roles' other random numbers, ends the process, and master starts
it again."""
import contextlib
import ctypes
import imaplib
import pathlib
import platform
import re
import smtplib
import socket
import time

import harness
import pytest

pytestmark = [pytest.mark.needs("root"),
              pytest.mark.skipif(platform.machine() != "x86_64", reason="the replacement is x86-64 code")]
RETURN_0 = bytes.fromhex("31c0c3")  # xor eax, eax; ret


def libc_base(pid):
    """Where the C library begins, and its file."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        m = re.match(r"([0-9a-f]+)-\S+ \S+ 00000000 .*(/libc\.so\.6)$", line)
        if m:
            return int(m[1], 16)
    pytest.skip("no C library of that name")


@contextlib.contextmanager
def generator_gives_nothing(pid):
    """getrandom in that process gives no octets. Both processes have the same library, at places of their own."""
    ours = ctypes.cast(ctypes.CDLL(None).getrandom, ctypes.c_void_p).value
    at = ours - libc_base("self") + libc_base(pid)
    with open(f"/proc/{pid}/mem", "r+b", 0) as memory:
        memory.seek(at)
        code = memory.read(len(RETURN_0))
        memory.seek(at)
        memory.write(RETURN_0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the process may have ended
                memory.seek(at)
                memory.write(code)


def promised(call):
    """What the call answers; None if the connection ended or a temporary failure was said."""
    try:
        return call()
    except smtplib.SMTPResponseException as e:
        assert 400 <= e.smtp_code < 500, e
    except (smtplib.SMTPServerDisconnected, imaplib.IMAP4.abort, OSError):
        pass
    return None


def running(i, role):
    """The role's process, once master has started it again."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            pid, = i.pids(role)
            with socket.create_connection(("127.0.0.1", i.port("smtp" if role == "ingest" else "imap")),
                                          timeout=60) as s:
                if s.recv(10):
                    return pid
        time.sleep(0.2)
    raise AssertionError(f"{role} does not come back")


def test_no_seal_without_randomness(instance):
    i = instance.init(ingest_instances="1", access_instances="1")
    alice = i.add_account("alice")
    bob = i.add_account("bob", algo="rsa")
    i.serve()
    i.send([alice, bob], harness.mail("before"))
    for person in [alice, bob]:
        with generator_gives_nothing(running(i, "ingest")):
            assert promised(lambda: i.send(person, harness.mail("without randomness"))) is None
    m = i.imap(alice)
    with generator_gives_nothing(running(i, "access")):
        answer = promised(lambda: m.append("INBOX", None, None, harness.mail("appended without randomness")))
        assert answer is None or answer[0] == "NO"
    running(i, "ingest"), running(i, "access")
    i.send([alice, bob], harness.mail("after"))
    m = i.imap(alice)
    assert m.append("INBOX", None, None, harness.mail("appended after"))[0] == "OK"
    m.logout()
    subjects = {a: [re.search(rb"(?m)^Subject: (.*?)\r$", i.unseal(x)).group(1) for x in i.fetch_all(a).values()]
                for a in [alice, bob]}
    assert subjects == {alice: [b"before", b"after", b"appended after"], bob: [b"before", b"after"]}
