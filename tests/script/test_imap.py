"""IMAP on real sockets: what the unit tests' replaced sealer and single loop cannot show: STARTTLS, several processes,
a vault that is killed, accounts that go."""
import imaplib
import os
import signal
import socket
import ssl
import time

import harness
import pytest

ALICE = f"alice@{harness.DOMAIN}"
BOB = f"bob@{harness.DOMAIN}"


@pytest.fixture(scope="module")
def served():
    with harness.Instance() as i:
        i.init(access_instances=2)
        i.add_account("alice")
        i.add_account("bob")
        i.serve()
        yield i


class Raw:
    """A connection of octets."""

    def __init__(self, instance, login=None, tls=False, host="127.0.0.1"):
        self.s = socket.create_connection(("127.0.0.1", instance.port("imap")), 30, (host, 0))
        self.buf = b""
        self.line()
        if tls:
            self.starttls()
        if login:
            assert self.say(f'LOGIN {login} "{instance.passwords[login]}"')[-1].startswith(b"t OK")

    def starttls(self):
        assert self.say("STARTTLS")[-1].startswith(b"t OK")
        self.s = ssl._create_unverified_context().wrap_socket(self.s)

    def send(self, data):
        self.s.sendall(data.encode() if isinstance(data, str) else data)

    def line(self):
        """b"" at the end."""
        while b"\n" not in self.buf:
            try:
                data = self.s.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                rest, self.buf = self.buf, b""
                return rest
            self.buf += data
        line, self.buf = self.buf.split(b"\n", 1)
        return line + b"\n"

    def until(self, *starts):
        """Lines up to one that begins so, or the end."""
        lines = []
        while True:
            lines.append(self.line())
            if not lines[-1] or lines[-1].startswith(starts):
                return lines

    def say(self, text):
        self.send(f"t {text}\r\n")
        return self.until(b"t ", b"* BYE")

    def close(self):
        self.s.close()


def append(c, mailbox="INBOX", body=b"Subject: s\r\nFrom: a@example.org\r\n\r\nbody\r\n", flags=""):
    c.send(f"t APPEND {mailbox} {flags}{{{len(body)}+}}\r\n".encode() + body + b"\r\n")
    return c.until(b"t ")[-1]


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_comes_before_tls_is_not_taken_for_what_comes_under_it(served):
    c = Raw(served)
    c.send("t STARTTLS\r\nu LOGIN a b\r\n")
    lines = c.until(b"never")
    assert not any(x.startswith((b"t OK", b"u ")) for x in lines) and lines[0].startswith(b"* BYE")
    c.close()
    # half a command, in the same segment as STARTTLS or before it
    for injected in (b"u NOO", b"\r\n", b"x"):
        c = Raw(served)
        c.send(b"t STARTTLS\r\n" + injected)
        assert not any(x.startswith(b"t OK") for x in c.until(b"never"))
        c.close()
    # sent after STARTTLS was answered, instead of a handshake
    c = Raw(served)
    assert c.say("STARTTLS")[-1].startswith(b"t OK")
    c.send(b"u NOOP\r\n")
    assert not any(b"u OK" in x for x in c.until(b"never"))
    c.close()
    c = Raw(served, ALICE, tls=True)
    assert c.say("STARTTLS")[-1].startswith(b"t BAD")
    assert b"STARTTLS" not in c.say("CAPABILITY")[0]
    c.close()


def test_http_ends_the_session(served):
    """A page can have a browser send what it likes behind the header."""
    for line in b"GET / HTTP/1.1", b"POST /" + b"x" * 100_000 + b" HTTP/1.1", b"CONNECT a:143 HTTP/1.1":
        c = Raw(served)
        c.send(line + b"\r\nHost: x\r\n\r\na NOOP\r\n")
        assert [c.line(), c.line()] == [b"* BYE This is not HTTP\r\n", b""]


