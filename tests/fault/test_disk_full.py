"""A full disk is known before mail is sent (452 4.3.1 at MAIL, RFC 3463 section 3.4), what makes room goes on, and all
is well again by itself when there is room. When another program has filled it to the last octet, the same, out of what
was kept for that."""
import json
import pathlib
import re
import smtplib
import subprocess
import sys
import time

import names
import pytest
from peers import Peer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from disk import code_of, fill_up, harness, small_disk  # noqa: E402

LARGE = ("x" * 900 + "\n") * 150
FILLING = LARGE * 3
DISKS = [("48m", "tmpfs"), ("48m", "ext4")]


def vault(i):
    return next(r["counters"] for r in i.status()["roles"] if r["role"] == "vault")


def ingest(i, name):
    return sum(r["counters"][name] for r in i.status()["roles"] if r["role"] == "ingest")


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "never"
        time.sleep(0.2)


def at_mail(i):
    """What MAIL FROM is answered."""
    with i.smtp() as s:
        s.ehlo()
        return s.mail("sender@example.org")


def subjects(i, address, mailbox="INBOX"):
    return sorted(int(re.search(rb"Subject: filling (\d+)", i.unseal(m)).group(1))
                  for m in i.fetch_all(address, mailbox).values())


def fill_by_mail(i, address):
    """(the numbers of those that were taken, of those that were refused)"""
    taken, refused = [], []
    for n in range(2000):
        code = code_of(i, address, harness.mail(f"filling {n}", FILLING))
        assert code in (250, 452), code
        (taken if code == 250 else refused).append(n)
        if len(refused) == 5:
            return taken, refused
    raise AssertionError("the disk was never full")


def hold_full(i, m):
    """What holds while the disk is full."""
    wait_for(lambda: vault(i)["disk-full"] == 1)
    code, text = at_mail(i)
    assert (code, text.split()[0]) == (452, b"4.3.1"), "known before the mail is sent"
    for answer in (m.append("INBOX", "", None, b"Subject: a\r\n\r\nb\r\n"), m.create("new")):
        assert answer[0] == "NO" and b"[UNAVAILABLE]" in answer[1][0], answer
    assert "the disk is nearly full" in i.run("status").stdout.decode()
    assert "vault-engine-reopened" not in i.log()


def expunge(m, messages):
    assert m.store(messages, "+FLAGS.SILENT", r"(\Deleted)")[0] == "OK"
    typ, gone = m.expunge()
    assert typ == "OK"
    return len(gone)


@pytest.mark.needs("root")
@pytest.mark.parametrize("size, kind", DISKS)
def test_filled_by_mail(instance, size, kind):
    i = instance.init()
    address = i.add_account("alice")
    with small_disk(i, size, kind) as store:
        i.serve()
        taken, _ = fill_by_mail(i, address)
        m = i.imap(address)
        m.select("INBOX")
        hold_full(i, m)
        before = ingest(i, "deferred_disk_full")
        assert at_mail(i)[0] == 452 and ingest(i, "deferred_disk_full") == before + 1
        print(f"{kind}: {len(taken)} mails taken, then 452; {vault(i)['disk-free-bytes']} octets were kept free")
        assert vault(i)["commits-failed"] == 0, "refused before the disk was full"
        assert i.log().count("store-full") == 1
        assert subjects(i, address) == taken
        assert i.run("audit").returncode == 0
        # EXPUNGE makes room inside the store: the server takes mail again by itself
        m.noop()
        assert m.copy("1", "INBOX")[0] == "NO" and m.uid("MOVE", "1", "Archive")[0] == "OK"
        m.noop()
        assert expunge(m, f"1:{len(taken) - 3}") >= len(taken) - 3
        wait_for(lambda: vault(i)["disk-full"] == 0)
        assert code_of(i, address, harness.mail("filling 9999", LARGE)) == 250
        assert subjects(i, address) == [*taken[-2:], 9999] and subjects(i, address, "Archive") == taken[:1]
        assert i.run("audit").returncode == 0 and (store / "data.mdb").stat().st_size < 48 << 20
        m.logout()


@pytest.mark.needs("root")
@pytest.mark.parametrize("size, kind", DISKS)
def test_filled_by_another_program(instance, size, kind):
    i = instance.init()
    address = i.add_account("alice")
    bob = i.add_account("bob")
    with small_disk(i, size, kind) as store:
        i.serve()
        for n in range(40):
            assert code_of(i, address, harness.mail(f"filling {n}", LARGE)) == 250
        m = i.imap(address)
        m.select("INBOX")
        time.sleep(1.5)
        other = fill_up(store)
        codes = {code_of(i, address, harness.mail(f"filling {n}", LARGE)) for n in range(100, 110)}
        assert codes <= {250, 452} and 452 in codes, codes
        hold_full(i, m)
        more = [n for n in subjects(i, address) if n >= 100]
        assert subjects(i, address) == [*range(40), *more]
        m.noop()
        for _ in range(4):  # in steps, as clients do
            assert expunge(m, "1:10") == 10
        assert subjects(i, address) == more
        i.run("account", "remove", bob)
        assert i.run("audit").returncode == 0
        pid = i.pids("vault")
        other.unlink()
        wait_for(lambda: vault(i)["disk-full"] == 0)
        assert code_of(i, address, harness.mail("filling 500", LARGE)) == 250
        assert subjects(i, address) == [*more, 500] and i.pids("vault") == pid
        assert (store / "reserve").stat().st_blocks * 512 >= 1 << 20, "kept again"
        print(f"{kind}: full to the last octet: {sorted(codes)}; 40 expunged; commits that failed: "
              f"{vault(i)['commits-failed']}")
        m.logout()


