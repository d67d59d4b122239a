"""What the operator orders while relay is at work, and whose turn it is."""
import contextlib
import json
import threading
import time

import pytest

import names
from peers import Peer
from test_sending import sender, told, zone  # noqa: F401

pytestmark = pytest.mark.needs(*names.NEEDS)
# Two tries and more would come in it: queue_retry_max is 2 s.
AFTER_A_WHILE = 5


class Slow(Peer):
    """Keeps who has sent a message waiting for the reply, until it is told what it is."""
    def __init__(self, port, **replies):
        self.waits, self.go_on, self.tries, self.said = threading.Event(), threading.Event(), [], None
        super().__init__(port, end=self.taken, **replies)

    def taken(self, mail):
        self.tries.append(mail.recipients)
        if len(self.tries) > 1:
            return "250 2.0.0 taken"
        self.waits.set()
        self.go_on.wait()
        return self.said

    def reached(self):
        assert self.waits.wait(60)

    def say(self, reply):
        self.said = reply
        self.go_on.set()

    def close(self):
        self.go_on.set()
        super().close()


def listed(i):
    return {m["id"]: m for m in json.loads(i.run("queue", "list", "--json").stdout)}


def order(sender, word, one):
    return sender.i.run("queue", word, one, check=False).returncode


@contextlib.contextmanager
def being_sent(sender, word):
    """To bob, where the order comes meanwhile."""
    with Slow(sender.port) as peer:
        one, = sender.put("bob@there.test")
        sender.i.serve()
        peer.reached()
        assert order(sender, word, one) == 0
        yield peer, one


def test_what_is_held_waits_for_its_release(sender):
    with Peer(sender.port) as peer:
        held, = sender.put("held@there.test", LIFETIME="3")
        sender.put("free@there.test")
        sender.put("later@else.test", HOLD=str(AFTER_A_WHILE))
        sender.i.run("queue", "hold", held)
        sender.i.serve()
        sender.wait(sent=1)
        for words in (("queue", "retry", held), ("queue", "flush"), ("reload",)):
            sender.i.run(*words)
        c = sender.wait(sent=2)
        assert sorted(m.recipients[0] for m in peer.mails) == ["free@there.test", "later@else.test"]
        assert c["failed"] == c["deferred"] == 0 and listed(sender.i)[held]["recipients"][0]["state"] == "held"
        sender.i.run("queue", "release", held)  # it has its 3 seconds again
        sender.wait(sent=3)
        sender.empty()
        assert len(peer.mails) == 3 and listed(sender.i) == {}


def test_what_a_sender_had_held_is_released(told):
    with Peer(told.port) as peer:
        ids = told.put("bob@there.test", HOLD="86400") + told.put("bob@letterlock.test", HOLD="86400", LOCAL="1")
        told.i.serve()
        assert {r["state"] for m in listed(told.i).values() for r in m["recipients"]} == {"held"}
        told.i.run("queue", "release", *ids)
        told.wait(sent=2)
        told.empty()
        assert len(peer.mails) == 1 and len(told.i.fetch_all("bob@letterlock.test")) == 1


def test_hold_comes_while_it_is_sent_and_refused(sender):
    with being_sent(sender, "hold") as (peer, one):
        peer.say("451 4.3.0 later")
        sender.wait(deferred=1)
        sender.written()
        assert order(sender, "retry", one) == 0
        time.sleep(AFTER_A_WHILE)
        recipient, = listed(sender.i)[one]["recipients"]
        assert (recipient["state"], recipient["tries"], len(peer.tries)) == ("held", 1, 1)
        assert order(sender, "release", one) == 0
        sender.wait(sent=1)
        sender.empty()
        assert len(peer.mails) == 1 and len(peer.tries) == 2


def test_hold_comes_too_late(sender):
    with being_sent(sender, "hold") as (peer, one):
        peer.say("250 2.0.0 taken")
        sender.wait(sent=1)
        sender.empty()
        assert listed(sender.i) == {} and len(peer.mails) == len(peer.tries) == 1
        assert b"there is no" in sender.i.run("queue", "hold", one, check=False).stderr


@pytest.mark.parametrize("reply, name", [("250 2.0.0 taken", "sent"), ("451 4.3.0 later", "deferred"),
                                         ("550 5.7.1 no", "failed")])
@pytest.mark.parametrize("word", ["remove", "retry"])
def test_an_order_comes_while_it_is_sent(told, word, reply, name):
    with being_sent(told, word) as (peer, one):
        peer.say(reply)
        told.wait(**{name: 1})
        again = (word, name) == ("retry", "deferred")
        if again:
            told.wait(sent=1)
        told.empty()
        assert listed(told.i) == {} and len(peer.tries) == 1 + again
        assert len(peer.mails) == (name == "sent" or again)
        # Of what was removed nobody is told.
        reports = int((word, name) == ("retry", "failed"))
        assert told.counters()["reports"] == len(told.i.fetch_all("alice@letterlock.test")) == reports
        told.i.stop()
        assert b"0 faults" in told.i.run("audit").stdout


def test_orders_for_one_of_many(sender):
    """Recipients of one message at two servers: what one has left is sent, though the other's record changes."""
    with Slow(sender.port) as peer, Peer(sender.port, "127.0.0.4", rcpt="450 4.2.0 later") as other:
        sender.policy("other.test route=127.0.0.4\n")
        one, = sender.put("bob@there.test", "carol@other.test")
        sender.i.serve()
        peer.reached()
        for _ in range(3):
            assert order(sender, "retry", one) == 0
        peer.say("250 2.0.0 taken")
        sender.wait(sent=1)
        other.replies["rcpt"] = "250 ok"
        sender.wait(sent=2)
        sender.empty()
        assert len(peer.mails) == len(other.mails) == 1


def test_one_account_does_not_keep_others_waiting(sender):
    """5,000 mails of one account to a server that holds them up: another account's have their turn."""
    gate, order_of = threading.Event(), []

    def end(mail):
        gate.wait()
        order_of.append(mail.recipients[0])
        return "250 2.0.0 taken"

    sender.i.configure(relay_connections=2, relay_timeout=300)
    with Peer(sender.port, end=end), Peer(sender.port, "127.0.0.4", end=end):
        sender.policy("quick.test route=127.0.0.4\n")
        sender.put("many%d@slow.test", count=5000)
        sender.put("one@slow.test", ACCOUNT="2")
        sender.put("one@quick.test", ACCOUNT="2")
        sender.i.serve()
        sender.wait(queue_messages_now=5002)  # all are known, and both places taken
        assert not order_of
        gate.set()
        end = time.monotonic() + 120
        while not {"one@slow.test", "one@quick.test"} <= set(order_of):
            assert time.monotonic() < end, (len(order_of), sender.counters())
            time.sleep(0.05)
        # Two connections, each of which serves 20 while others wait for its place.
        assert order_of.index("one@slow.test") <= 12
        assert order_of.index("one@quick.test") <= 2 * 20 + 2
