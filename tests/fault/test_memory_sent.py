"""What goes out, in relay's memory: in the clear only while it is sent, and where neither swap nor a dump takes it.
Runs against the released build: a sanitizer keeps what was freed."""
import os
import pathlib
import subprocess
import threading
import time

import harness
import pytest
from peers import Peer
from test_memory import maps_of, places_of

pytestmark = pytest.mark.needs("root", "the released build")
LINES = 20000


@pytest.fixture
def i():
    with harness.Instance(binary=str(harness.released())) as i:
        i.init(relay_port=i.base + 5525, relay_instances=1)
        yield i


def test_it_stands_there_while_it_is_sent(i):
    word = f"Rara{os.urandom(8).hex()}"
    taken, go_on = threading.Event(), threading.Event()

    def end(mail):
        taken.set()
        go_on.wait()
        return "250 2.0.0 taken"

    mail = f"From: alice@letterlock.test\r\nSubject: {word}\r\n\r\n" + f"{word} and so on\r\n" * LINES
    (i.dir / "relay.policy").write_text("there.test route=127.0.0.1\n")
    fill = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/queue_fill"
    subprocess.run([fill, i.dir, "1", "alice@letterlock.test", "bob@there.test"], input=mail.encode(), check=True,
                   env=i.env, stdout=subprocess.DEVNULL)
    with Peer(i.base + 5525, end=end):
        i.serve()
        assert taken.wait(60)
        pid, = i.pids("relay")
        found, maps = places_of(pid, word.encode()), maps_of(pid)
        assert len(found) > LINES * 9 // 10  # some stand on an edge
        for at in found:
            low, high, flags, *_ = next(m for m in maps if m[0] <= at < m[1])
            assert "dd" in flags, f"{low:x}-{high:x} would be in a core dump"
        go_on.set()
        seconds = time.monotonic() + 60
        while left := places_of(pid, word.encode()):
            assert time.monotonic() < seconds, len(left)
            time.sleep(0.2)
        assert i.pids("relay") == [pid]
