"""What is in the queue goes out, many at once, and senders are told. Servers that do as they like: test_delivery.py."""
import collections
import email
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

import harness
import names
from peers import Peer

pytestmark = pytest.mark.needs(*names.NEEDS)
FILL = pathlib.Path(harness.BINARY).parent / "tests/unit/queue_fill"
MAIL = b"From: alice@letterlock.test\r\nSubject: hello\r\n\r\n.a dot\r\n..two\r\nend\r\n"
ZONE = """
@ MX 10 mx
mx A 127.0.0.1
null MX 0 .
* MX 10 mx
"""


@pytest.fixture(scope="module")
def zone():
    with names.start({"test": ZONE}) as n:
        yield n


class Sender:
    def __init__(self, i, port):
        self.i, self.port = i, port

    def put(self, *to, mail=MAIL, count=1, sender="alice@letterlock.test", **env):
        """In the queue of an instance that does not serve."""
        p = subprocess.run([FILL, self.i.dir, str(count), sender, *to], input=mail, capture_output=True,
                           env={**self.i.env, **env})
        assert p.returncode == 0, p.stderr
        return p.stdout.decode().split()

    def counters(self):
        return self.i.counters("relay")

    def wait(self, seconds=60, **wanted):
        end = time.monotonic() + seconds
        while True:
            c = self.counters()
            if all(c.get(name, 0) >= n for name, n in wanted.items()):
                return c
            assert time.monotonic() < end, (wanted, c, self.log())
            time.sleep(0.1)

    def empty(self, seconds=20):
        """Nothing is left in the queue, nor to be written."""
        end = time.monotonic() + seconds
        while (c := self.counters())["queue_messages_now"] or c["unwritten_now"]:
            assert time.monotonic() < end, c
            time.sleep(0.1)

    def written(self, seconds=20):
        end = time.monotonic() + seconds
        while self.counters()["unwritten_now"]:
            assert time.monotonic() < end, self.counters()
            time.sleep(0.1)

    def log(self):
        return [line for line in (self.i.place / "log").read_text().splitlines() if " relay." in line]

    def policy(self, text):
        (self.i.dir / "relay.policy").write_text(text)


@pytest.fixture
def sender(zone):
    i = harness.Instance()
    port = i.base + 5525
    i.init(**zone.settings(), relay_port=port, queue_retry=1, queue_retry_max=2, relay_connect_timeout=5,
           relay_timeout=20)
    try:
        yield Sender(i, port)
    finally:
        i.close()


def test_mail_goes_out_as_it_came(sender):
    with Peer(sender.port) as peer:
        sender.put("bob@there.test", "carol@there.test", "dave@else.test")
        sender.i.serve()
        c = sender.wait(sent=3)
        assert sorted(m.recipients for m in peer.mails) == [["bob@there.test", "carol@there.test"], ["dave@else.test"]]
        assert all(m.octets.endswith(MAIL) and m.sender == "alice@letterlock.test" for m in peer.mails)
        assert (c["failed"], c["deferred"]) == (0, 0)
        sender.empty()
        sender.i.stop()
        sender.i.serve()  # nothing is left
        time.sleep(1)
        assert len(peer.mails) == 2
        assert "@" not in "".join(sender.log())


def test_many_to_one_domain_take_few_connections(sender):
    with Peer(sender.port) as peer:
        sender.put("bob%d@there.test", count=300)
        sender.i.serve()
        sender.wait(sent=300)
        assert sorted(m.recipients[0] for m in peer.mails) == sorted(f"bob{n}@there.test" for n in range(300))
        assert peer.connections <= 20


def test_each_mail_belongs_to_one_process(sender):
    """What waits at the start and what the operator has tried again: each is tried once by all of them together."""
    tried, said = collections.Counter(), ["451 4.7.1 later"]

    def count(address):
        tried[address] += 1
        return said[0]

    sender.i.configure(relay_instances=3, queue_retry=1000, queue_retry_max=1000)
    with Peer(sender.port, rcpt=count) as peer:
        sender.put("bob%d@d%t.test", count=60)
        sender.i.serve()
        sender.wait(deferred=60)
        each = [r["counters"]["deferred"] for r in sender.i.status()["roles"] if r["role"] == "relay"]
        assert len(each) == 3 and all(each) and len(tried) == 60 and set(tried.values()) == {1}
        sender.written()
        sender.i.run("queue", "retry", "--all")
        sender.wait(deferred=120)
        assert set(tried.values()) == {2}
        sender.written()
        said[0] = "250 2.1.5 ok"
        sender.i.run("queue", "retry", "--all")
        sender.wait(sent=60)
        sender.empty()
        assert set(tried.values()) == {3} and len(peer.mails) == 60


