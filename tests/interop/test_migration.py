"""Moving in from another server, as docs/migration.md says: everything comes over once, and a second run copies
nothing. The other server is Debian's Dovecot."""
import imaplib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness
import pytest

OLD = "ann"  # at the other server, whose password does not matter
BOXES = {"INBOX": 12, "Sent": 5, "Lists/C programs": 4, "&AOQ-pfel": 3}


def run(*args, **kw):
    p = subprocess.run([str(a) for a in args], capture_output=True, timeout=300, **kw)
    assert p.returncode == 0, f"{args[0]}: {p.stdout.decode(errors='replace')} {p.stderr.decode(errors='replace')}"
    return p


def fill(m):
    for box, count in BOXES.items():
        if box != "INBOX":
            assert m.create(f'"{box}"')[0] == "OK" and m.subscribe(f'"{box}"')[0] == "OK"
        for n in range(count):
            text = harness.mail(subject=f"{box} {n}", body=f"Text {n}.\n" * (n + 1))
            flags = (r"\Seen", r"\Seen \Answered", "", r"\Flagged $Label1")[n % 4]
            assert m.append(f'"{box}"', f"({flags})", f'"{n + 1:2}-Feb-200{n % 10} 03:04:05 +0100"', text)[0] == "OK"


def state(m):
    """What each mailbox holds: UIDNEXT, which grows with everything that is copied, and flags and dates in order."""
    found = {}
    for box in BOXES:
        uidnext = re.search(rb"UIDNEXT (\d+)", m.status(f'"{box}"', "(UIDNEXT)")[1][0]).group(1)
        kind, count = m.select(f'"{box}"', readonly=True)
        assert kind == "OK", (box, count)
        rows = []
        for line in m.fetch("1:*", "(FLAGS INTERNALDATE)")[1] if int(count[0]) else []:
            flags = set(imaplib.ParseFlags(line)) - {rb"\Recent"}
            rows.append((imaplib.Internaldate2tuple(line), flags))
        found[box] = (uidnext, sorted(rows, key=lambda r: r[0]))
    return found


def the_same(old, new, keywords=True):
    for box in BOXES:
        drop = set() if keywords else {b"$Label1"}
        want = [(d, f - drop) for d, f in old[box][1]]
        assert new[box][1] == want, box


class Old:
    """The other server, on loopback."""

    def __init__(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="letterlock-old-"))
        self.place.chmod(0o755)
        self.port = harness.free_base() + 143
        self.conf = self.place / "dovecot.conf"
        self.conf.write_text(f"""
base_dir = {self.place}/run
state_dir = {self.place}/state
log_path = {self.place}/log
protocols = imap
listen = 127.0.0.1
ssl = no
mail_location = maildir:{self.place}/mail/%u
first_valid_uid = 1
first_valid_gid = 1
auth_mechanisms = plain
disable_plaintext_auth = no
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={self.place}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
""")
        (self.place / "mail").mkdir()
        shutil.chown(self.place / "mail", "nobody", "nogroup")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.conf], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError((self.place / "log").read_text())

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.place, ignore_errors=True)


@pytest.fixture(scope="module")
def old():
    harness.need("dovecot", "root")
    server = Old()
    m = imaplib.IMAP4("127.0.0.1", server.port)
    m.login(OLD, "x")
    fill(m)
    server.state = state(m)
    m.logout()
    yield server
    server.close()


@pytest.fixture
def new(server, request):
    """An account that nobody has mailed to."""
    name = "mover" + re.sub(r"\W", "", request.node.name)
    server.add_account(name)
    return f"{name}@{harness.DOMAIN}"


def read(server, address):
    m = server.imap(address)
    try:
        return state(m)
    finally:
        m.logout()


@pytest.mark.needs("mbsync")
def test_mbsync(old, server, new, tmp_path):
    rc = tmp_path / "mbsyncrc"
    rc.write_text(f"""
IMAPStore old
Host 127.0.0.1
Port {old.port}
User {OLD}
Pass x
SSLType None

IMAPStore new
Host localhost
Port {server.port('imaps')}
User {new}
Pass {server.passwords[new]}
SSLType IMAPS
CertificateFile {server.dir}/tls/chain.pem

Channel move
Far :old:
Near :new:
Patterns *
Create Both
Sync Pull
CopyArrivalDate yes
SyncState {tmp_path}/
""")
    run("mbsync", "-c", rc, "-a")
    first = read(server, new)
    the_same(old.state, first, keywords=False)
    run("mbsync", "-c", rc, "-a")
    assert read(server, new) == first


