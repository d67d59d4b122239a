"""Who asks the kernel for the network while mail comes, is read and goes out, and pages are asked for: master listens,
relay connects to its port, resolver to the name server, and nobody else to anybody. What they could do if they tried is
in tests/unit/base/test_doors.c."""
import collections
import os
import pathlib
import re
import signal
import sys
import time

import harness
import names
import pytest
from peers import Peer

sys.path.insert(0, str(harness.ROOT / "tests" / "script"))
from test_http import get  # noqa: E402
from test_keyserver import lookup  # noqa: E402

ALICE = f"alice@{harness.DOMAIN}"


def named(i):
    """The roles by their processes' numbers; one that was begun anew has two."""
    return {r["pid"]: r["role"] for r in i.status()["roles"] if r["pid"]}


@pytest.mark.needs("strace", *names.NEEDS)
def test_who_connects_and_who_listens(instance, tmp_path):
    i, port, trace = instance, instance.base + 5525, tmp_path / "trace"
    with names.start({"test": "* MX 10 mx\nmx A 127.0.0.1\n"}) as zone, Peer(port) as peer:
        i.web = True
        i.init(**zone.settings(), relay_port=port)
        i.add_account("alice")
        i.serve(wrapper=["strace", "-f", "-o", str(trace), "-e", "trace=connect,listen,bind"])
        roles = named(i)
        i.send(ALICE, harness.mail())
        assert len(i.fetch_all(ALICE)) == 1
        with i.submission(ALICE) as s:
            s.sendmail(ALICE, [ALICE, "bob@there.test"], harness.mail(sender=ALICE))
        end = time.monotonic() + 60
        while not peer.mails:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert get(i)[0] == 200 and get(i, tls=False)[0] == 308 and get(i, lookup("get", ALICE))[0] in (200, 404)
        roles |= named(i)
        strace = i.process.pid
        os.kill(int(pathlib.Path(f"/proc/{strace}/task/{strace}/children").read_text()), signal.SIGTERM)
        assert i.process.wait(60) == 0
    calls = collections.defaultdict(set)  # role -> (call, port)
    for pid, call, to in re.findall(r"^(\d+) +(\w+)\((.*)", trace.read_text(), re.M):
        number = re.search(r"sin6?_port=htons\((\d+)\)", to)
        if number or call == "listen":
            calls[roles.get(int(pid), "master")].add((call, number and int(number[1])))
    assert {"ingest", "access", "vault", "web"} <= set(roles.values())
    assert set(calls) == {"master", "relay", "resolver"}
    assert {call for call, _ in calls["master"]} == {"bind", "listen"}
    assert calls["relay"] == {("connect", port)}
    assert {n for call, n in calls["resolver"] if call == "connect"} == {zone.port}
    assert "listen" not in {call for call, _ in calls["resolver"]}
