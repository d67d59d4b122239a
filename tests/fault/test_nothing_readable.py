"""Canaries in subjects, bodies, names, file names, addresses and message ids: none is in any file of the instance, in
memory-backed places, in the log, the journals or the core directory, or in a process's arguments and environment, and
no process that saw plaintext opened a file for writing."""
import os
import pathlib
import re
import subprocess
import sys
import time

import harness
import pytest

PIECES = ["subject", "body", "name", "file name", "local part", "message id"]
CANARIES = [f"Canary{os.urandom(6).hex()}{n}" for n in range(len(PIECES))]
# Every call that can make a file writable or make one; what only asks for descriptors that cannot be written is let
# through.
WRITING = re.compile(
    r"\b(open|openat|openat2)\(.*(O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND)|"
    r"\b(creat|truncate|rename\w*|link\w*|symlink\w*|mknod\w*|mkdir\w*)\("
)
SUCCEEDED = re.compile(r"= \d+(<.*>)?( \(.*\))?$")
PLAINTEXT_ROLES = ("ingest", "access", "gpg-seal")


def canary_mail(to):
    subject, body, name, file_name, local, mid = CANARIES
    return harness.crlf(f"""From: "{name} Person" <{local.lower()}@example.org>
To: Alice {name} <{to}>
Subject: {subject}
Date: Sat, 21 Nov 2026 10:00:00 +0000
Message-ID: <{mid}{os.urandom(4).hex()}@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

{body} {'padding ' * 2000}
--b
Content-Type: application/octet-stream; name="{file_name}.pdf"
Content-Disposition: attachment; filename="{file_name}.pdf"
Content-Transfer-Encoding: base64

{'QUJD' * 100}
--b--
""")


def canaries_in(data):
    low = data.lower()
    return [c for c in CANARIES if c.lower().encode() in low]


def files_below(root):
    """Regular files, without going into other file systems: someone's /proc may be mounted there."""
    if root.is_file():
        yield root
    device = root.stat().st_dev
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if same_device(os.path.join(folder, f), device)]
        for name in names:
            path = pathlib.Path(folder, name)
            if not path.is_symlink() and path.is_file():
                yield path


def same_device(path, device):
    try:
        return os.lstat(path).st_dev == device
    except OSError:
        return False


def files_with_canaries(paths, since=0, apart_from=()):
    """Files changed since then. apart_from: folders of the test's own."""
    found = []
    for path in (p for root in paths for p in files_below(root)):
        try:
            if path.stat().st_mtime >= since and not any(p in (path, *path.parents) for p in apart_from):
                found += [(str(path), c) for c in canaries_in(path.read_bytes())]
        except OSError:  # another's, and gone by now
            continue
    return found


def writes(lines):
    return [line for line in lines if WRITING.search(line) and SUCCEEDED.search(line) and "/dev/null" not in line]