def test_commands_in_the_middle_of_others(served):
    c = Raw(served)
    c.send("t AUTHENTICATE PLAIN\r\n")
    assert c.line().startswith(b"+")
    c.send("*\r\n")
    assert c.line().startswith(b"t BAD")
    c.send("t AUTHENTICATE PLAIN\r\n")
    assert c.line().startswith(b"+")
    c.send("t LOGOUT\r\n")  # is the response, and no good one
    assert c.line().startswith(b"t BAD")
    c.close()
    c = Raw(served, ALICE)
    c.say("SELECT INBOX")
    c.send("i IDLE\r\nt NOOP\r\n")
    lines = c.until(b"i ")
    assert lines[-1].startswith(b"i BAD") and not any(x.startswith(b"t OK") for x in lines)
    assert c.say("SELECT nowhere")[-1].startswith(b"t NO")
    assert c.say("CHECK")[-1].startswith(b"t BAD")  # a failed SELECT leaves none selected
    c.send("a LOGOUT\r\nb CREATE after\r\n")
    lines = c.until(b"never")
    assert lines[0].startswith(b"* BYE") and lines[1].startswith(b"a OK") and lines[2] == b""
    c.close()
    c = Raw(served, ALICE)
    assert not any(b"after" in x for x in c.say('LIST "" *'))
    c.close()


def test_names_come_back_as_they_were(served):
    c = Raw(served, ALICE)
    names = [b"&ZeVnLIqe-", b"a&-b", b"&2D3eAA-", b"&AOQ-/&AOQ-x&AOQ-", b'"with space"', b'"q\\"uote\\\\"']
    for name in names:
        c.send(b"t CREATE " + name + b"\r\n")
        assert c.until(b"t ")[-1].startswith(b"t OK"), name
        c.send(b"t LIST \"\" " + name + b"\r\n")
        lines = c.until(b"t ")
        assert lines[0].rstrip().endswith(b" " + name), lines
        assert c.say("STATUS " + name.decode() + " (MESSAGES)")[0] == b"* STATUS " + name + b" (MESSAGES 0)\r\n"
    for bad in (b"&AGE-", b"&ZeV", b"&2D0-", b"&AAoA-", b"&AOQ-&AOQ-", b'"a\xc3\xa4"', b"a//b", b"/a", b'""'):
        c.send(b"t CREATE " + bad + b"\r\n")
        assert c.until(b"t ")[-1].startswith((b"t BAD", b"t NO")), bad
    c.send(b"t CREATE {5+}\r\na\r\nb*\r\n")
    assert c.until(b"t ")[-1].startswith((b"t BAD", b"t NO"))
    assert c.say("NOOP")[-1] == b"t OK Done\r\n"
    c.close()


def test_a_mailbox_deleted_under_a_session(served):
    a, b = Raw(served, ALICE), Raw(served, ALICE)
    a.say("CREATE shortlived")
    for _ in range(3):
        assert append(a, "shortlived").startswith(b"t OK")
    b.say("SELECT shortlived")
    b.say("FETCH 1:* FLAGS")
    assert a.say("DELETE shortlived")[-1].startswith(b"t OK")
    for command in ("FETCH 1:* (FLAGS BODY[])", "STORE 1:* +FLAGS (x)", "UID COPY 1:* INBOX", "EXPUNGE"):
        lines = b.say(command)
        if not lines[-1].startswith(b"t "):
            break
        assert not lines[-1].startswith(b"t OK") or len(lines) == 1, (command, lines)
    assert lines[-1].startswith(b"* BYE") and b.until(b"never")[-1] == b""
    a.close()
    b.close()


def test_a_vault_killed_under_commands(served):
    a = Raw(served, ALICE)
    a.say("CREATE much")
    for _ in range(4):
        assert append(a, "much").startswith(b"t OK")
    a.say("SELECT much")
    for _ in range(8):
        a.say("COPY 1:* much")
    body = b"Subject: s\r\n\r\n" + b"x" * 70 + b"\r\n"
    a.send(f"t APPEND much {{{len(body)}}}\r\n")
    assert a.line().startswith(b"+")
    a.send(body[:20])
    os.kill(served.pids("vault")[0], signal.SIGKILL)
    a.send(body[20:] + b"\r\nu STORE 1:* +FLAGS (again)\r\nv COPY 1:* INBOX\r\nw NOOP\r\n")
    lines = a.until(b"w ")
    assert lines[-1].startswith(b"w OK")
    tags = [x[:1] for x in lines if x[:2] in (b"t ", b"u ", b"v ", b"w ")]
    assert tags == [b"t", b"u", b"v", b"w"]
    wait_until(lambda: append(a, "much").startswith(b"t OK"))
    # numbers are whole: every number from 1 to EXISTS has a message, and UIDs ascend
    exists = int(next(x for x in a.say("SELECT much") if b"EXISTS" in x).split()[1])
    fetched = [x.split() for x in a.say("FETCH 1:* UID") if b"FETCH" in x]
    assert [int(x[1]) for x in fetched] == list(range(1, exists + 1))
    uids = [int(x[4].rstrip(b")")) for x in fetched]
    assert uids == sorted(set(uids))
    a.close()


