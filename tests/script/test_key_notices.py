"""Notices of a key's end: sealed like any mail, each once, whoever dies when."""
import contextlib
import email
import os
import pathlib
import random
import re
import signal
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cli_tools import DOMAIN, harness  # noqa: E402
from key_tools import account, add, keys, read, ring, states, wait_for, write  # noqa: E402,F401


@pytest.fixture
def instance():
    with harness.Instance() as i:
        yield i.init(reader_turn_ms=100)


def subjects(i, ring, address):
    return [read(ring, m)[0]["Subject"] for m in i.fetch_all(address).values()]


def settle(i, address, count, quiet=1.5):
    """So many messages, and after a while no more: an account is looked at again after a second at the least, all of
    them
    two seconds after a start."""
    wait_for(lambda: len(i.fetch_all(address)) >= count)
    time.sleep(quiet)
    assert len(i.fetch_all(address)) == count


SOON, GONE, REVOKED = "Your mail key expires soon", "Your mail key has expired", "Your mail key has been revoked"
ADDED = "Another key reads your mail from now on"


def test_what_comes(instance, ring, tmp_path):
    i, one, two = instance, ring.make(f"ann@{DOMAIN}", "20d"), ring.make(f"ann@{DOMAIN}")
    ann = account(i, ring, tmp_path, "ann", one)
    i.serve()
    settle(i, ann, 1)
    rendered = i.fetch_all(ann)[1]
    outer = email.message_from_bytes(rendered)
    assert outer["Subject"] == "[...]" and outer.get_content_type() == "multipart/encrypted"
    for word in ("expires", "notice", one):
        assert word.encode() not in rendered
    inner, text = read(ring, rendered)
    day = time.strftime("%Y-%m-%d", time.gmtime(keys(i, ann)[one]["expires"]))
    assert inner["Subject"] == SOON and inner["Auto-Submitted"] == "auto-generated" and inner["To"] == ann
    assert email.utils.parseaddr(inner["From"])[1] == f"postmaster@{DOMAIN}"
    assert inner["Message-ID"].endswith(f"@{DOMAIN}>")
    assert abs(email.utils.parsedate_to_datetime(inner["Date"]).timestamp() - time.time()) < 120
    assert f"expires on {day}" in text and f"  {one}\r\n" in text and "--quick-set-expire " + one in text
    assert f"postmaster@{DOMAIN}" in text and max(map(len, text.split("\r\n"))) < 100
    original = i.run("unseal", data=ring.decrypt(harness.armor_of(rendered))).stdout
    assert original.startswith(b"From: Letterlock <postmaster@") and b"\n" not in original.replace(b"\r\n", b"")
    listed = [k for k in i.status()["keys"] if k["account"] == ann]
    assert [(k["state"], k["fingerprint"]) for k in listed] == [("expires", one)]
    assert f"{ann}  {one}  expires {day}" in i.run("status").stdout.decode()
    # What its reader does
    ring.extend(one, "2y")
    add(i, ring, tmp_path, ann, one)
    assert [k for k in i.status()["keys"] if k["account"] == ann] == []
    # Another end within the days is told anew
    ring.extend(one, "25d")
    add(i, ring, tmp_path, ann, one)
    settle(i, ann, 2)
    add(i, ring, tmp_path, ann, one)  # the same once more is not
    # A revocation is told to the other key
    add(i, ring, tmp_path, ann, two)
    i.run("key", "revoke", ann, write(tmp_path / "rev", ring.revocation(one)))
    settle(i, ann, 4)
    assert subjects(i, ring, ann) == [SOON, SOON, ADDED, REVOKED]
    ring.gpg("--yes", "--delete-secret-and-public-keys", one)
    assert one in read(ring, i.fetch_all(ann)[4])[1]
    i.stop()
    i.serve()
    settle(i, ann, 4, quiet=3)
    assert i.run("audit").returncode == 0
    assert [r["counters"]["key_notices"] for r in i.status()["roles"] if r["role"] == "ingest"][:1] == [0]


def test_at_expiry(instance, ring, tmp_path):
    """The end that comes while the server runs, and the one that came while it did not."""
    i, begun, past = instance, time.monotonic(), ring.make(f"eve@{DOMAIN}", "5d", at="20240101T000000!")
    eve = account(i, ring, tmp_path, "eve", past)
    one = ring.make(f"bob@{DOMAIN}", f"seconds={12 + int(8 * (time.monotonic() - begun))}")  # what this machine needs
    bob = account(i, ring, tmp_path, "bob", one)
    ends = keys(i, bob)[one]["expires"]
    i.serve()
    wait_for(lambda: i.fetch_all(bob))
    assert time.time() < ends - 2, "too slow for this test"
    assert subjects(i, ring, bob) == [SOON]
    wait_for(lambda: len(i.fetch_all(bob)) == 2, 300)
    assert ends <= time.time() < ends + 15
    assert subjects(i, ring, bob) == [SOON, GONE]
    settle(i, bob, 2)
    settle(i, eve, 1)  # no warning of what has happened
    assert subjects(i, ring, eve) == [GONE] and "2024-01-06" in read(ring, i.fetch_all(eve)[1])[1]


def test_sealed_by_gpg(instance, ring, tmp_path):
    """A key that only GnuPG seals to sends notices through its role, like any mail."""
    i, one = instance, ring.make(f"gil@{DOMAIN}", "20d")
    ring.import_file(pathlib.Path(__file__).resolve().parents[1] / "fault" / "elgamal.key")
    gil = account(i, ring, tmp_path, "gil", one)
    i.run("key", "add", gil, write(tmp_path / "elgamal", ring.export("A test")))
    assert sorted(k["sealed_by"] for k in keys(i, gil).values()) == ["gpg", "native"]
    i.serve()
    settle(i, gil, 2)
    assert subjects(i, ring, gil) == [ADDED, SOON]
    assert sorted(k["messages"] for k in keys(i, gil).values()) == [1, 2]  # the new key was told of by the old alone