@pytest.mark.needs("root")
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_started_on_a_full_disk(instance, kind):
    """A store without a page that is free inside, as a backup is."""
    i = instance.init()
    address = i.add_account("alice")
    with small_disk(i, "48m", kind) as store:
        i.serve()
        for n in range(20):
            assert code_of(i, address, harness.mail(f"filling {n}", LARGE)) == 250
        i.stop()
        i.run("backup", i.place / "compact")
        subprocess.run(["cp", i.place / "compact" / "data.mdb", store / "data.mdb"], check=True)
        fill_up(store)
        i.serve()
        m = i.imap(address)
        m.select("INBOX")
        hold_full(i, m)
        assert expunge(m, "1:20") == 20
        m.logout()


def test_map_full(instance):
    """The store's map is a bound like the disk."""
    i = instance.init(map_size="16 MB")
    address = i.add_account("alice")
    i.serve()
    taken, _ = fill_by_mail(i, address)
    m = i.imap(address)
    m.select("INBOX")
    hold_full(i, m)
    assert subjects(i, address) == taken
    m.noop()
    assert expunge(m, f"1:{len(taken)}") == len(taken)
    wait_for(lambda: vault(i)["disk-full"] == 0)
    assert code_of(i, address, harness.mail("filling 1", LARGE)) == 250
    assert i.run("audit").returncode == 0
    m.logout()


@pytest.mark.needs("root")
def test_reserve_of_ones_own(instance):
    """At most a twentieth of the disk; 0 does not watch it, and then a full disk is 452 all the same."""
    i = instance.init(disk_reserve="0")
    address = i.add_account("alice")
    with small_disk(i, "24m") as store:
        i.serve()
        fill_up(store)
        assert vault(i)["disk-reserve-bytes"] == 0 and at_mail(i)[0] == 250
        assert {code_of(i, address, harness.mail("x", LARGE)) for _ in range(4)} >= {452}
        i.configure(disk_reserve="1 TB")
        i.run("reload")
        wait_for(lambda: vault(i)["disk-full"] == 1)
        assert vault(i)["disk-reserve-bytes"] == (24 << 20) // 20 and at_mail(i)[0] == 452


class Place:
    """Something to mount on that looks like an instance which does not run."""

    def __init__(self, path):
        self.place = self.dir = path
        (path / "store").mkdir(parents=True)

    def stop(self):
        pass


@pytest.mark.needs("root")
def test_commands_say_so(instance, tmp_path):
    """backup onto, restore onto and init on a disk that is full: one line that says so, and nothing half made."""
    i = instance.init()
    address = i.add_account("alice")
    i.serve()
    for n in range(12):
        i.send(address, harness.mail(f"filling {n}", LARGE))
    i.run("backup", tmp_path / "good")
    with small_disk(Place(tmp_path / "elsewhere"), "1m") as disk:
        p = i.run("backup", disk / "copy", check=False)
        assert p.returncode == 1 and b"no space left" in p.stderr.lower(), p.stderr
        assert not (disk / "copy").exists() and i.run("audit").returncode == 0
        other = harness.Instance(place=disk / "other")
        other.dir.mkdir()
        for name in ("letterlock.conf", "store.key", "queue.key"):
            (other.dir / name).write_bytes((i.dir / name).read_bytes())
        p = other.run("restore", tmp_path / "good", check=False)
        assert p.returncode == 1 and b"no space left" in p.stderr.lower(), p.stderr
        assert not (other.dir / "store" / "data.mdb").exists()
        fill_up(disk)
        p = other.run("init", "--dir", disk / "new", "--domain", "new.example", check=False)
        assert p.returncode == 1 and b"no space left" in p.stderr.lower(), p.stderr
        assert p.stderr.count(b"\n") == 1 and not (disk / "new" / "letterlock.conf").exists()


@pytest.mark.needs("root")
def test_an_account_on_a_full_disk(instance):
    """The line of the command names the disk, not only the log."""
    i = instance.init()
    address = i.add_account("alice")
    command = ["account", "add", f"bob@{harness.DOMAIN}", "--key", i.place / f"{address}.cert.asc"]
    with small_disk(i, "48m") as store:
        i.serve()
        other = fill_up(store)
        p = i.run(*command, check=False)
        assert p.returncode == 1 and b"its disk, or map_size, is full" in p.stderr, p
        other.unlink()
        i.run(*command)