def test_of_many_each_has_its_own_fate(sender):
    said = {"good": "250 ok", "late": "451 4.7.1 later", "bad": "550 5.1.1 nobody"}
    with Peer(sender.port, rcpt=lambda a: said[a.partition("@")[0]]) as peer:
        sender.put("good@there.test", "late@there.test", "bad@there.test", NOTIFY="1")  # NEVER: no DSN
        sender.i.serve()
        c = sender.wait(sent=1, deferred=1, failed=1)
        assert peer.mails[0].recipients == ["good@there.test"]
        said["late"] = "250 ok"
        sender.wait(sent=2)
        assert [m.recipients for m in peer.mails] == [["good@there.test"], ["late@there.test"]]
        assert sender.counters()["failed"] == 1
        assert "status=5.1.1" in "".join(sender.log())


def test_more_recipients_than_the_server_takes(sender):
    taken = []

    def few(address):
        taken.append(address)
        return "452 4.5.3 too many" if len(taken) % 4 == 0 else "250 ok"

    with Peer(sender.port, rcpt=few) as peer:
        everybody = [f"b{n}@there.test" for n in range(12)]
        sender.put(*everybody)
        sender.i.serve()
        sender.wait(sent=12)
        assert sorted(r for m in peer.mails for r in m.recipients) == sorted(everybody)


def test_one_that_never_greets_holds_nobody_up(sender):
    sender.i.configure(relay_connections=4, relay_timeout=3)
    with Peer(sender.port, host="127.0.0.9", silent=True), Peer(sender.port) as peer:
        sender.policy("silent.test route=127.0.0.9\n")
        sender.put("bob%d@silent.test", count=50)
        sender.put("carol%d@d%t.test", count=50)
        sender.i.serve()
        sender.wait(sent=50)
        assert len(peer.mails) == 50
        assert sender.counters()["connections"] < 80  # and is left alone: not fifty times


def test_what_goes_out_is_signed(sender):
    dkim = pytest.importorskip("dkim")
    keys = json.loads(sender.i.run("dkim", "list", "--json").stdout)["keys"]
    records = {k["name"] + ".": k["txt"].encode() for k in keys}
    assert len(records) == 2
    with Peer(sender.port) as peer:
        sender.put("bob@there.test")
        sender.i.serve()
        sender.wait(sent=1)
        octets = peer.mails[0].octets
        assert octets.endswith(MAIL) and octets.count(b"DKIM-Signature:") == 2
        for n in range(2):
            assert dkim.DKIM(octets).verify(n, dnsfunc=lambda name, **_: records.get(name.decode()))


def test_routes_change_without_a_restart(sender):
    with Peer(sender.port, rcpt="450 4.2.0 later"), Peer(sender.port, "127.0.0.4") as other:
        sender.put("bob@there.test")
        sender.i.serve()
        sender.wait(deferred=1)
        sender.policy("there.test route=127.0.0.4\nnot a line\n")
        refused = sender.i.run("reload", check=False)
        assert refused.returncode == 1 and b"relay.policy: line 2" in refused.stderr
        sender.policy("there.test route=127.0.0.4\n")
        sender.i.run("reload")
        sender.wait(sent=1)
        assert len(other.mails) == 1


@pytest.fixture
def told(sender):
    """With alice, who writes, and bob."""
    sender.i.add_account("alice")
    sender.i.add_account("bob")
    return sender


def words(sender, n=1, who="alice@letterlock.test", seconds=60):
    """What came to somebody, opened: n messages, oldest first."""
    end = time.monotonic() + seconds
    while len(found := sender.i.fetch_all(who)) < n:
        assert time.monotonic() < end, (found, sender.counters(), sender.i.log()[-3000:])
        time.sleep(0.2)
    assert len(found) == n
    return [sender.i.keyring.decrypt(harness.armor_of(m)) for _, m in sorted(found.items())]


