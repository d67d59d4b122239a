"""Canaries in mail that people send, and in whom it is from and to: while it waits in the queue, fails, is given back
and goes out, none is in any file, in the log or in a backup, and no role that has to do with it opens a file for
writing."""
import os
import pathlib
import time

import harness
import names
import peers
import pytest
from test_nothing_readable import CANARIES, Trace, canaries_in, canary_mail, files_with_canaries, writes

pytestmark = pytest.mark.needs("root", "strace", *names.NEEDS)

SUBJECT, _, NAME, _, LOCAL, _ = CANARIES
TO = [f"{NAME.lower()}@{SUBJECT.lower()}.test", f"{NAME.lower()}@{LOCAL.lower()}.test"]  # waits; fails
ROLES = ("ingest", "relay", "resolver", "fetcher")


@pytest.fixture
def sent(instance):
    """An instance whose account named by a canary has sent to one who is greylisted, and to one who does not exist."""
    zone = "* MX 10 mx\nmx A 127.0.4.1\n"  # no name of it is a canary: a name server writes files
    with names.start({"test": zone}) as n:
        i, port = instance, instance.base + 725
        i.init(**n.settings(), relay_port=port, queue_retry=1, queue_retry_max=1, log_level="debug")
        i.sender = i.add_account(LOCAL.lower())
        i.names = n
        i.serve()
        i.taken = False

        def rcpt(address):
            return "550 5.1.1 nobody" if LOCAL.lower() in address.partition("@")[2] else \
                "250 ok" if i.taken else "450 4.2.0 " + NAME  # a server may name whom it likes
        with peers.Peer(port, "127.0.4.1", rcpt=rcpt) as i.peer:
            yield i


def submit(i):
    with i.submission(i.sender) as s:
        mail = canary_mail(TO[0]).replace(b"example.org>", harness.DOMAIN.encode() + b">", 1)
        assert s.sendmail(i.sender, [*TO, i.sender], mail) == {}


def until(what, said):
    end = time.monotonic() + 90
    while not what():
        assert time.monotonic() < end, said
        time.sleep(0.1)


def relayed(i):
    return i.counters("relay")


def places(i, *more):
    return [i.dir, i.place / "log", *more]


def test_nothing_of_it_is_readable(sent, tmp_path):
    i, begin = sent, time.time()
    pids = [p for role in ROLES for p in i.pids(role)]
    trace = Trace(pids, tmp_path / "trace")
    submit(i)
    until(lambda: relayed(i).get("deferred", 0) >= 2, "deferred")
    until(lambda: len(i.fetch_all(i.sender)) == 2, "given back, delivered")

    canaries = tmp_path / "canaries"
    canaries.write_text("\n".join(CANARIES) + "\n")
    assert i.run("audit", "--canary", canaries).returncode == 0
    i.run("backup", i.place / "backup")
    assert files_with_canaries(places(i, i.place / "backup")) == []
    everywhere = [pathlib.Path(p) for p in ("/dev/shm", "/tmp", "/var/tmp", "/run", "/var/log")]
    assert files_with_canaries(everywhere, begin, [tmp_path]) == []
    assert [p for p in i.status()["roles"] for what in ("cmdline", "environ")
            if canaries_in(pathlib.Path(f"/proc/{p['pid']}/{what}").read_bytes())] == []

    i.taken = True
    until(lambda: i.peer.mails, "sent")
    assert canaries_in(i.peer.mails[0].octets) == CANARIES[:-1]  # whole, but for the id that named a machine
    lines = trace.lines()
    seen = {int(line.split()[0]) for line in lines}
    assert seen & set(i.pids("ingest")), "the trace saw nothing of ingest"
    assert not canaries_in("\n".join(lines).encode()), "a path names one"
    assert writes(lines) == []
    held = [os.readlink(fd) for pid in pids for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir() if writable(fd)]
    assert [t for t in held if t.startswith("/") and not t.startswith(("/memfd:", "/dev/null"))] == []


def writable(fd):
    flags = next(line for line in (fd.parent.parent / "fdinfo" / fd.name).read_text().splitlines() if "flags" in line)
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY


def test_the_search_would_find_it(sent):
    """With names in the log, as an operator may have them, the same search finds who wrote to whom."""
    i = sent
    i.configure(debug_names="yes")
    i.run("reload")
    submit(i)
    until(lambda: relayed(i).get("deferred", 0) >= 1, "deferred")
    i.logged("named-outgoing")
    found = {c for path, c in files_with_canaries(places(i)) if path == str(i.place / "log")}
    assert {NAME, LOCAL, SUBJECT} <= found