def for_others(sender, n):
    return harness.mail(f"filling {n}", LARGE, sender=sender)


def submitted(i, sender, to, message):
    """What the message is answered."""
    try:
        with i.submission(sender) as s:
            s.sendmail(sender, to, message)
        return 250
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
    except smtplib.SMTPRecipientsRefused as e:
        return max(code for code, _ in e.recipients.values())


def queued(i):
    return {r["to"]: m["id"] for m in json.loads(i.run("queue", "list", "--json").stdout) for r in m["recipients"]}


def relay(i):
    return i.counters("relay")


def both(n, other):
    return [other, f"both-{n}@there.test"]


def submit_until_full(i, sender, other):
    """Mail for somebody here and somebody there. Of what is refused nothing is in the queue. (the numbers of what was
    taken; what was refused when a copy was here already, by number)"""
    mails = {n: for_others(sender, n) for n in range(100, 140)}
    codes = {n: submitted(i, sender, both(n, other), m) for n, m in mails.items()}
    assert set(codes.values()) <= {250, 452} and 452 in codes.values(), codes
    taken = [n for n, code in codes.items() if code == 250]
    assert {a for a in queued(i) if a.startswith("both-")} == {f"both-{n}@there.test" for n in taken}
    here = subjects(i, other)
    assert set(taken) <= set(here) and len(here) == len(set(here))
    return taken, {n: mails[n] for n in here if n not in taken}


@pytest.mark.needs("root", *names.NEEDS)
@pytest.mark.parametrize("kind, reserve", [("tmpfs", None), ("ext4", "0")])
def test_sending(instance, kind, reserve):
    """Nothing of what is refused is in the queue; what was taken goes out, once, and what became of it is written, at
    the latest when there is room. What is refused and comes again is there once."""
    i, said, port = instance, {"there": "451 4.2.0 later"}, instance.base + 5525
    with names.start({"test": "* MX 10 mx\nmx A 127.0.0.1\n"}) as zone, \
            Peer(port, rcpt=lambda a: said["there"]) as peer:
        i.init(**zone.settings(), relay_port=port, queue_retry=1, queue_retry_max=2,
               **({"disk_reserve": reserve} if reserve else {}))
        alice, bob = i.add_account("alice"), i.add_account("bob")
        with small_disk(i, "48m", kind) as store:
            i.serve()
            everybody = [f"to-{n}@there.test" for n in range(20)]
            assert {submitted(i, alice, [a], for_others(alice, n)) for n, a in enumerate(everybody)} == {250}
            time.sleep(1.5)
            other = fill_up(store)
            taken, half = submit_until_full(i, alice, bob)
            everybody += [f"both-{n}@there.test" for n in taken]
            if not reserve:
                wait_for(lambda: vault(i)["disk-full"] == 1)
                with i.submission(alice) as s:
                    assert s.mail(alice)[0] == 452
                gone = everybody.pop(0)
                i.run("queue", "remove", queued(i)[gone])
                assert gone not in queued(i)
            said["there"] = "250 ok"
            wait_for(lambda: len(peer.mails) >= len(everybody), 60)
            time.sleep(3)  # tries that nobody ought to make
            other.unlink()
            wait_for(lambda: vault(i)["disk-full"] == 0)
            wait_for(lambda: not queued(i) and not relay(i)["unwritten_now"], 60)
            writes = relay(i)["writes_again"]
            assert sorted(m.recipients[0] for m in peer.mails) == sorted(everybody)
            assert all(submitted(i, alice, both(n, bob), m) == 250 for n, m in half.items())
            assert subjects(i, bob) == sorted([*taken, *half])
            wait_for(lambda: not queued(i), 60)
            everybody += [f"both-{n}@there.test" for n in half]
            assert sorted(m.recipients[0] for m in peer.mails) == sorted(everybody)
            assert i.run("audit").returncode == 0
            print(f"{kind}: {len(everybody)} sent once, {len(half)} after a copy had been kept here; written again"
                  f" {writes} times")


@pytest.mark.needs("root", *names.NEEDS)
def test_a_report_waits_for_room(instance):
    i, said, port = instance, {"there": "451 4.2.0 later"}, instance.base + 5525
    with names.start({"test": "* MX 10 mx\nmx A 127.0.0.1\n"}) as zone, Peer(port, rcpt=lambda a: said["there"]):
        i.init(**zone.settings(), relay_port=port, queue_retry=1, queue_retry_max=2)
        alice = i.add_account("alice")
        with small_disk(i, "48m") as store:
            i.serve()
            assert submitted(i, alice, ["bad@there.test"], for_others(alice, 1)) == 250
            time.sleep(1.5)
            other = fill_up(store)
            wait_for(lambda: vault(i)["disk-full"] == 1)
            said["there"] = "550 5.1.1 nobody"
            wait_for(lambda: relay(i)["failed"] == 1)
            time.sleep(3)
            assert "bad@there.test" in queued(i) and i.fetch_all(alice) == {}
            other.unlink()
            wait_for(lambda: len(i.fetch_all(alice)) == 1 and not queued(i), 90)
