"""The limit of open files: roles get all that is allowed, and an operator who configured more sessions is told."""
import contextlib
import resource
import socket

import harness
import pytest
from test_http import WAIT, get


@pytest.mark.parametrize("hard,sessions,told", [(4096, 20000, True), (4096, 1000, False)])
def test_limit_of_open_files(hard, sessions, told):
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    if old[1] < hard:
        pytest.skip("the limit is lower here")
    with harness.Instance() as i:
        i.init(imap_sessions=sessions)
        serve = ["prlimit", f"--nofile=1024:{hard}"]
        i.serve(wrapper=serve)
        assert ("sessions beyond what the limit of open files" in i.log()) == told
        for role in ("ingest", "access", "vault"):
            pid = i.pids(role)[0]
            with open(f"/proc/{pid}/limits") as f:
                line = next(x for x in f if x.startswith("Max open files"))
            assert line.split()[3:5] == [str(hard), str(hard)]
        before = i.log().count("sessions beyond")
        i.configure(imap_sessions=30000)
        i.run("reload")
        assert i.log().count("sessions beyond") == before + 1


def test_few_descriptors_are_few_places():
    """Idle connections that hold all of them make room for who asks something, as where places run out: long before
    their own time is up."""
    few = 100
    with harness.Instance(web=True).init(web_instances=1, web_sessions_peer=10000, web_request_timeout=3600) as i:
        i.serve(wrapper=["prlimit", f"--nofile={few}:{few}"])
        web = i.pids("web")
        with contextlib.ExitStack() as stack:
            for n in range(2 * few):
                at = ("127.0.0.1", i.port("https" if n % 2 else "http"))
                stack.enter_context(socket.create_connection(at, timeout=WAIT))
            i.logged("web.0 accept-failed")
            assert get(i, "/robots.txt")[0] == 200
            assert i.counters("web")["web_sessions_shed"] > few
        assert get(i, "/robots.txt")[0] == 200 and i.pids("web") == web