class Trace:
    """strace on processes and all their children."""

    def __init__(self, pids, path):
        self.pids, self.path = pids, path
        self.process = subprocess.Popen(["strace", "-f", "-qq", "-s", "4096", "-o", str(path), "-e",
                                         "trace=file,process,memfd_create",
                                         *[x for p in pids for x in ("-p", str(p))]])
        end = time.monotonic() + 30
        while not all(self.tracer_of(p) == self.process.pid for p in pids):
            assert time.monotonic() < end and self.process.poll() is None, "strace does not attach"
            time.sleep(0.02)

    @staticmethod
    def tracer_of(pid):
        return int(re.search(r"TracerPid:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))

    def lines(self):
        assert all(self.tracer_of(p) == self.process.pid for p in self.pids), "the trace ended early"
        time.sleep(0.3)
        self.process.terminate()
        self.process.wait()
        return self.path.read_text(errors="replace").splitlines()


@pytest.fixture
def served(instance):
    i = instance.init(log_level="debug", message_max="60000000")
    i.alice = i.add_account("alice")
    i.odd = f"odd@{harness.DOMAIN}"
    from test_fail_closed import certificate_for_gpg
    cert = i.place / "odd.asc"
    cert.write_bytes(certificate_for_gpg(i, i.odd))
    i.run("account", "add", i.odd, "--key", cert)
    i.app_password(i.odd)
    i.serve()
    return i


def run_mail_through(i):
    for n in range(10):
        i.send([i.alice, i.odd], canary_mail(i.alice), sender=f"{CANARIES[4].lower()}@example.org")
    for address in (i.alice, i.odd):  # sealed natively, and by gpg
        m = i.imap(address)
        assert m.append("Sent", r"(\Seen)", None, canary_mail(i.alice))[0] == "OK"
        m.select("INBOX")
        m.search(None, "HEADER", "Subject", CANARIES[0])
        m.fetch("1:*", "(BODY.PEEK[])")
        m.logout()


@pytest.mark.needs("root", "strace")
def test_nothing_readable_is_written(served, tmp_path):
    i = served
    pids = [p for role in PLAINTEXT_ROLES for p in i.pids(role)]
    for pid in pids:  # what was open before the trace began
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(fd)
            flags = int(re.search(r"flags:\s+(\d+)", (fd.parent.parent / "fdinfo" / fd.name).read_text()).group(1), 8)
            if (
                target.startswith("/")
                and not target.startswith(("/memfd:", "/dev/null"))
                and flags & os.O_ACCMODE != os.O_RDONLY
            ):
                raise AssertionError(f"{pid} holds {target} open for writing")
        assert os.readlink(f"/proc/{pid}/fd/2").startswith("pipe:"), "what a role says goes by master"
    begin = time.time()
    trace = Trace(pids, tmp_path / "trace")
    run_mail_through(i)
    arguments = [(p, what) for p in i.status()["roles"] for what in ("cmdline", "environ")
                 if canaries_in(pathlib.Path(f"/proc/{p['pid']}/{what}").read_bytes())]
    assert arguments == []
    lines = trace.lines()
    seen = {int(line.split()[0]) for line in lines}
    for role in ("ingest", "access"):
        assert seen & set(i.pids(role)), f"the trace saw nothing of {role}"
    assert set(i.pids("gpg-seal")) <= seen
    gpg = [line for line in lines if "execve(" in line and "/usr/bin/gpg" in line]
    assert len(gpg) >= 22, "one for each capsule and each message of odd's"
    assert not canaries_in("\n".join(lines).encode()), "a path or an argument names one"
    assert writes(lines) == []

    canaries = tmp_path / "canaries"
    canaries.write_text("\n".join(c for c in CANARIES) + "\n")
    out = i.run("audit", "--canary", canaries)
    assert out.returncode == 0, out
    backup = i.place / "backup"
    i.run("backup", backup)
    i.stop()
    places = [i.dir, i.place / "log", backup]
    places += [p for p in (pathlib.Path("/var/log"), pathlib.Path("/var/lib/systemd/coredump"),
                           pathlib.Path("/var/crash")) if p.exists()]
    assert files_with_canaries(places) == []
    assert files_with_canaries([pathlib.Path(p) for p in ("/dev/shm", "/tmp", "/var/tmp", "/run")], begin,
                               [tmp_path]) == []
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if not pattern.startswith("|"):
        where = pathlib.Path(pattern).parent if "/" in pattern else pathlib.Path.cwd()
        assert not [p for p in where.glob("core*") if p.is_file() and p.stat().st_mtime > begin]


WRITERS = {
    "open for writing": "open(sys.argv[1], 'w').write('x')",
    "open for reading and writing": "os.open(sys.argv[1], os.O_RDWR)",
    "append": "open(sys.argv[1], 'a')",
    "create": "os.open(sys.argv[1] + '.new', os.O_CREAT | os.O_RDONLY)",
    "truncate": "os.truncate(sys.argv[1], 1)",
    "rename": "os.rename(sys.argv[1], sys.argv[1] + '.moved')",
    "link": "os.link(sys.argv[1], sys.argv[1] + '.link')",
    "symlink": "os.symlink('somewhere', sys.argv[1] + '.symlink')",
    "mkdir": "os.mkdir(sys.argv[1] + '.dir')",
    "mkfifo": "os.mkfifo(sys.argv[1] + '.fifo')",
}


@pytest.mark.needs("root", "strace")
def test_the_trace_would_see_a_write(tmp_path):
    """The same trace on a process whose child does, through a program of its own, what the roles must not: each way
    shows."""
    for n, (how, code) in enumerate(WRITERS.items()):
        target = tmp_path / f"target{n}"
        target.write_text("xx")
        child = f"import os, sys; {code}"
        parent = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import subprocess, sys; sys.stdin.readline(); subprocess.run([sys.executable, '-c', *sys.argv[1:]])",
                child,
                str(target),
            ],
            stdin=subprocess.PIPE,
        )
        trace = Trace([parent.pid], tmp_path / f"trace{n}")
        parent.stdin.write(b"go\n")
        parent.stdin.close()
        parent.wait()
        trace.process.wait(10)
        assert [line for line in writes(trace.path.read_text().splitlines()) if str(target) in line], f"not seen: {how}"


def test_the_search_finds_what_is_there(tmp_path):
    (tmp_path / "one").write_bytes(b"x" * 5000 + CANARIES[1].upper().encode())
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "two").write_text(CANARIES[0])
    assert {c for _, c in files_with_canaries([tmp_path])} == {CANARIES[0], CANARIES[1]}
    assert files_with_canaries([tmp_path], apart_from=[tmp_path / "deep"]) == [(str(tmp_path / "one"), CANARIES[1])]


def test_the_audit_finds_a_canary_that_is_there(instance):
    i = instance.init()
    i.add_account("alice")
    (i.dir / "store" / "left-behind").write_text("text with CanaryThatIsThere inside")
    canaries = i.place / "canaries"
    canaries.write_text("CanaryThatIsThere\n")
    p = i.run("audit", "--canary", canaries, check=False)
    assert p.returncode == 1 and b"left-behind" in p.stdout + p.stderr