def final_recipients(report):
    return re.findall(rb"Final-Recipient: rfc822; (\S+)", report)


def test_a_failure_is_told(told):
    with Peer(told.port, rcpt=lambda a: "550 5.1.1 nobody of this name" if a.startswith("no") else "250 ok") as peer:
        told.put("nobody@there.test", "nothing@there.test", "carol@there.test")
        told.put("nowhere@null.test", RET_FULL="1")
        told.i.serve()
        told.wait(sent=1, failed=3, reports=2)
        told.empty()
        mails = [email.message_from_bytes(m) for m in words(told, 2)]
        one, other = sorted(mails, key=lambda m: "null.test" in m.as_string())
        assert len(peer.mails) == 1
        assert one["Auto-Submitted"] == "auto-replied" and one.get_content_type() == "multipart/report"
        text, status, header = one.get_payload()
        fields = status.get_payload()
        assert [f["Final-Recipient"] for f in fields[1:]] == ["rfc822; nobody@there.test", "rfc822; nothing@there.test"]
        assert {f["Status"] for f in fields[1:]} == {"5.1.1"} and {f["Action"] for f in fields[1:]} == {"failed"}
        assert fields[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody of this name"
        assert fields[1]["Remote-MTA"] == "dns; mx.test"
        assert "nobody@there.test" in text.get_payload() and "Subject: hello" in header.get_payload()
        assert header.get_content_type() == "text/rfc822-headers"
        assert other.get_payload()[2].get_content_type() == "message/rfc822" and "a dot" in other.as_string()
        assert other.get_payload()[1].get_payload()[1]["Status"] == "5.1.10"


def test_a_delay_is_told_once(told):
    told.i.configure(queue_delay_notice=2)
    with Peer(told.port, rcpt="450 4.2.0 later"):
        told.put("bob@there.test", LIFETIME="9")
        told.i.serve()
        told.wait(failed=1, reports=2)
        told.empty()
        delay, failure = [email.message_from_bytes(m) for m in words(told, 2)]
        assert delay.get_payload()[1].get_payload()[1]["Action"] == "delayed"
        assert failure.get_payload()[1].get_payload()[1]["Action"] == "failed"


def test_who_asked_for_it_hears_of_success(told):
    with Peer(told.port) as plain, Peer(told.port, "127.0.0.4", ehlo=("DSN",)) as knows:
        told.policy("knows.test route=127.0.0.4\n")
        told.put("bob@plain.test", NOTIFY="2")
        told.put("bob@knows.test", NOTIFY="2")
        told.i.serve()
        told.wait(sent=2, reports=1)
        told.empty()
        status = email.message_from_bytes(words(told)[0]).get_payload()[1].get_payload()[1]
        assert status["Action"] == "relayed" and status["Final-Recipient"] == "rfc822; bob@plain.test"
        assert len(plain.mails) == len(knows.mails) == 1


def test_of_one_transaction_some_fail_and_some_are_told_of_success(told):
    """Two reports; and who wants to hear of nothing stands in neither, and stays in no queue."""
    def rcpt(address):
        return "550 5.1.1 nobody" if address.startswith("no") else "250 ok"

    with Peer(told.port, rcpt=rcpt):
        told.put("bob@there.test", "nobody@there.test", "carol@there.test", "nothing@there.test", NOTIFY="6")
        told.i.serve()
        told.wait(sent=2, failed=2, reports=2)
        told.empty()
        failed, sent = sorted((final_recipients(w) for w in words(told, 2)), key=lambda r: b"bob@there.test" in r)
        assert failed == [b"nobody@there.test", b"nothing@there.test"]
        assert sent == [b"bob@there.test", b"carol@there.test"]
        assert json.loads(told.i.run("queue", "list", "--json").stdout) == []


@pytest.mark.parametrize("when", ["served", "alone"])
def test_what_is_given_up_by_hand_is_told(told, when):
    """Once each, a hundred to a report, held or not; not who does not want to know, nor the null path."""
    many = [f"bob{n}@there.test" for n in range(230)]
    ids = told.put(*many[:120], HOLD="3000") + told.put(*many[120:], HOLD="3000")
    ids += told.put("never@there.test", HOLD="3000", NOTIFY="1") + told.put("null@there.test", HOLD="3000", sender="")
    kept, = told.put("carol@there.test", HOLD="3000")
    if when == "served":
        told.i.serve()
    told.i.run("queue", "remove", "--bounce", *ids)
    if when == "alone":
        assert len(json.loads(told.i.run("queue", "list", "--json").stdout)) == 5
        told.i.serve()
    told.wait(reports=4)
    found = [final_recipients(w) for w in words(told, 4)]
    assert sorted(map(len, found)) == [10, 20, 100, 100]
    assert sorted(sum(found, [])) == sorted(m.encode() for m in many)
    end = time.monotonic() + 60
    while [m["id"] for m in json.loads(told.i.run("queue", "list", "--json").stdout)] != [kept]:
        assert time.monotonic() < end
        time.sleep(0.2)
    status = email.message_from_bytes(words(told, 4)[0]).get_payload()[1].get_payload()[1]
    assert status["Action"] == "failed" and status["Status"] == "5.3.0"
    assert told.counters()["reports"] == 4 and told.counters()["reports_lost"] == 0


def test_nobody_is_told_of_what_a_report_met(told):
    told.put("bob@null.test", sender="")
    told.i.serve()
    told.wait(failed=1)
    told.empty()
    assert told.i.fetch_all("alice@letterlock.test") == {} and told.counters()["reports"] == 0


def test_held_mail_for_people_here(told):
    told.put("bob@letterlock.test", "gone@letterlock.test", HOLD="2", LOCAL="1")
    told.i.serve()
    told.wait(sent=1, failed=1, reports=1)
    told.empty()
    assert MAIL.split(b"\r\n\r\n")[1] in words(told, who="bob@letterlock.test")[0]
    report = email.message_from_bytes(words(told)[0])
    assert report.get_payload()[1].get_payload()[1]["Final-Recipient"] == "rfc822; gone@letterlock.test"


def test_a_relay_that_dies_loses_nothing_and_tells_nothing_twice(told):
    """Killed again and again: every mail comes once at least, every failure is told once."""
    with Peer(told.port, rcpt=lambda a: "550 5.1.1 nobody" if a.startswith("no") else "250 ok") as peer:
        told.put("bob%d@d%t.test", count=150)
        told.put("nobody%d@d%t.test", count=20)
        told.i.serve()
        for _ in range(12):
            time.sleep(0.3)
            for pid in told.i.pids("relay"):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 100
        while told.counters().get("queue_messages_now", 1) or json.loads(told.i.run("queue", "list", "--json").stdout):
            assert time.monotonic() < end, told.counters()
            time.sleep(0.3)
        got = [m.recipients[0] for m in peer.mails]
        assert set(got) == {f"bob{n}@d{n:03}.test" for n in range(150)}
        # Twice may come what had its 250 in the moment of a death, whose record was not changed yet.
        assert len(got) - len(set(got)) <= 12 * 20
        finals = [re.search(rb"Final-Recipient: rfc822; (\S+)", w)[1] for w in words(told, 20)]
        assert len(set(finals)) == 20


@pytest.mark.needs("strace", "root")
def test_no_file_is_written(told, tmp_path):
    """strace sees what relay opens, and where it connects, while it sends and fails."""
    told.i.configure(relay_instances=1)
    calls = "openat,open,creat,truncate,rename,renameat,unlink,unlinkat,mkdir,link,linkat,connect,bind"
    with Peer(told.port, rcpt=lambda a: "550 5.1.1 nobody" if a.startswith("no") else "250 ok"):
        told.put("bob@there.test", "nobody@there.test", HOLD="5")
        told.i.serve()
        end = time.monotonic() + 20
        while not told.i.pids("relay"):
            assert time.monotonic() < end
        with subprocess.Popen(["strace", "-f", "-e", f"trace={calls}", "-o", tmp_path / "trace",
                               "-p", str(told.i.pids("relay")[0])], stderr=subprocess.DEVNULL) as strace:
            told.wait(sent=1, reports=1)
            strace.terminate()
        seen = (tmp_path / "trace").read_text()
        assert not re.search(r"O_(WRONLY|RDWR|CREAT)|rename|unlink|mkdir|link|truncate|creat|bind", seen), seen
        assert set(re.findall(r"sin_port=htons\((\d+)\)", seen)) == {str(told.port)}
