"""The limit of open files: roles get all that is allowed, and an operator who configured more sessions is told."""
import resource

import harness
import pytest


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
