"""Who sends too much is held: an account in a stranger's hands stops at its limit, with what it has in the queue, and
the mail of all others goes on."""
import contextlib
import json
import os
import re
import signal
import smtplib
import socket
import struct
import threading
import time

import pytest

import harness
import names
from peers import Peer

pytestmark = pytest.mark.needs(*names.NEEDS)
ALICE, MALLORY = f"alice@{harness.DOMAIN}", f"mallory@{harness.DOMAIN}"
ZONE = """
mx A 127.0.0.1
* MX 10 mx
"""


@pytest.fixture(scope="module")
def zone():
    with names.start({"test": ZONE}) as n:
        yield n


class Sending(harness.Instance):
    def start(self, zone, **settings):
        self.there = self.base + 5525
        self.init(**zone.settings(), relay_port=self.there, queue_retry=1, queue_retry_max=2, **settings)
        for name in ("alice", "mallory"):
            self.add_account(name)
        return self.serve()

    def mail(self, sender, to, session=None):
        """What the message was answered: 250, or the refusal."""
        s = session or self.submission(sender)
        try:
            s.sendmail(sender, to, f"From: {sender}\r\nSubject: x\r\n\r\ntext {os.urandom(8).hex()}\r\n")
            return 250, ""
        except smtplib.SMTPSenderRefused as e:
            return e.smtp_code, e.smtp_error.decode()
        except smtplib.SMTPDataError as e:
            return e.smtp_code, e.smtp_error.decode()
        finally:
            if not session:
                s.close()

    def queue(self):
        return json.loads(self.run("queue", "list", "--json").stdout)

    def counter(self, role, name):
        return sum(r["counters"].get(name, 0) for r in self.status()["roles"] if r["role"] == role)


@pytest.fixture
def i():
    with Sending() as x:
        yield x