def test_an_announced_literal_that_never_comes_costs_nobody_else(served):
    held = [Raw(served, ALICE) for _ in range(20)]
    for c in held:
        c.send("t APPEND INBOX {20000000}\r\n")
    answers = [c.line() for c in held]
    assert all(x.startswith((b"+", b"t NO [UNAVAILABLE]")) for x in answers)
    for c in held:
        c.close()
    plain = lambda: sum(r["counters"].get("imap_plaintext_bytes_now", 0) for r in served.status()["roles"])
    wait_until(lambda: plain() == 0)
    c = Raw(served, ALICE)
    assert append(c).startswith(b"t OK")
    assert plain() == 0
    # refused before the message: what follows is not taken for commands
    c.send("t APPEND nowhere {14+}\r\nu CREATE evil\r\n\r\nw NOOP\r\n")
    lines = c.until(b"w ")
    assert lines[0].startswith(b"t NO [TRYCREATE]") and lines[1].startswith(b"w OK") and len(lines) == 2
    c.close()


def test_an_account_removed_under_its_sessions(served):
    idle, plain, other = Raw(served, BOB), Raw(served, BOB), Raw(served, ALICE)
    idle.say("SELECT INBOX")
    idle.send("i IDLE\r\n")
    assert idle.line().startswith(b"+")
    served.run("account", "remove", BOB)
    assert idle.until(b"* BYE")[-1].startswith(b"* BYE")
    assert plain.line().startswith(b"* BYE") and plain.line() == b""
    assert other.say("NOOP")[-1].startswith(b"t OK")
    with pytest.raises(imaplib.IMAP4.error):
        served.imap(BOB)
    for c in (idle, plain, other):
        c.close()


def test_unknown_and_wrong_are_one_answer(served):
    answers = set()
    for user in (ALICE, f"nobody@{harness.DOMAIN}", "nobody@elsewhere.example", "\\\"", "x" * 400):
        c = Raw(served, host="127.1.2.3")  # failed logins slow down a whole host
        answers.add(c.say(f'LOGIN "{user}" "wrong"')[-1])
        c.close()
    assert len(answers) == 1 and b"AUTHENTICATIONFAILED" in answers.pop()


def test_a_revoked_app_password_ends_its_sessions_alone(served):
    """In every access process; whoever logged in with another one goes on."""
    lost = served.run("app-password", "add", ALICE, "--label", "lost telephone").stdout.decode().strip()
    number = next(x for x in served.run("app-password", "list", ALICE).stdout.decode().splitlines()
                  if "lost telephone" in x).split()[0]
    others, gone = [Raw(served, ALICE) for _ in range(3)], [Raw(served) for _ in range(6)]
    for c in gone:
        assert c.say(f'LOGIN {ALICE} "{lost}"')[-1].startswith(b"t OK")
    assert gone[0].say("SELECT INBOX")[-1].startswith(b"t OK")
    gone[0].send("t IDLE\r\n")
    assert gone[0].line().startswith(b"+")
    served.run("app-password", "revoke", ALICE, number)
    for c in gone:
        assert c.until(b"* BYE")[-1].startswith(b"* BYE [AUTHENTICATIONFAILED]")
        assert c.line() == b""
    for c in others:
        assert c.say("SELECT INBOX")[-1].startswith(b"t OK")
        c.close()


def test_a_number_beyond_the_mailbox_is_said_to_be_that(served):
    c = Raw(served, ALICE)
    assert c.say("SELECT INBOX")[-1].startswith(b"t OK")
    for _ in range(25):  # more than the bad commands that end a session
        assert c.say("FETCH 99999 FLAGS")[-1] == b"t BAD No message has that number\r\n"
    c.close()
