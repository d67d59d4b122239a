"""The rows of docs/crash-states.md about mail that goes out, each brought about on purpose: a process stands still in
the moment that the row names, and is killed there."""
import concurrent.futures
import contextlib
import email
import json
import os
import signal
import tempfile
import threading
import time

import harness
import names
import pytest
from peers import Peer
from test_crash_sending import add_odd
from test_states import role, stopped, until
from workload import kill

ALICE = f"alice@{harness.DOMAIN}"
pytestmark = pytest.mark.needs(*names.NEEDS)


class There:
    """The server there, which does as it is told, and tells when it was reached."""

    def __init__(self, port):
        self.rcpt, self.hold, self.reached = "250 2.1.5 ok", None, threading.Event()
        self.peer = Peer(port, rcpt=lambda a: self.rcpt, data=lambda s="": self.pass_by("data", "354 go on"),
                         end=lambda m: self.pass_by("end", "250 2.0.0 taken"))

    def pass_by(self, place, reply):
        gate = self.hold
        if gate and gate[0] == place:
            self.reached.set()
            assert gate[1].wait(60)
        return reply

    @contextlib.contextmanager
    def waits_at(self, place):
        """In the next mail, until the block ends."""
        self.reached.clear()
        self.hold = (place, threading.Event())
        try:
            yield
        finally:
            gate, self.hold = self.hold, None
            gate[1].set()

    def got(self, address):
        return [m.recipients for m in self.peer.mails].count([address])


@pytest.fixture(scope="module")
def served():
    with harness.Instance(place=tempfile.mkdtemp()) as i, \
            names.start({"test": "* MX 10 mx\nmx A 127.0.0.1\n"}) as zone:
        port = i.base + 5525
        i.init(**zone.settings(), relay_port=port, queue_retry=1, queue_retry_max=1, ingest_instances="1",
               relay_instances="1")
        i.add_account("alice")
        i.bob = i.add_account("bob")
        i.odd = add_odd(i)
        i.there = There(port)
        try:
            yield i.serve()
        finally:
            i.there.peer.close()


@pytest.fixture
def i(served):
    """Each test has recipients of its own, and leaves nothing in the queue."""
    served.there.rcpt = "250 2.1.5 ok"
    yield served
    until(lambda: not queued(served), 60)
    assert served.run("audit").returncode == 0


def queued(i):
    return [r["to"] for m in json.loads(i.run("queue", "list", "--json").stdout) for r in m["recipients"]]


def state_of(i, address):
    return {r["to"]: r["state"] for m in json.loads(i.run("queue", "list", "--json").stdout)
            for r in m["recipients"]}.get(address)


def submit(i, to, message, *options):
    """What it is answered; 0: the connection broke."""
    try:
        with i.submission(ALICE) as s:
            return 250 if not s.sendmail(ALICE, to, message, mail_options=options) else 450
    except harness.smtplib.SMTPResponseException as e:
        return max(e.smtp_code, 0)
    except OSError:
        return 0


def outgoing(to):
    return harness.mail(to, sender=ALICE, to=to)


def submitting(i, to, message=None, *options):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    return pool.submit(submit, i, to, message or outgoing(to[0]), *options)


def told(i, address):
    """How many reports there are of it."""
    found = [email.message_from_bytes(i.keyring.decrypt(harness.armor_of(m))) for m in i.fetch_all(ALICE).values()]
    return sum(address == f["Final-Recipient"].partition("; ")[2] for m in found
               for f in m.get_payload()[1].get_payload()[1:])


def sent(i, *to):
    assert submit(i, list(to), outgoing(to[0])) == 250


def test_vault_dies_over_what_is_to_be_queued(i):
    to, vault = "bob@before.test", role(i, "vault")["pid"]
    with stopped(vault):
        answer = submitting(i, [to])
        time.sleep(0.7)  # sealed, and on its way to the vault
        assert not answer.done()
        kill([vault])
    assert answer.result(60) == 250
    until(lambda: i.there.got(to) == 1)