def eventually(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def senders(peer):
    return [m.sender for m in peer.mails]


def test_a_hijacked_account_is_held_and_nobody_else(i, zone):
    limit, tries = 40, int(os.environ.get("LETTERLOCK_HIJACK_TRIES", 120))
    i.start(zone, send_messages_day=limit, ingest_instances=2, smtp_errors_peer=100000, smtp_errors=10000)
    with Peer(i.there, rcpt=lambda line: "450 4.2.0 later" if "victim" in line else "250 ok") as peer:
        answers, lock = [], threading.Lock()

        def hijack():
            session = i.submission(MALLORY)
            while True:
                with lock:
                    if len(answers) >= tries:
                        return
                    answers.append(None)
                    n = len(answers) - 1
                answers[n] = i.mail(MALLORY, f"victim{n % 7}@there.test", session)
                if answers[n][0] == 550:
                    session.rset()

        threads = [threading.Thread(target=hijack) for _ in range(4)]
        for t in threads:
            t.start()
        mine = [i.mail(ALICE, "carol@there.test")[0] for _ in range(limit // 2)]
        for t in threads:
            t.join()
        assert mine == [250] * (limit // 2)
        assert [a[0] for a in answers].count(250) == limit, answers
        assert {a[0] for a in answers} == {250, 550}
        refused = next(text for code, text in answers if code == 550)
        assert refused.startswith("5.7.1") and "postmaster" in refused
        eventually(lambda: senders(peer).count(ALICE) == limit // 2)
        # What it had in the queue stays there, though the server there would take it now.
        assert i.counter("vault", "accounts-held") == 1
        held = [m for m in i.queue() if m["from"] == MALLORY]
        assert len(held) == limit and all(m["account_held"] for m in held)
        assert {r["state"] for m in held for r in m["recipients"]} == {"held"}
        peer.replies["rcpt"] = "250 ok"
        i.run("queue", "flush")
        assert i.mail(ALICE, "dave@there.test")[0] == 250
        eventually(lambda: senders(peer).count(ALICE) == limit // 2 + 1)
        time.sleep(3)
        assert MALLORY not in senders(peer)
        said = i.status()["sending"]
        assert [(s["account"], s["held"], s["why"]) for s in said] == [
            (MALLORY, True, "it reached send_messages_day")]
        assert "account-held" in i.log() and "why=send_messages_day" in i.log() and "@" not in [
            line for line in i.log().splitlines() if "account-held" in line][0]
        i.run("account", "release", MALLORY)
        eventually(lambda: senders(peer).count(MALLORY) == limit)
        assert i.mail(MALLORY, "victim1@there.test")[0] == 250
        assert i.status()["sending"] == []
    assert i.run("audit").returncode == 0


def test_a_greedy_account_waits_and_nobody_else(i, zone):
    """Over processes and connections: a burst, then one a while, whatever it does while it waits; a newsletter to many
    in few messages does not notice."""
    burst, each, sessions = 8, 1.0, 6
    i.start(zone, send_messages_burst=burst, send_messages_minute=int(60 / each), smtp_sessions_account=sessions,
            recipients_max=500, ingest_instances=2, smtp_errors_peer=100000, smtp_errors=10000, relay_connections=4)
    with Peer(i.there):
        mine = [i.submission(MALLORY) for _ in range(sessions)]
        begin = time.monotonic()
        for s in mine:  # three at once from each, of which the last ones wait
            s.send(f"MAIL FROM:<{MALLORY}>\r\nRSET\r\n" * 3)
        for part in range(4):
            assert i.mail(ALICE, [f"{n}@there.test" for n in range(100 * part, 100 * part + 100)])[0] == 250
        answers = [s.getreply()[0] for s in mine for _ in range(6)]
        assert answers == [250] * sessions * 6
        assert time.monotonic() - begin > (sessions * 3 - burst) * each * 0.9
        # Nobody but those of one account who were past its burst.
        assert 1 <= i.counter("ingest", "paced") <= sessions * 3 - burst
        # Who hangs up in its wait gives its place among the account's sessions back.
        with pytest.raises(smtplib.SMTPAuthenticationError) as full:
            for _ in range(sessions):  # a process lets it have its even share, however uneven they stand
                mine.append(i.submission(MALLORY))
        assert full.value.smtp_code == 454 and b"Too many sessions" in full.value.smtp_error
        for s in mine:
            s.send(f"MAIL FROM:<{MALLORY}>\r\n" * 2)
            s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        again = []

        def comes_in():
            with contextlib.suppress(smtplib.SMTPAuthenticationError):
                again.append(i.submission(MALLORY))
            return again

        eventually(comes_in)
        assert i.counter("ingest", "paced_refused") >= 1
        i.stop()
        assert re.search(r"sending-slowed account=\d+ waits=\d+ refused=\d+ seconds=60", i.log())


def test_by_hand_and_all_but_sending_goes_on(i, zone):
    i.start(zone)
    with Peer(i.there, rcpt="450 4.2.0 later") as peer:
        assert i.mail(MALLORY, "bob@there.test")[0] == 250
        eventually(lambda: peer.attempts)
        i.run("account", "hold", MALLORY)
        assert i.mail(MALLORY, ALICE)[0] == 550
        s = i.submission(MALLORY)
        code, text = s.mail("")
        assert (code, text[:5]) == (550, b"5.7.1")  # nor a read receipt
        s.quit()
        assert i.mail(ALICE, MALLORY)[0] == 250
        eventually(lambda: len(i.fetch_all(MALLORY)) == 1)
        assert "held     since" in i.run("account", "show", MALLORY).stdout.decode()
        assert "by hand" in i.run("account", "show", MALLORY).stdout.decode()
        assert "held" in [x for x in i.run("account", "list").stdout.decode().splitlines() if MALLORY in x][0]
        assert "account is held" in i.run("queue", "list").stdout.decode()
        assert re.search(rf"held: {MALLORY} .* it sends nothing: by hand", i.run("status").stdout.decode())
        i.stop()
        assert "sends nothing" in i.run("status").stdout.decode()
        peer.replies["rcpt"] = "250 ok"
        i.serve()
        time.sleep(2)
        assert not peer.mails
        i.run("account", "release", MALLORY)
        eventually(lambda: peer.mails)
        assert i.run("account", "release", MALLORY).returncode == 0  # which is so already
        assert i.run("account", "hold", "nobody@letterlock.test", check=False).returncode == 1


def test_new_recipients_and_mail_for_people_here(i, zone):
    i.start(zone, send_new_recipients_day=3, send_recipients_day=20)
    with Peer(i.there):
        for _ in range(5):
            assert i.mail(ALICE, ["a@there.test", "B@there.test", "b@THERE.test", MALLORY])[0] == 250
        shown = i.run("account", "show", ALICE).stdout.decode()
        assert "5 messages to 15 recipients, 3 of them new" in shown
        assert i.mail(ALICE, ["c@there.test", "d@there.test"])[0] == 550
        assert i.mail(MALLORY, [f"{n}@there.test" for n in "xyz"])[0] == 250  # another's are another's


def test_a_domain_s_limit_holds_nobody(i, zone):
    i.start(zone, send_domain_messages_day=4)
    with Peer(i.there):
        assert [i.mail(who, "a@there.test")[0] for who in (ALICE, MALLORY, ALICE, MALLORY, ALICE)] == [250] * 4 + [451]
        assert i.status()["sending"] == []
        i.configure(send_domain_messages_day=0)
        i.run("reload")
        eventually(lambda: i.mail(ALICE, "a@there.test")[0] == 250)


SAID = {
    "gone1": "550 5.1.1 no such user", "gone2": "550 5.1.10 not found", "gone3": "553 5.2.1 disabled",
    "policy": "550 5.7.1 we do not like you", "plain": "550 no such user", "full": "552 5.2.2 full",
    "later": "450 4.1.1 unknown for now", "good": "250 ok", "late": "554 5.1.1 not a reply to this",
}


def suppressed(i):
    return {s["address"] for s in json.loads(i.run("suppression", "list", "--json").stdout)}


def test_bounces_fill_the_suppression_list(i, zone):
    """By the word of their own server alone, and a mistaken entry is found and removed."""
    i.start(zone)
    with Peer(i.there, rcpt=lambda line: next(v for k, v in SAID.items() if k in line.lower())) as peer:
        for name in SAID:
            assert i.mail(ALICE, f"{name.title()}@There.test")[0] == 250
        eventually(lambda: suppressed(i) == {f"gone{n}@there.test" for n in (1, 2, 3)})
        eventually(lambda: i.counter("relay", "failed") >= 7)
        assert suppressed(i) == {f"gone{n}@there.test" for n in (1, 2, 3)}
        assert i.counter("relay", "suppressed") == 3 and i.counter("vault", "addresses-suppressed") == 3
        # Submission takes nothing for them, whoever writes and however it is spelt, and all for their neighbours.
        before = len(peer.attempts)
        s = i.submission(MALLORY)
        assert s.mail(MALLORY)[0] == 250
        code, text = s.rcpt("GONE1@there.TEST")
        assert (code, text[:5]) == (550, b"5.1.1") and b"postmaster" in text
        assert [s.rcpt(f"{n}@there.test")[0] for n in ("good", "policy", "plain", "full", "gone4", "gone1+x")] == [
            250, 250, 250, 250, 250, 250]
        s.close()
        assert len(peer.attempts) == before and i.counter("ingest", "refused_suppressed") == 1
        shown = i.run("suppression", "list").stdout.decode()
        assert "gone2@there.test  since" in shown and "550 5.1.10 not found" in shown
        # The mistake is mended.
        SAID["gone1"] = "250 ok"
        i.run("suppression", "remove", "Gone1@there.test")
        assert i.run("suppression", "remove", "gone1@there.test", check=False).returncode == 1
        assert i.mail(ALICE, "gone1@there.test")[0] == 250
        eventually(lambda: "gone1@There.test" in str(peer.mails) or "gone1@there.test" in str(peer.mails))
        i.run("suppression", "add", "x@else.test")
        assert "x@else.test" in suppressed(i) and "by hand" in i.run("suppression", "list").stdout.decode()
        assert i.run("suppression", "add", "nonsense", check=False).returncode == 1
        i.stop()
        i.serve()
        assert suppressed(i) == {"gone2@there.test", "gone3@there.test", "x@else.test"}
    assert i.run("audit").returncode == 0


def test_a_smarthost_s_word_suppresses_nobody(i, zone):
    i.start(zone, smarthost="127.0.0.1")
    with Peer(i.there, rcpt="550 5.1.1 no such user"):
        assert i.mail(ALICE, "bob@there.test")[0] == 250
        eventually(lambda: i.counter("relay", "failed") == 1)
        time.sleep(1)
        assert suppressed(i) == set()


@pytest.mark.parametrize("role", ["vault", "ingest"])
def test_killed_around_the_charge(i, zone, role):
    """No death lets more through than the limit."""
    limit = 25
    i.start(zone, send_messages_day=limit, ingest_instances=2, access_instances=1)
    with Peer(i.there) as peer:
        done = threading.Event()

        def kill():
            while not done.wait(0.3):
                for pid in i.pids(role):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                if done.wait(1.0):
                    return

        killer = threading.Thread(target=kill)
        killer.start()
        taken, end = 0, time.monotonic() + 240
        while True:
            assert time.monotonic() < end
            try:
                code = i.mail(MALLORY, "a@there.test")[0]
            except (OSError, smtplib.SMTPException):
                continue
            taken += code == 250
            if code == 550:
                break
        done.set()
        killer.join()
        assert taken <= limit
        eventually(lambda: i.status()["sending"])
        time.sleep(2)
        assert taken <= len({m.octets.partition(b"\r\n\r\n")[2] for m in peer.mails} | {
            m["id"] for m in i.queue()}) <= limit
