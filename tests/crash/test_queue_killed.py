"""The outgoing queue under kill -9: what was answered is there, whole; what was removed is gone, whole; nothing is in
between."""
import json
import pathlib
import random
import subprocess
import threading
import time

import harness
import pytest
from workload import kill

FILL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/queue_fill"
SENDER, TO = f"alice@{harness.DOMAIN}", ["bob@there.example", "carol@elsewhere.example"]
ROUNDS = 6
SEED = 20261129


@pytest.fixture
def i():
    with harness.Instance() as i:
        i.init()
        yield i


def listed(i):
    return {m["id"]: m for m in json.loads(i.run("queue", "list", "--json").stdout)}


def put(i, count):
    return subprocess.Popen([FILL, i.dir, str(count), SENDER, *TO], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)


def whole(i, found):
    assert all([r["to"] for r in m["recipients"]] == TO and m["size"] == 3000 for m in found.values())
    assert b"0 faults" in i.run("audit").stdout


def test_what_was_promised_is_queued(i):
    rng, promised, cut = random.Random(SEED), set(), 0
    for _ in range(ROUNDS):
        p = put(i, 400)
        p.stdin.write(b"x" * 3000)
        p.stdin.close()
        first = p.stdout.readline()
        reader = threading.Timer(rng.uniform(0, 0.2), p.kill)
        reader.start()
        ids = (first + p.stdout.read()).decode().split()
        reader.cancel()
        cut += p.wait() != 0
        promised |= {x for x in ids if len(x) == 16}  # the last line may be cut
        found = listed(i)
        assert promised <= set(found)
        whole(i, found)
    assert cut > 0 and promised


def test_what_is_removed_goes_whole(i):
    p = put(i, 60)
    ids = p.communicate(b"x" * 3000)[0].decode().split()
    assert len(ids) == 60
    i.serve()
    stop, kills = threading.Event(), []

    def kill_vaults():
        rng = random.Random(SEED)
        while not stop.wait(rng.uniform(0.2, 0.6)):
            if pids := i.pids("vault"):
                kill([pids[0]])
                kills.append(pids[0])

    killer = threading.Thread(target=kill_vaults)
    killer.start()
    done = set()
    try:
        for n in range(0, 56, 8):
            some = ids[n:n + 8]
            for _ in range(20):
                p = i.run("queue", "remove", *some, check=False)
                if p.returncode == 0:
                    break
                some = [x for x in some if x in listed(i)]
                if not some:
                    break
                time.sleep(0.2)
            done |= set(ids[n:n + 8])
    finally:
        stop.set()
        killer.join()
    i.stop()
    found = listed(i)
    assert kills and set(found) == set(ids) - done
    whole(i, found)