def test_ingest_dies_between_queue_and_reply(i):
    """The one that is tried again while the first waits is the first."""
    to, message = "bob@queued.test", outgoing("queued")
    vault, ingest = role(i, "vault")["pid"], role(i, "ingest")["pid"]
    i.there.rcpt = "451 4.2.0 later"
    with stopped(vault):
        answer = submitting(i, [to], message)
        time.sleep(0.7)
        with stopped(ingest):
            os.kill(vault, signal.SIGCONT)
            until(lambda: queued(i) == [to])
            kill([ingest])
    assert answer.result(60) == 0
    until(lambda: submit(i, [to], message) == 250)
    assert queued(i) == [to]
    i.there.rcpt = "250 2.1.5 ok"
    until(lambda: not queued(i))
    assert i.there.got(to) == 1


def test_ingest_dies_between_what_is_for_here_and_the_queue(i):
    to, message, bob = ["bob@mixed.test", i.bob, i.odd], outgoing("mixed"), len(i.fetch_all(i.bob))
    with stopped(role(i, "gpg-seal")["pid"]):
        answer = submitting(i, to, message)
        until(lambda: len(i.fetch_all(i.bob)) == bob + 1)
        kill([role(i, "ingest")["pid"]])
        assert answer.result(60) == 0
    assert queued(i) == [] and not i.fetch_all(i.odd)
    until(lambda: submit(i, to, message) == 250)
    until(lambda: i.there.got(to[0]) == 1)
    assert len(i.fetch_all(i.bob)) == bob + 1 and len(i.fetch_all(i.odd)) == 1


def test_ingest_dies_between_the_copy_and_what_goes_on(i):
    """Of mail for an account that forwards."""
    to, message, before = "bob@onward.test", outgoing("onward"), len(i.fetch_all(i.bob))
    vault, ingest = role(i, "vault")["pid"], role(i, "ingest")["pid"]
    i.run("account", "set", i.bob, "--forward", to, "--forward-own-keys")
    with stopped(vault):
        answer = submitting(i, [i.bob], message)
        time.sleep(0.7)  # sealed, and on its way to the vault
        with stopped(ingest):
            os.kill(vault, signal.SIGCONT)
            until(lambda: len(i.fetch_all(i.bob)) == before + 1)
            kill([ingest])
    assert answer.result(60) == 0 and queued(i) == [] and i.there.got(to) == 0
    until(lambda: submit(i, [i.bob], message) == 250)
    until(lambda: i.there.got(to) == 1)
    assert len(i.fetch_all(i.bob)) == before + 1
    i.run("account", "set", i.bob, "--forward", "none")


@pytest.mark.parametrize("victim", ["ingest", "vault"])
def test_who_dies_between_two_messages_of_one_mail(i, victim):
    """Sealed to its recipients, who are told nothing of one another: each has a message of his own in the queue."""
    to, message, held = [i.bob, i.odd], outgoing(f"between {victim}"), "HOLDFOR=86400"
    before = [len(i.fetch_all(a)) for a in to]
    pids = {name: role(i, name)["pid"] for name in ("ingest", "vault")}
    i.run("account", "set", ALICE, "--encrypt", "always")
    with stopped(pids["vault"]):
        answer = submitting(i, to, message, held)
        time.sleep(2)  # the first is sealed, and on its way to the vault
        with stopped(pids["ingest"]):
            os.kill(pids["vault"], signal.SIGCONT)
            until(lambda: len(queued(i)) == 1)
            kill([pids[victim]])
    assert answer.result(60) == (0 if victim == "ingest" else 250)
    until(lambda: submit(i, to, message, held) == 250)
    assert sorted(queued(i)) == sorted(to)
    ids = [m["id"] for m in json.loads(i.run("queue", "list", "--json").stdout)]
    assert len(ids) == len(to)
    i.run("account", "set", ALICE, "--encrypt", "never")
    i.run("queue", "release", *ids)
    until(lambda: not queued(i))
    assert [len(i.fetch_all(a)) for a in to] == [n + 1 for n in before]


def test_resolver_dies_over_a_question(i):
    to, resolver = "bob@asked.test", role(i, "resolver")["pid"]
    with stopped(resolver):
        sent(i, to)
        time.sleep(0.5)
        kill([resolver])
    until(lambda: i.there.got(to) == 1, 60)


