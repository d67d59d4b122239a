"""letterlock queue: what waits to be sent, with a server and without one."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cli_tools import DOMAIN, bare, harness, lines, make, refused, run  # noqa: E402,F401

FILL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/queue_fill"
ALICE = f"alice@{DOMAIN}"
FOREVER = 253402300799


def put(i, count, sender, *to, mail=b"Subject: x\r\n\r\ntext\r\n"):
    """Into the queue of an instance that is not served; gives the ids."""
    p = subprocess.run([FILL, i.dir, str(count), sender, *to], input=mail, capture_output=True, timeout=300)
    assert p.returncode == 0, p.stderr
    return p.stdout.decode().split()


def listed(i):
    return {m["id"]: m for m in json.loads(i.run("queue", "list", "--json").stdout)}


@pytest.fixture
def i():
    with harness.Instance() as i:
        i.init()
        yield i


@pytest.fixture(params=["cold", "served"])
def queued(i, request):
    """Three messages: to two, to one, to one of another domain."""
    ids = put(i, 1, ALICE, "bob@there.example", "carol@there.example")
    ids += put(i, 1, ALICE, "dan@there.example") + put(i, 1, "", "eve@elsewhere.example", mail=b"x" * 70000)
    if request.param == "served":
        i.serve()
    return i, ids


def test_empty(i):
    assert i.run("queue", "list").stdout == b"" and json.loads(i.run("queue", "list", "--json").stdout) == []


def test_list_and_show(queued):
    i, ids = queued
    found = listed(i)
    assert set(found) == set(ids) and len(ids) == 3
    one = found[ids[0]]
    assert set(one) == {"id", "account_held", "forwarded", "queued_at", "from", "size", "hold_until", "next_try",
                        "expires", "recipients"}
    assert one["forwarded"] is False
    assert one["from"] == ALICE and one["size"] == 20 and one["hold_until"] == 0
    assert abs(one["queued_at"] - time.time()) < 600 and one["expires"] == one["queued_at"] + 5 * 86400
    assert [r["to"] for r in one["recipients"]] == ["bob@there.example", "carol@there.example"]
    assert all(set(r) == {"to", "state", "tries", "last_reply", "host", "tls"} for r in one["recipients"])
    assert {r["state"] for m in found.values() for r in m["recipients"]} <= {"queued", "deferred"}
    assert found[ids[2]]["from"] == "" and found[ids[2]]["size"] == 70000
    assert json.loads(i.run("queue", "show", ids[1], "--json").stdout)["recipients"][0]["to"] == "dan@there.example"
    text = i.run("queue", "show", ids[1]).stdout.decode()
    assert ids[1] in text and f"<{ALICE}>" in text and "dan@there.example" in text
    assert i.run("queue", "list").stdout.decode().count("queued") >= 3
    refused(i, "queue", "show", "0000000000000001", says="there is no")
    refused(i, "queue", "show", "x", says="no id")


def test_hold_release_remove(queued):
    i, ids = queued
    i.run("queue", "hold", ids[0], ids[1])
    held = listed(i)
    assert [held[x]["hold_until"] for x in ids] == [FOREVER, FOREVER, 0]
    assert {r["state"] for x in ids[:2] for r in held[x]["recipients"]} == {"held"}
    assert ", held" in i.run("queue", "list").stdout.decode()
    i.run("queue", "release", ids[0])
    assert [listed(i)[x]["hold_until"] for x in ids] == [0, FOREVER, 0]
    i.run("queue", "hold", "--all")
    assert {m["hold_until"] for m in listed(i).values()} == {FOREVER}
    i.run("queue", "remove", ids[0], ids[2])
    assert set(listed(i)) == {ids[1]}
    refused(i, "queue", "remove", ids[0], says="there is no")
    assert run(i, "queue", "remove").returncode == 2 and run(i, "queue", "hold").returncode == 2
    assert run(i, "queue", "hold", "--all", ids[1]).returncode == 2
    i.run("queue", "release", "--all")
    i.run("queue", "retry", "--all")
    i.run("queue", "flush", "there.example")
    i.run("queue", "remove", ids[1])
    assert listed(i) == {}
    i.stop()
    assert b"0 faults" in i.run("audit").stdout


def test_audit_sees_it(queued):
    i, ids = queued
    canaries = i.place / "canaries"
    canaries.write_text("bob@there.example\ncarol@there.example\neve@elsewhere.example\n" + "x" * 40 + "\n")
    assert b"0 faults" in i.run("audit", "--canary", canaries).stdout


def test_status_counts_it(i):
    put(i, 5, ALICE, "bob@there.example")
    i.serve()
    vault = next(r for r in i.status()["roles"] if r["role"] == "vault")
    assert vault["counters"]["queue-messages"] == 5


def test_restore_holds_it(i):
    ids = put(i, 3, ALICE, "bob@there.example")
    i.run("backup", i.place / "backup")
    other = bare(i.place, "restored")
    other.base = i.base
    other.dir.mkdir(mode=0o711)
    for name in ("store.key", "queue.key"):
        shutil.copy(i.dir / name, other.dir)
    shutil.copy(i.place / "backup" / "letterlock.conf", other.dir)
    said = other.run("restore", i.place / "backup").stdout
    assert b"queue release" in said
    found = listed(other)
    assert set(found) == set(ids) and {m["hold_until"] for m in found.values()} == {FOREVER}
    other.run("queue", "release", "--all")
    assert {m["hold_until"] for m in listed(other).values()} == {0}
    assert {m["expires"] - m["queued_at"] >= 5 * 86400 for m in listed(other).values()} == {True}


def test_queue_key_lost(i):
    """What cannot be read any more is shown as such, and can be removed."""
    ids = put(i, 2, ALICE, "bob@there.example")
    (i.dir / "queue.key").unlink()
    assert b"dkim rotate" in i.run("store-key", "new-queue").stderr
    found = listed(i)
    assert set(found) == set(ids) and all(m["unreadable"] for m in found.values())
    assert "does not open" in i.run("queue", "list").stdout.decode()
    assert b"0 faults" not in run(i, "audit").stdout
    i.run("queue", "remove", *ids)
    i.run("dkim", "rotate", harness.DOMAIN, "--now")
    assert listed(i) == {} and b"0 faults" in i.run("audit").stdout


def peak_kb(i, *args):
    p = subprocess.Popen([i.binary, *args], env=i.env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    assert status == 0
    return usage.ru_maxrss


def test_memory_does_not_grow_with_the_queue(i):
    put(i, 10, ALICE, "bob@there.example")
    few = peak_kb(i, "queue", "list", "--json")
    put(i, 4000, ALICE, *(f"r{n}@there.example" for n in range(3)))
    many = peak_kb(i, "queue", "list", "--json")
    assert len(listed(i)) == 4010
    # Pages of the store's file count as well; the text alone has 1.3 MB.
    assert many - few < 60 * 1024