@pytest.mark.needs("doveadm")
def test_doveadm_brings_in_once_and_fetches_back(old, server, new):
    """It cannot synchronise into another server; what it imports, it imports again. Out of one it synchronises."""
    chain = shutil.copy(server.dir / "tls/chain.pem", old.place)  # where the old server's users may read it
    options = [x for k, v in {
        "imapc_host": "localhost", "imapc_port": server.port("imaps"), "imapc_user": new,
        "imapc_password": server.passwords[new], "imapc_ssl": "imaps", "ssl_client_ca_file": chain,
        "imapc_features": "rfc822.size fetch-headers"}.items() for x in ("-o", f"{k}={v}")]
    into = ["-o", "mail_location=imapc:~/moving:INDEX=MEMORY"]
    run("doveadm", "-c", old.conf, *options, *into, "import", "-s", "-u", OLD,
        f"maildir:{old.place}/mail/{OLD}", "", "ALL")
    the_same(old.state, read(server, new))
    back = ["doveadm", "-c", old.conf, *options, "backup", "-R", "-u", "back", "imapc:~/moving"]
    for _ in range(2):
        run(*back)
        m = imaplib.IMAP4("127.0.0.1", old.port)
        m.login("back", "x")
        there = state(m)
        m.logout()
        assert there == read(server, new)


@pytest.mark.needs("offlineimap")
def test_offlineimap(old, server, new, tmp_path):
    rc = tmp_path / "offlineimaprc"
    rc.write_text(f"""
[general]
accounts = move
metadata = {tmp_path}/meta
[Account move]
localrepository = new
remoterepository = old
[Repository new]
type = IMAP
remotehost = localhost
remoteport = {server.port('imaps')}
remoteuser = {new}
remotepass = {server.passwords[new]}
ssl = yes
sslcacertfile = {server.dir}/tls/chain.pem
[Repository old]
type = IMAP
remotehost = 127.0.0.1
remoteport = {old.port}
remoteuser = {OLD}
remotepass = x
ssl = no
starttls = no
readonly = True
""")
    run("offlineimap", "-c", rc, "-o", "-u", "quiet", env=dict(os.environ, HOME=str(tmp_path)))
    first = read(server, new)
    the_same(old.state, first, keywords=False)
    run("offlineimap", "-c", rc, "-o", "-u", "quiet", env=dict(os.environ, HOME=str(tmp_path)))
    assert read(server, new) == first


def files_of(lists, n):
    return [p for d in ("cur", "new") for p in (lists / f"number {n}" / d).iterdir()]


def flags_of(m, n):
    m.select(f'"Lists/0/number {n}"', readonly=True)
    return [re.search(rb"FLAGS \(([^)]*)\)", line).group(1) for line in m.uid("FETCH", "1:*", "(FLAGS)")[1] if line]


def change_both_sides(m, lists):
    """Flagged near in 0 and far in 4, deleted far in 8 and near in 12."""
    for n, flags in ((0, "FS"), (12, "ST")):
        file, = files_of(lists, n)
        file.rename(lists / f"number {n}/cur" / f"{file.name.split(':')[0]}:2,{flags}")
    for n, flag in ((4, r"\Flagged"), (8, r"\Deleted")):
        m.select(f'"Lists/0/number {n}"')
        m.store("1", "+FLAGS", flag)
        m.close()


@pytest.mark.needs("mbsync")
def test_mbsync_of_many_mailboxes_both_ways(server, new, tmp_path):
    (tmp_path / "Mail").mkdir()
    rc = tmp_path / "mbsyncrc"
    rc.write_text(f"""
IMAPStore far
Host localhost
Port {server.port('imaps')}
User {new}
Pass {server.passwords[new]}
SSLType IMAPS
CertificateFile {server.dir}/tls/chain.pem

MaildirStore near
Path {tmp_path}/Mail/
Inbox {tmp_path}/Mail/INBOX
SubFolders Verbatim

Channel both
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
CopyArrivalDate yes
SyncState *
""")
    m = server.imap(new)
    text = harness.mail("one of many")
    for n in range(400):
        box = f"Lists/{n // 20}/number {n}"
        assert m.create(f'"{box}"')[0] == "OK"
        if n % 4 == 0:
            assert m.append(f'"{box}"', r"(\Seen)", None, text)[0] == "OK"

    def there():
        lines = m.list('""', '"*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))')[1]
        files = sorted(str(p) for p in (tmp_path / "Mail").rglob("*") if p.parent.name in ("new", "cur"))
        return lines, m.response("STATUS")[1], files
    run("mbsync", "-c", rc, "both")
    assert len(there()[2]) == 100
    kept = tmp_path / "Mail/Lists/3/number 61/new/1.host"
    kept.write_bytes(harness.mail("from the other side").replace(b"\r\n", b"\n"))
    change_both_sides(m, tmp_path / "Mail/Lists/0")
    run("mbsync", "-c", rc, "both")
    first = there()
    assert len(first[2]) == 99 and len(first[1]) > 400
    assert [flags_of(m, n) for n in (0, 4, 8, 12)] == [[rb"\Seen \Flagged"], [rb"\Seen \Flagged"], [], []]
    assert [p.name.split(":")[1] for p in files_of(tmp_path / "Mail/Lists/0", 4)] == ["2,FS"]
    assert files_of(tmp_path / "Mail/Lists/0", 8) == files_of(tmp_path / "Mail/Lists/0", 12) == []
    run("mbsync", "-c", rc, "both")
    assert there() == first
    m.logout()