@pytest.mark.parametrize("served", [False, True])
def test_gpg_seals_the_word_of_an_added_key(instance, ring, tmp_path, served):
    """With a server through its gpg seal, without one through one that the command starts."""
    i, hal = instance, f"hal{served}@{DOMAIN}".lower()
    ring.import_file(pathlib.Path(__file__).resolve().parents[1] / "fault" / "elgamal.key")
    odd = ring.fingerprint("A test")
    ring.gpg("--quick-add-uid", odd, hal)
    account(i, ring, tmp_path, hal.partition("@")[0], odd)
    assert {f: k["sealed_by"] for f, k in keys(i, hal).items()} == {odd: "gpg"}
    if served:
        i.serve()
    one = ring.make(hal)
    p = i.run("key", "add", hal, write(tmp_path / "one.asc", ring.export(one)))
    assert p.stderr == b""
    assert {f: k["messages"] for f, k in keys(i, hal).items()} == {odd: 1, one: 0}
    i.run("key", "retire", hal, one)
    i.run("key", "current", hal, one)
    assert {f: k["messages"] for f, k in keys(i, hal).items()} == {odd: 2, one: 0}
    if not served:
        i.serve()
    for rendered in i.fetch_all(hal).values():
        inner, text = read(ring, rendered)
        assert inner["Subject"] == ADDED and f"  {one}\r\n" in text
    assert i.run("audit").returncode == 0


def test_no_key_no_notice(instance, ring, tmp_path):
    """It waits for a key that it can be sealed to."""
    i, one, two = instance, ring.make(f"cy@{DOMAIN}"), ring.make(f"cy@{DOMAIN}")
    cy = account(i, ring, tmp_path, "cy", one)
    i.serve()
    i.run("key", "revoke", cy, write(tmp_path / "rev", ring.revocation(one)))
    settle(i, cy, 0)
    i.stop()
    i.serve()
    settle(i, cy, 0, quiet=3)
    add(i, ring, tmp_path, cy, two)
    settle(i, cy, 1)
    assert subjects(i, ring, cy) == [REVOKED] and states(i, cy) == {one: "revoked", two: "current"}


def test_days(instance, ring, tmp_path):
    i, one = instance, ring.make(f"di@{DOMAIN}", "60d")
    di = account(i, ring, tmp_path, "di", one)
    i.serve()
    settle(i, di, 0, quiet=3)
    assert i.status()["keys"] == []
    i.configure(key_notice_days=90)
    i.run("reload")
    assert [k["state"] for k in i.status()["keys"]] == ["expires"]
    settle(i, di, 1)
    for bad in ("0", "366", "x"):
        i.configure(key_notice_days=bad)
        assert i.run("reload", check=False).returncode == 1


def test_an_added_key_and_the_word_of_it(instance, ring, tmp_path):
    """Both or neither, though the vault is killed at a random moment of the command."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print("SEED", seed)
    chance = random.Random(seed)
    i, one = instance, ring.make(f"ivo@{DOMAIN}")
    ivo = account(i, ring, tmp_path, "ivo", one)
    i.serve()
    took = 0
    for n in range(12 if os.environ.get("LETTERLOCK_FULL") else 5):
        two = ring.make(f"ivo{n}@{DOMAIN}")
        ring.gpg("--quick-add-uid", two, ivo)
        cert = write(tmp_path / f"{n}.asc", ring.export(two))
        if not took:  # its end is where the change is made
            begun = time.monotonic()
            i.run("key", "add", ivo, cert)
            took = time.monotonic() - begun
            continue
        pids = i.pids("vault")
        moment = took * chance.uniform(0.7, 1)
        killer = threading.Timer(moment, lambda pids=pids: [os.kill(pid, signal.SIGKILL) for pid in pids])
        killer.start()
        i.run("key", "add", ivo, cert, check=False)
        killer.join()
        wait_for(lambda pids=pids: i.pids("vault") and i.pids("vault") != pids)
        told = [read(ring, m)[1] for m in i.fetch_all(ivo).values()]
        assert sum(two in text for text in told) == (states(i, ivo).get(two) == "current")
        if two in states(i, ivo):
            i.run("key", "retire", ivo, two)
    assert i.run("audit").returncode == 0


def test_whoever_dies_when(instance, ring, tmp_path):
    """One notice for each new expiry, though vault or ingest is killed at a random moment of its making."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print("SEED", seed)
    chance = random.Random(seed)
    i, one = instance, ring.make(f"flo@{DOMAIN}", "10d")
    i.configure(ingest_instances=2)
    flo = account(i, ring, tmp_path, "flo", one)
    i.serve()
    rounds = 8 if os.environ.get("LETTERLOCK_FULL") else 4
    for n in range(1, rounds + 1):
        wait_for(lambda: len(i.fetch_all(flo)) == n)
        ring.extend(one, f"{10 + n}d")
        add(i, ring, tmp_path, flo, one)
        time.sleep(chance.random() * 0.3)
        for role in chance.choice((["vault"], ["ingest"], ["vault", "ingest"])):
            for pid in i.pids(role):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    settle(i, flo, rounds + 1, quiet=3)
    i.kill()
    i.serve()
    settle(i, flo, rounds + 1, quiet=3)
    assert set(subjects(i, ring, flo)) == {SOON}
    days = {re.search(r"expires on (\S+):", read(ring, m)[1]).group(1) for m in i.fetch_all(flo).values()}
    assert len(days) == rounds + 1
    assert i.run("audit").returncode == 0
