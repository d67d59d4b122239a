"""letterlock trace: the stories it tells, the logs it reads, the times it takes. tests/fault/test_log_of_a_day.py has
the log of a day."""
import pathlib
import re
import smtplib
import ssl
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
from harness import DOMAIN  # noqa: E402
from peers import Peer  # noqa: E402

ALICE, ALIAS, NOBODY = f"alice@{DOMAIN}", f"al@{DOMAIN}", f"nobody@{DOMAIN}"
SHOP, BOUNCER = "shop@example.net", "Bounce+12@Lists.Example.Org"


@pytest.fixture(scope="module")
def day():
    """A server that has had a little mail, and its log."""
    with harness.Instance() as i:
        i.init()
        i.add_account("alice")
        i.run("alias", "add", ALIAS, ALICE)
        i.serve()
        i.ids = {}
        with i.smtp() as s:
            s.starttls(context=ssl._create_unverified_context())
            i.ids["shop"] = sent(s, SHOP, [ALICE], b"x" * 3000)
        with i.smtp() as s:
            i.ids["list"] = sent(s, BOUNCER, [f"al+news@{DOMAIN}", ALICE])
            i.ids["bounce"] = sent(s, "", [ALIAS])
            s.docmd("MAIL FROM:<shop@example.net>")
            i.ids["nobody"] = refused(s.docmd(f"RCPT TO:<{NOBODY}>"), 550)
            assert s.docmd(f"RCPT TO:<{ALICE}>")[0] == 250
            s.docmd("RSET")
            i.ids["malformed"] = refused(s.docmd("MAIL FROM:<joe@example.com"), 501)
            s.docmd("MAIL FROM:<joe@example.com>")
            assert s.docmd(f"RCPT TO:<{ALICE}>")[0] == 250
            assert s.docmd("DATA")[0] == 354
            s.send(b"Subject: x\n\r\n.\r\n")
            i.ids["bare"] = refused(s.getreply(), 554)
        with i.smtp() as s:
            s.docmd("EHLO c")
            s.docmd("STARTTLS")
            s.sock.sendall(b"this is no handshake\r\n" * 20)
            s.sock.recv(100)
            s.sock.close()
        end = time.monotonic() + 10
        while "tls-failed" not in i.log() or i.log().count(" mail ") < 8:
            assert time.monotonic() < end, i.log()
            time.sleep(0.05)
        yield i


def sent(s, sender, recipients, body=b"x"):
    """The id that the sender was told."""
    s.ehlo()
    s.mail(sender)
    for r in recipients:
        assert s.rcpt(r)[0] == 250
    author = f"From: {sender or 'postmaster@example.org'}\r\n".encode()
    code, text = s.data(author + b"Subject: not to be found\r\n\r\n" + body + b"\r\n")
    assert code == 250
    return re.search(rb"Accepted as ([0-9a-f]{16})$", text).group(1).decode()


def refused(reply, code):
    assert reply[0] == code, reply
    return re.search(rb" \[([0-9a-f]{16})\]$", reply[1]).group(1).decode()


def trace(instance, *args, data=None, code=0):
    if data is None:
        args, data = (*args, instance.place / "log"), None
    p = instance.run("trace", *args, data=data, check=False)
    assert p.returncode == code, p.stderr.decode()
    return p.stdout.decode()