def test_relay_dies_before_the_dot(i):
    to = "bob@dot.test"
    with i.there.waits_at("data"):
        sent(i, to)
        assert i.there.reached.wait(30)
        kill([role(i, "relay")["pid"]])
    until(lambda: not queued(i))
    assert i.there.got(to) == 1


def test_relay_dies_before_the_reply(i):
    """It is taken there, and nobody here knows."""
    to = "bob@reply.test"
    with i.there.waits_at("end"):
        sent(i, to)
        assert i.there.reached.wait(30)
        kill([role(i, "relay")["pid"]])
    until(lambda: not queued(i))
    assert 1 <= i.there.got(to) <= 2


@pytest.mark.parametrize("victims, times", [(["vault"], 1), (["relay"], 1), (["vault", "relay"], 2)])
def test_who_dies_before_the_outcome_is_synced(i, victims, times):
    """relay knows of the reply, and then the vault too: both must die for it to come twice. The one window."""
    to = f"bob@{'-'.join(victims)}.test"
    with contextlib.ExitStack() as still:
        with i.there.waits_at("end"):
            sent(i, to)
            assert i.there.reached.wait(30)
            vault = role(i, "vault")["pid"]
            pids = [role(i, v)["pid"] for v in victims]
            still.enter_context(stopped(vault))
        until(lambda: i.there.got(to) == 1)
        time.sleep(0.5)  # the reply is read, and the outcome has been sent to the vault
        kill(pids)
    until(lambda: not queued(i))
    assert i.there.got(to) == times


def test_relay_dies_before_a_failure_is_told(i):
    to = "bob@untold.test"
    i.there.rcpt = "451 4.2.0 later"
    sent(i, to)
    relay, ingest = role(i, "relay")["pid"], role(i, "ingest")["pid"]
    with stopped(ingest):
        i.there.rcpt = "550 5.1.1 nobody"
        until(lambda: state_of(i, to) == "failed")
        kill([relay])
        until(lambda: i.pids("relay") not in ([], [relay]))
    until(lambda: not queued(i))
    assert told(i, to) == 1 and i.there.got(to) == 0


@pytest.mark.parametrize("victims", [["relay"], ["ingest"], ["relay", "ingest"]])
def test_who_dies_between_a_report_and_its_record(i, victims):
    """The reports are stored, the records are there still: they are handed over again, and are duplicates, also where
    two servers refused in one moment."""
    both = [f"bob@{'-'.join(victims)}-{which}.test" for which in ("told", "too")]
    i.there.rcpt = "451 4.2.0 later"
    sent(i, *both)
    until(lambda: all(state_of(i, to) == "deferred" for to in both))
    relay, ingest = role(i, "relay")["pid"], role(i, "ingest")["pid"]
    pids = {"relay": relay, "ingest": ingest}
    before = len(i.fetch_all(ALICE))
    with stopped(ingest):
        i.there.rcpt = "550 5.1.1 nobody"
        until(lambda: all(state_of(i, to) == "failed" for to in both))
        time.sleep(0.5)  # the reports are on their way to ingest
        with stopped(relay):
            os.kill(ingest, signal.SIGCONT)
            until(lambda: len(i.fetch_all(ALICE)) == before + 2)
            assert all(state_of(i, to) == "failed" for to in both)
            kill([pids[v] for v in victims])
    until(lambda: not queued(i), 60)
    assert [told(i, to) for to in both] == [1, 1]


def test_ingest_dies_over_a_report(i):
    to = "bob@over.test"
    i.there.rcpt = "451 4.2.0 later"
    sent(i, to)
    until(lambda: state_of(i, to) == "deferred")
    vault, ingest = role(i, "vault")["pid"], role(i, "ingest")["pid"]
    with stopped(ingest):
        i.there.rcpt = "550 5.1.1 nobody"
        until(lambda: state_of(i, to) == "failed")
        with stopped(vault):
            os.kill(ingest, signal.SIGCONT)
            time.sleep(0.7)  # sealed, and on its way to the vault
            kill([ingest])
    until(lambda: not queued(i), 60)
    assert told(i, to) == 1
