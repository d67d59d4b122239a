"""The unit that is installed: systemd reads it, finds little open, and the server serves, tells and stops under what
the unit lets it have. Everything is applied by hand: no systemd is started here, and it must not be, since its boot
empties /tmp. Nothing but the instance is written."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from peers import Peer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(harness.BINARY).parent
ALICE = f"alice@{harness.DOMAIN}"
EXPOSURE_MAX = 30  # of 100, as `systemd-analyze security` counts; 28 when this was written


def service():
    """The settings of the unit, the last of a name."""
    return dict(re.findall(r"^(\w+)=(.*)$", (BUILD / "letterlock.service").read_text(), re.M))


def with_program(place, name):
    """An installed unit, with the program that was built."""
    path = place / name
    path.write_text(re.sub(r"=\S*/letterlock ", f"={harness.BINARY} ", (BUILD / name).read_text()))
    return path


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("name", ["letterlock.service", "letterlock-acme.service"])
def test_systemd_reads_it(tmp_path, name):
    unit = with_program(tmp_path, name)
    with_program(tmp_path, "letterlock.service")
    p = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert p.returncode == 0 and "letterlock" not in p.stdout + p.stderr, p
    p = subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", unit],
                       capture_output=True, text=True)
    assert p.returncode == 0, p.stdout[-3000:]
    print(p.stdout.strip().splitlines()[-1])
    if name == "letterlock-acme.service":
        timer = tmp_path / "letterlock-acme.timer"
        timer.write_bytes((ROOT / "server/systemd/letterlock-acme.timer").read_bytes())
        p = subprocess.run(["systemd-analyze", "verify", "--man=no", timer], capture_output=True, text=True)
        assert p.returncode == 0 and "letterlock" not in p.stdout + p.stderr, p


@pytest.mark.needs("systemd-sysusers")
def test_each_role_has_a_name(tmp_path):
    """systemd gives uids from 61184 on to services of its own; it leaves out those that have names."""
    (tmp_path / "etc").mkdir()
    file = ROOT / "server/systemd/letterlock.sysusers"
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", file], check=True, capture_output=True)
    users = {f[0]: f[2:4] for f in (line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines())}
    conf = (ROOT / "server/base/config_items.c").read_text()
    base = int(re.search(r"U32\(role_uid_base, START, (\d+),", conf)[1])
    roles = re.search(r"enum role \{([^}]*)\};", (ROOT / "server/base/roles.h").read_text())[1]
    roles = [name for name in re.findall(r"ROLE_\w+", roles) if name != "ROLE_MASTER"]
    wanted = {"letterlock-" + name.removeprefix("ROLE_").lower().replace("_", "-"): [str(base + n)] * 2
              for n, name in enumerate(roles, 1)}
    assert {u: ids for u, ids in users.items() if u.startswith("letterlock")} == wanted


class Supervisor:
    """Who listens at $NOTIFY_SOCKET."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0", 1))

    def hears(self, word, seconds=30):
        self.socket.settimeout(seconds)
        heard = []
        while word not in heard:
            heard.append(self.socket.recv(4096).decode())
        return heard


def allowed_calls():
    """The unit's SystemCallFilter, its sets taken apart."""
    calls, left = set(), service()["SystemCallFilter"].split()
    while left:
        word = left.pop()
        if not word.startswith("@"):
            calls.add(word)
            continue
        text = subprocess.run(["systemd-analyze", "syscall-filter", word], check=True, capture_output=True, text=True)
        left += [line.strip() for line in text.stdout.splitlines()[1:] if line.strip() and "#" not in line]
    return calls


def under_the_unit(i, *command):
    """The command with the unit's capabilities, limits, umask and read-only file systems, as far as they can be had
    without being process 1. The mounts are a namespace's own: each is a bind that nobody else sees."""
    s = service()
    caps = ",".join("+" + c.removeprefix("CAP_").lower() for c in s["CapabilityBoundingSet"].split())
    script = f"""set -e
mount --bind {i.place} {i.place}
mount -o remount,bind,ro /
! touch /etc/letterlock-test 2>/dev/null
umask {s['UMask']}
exec prlimit --core={s['LimitCORE']} setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,{caps} "$@" """
    assert s["ProtectSystem"] == "strict" and s["NoNewPrivileges"] == "yes"
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *map(str, command)]


def possible():
    probe = ["unshare", "-m", "--propagation", "private", "mount", "-o", "remount,bind,ro", "/"]
    return os.geteuid() == 0 and subprocess.run(probe, capture_output=True).returncode == 0


@pytest.mark.needs("root", "systemd-analyze", "setpriv", "strace")
@pytest.mark.parametrize("name", ["path", "abstract"])
def test_it_serves_under_the_unit(name):
    if not possible():
        pytest.skip("needs a mount namespace")
    with harness.Instance() as i:
        i.init(ingest_instances=1, access_instances=1, relay_port=i.base + 5525, dns_server=f"127.0.0.1@{i.base + 53}")
        i.add_account("alice")
        (i.dir / "relay.policy").write_text("world.example route=127.0.0.1\n")
        at = f"@letterlock-{os.getpid()}" if name == "abstract" else str(i.place / "notify")
        supervisor = Supervisor(at)
        i.env["NOTIFY_SOCKET"] = at
        trace = i.place / "trace"
        strace = ["strace", "-f", "-qq", "-o", trace] if name == "path" else []
        i.serve(wrapper=under_the_unit(i, *strace))
        supervisor.hears("READY=1")
        i.send(ALICE, harness.mail(subject="under the unit"))
        assert len(i.fetch_all(ALICE)) == 1
        with Peer(i.base + 5525), i.submission(ALICE) as s:  # relay connects, and resolver asks where nobody answers
            s.sendmail(ALICE, ["carol@world.example", "dave@unknown.example"], harness.mail(sender=ALICE))
            i.logged(r"outgoing fate=sent")
            i.logged(r"outgoing fate=deferred", wait=60)
        i.configure(smtp_errors=7)
        i.run("reload")
        heard = supervisor.hears("READY=1")
        assert heard[-2:] == ["RELOADING=1", "READY=1"]
        if "WATCHDOG=1" not in heard:
            supervisor.hears("WATCHDOG=1")  # every ten seconds
        for pid in i.pids("ingest"):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            assert re.search(r"^NoNewPrivs:\t1$", status, re.M) and re.search(r"^CapEff:\t0+$", status, re.M)
        os.killpg(i.process.pid, signal.SIGTERM)
        supervisor.hears("STOPPING=1")
        assert i.process.wait(30) == 0
        i.process = None
        if strace:
            said = trace.read_text(errors="replace")
            families = set(re.findall(r"^\d+ +socket\((\w+),", said, re.M))
            assert {"AF_UNIX", "AF_INET"} <= families <= set(service()["RestrictAddressFamilies"].split()), families
            called = set(re.findall(r"^\d+ +(\w+)\(", said, re.M))
            called -= {"openat2"}  # answered ENOSYS by the roles' own filter, and so by libc
            assert len(called) > 60 and called <= allowed_calls(), called - allowed_calls()