def ids(text):
    return re.findall(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  mail ([0-9a-f]{16})", text, re.M)


@pytest.mark.parametrize("address, which", [
    (ALICE, ["shop", "list", "bounce", "nobody", "bare"]),
    (ALICE.upper(), ["shop", "list", "bounce", "nobody", "bare"]),
    (ALIAS, ["list", "bounce"]),
    (f"al+news@{DOMAIN}", ["list"]),
    (f"al+other@{DOMAIN}", None),
    (NOBODY, ["nobody"]),
    (SHOP, ["shop", "nobody"]),
    (f"<{SHOP}>", ["shop", "nobody"]),
    ("@example.net", ["shop", "nobody"]),
    ("bounce+12@lists.example.org", ["list"]),
    ("bounce@lists.example.org", ["list"]),
    ("@lists.example.org", ["list"]),
    ("@example.org", None),
    ("<>", ["bounce"]),
    ("joe@example.com", ["malformed", "bare"]),
    ("", ["bounce"]),
])
def test_finds_by_every_name(day, address, which):
    found = ids(trace(day, address, code=0 if which else 1))
    assert found == [day.ids[w] for w in which or []]


def test_tells_what_became_of_it(day):
    text = trace(day, ALICE)
    assert f"mail {day.ids['shop']} to {ALICE}\n" \
           "    accepted: it was sealed and stored; the sender was told 250 2.0.0\n" \
           "    up to 4 KB, 1 recipient, TLS 1.3, TLS_AES_256_GCM_SHA384\n" in text
    assert f"mail {day.ids['list']} to {ALICE}\n" \
           "    accepted: it was sealed and stored; the sender was told 250 2.0.0 (2 recipients)\n" in text
    assert "    ended before the message: the sender ended without waiting for an answer\n" in text
    assert "    refused: a line of it does not end in CR LF; the sender was told 554 5.6.0\n" in text
    assert "TLS handshakes that failed: 1 (what came was no TLS)" in text
    text = trace(day, SHOP)
    assert f"from {SHOP}\n    recipient refused: there is no such address here; the sender was told 550 5.1.1\n" in text
    text = trace(day, "joe@example.com")
    assert "    sender refused: the address is malformed; the sender was told 501 5.1.7\n" in text


def test_between_two(day):
    text = trace(day, ALICE, "--with", SHOP)
    assert ids(text) == [day.ids["shop"], day.ids["nobody"]] and f" from {SHOP} to {ALICE}\n" in text
    assert ids(trace(day, ALICE, "--with", "@lists.example.org")) == [day.ids["list"]]
    assert ids(trace(day, SHOP, "--with", ALIAS, code=1)) == []


def test_reads_what_journals_give(day):
    log = day.log()
    short = "".join(f"Nov 29 03:00:00 host letterlock[77]: {line}\n" for line in log.splitlines())
    iso = "".join(f"2020-01-01T00:00:00+0000 host letterlock[77]: {line}\n" for line in log.splitlines())
    want = ids(trace(day, ALICE))
    for text in (log, short, iso, "\n\n" + log + "\n", log.rstrip("\n"), log.replace("\n", "\r\n")):
        assert ids(trace(day, ALICE, data=text.encode())) == want
        assert ids(trace(day, ALICE, "-", data=text.encode())) == want


def test_times(day):
    log = day.log().encode()
    every = ids(trace(day, ALICE, data=log))
    for since in ("2020-01-01", "1 hour ago", "2 hours ago", "90m", "3d", "yesterday", "2020-01-01T10:00",
                  "2020-01-01 10:00:30Z"):
        assert ids(trace(day, ALICE, "--since", since, data=log)) == every
        assert ids(trace(day, ALICE, "--until", since, data=log, code=1)) == []
    for bad in ("", "soon", "2020-02-30", "2020-01-01T25:00", "2020-01-01T10", "-1h", "1", "1 fortnight ago", "1h ",
                "99999999h", "2020-01-01T10:00+01:00"):
        p = day.run("trace", ALICE, "--since", bad, data=log, check=False)
        assert p.returncode == 2 and b"is no time" in p.stderr, bad


def test_damaged_and_forged_lines(day):
    """What is no line of the log is passed over, counted, and never shown; nothing of it reaches a terminal."""
    log = day.log()
    line = next(x for x in log.splitlines() if " mail " in x)
    evil = [line.replace("reason=accepted", "reason=\x1b[2Jpwned"), line[:-1], line + " x=y", line * 1000,
            line.replace("ingest", "evil\x1b[0m"), re.sub(r"id=\w+", "id=\x1b]0;pwned", line), "\0" * 100,
            "\xff" * 9000, line.replace(" mail ", " mail\0 ")]
    data = "\n".join([*evil, log]).encode("latin-1")
    p = day.run("trace", ALICE, data=data)
    assert ids(p.stdout.decode()) == ids(trace(day, ALICE))
    assert b"\x1b" not in p.stdout + p.stderr and b"pwned" not in p.stdout + p.stderr
    assert re.search(rb"mind: \d+ of \d+ lines are damaged", p.stderr)
    # An operand is tamed too
    p = day.run("trace", "\x1b[2J@evil.example", data=log.encode(), check=False)
    assert p.returncode == 1 and b"\x1b" not in p.stdout + p.stderr


def test_trouble_that_names_nobody_is_told_beside(day):
    said = ["tls-failed why=no-common-cipher"] * 3
    said += ["tls-failed more=40 seconds=60", "mail-untold lines=123 seconds=60"]
    said += ["session-ended reason=timeout reply=421 status=4.4.2", "session-ended more=18 seconds=60"]
    said += ["session-refused", "session-refused more=30 seconds=60"]
    said += ["log-dropped records=7"]
    said += ["errors-slowed errors=90 waits=12 unseen=3 seconds=60"]
    lines = [f"2020-01-01T00:00:{n:02}.000Z info ingest.1 {text}\n" for n, text in enumerate(said)]
    text = trace(day, ALICE, data=("".join(lines) + day.log()).encode())
    assert [x.removeprefix("besides, of nobody known: ") for x in text.splitlines() if x.startswith("besides")] == [
        "TLS handshakes that failed: 1 (what came was no TLS)",
        "TLS handshakes that failed: 3 (no cipher, curve or signature in common)",
        "TLS handshakes that failed: 40 (more than could be told)",
        "sessions that we ended: 1 (the sender was silent, or too slow, for too long)",
        "sessions that we ended: 18 (more than could be told)",
        "sessions refused: 31 (too many of one peer or network)",
        "answers held back: 12 (from who makes many errors)",
        "refused or given up, and only counted: 123",
        "lines that the log has lost: 7 (more came than master took; some may be about mail)"]
    text = trace(day, ALICE, "--since", "2020-01-02", data=("".join(lines) + day.log()).encode())
    assert text.count("besides") == 1


def test_another_store_s_key_finds_nothing(day):
    with harness.Instance(anew=True) as other:
        other.init()
        for address in (ALICE, SHOP, "@example.net", "<>"):
            assert ids(trace(other, address, data=day.log().encode(), code=1)) == []


def test_says_what_is_wrong(day):
    assert "cannot read /nowhere" in day.run("trace", ALICE, "/nowhere", check=False).stderr.decode()
    assert "cannot read" in day.run("trace", ALICE, day.place, check=False).stderr.decode()
    assert day.run("trace", check=False).returncode == 2
    p = subprocess.run([day.binary, "trace", ALICE], capture_output=True, env={**day.env, "LETTERLOCK_DIR": "/nowhere"})
    assert p.returncode == 1


def test_needs_no_store(day, tmp_path):
    """The store key is enough."""
    for name in ("letterlock.conf", "store.key", "queue.key"):
        (tmp_path / name).write_bytes((day.dir / name).read_bytes())
    p = subprocess.run([day.binary, "trace", ALICE, day.place / "log", "--dir", tmp_path], capture_output=True)
    assert p.returncode == 0, p.stderr
    assert ids(p.stdout.decode()) == ids(trace(day, ALICE))


def test_mail_that_goes_out_is_one_story():
    """By the id that its sender was told: how it came, and each try to send it on."""
    world, replies = "carol@world.example", ["450 4.2.0 later", "250 2.1.5 ok"]
    with harness.Instance() as i:
        i.init(relay_port=i.base + 5525, queue_retry=1)
        i.add_account("alice")
        (i.dir / "relay.policy").write_text("world.example route=127.0.0.1\n")
        with Peer(i.base + 5525, rcpt=lambda _: replies.pop(0)):
            i.serve()
            with i.submission(ALICE) as s:
                id = sent(s, ALICE, [world, ALICE])
            i.logged(r"outgoing fate=sent")
        text = trace(i, world)
        time_of = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  "
        assert re.fullmatch(
            rf"{time_of}mail {id} to {world}\n"
            r"    accepted: it was sealed and stored; the sender was told 250 2.0.0\n"
            r"    up to \d+ octets, 2 recipients, TLS 1.3, TLS_AES_256_GCM_SHA384\n"
            rf"    {time_of}deferred: 450 4.2.0, try 1, \d+ s after it was queued, in the clear\n"
            rf"    {time_of}sent: 250 2.0.0, try 2, \d+ s after it was queued, in the clear\n", text), text
        assert trace(i, ALICE, "--with", world) == text.replace(" to ", f" from {ALICE} to ", 1)
        # Where it came is not in this log any more; a try says as much of whose it is.
        tries = "".join(line for line in i.log().splitlines(True) if " outgoing " in line)
        for name in (world, "@world.example", ALICE):
            story = trace(i, name, data=tries.encode())
            assert ids(story) == [id] and story.count("try ") == 2 and "accepted" not in story
        assert not trace(i, "dave@world.example", data=tries.encode(), code=1)
        # Nor does a process say so for which it is not to say.
        assert not trace(i, world, data=re.sub(r" relay\.\d+ ", " access.0 ", tries).encode(), code=1)
