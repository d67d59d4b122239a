"""Real clients from Debian's packages, by script: swaks and smtp-source send; neomutt (with its own decryption),
offlineimap3 and curl read."""
import os
import pathlib
import re
import subprocess

import harness
import pytest
from test_real_mail import mbsync


def run(*args, **kw):
    p = subprocess.run([str(a) for a in args], capture_output=True, timeout=300, **kw)
    assert p.returncode == 0, f"{args[0]}: {p.stdout.decode(errors='replace')} {p.stderr.decode(errors='replace')}"
    return p


@pytest.fixture(scope="module")
def clients(server):
    return server


@pytest.mark.needs("swaks")
def test_swaks_sends_with_starttls(clients):
    out = run(
        "swaks",
        "--server",
        f"127.0.0.1:{clients.port('smtp')}",
        "--tls",
        "--from",
        "swaks@example.org",
        "--to",
        f"alice@{harness.DOMAIN}",
        "--header",
        "Subject: from swaks",
        "--body",
        "swaks body",
    ).stdout.decode()
    assert "250 2.0.0" in out and "TLS started" in out
    clear = [clients.unseal(m) for m in clients.fetch_all(f"alice@{harness.DOMAIN}").values()]
    assert any(b"Subject: from swaks" in m and b"swaks body" in m for m in clear)


@pytest.mark.needs("smtp-source")
def test_smtp_source_sends_many(clients):
    before = len(clients.fetch_all(f"bob@{harness.DOMAIN}"))
    run(
        "/usr/sbin/smtp-source",
        "-s",
        "5",
        "-m",
        "50",
        "-l",
        "2000",
        "-f",
        "source@example.org",
        "-t",
        f"bob@{harness.DOMAIN}",
        f"127.0.0.1:{clients.port('smtp')}",
    )
    assert len(clients.fetch_all(f"bob@{harness.DOMAIN}")) == before + 50


def test_curl_reads_over_imaps(clients, tmp_path):
    clients.send(f"alice@{harness.DOMAIN}", harness.mail("for curl", "curl body\n"))
    out = run(
        "curl",
        "-sS",
        "--cacert",
        clients.dir / "tls/chain.pem",
        "--resolve",
        f"localhost:{clients.port('imaps')}:127.0.0.1",
        f"imaps://localhost:{clients.port('imaps')}/INBOX;MAILINDEX=*",
        "-u",
        f"alice@{harness.DOMAIN}:{clients.passwords['alice@' + harness.DOMAIN]}",
    ).stdout
    assert b"Subject: [...]" in out and b"curl body" not in out
    assert b"Subject: for curl" in clients.unseal(out)


@pytest.mark.needs("mbsync")
def test_mbsync_reads_and_writes_back(clients, tmp_path):
    address = f"alice@{harness.DOMAIN}"
    clients.send(address, harness.mail("for mbsync"))
    files = mbsync(clients, address, tmp_path / "m")
    assert any(b"Subject: for mbsync" in clients.unseal(p.read_bytes()) for p in files)
    # A flag set locally and a message appended locally go up.
    seen = files[0]
    seen.rename(seen.parent.parent / "cur" / (seen.name.split(":")[0] + ":2,FS"))
    own = tmp_path / "m/Mail/INBOX/cur/1700000000.1.host:2,S"
    own.write_bytes(b"From: alice@letterlock.test\nSubject: a draft from a client\n\ntext\n")
    run("mbsync", "-c", tmp_path / "m/mbsyncrc", "-a")
    m = clients.imap(address)
    m.select("INBOX")
    assert m.search(None, "FLAGGED")[1][0].split()
    clear = [clients.unseal(x) for x in clients.fetch_all(address).values()]
    assert any(b"Subject: a draft from a client" in x for x in clear)
    m.logout()


@pytest.mark.needs("offlineimap")
def test_offlineimap_reads(clients, tmp_path):
    address = f"bob@{harness.DOMAIN}"
    clients.send(address, harness.mail("for offlineimap"))
    rc = tmp_path / "offlineimaprc"
    rc.write_text(f"""
[general]
accounts = ll
metadata = {tmp_path}/meta
[Account ll]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/Mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {clients.port('imaps')}
remoteuser = {address}
remotepass = {clients.passwords[address]}
ssl = yes
sslcacertfile = {clients.dir}/tls/chain.pem
""")
    run("offlineimap", "-c", rc, "-o", "-u", "quiet", env=dict(os.environ, HOME=str(tmp_path)))
    files = [p for d in ("new", "cur") for p in (tmp_path / "Mail" / "INBOX" / d).iterdir()]
    assert any(b"Subject: for offlineimap" in clients.unseal(p.read_bytes()) for p in files)


@pytest.mark.needs("neomutt", "tmux")
def test_neomutt_decrypts_by_itself(clients, tmp_path):
    address = f"alice@{harness.DOMAIN}"
    clients.send(
        address,
        harness.mail(
            "subject that neomutt must show",
            "Body that neomutt must show.\n",
            extra="Content-Type: text/plain; charset=utf-8\nMIME-Version: 1.0\n",
        ),
    )
    rc = tmp_path / "muttrc"
    saved = tmp_path / "saved"
    rc.write_text(f"""
set folder="imaps://localhost:{clients.port('imaps')}/"
set spoolfile="imaps://localhost:{clients.port('imaps')}/INBOX"
set imap_user="{address}"
set imap_pass="{clients.passwords[address]}"
set certificate_file="{clients.dir}/tls/chain.pem"
set sort=mailbox-order
set ssl_verify_host=no
set crypt_use_gpgme=yes
set crypt_protected_headers_read=yes
set header_cache=""
set mbox_type=mbox
set confirmcreate=no
set confirmappend=no
set delete=no
set mark_old=no
set copy=no
set move=no
set quit=yes
set pipe_decode=yes
set wait_key=no
set sleep_time=0
set record=""
""")
    # Decrypts the last message and saves it as neomutt shows it.
    push = f"<last-entry><display-message><exit><pipe-message>cat > {saved}<enter><quit>"
    env = dict(os.environ, HOME=str(tmp_path), GNUPGHOME=str(clients.keyring.path), TERM="xterm", LANG="C.UTF-8")
    script = subprocess.run(
        ["script", "-qec", f"neomutt -n -F {rc} -e 'push \"{push}\"'", "/dev/null"],
        env=env,
        capture_output=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    text = saved.read_text(errors="replace") if saved.exists() else ""
    assert "Body that neomutt must show." in text, script.stdout.decode(errors="replace")[-3000:]
    assert b"subject that neomutt must show" in script.stdout, script.stdout[-3000:]
