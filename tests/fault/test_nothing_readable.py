"""Canaries in subjects, bodies, names and file names: none is in any file of the instance, in the log, the journals or the core directory, and no process that saw plaintext
opened a file for writing."""
import os
import pathlib
import re
import subprocess
import time

import harness
import pytest

CANARIES = [f"Canary{os.urandom(6).hex()}{n}" for n in range(6)]
WRITING = re.compile(r"\b(open|openat|openat2|creat)\(.*(O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND)")
OTHER_WRITES = re.compile(r"\b(truncate|rename\w*|link\w*|symlink\w*|mknod\w*|mkdir\w*)\(")


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


def files_with_canaries(paths):
    found = []
    for root in paths:
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                found += [(str(path), c) for c in CANARIES if c.encode() in data or c.lower().encode() in data]
    return found


@pytest.mark.skipif(os.getuid() != 0, reason="tracing the roles needs root")
def test_nothing_readable_is_written(instance, tmp_path):
    i = instance.init(log_level="debug")
    alice = i.add_account("alice")
    odd = f"odd@{harness.DOMAIN}"
    from test_fail_closed import elgamal_certificate
    cert = i.place / "odd.asc"
    cert.write_bytes(elgamal_certificate(i, odd))
    i.run("account", "add", odd, "--key", cert)
    i.serve()
    pids = [p for role in ("ingest", "access", "gpg-seal") for p in i.pids(role)]
    trace = tmp_path / "trace"
    strace = subprocess.Popen(["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=file,process", *[x for p in pids for x in ("-p", str(p))]])
    time.sleep(1)
    begin = time.time()
    for n in range(20):
        i.send([alice, odd], canary_mail(alice))
    m = i.imap(alice)
    m.append("Sent", r"(\Seen)", None, canary_mail(alice))
    m.select("INBOX")
    m.fetch("1:*", "(BODY.PEEK[])")
    m.logout()
    time.sleep(0.5)
    strace.terminate()
    strace.wait()
    lines = trace.read_text(errors="replace").splitlines()
    assert any("execve" in line for line in lines), "the trace saw gpg start"
    bad = [line for line in lines if (WRITING.search(line) or OTHER_WRITES.search(line)) and "/dev/null" not in line and re.search(r"= \d+", line.rsplit(")", 1)[-1])]
    assert bad == []

    canaries = tmp_path / "canaries"
    canaries.write_text("\n".join(CANARIES) + "\n")
    out = i.run("audit", "--canary", canaries)
    assert out.returncode == 0, out
    i.stop()
    places = [i.dir, i.place / "log"]
    places += [p for p in (pathlib.Path("/var/log"), pathlib.Path("/var/lib/systemd/coredump"), pathlib.Path("/var/crash")) if p.exists()]
    assert files_with_canaries(places) == []
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if not pattern.startswith("|"):
        where = pathlib.Path(pattern).parent if "/" in pattern else pathlib.Path.cwd()
        assert not [p for p in where.glob("core*") if p.is_file() and p.stat().st_mtime > begin]


def test_the_audit_finds_a_canary_that_is_there(instance):
    i = instance.init()
    i.add_account("alice")
    (i.dir / "store" / "left-behind").write_text("text with CanaryThatIsThere inside")
    canaries = i.place / "canaries"
    canaries.write_text("CanaryThatIsThere\n")
    p = i.run("audit", "--canary", canaries, check=False)
    assert p.returncode == 1 and b"left-behind" in p.stdout + p.stderr
