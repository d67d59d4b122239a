"""Every item of the configuration, changed while the server serves: what says that it takes effect at once is seen to,
and what does not is named in the answer to the reload."""
import contextlib
import imaplib
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import time

import harness
import pytest
from key_tools import Ring, write
from reload_tools import (ALICE, DOMAIN, MB, begin, code, counter, ehlo, ends_in_time, long_mail, seconds_of_errors,
                          seconds_of_messages, submission_auth, submission_ehlo)
from talk import Talk, greeted


@pytest.fixture(scope="module")
def live():
    with harness.Instance() as i:
        i.init(ingest_instances=1, access_instances=1, relay_instances=1, message_max="1 MB")
        i.add_account("alice")
        yield i.serve()


@contextlib.contextmanager
def reloaded(i, **settings):
    """With these settings, taken over by a reload. Gives what it answered."""
    path = i.dir / "letterlock.conf"
    before = path.read_text()
    i.configure(**settings)
    try:
        said = i.run("reload").stderr.decode()
        assert ("at the next start" in said) == any(name in AT_START for name in settings), said
        yield said
    finally:
        path.write_text(before)
        i.run("reload")


# At once, item by item. Each is called with the server and asserts what the item is for.


def message_max(i):
    """All who look at it take it over: ingest, access and the vault."""
    big, m = long_mail(3 * MB), i.imap(ALICE)
    assert code(i, big) == [552] and m.append("INBOX", "", "", big)[0] == "NO"
    with reloaded(i, message_max="4 MB"):
        assert ehlo(i)["size"] == str(4 * MB)
        assert code(i, big) == [250] and m.append("INBOX", "", "", big)[0] == "OK"
    assert code(i, big) == [552] and m.append("INBOX", "", "", big)[0] == "NO"
    m.logout()


def recipients_max(i):
    def codes():
        with i.smtp() as s:
            s.ehlo(), s.mail("a@example.org")
            return [s.rcpt(f"{name}@{DOMAIN}")[0] for name in ("alice", "Alice", "aLice")]

    assert codes() == [250] * 3
    with reloaded(i, recipients_max=2):
        assert codes() == [250, 250, 452]


def text_line_max(i):
    line = harness.mail("line", "y" * 2000 + "\n")
    assert code(i, line) == [250]
    with reloaded(i, text_line_max=998):
        assert code(i, line)[0] >= 500


def smtp_sessions(i):
    with reloaded(i, smtp_sessions=2):
        held = [greeted(i) for _ in range(2)]
        waiting = Talk(i)
        assert [g[:4] for _, g in held] == [b"220 "] * 2 and waiting.hear(1) == b""
        held[0][0].s.close()
        assert waiting.hear().startswith(b"220 ")
        waiting.s.close(), held[1][0].s.close()


def smtp_sessions_peer(i):
    with reloaded(i, smtp_sessions_peer=1):
        first, words = greeted(i)
        with first, Talk(i) as second, Talk(i, host=2) as other:
            assert words.startswith(b"220 ") and second.hear().startswith(b"421 4.7.0")
            assert other.hear().startswith(b"220 ")


def smtp_errors(i):
    def until_the_end():
        t, _ = greeted(i)
        with t:
            return next((n for n in range(1, 40) if b"421 " in t.ask("NONSENSE")), 40)

    usual = until_the_end()
    with reloaded(i, smtp_errors=3):
        assert until_the_end() < 6 < usual < 40


def smtp_sessions_account(i):
    with reloaded(i, smtp_sessions_account=1):
        first = i.submission(ALICE)
        with pytest.raises(smtplib.SMTPAuthenticationError, match="Too many sessions"):
            i.submission(ALICE)
        first.quit()
        i.submission(ALICE).quit()


def send_messages_burst(i):
    with reloaded(i, send_messages_burst=3, send_messages_minute=30):
        assert seconds_of_messages(i) < 1.5
    with reloaded(i, send_messages_burst=1, send_messages_minute=30):
        assert seconds_of_messages(i) > 3.5


def send_messages_minute(i):
    with reloaded(i, send_messages_burst=1, send_messages_minute=60):
        assert seconds_of_messages(i) > 1.5
    assert seconds_of_messages(i) < 1.5


def smtp_errors_peer(i):
    assert seconds_of_errors(i, 31) < 1.5
    with reloaded(i, smtp_errors_peer=2):
        assert seconds_of_errors(i, 32) > 1.9


def smtp_errors_minute(i):
    with reloaded(i, smtp_errors_peer=1, smtp_errors_minute=240):
        assert 0.4 < seconds_of_errors(i, 33) < 1.5


def smtp_command_timeout(i):
    with reloaded(i, smtp_command_timeout=1):
        t, _ = greeted(i)
        with t:
            ends_in_time(t, b"421 4.4.2")


def smtp_data_timeout(i):
    with reloaded(i, smtp_data_timeout=1):
        t, _ = greeted(i)
        with t:
            begin(t)
            ends_in_time(t, b"421 4.4.2")


def smtp_session_timeout(i):
    with reloaded(i, smtp_session_timeout=1):
        t, _ = greeted(i)
        with t:
            ends_in_time(t, b"421 4.4.2")


def fill(i, hosts, octets=700000):
    """One sender holds so much in the middle of a message, then another wants as much: what that one is answered, and
    what the first is told."""
    with greeted(i, host=hosts[0])[0] as first, greeted(i, host=hosts[1])[0] as second:
        begin(first)
        first.s.sendall((b"x" * 70 + b"\r\n") * (octets // 72))
        end = time.monotonic() + 120
        while counter(i, "plaintext_bytes_now") < octets - 70000 and time.monotonic() < end:
            time.sleep(0.05)
        begin(second)
        second.s.sendall((b"x" * 70 + b"\r\n") * (octets // 72) + b".\r\n")
        return second.hear(120)[:9], first.hear(0.5)[:9]


def plaintext_budget(i):
    with reloaded(i, plaintext_budget="1 MB", plaintext_budget_peer="1 MB"):
        assert fill(i, (1, 2)) == (b"250 2.0.0", b"421 4.3.1")  # who brings nothing more makes room
    with reloaded(i, plaintext_budget="8 MB", plaintext_budget_peer="1 MB"):
        assert fill(i, (1, 2)) == (b"250 2.0.0", b"")


def plaintext_budget_peer(i):
    with reloaded(i, plaintext_budget_peer="1 MB"):
        assert fill(i, (1, 1)) == (b"452 4.3.1", b"")
    with reloaded(i, plaintext_budget_peer="4 MB"):
        assert fill(i, (1, 1)) == (b"250 2.0.0", b"")


def xclient_hosts(i):
    assert "xclient" not in ehlo(i)
    with reloaded(i, xclient_hosts="192.0.2.1, 127.0.0.1"):
        assert "xclient" in ehlo(i)


def imap_sessions(i):
    with reloaded(i, imap_sessions=1):
        first, words = greeted(i, "imap")
        second = Talk(i, "imap")
        assert words.startswith(b"* OK ") and second.hear(1) == b""
        first.s.close()
        assert second.hear().startswith(b"* OK ")
        second.s.close()


def imap_sessions_peer(i):
    with reloaded(i, imap_sessions_peer=1):
        first, words = greeted(i, "imap")
        with first, Talk(i, "imap") as second, Talk(i, "imap", host=2) as other:
            assert words.startswith(b"* OK ") and second.hear().startswith(b"* BYE [UNAVAILABLE]")
            assert other.hear().startswith(b"* OK ")


def imap_sessions_account(i):
    with reloaded(i, imap_sessions_account=1):
        first, second = i.imap(ALICE), None
        with pytest.raises(imaplib.IMAP4.error, match="LIMIT"):
            second = i.imap(ALICE)
        assert second is None
        first.logout()
        wait_for = time.monotonic() + 10
        while second is None:
            with contextlib.suppress(imaplib.IMAP4.error):
                second = i.imap(ALICE)
            assert time.monotonic() < wait_for
        second.logout()


def imap_login_timeout(i):
    with reloaded(i, imap_login_timeout=1):
        t, _ = greeted(i, "imap")
        with t:
            ends_in_time(t, b"* BYE ")


def imap_idle_timeout(i):
    with reloaded(i, imap_idle_timeout=1):
        t, _ = greeted(i, "imap")
        with t:
            assert b"t OK" in t.ask(f"t LOGIN {ALICE} {i.passwords[ALICE]}")
            start = time.monotonic()
            t.rest()
            assert time.monotonic() - start < 120
            assert t.s.recv(10) == b""


def imap_plain_auth_loopback(i):
    with reloaded(i, imap_plain_auth_loopback="no"):
        t, words = greeted(i, "imap")
        with t:
            assert b"LOGINDISABLED" in words
    t, words = greeted(i, "imap")
    with t:
        assert b"LOGINDISABLED" not in words


def submission_plain_auth_loopback(i):
    assert "auth" not in submission_ehlo(i)
    with reloaded(i, submission_plain_auth_loopback="yes"):
        assert "auth" in submission_ehlo(i)


def submission_scram_plus(i):
    assert "SCRAM-SHA-256-PLUS" not in submission_auth(i)
    with reloaded(i, submission_scram_plus="yes"):
        assert "SCRAM-SHA-256-PLUS" in submission_auth(i)


def hold_max(i):
    with reloaded(i, hold_max=60):
        assert submission_ehlo(i)["futurerelease"].startswith("60 ")
    with reloaded(i, hold_max=0):
        assert "futurerelease" not in submission_ehlo(i)


def served_certificate(i):
    with socket.create_connection(("127.0.0.1", i.port("imaps"))) as s:
        with ssl._create_unverified_context().wrap_socket(s) as t:
            return t.getpeercert(binary_form=True)


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def tls_chain(i):
    old, tls = served_certificate(i), i.dir / "tls"
    openssl("req", "-x509", "-new", "-key", tls / "key.pem", "-days", 2, "-subj", "/CN=again.example", "-out",
            tls / "again.pem")
    with reloaded(i, tls_chain="tls/again.pem"):
        assert served_certificate(i) == ssl.PEM_cert_to_DER_cert((tls / "again.pem").read_text())
    assert served_certificate(i) == old


def tls_key(i):
    old, tls = served_certificate(i), i.dir / "tls"
    chain = (tls / "chain.pem").read_text()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2, "-subj",
            "/CN=other.example", "-keyout", tls / "other.key", "-out", tls / "other.pem")
    os.chown(tls / "other.key", *[getattr(os.stat(tls / "key.pem"), a) for a in ("st_uid", "st_gid")])
    path = i.dir / "letterlock.conf"
    conf = path.read_text()
    try:
        (tls / "chain.pem").write_text((tls / "other.pem").read_text())
        i.configure(tls_key="tls/other.key")
        i.run("reload")
        assert served_certificate(i) == ssl.PEM_cert_to_DER_cert((tls / "other.pem").read_text())
    finally:
        (tls / "chain.pem").write_text(chain)
        path.write_text(conf)
        i.run("reload")
    assert served_certificate(i) == old


def log_level(i):
    def roles_word():
        m = i.imap(ALICE)
        m.create("There")
        m.create("There/is/one")
        assert m.delete("There")[0] == "NO"
        m.logout()
        time.sleep(0.3)  # its words go by master
        return i.log()

    before = len(i.log())
    assert "debug" not in roles_word()[before:]
    with reloaded(i, log_level="debug"):
        before = len(i.log())
        assert re.search(r" debug access\.\d ", roles_word()[before:], re.M)
    before = len(i.log())
    with reloaded(i, log_level="error"):
        assert "info master reloaded" not in i.log()[before:]


def debug_names(i):
    def refused():
        before = len(i.log())
        with i.smtp() as s:
            s.ehlo(), s.mail("a@example.org")
            assert s.rcpt(f"nobody-here@{DOMAIN}")[0] == 550
        time.sleep(0.3)
        return "nobody-here" in i.log()[before:]

    assert not refused()
    with reloaded(i, debug_names="yes"):
        assert refused()


def added(i, name, *options, ok=True, key=None):
    address = f"{name}@{DOMAIN}"
    cert = write(i.place / f"{name}.asc", key or i.keyring.generate(address))
    p = i.run("account", "add", address, "--key", cert, *options, check=ok)
    return p if not ok else i.run("account", "show", address).stdout.decode()


def quota_default(i):
    with reloaded(i, quota_default="7 MB"):
        assert "of 7340032 bytes" in added(i, "quota")


def queue_lifetime(i):
    """What it is for: tests/unit/ingest/test_submission_queue.c (`test_queued`)."""
    with reloaded(i, queue_lifetime="60"):
        assert i.run("status").returncode == 0


def queue_messages_max(i):
    """What the vault refuses by it: tests/unit/vault/test_vault_queue.c."""
    with reloaded(i, queue_messages_max="5"):
        assert i.run("status").returncode == 0


def dkim_publish_wait(i):
    """Each command reads it anew."""
    with reloaded(i, dkim_publish_wait="0"):
        assert b"retired" in i.run("dkim", "rotate", DOMAIN).stdout


def disk_reserve(i):
    def kept():
        return next(r["counters"]["disk-reserve-bytes"] for r in i.status()["roles"] if r["role"] == "vault")

    before = kept()
    with reloaded(i, disk_reserve="3 MB"):
        assert kept() == 3 * MB
    assert kept() == before


def account_entries_max(i):
    added(i, "entries")
    m = i.imap(i.app_password(f"entries@{DOMAIN}"))
    assert m.append("INBOX", "", None, b"Subject: a\r\n\r\nb\r\n")[0] == "OK"
    m.select("INBOX")
    with reloaded(i, account_entries_max="1"):
        assert "[OVERQUOTA]" in str(m.copy("1", "INBOX"))
    assert m.copy("1", "INBOX")[0] == "OK"
    m.logout()


def policy_default(i):
    with reloaded(i, policy_default="hidden"):
        assert "hidden" in added(i, "policy")


def publish_default(i):
    with reloaded(i, publish_default="no"):
        assert "publish  no" in added(i, "hidden")
    assert "publish  yes" in added(i, "seen")


def autocrypt_default(i):
    with reloaded(i, autocrypt_default="no"):
        assert "autocrypt no" in added(i, "silent")
    assert "autocrypt yes" in added(i, "open")


def rsa_bits_min(i):
    key = i.keyring.generate(f"rsa@{DOMAIN}", "rsa")
    with reloaded(i, rsa_bits_min=3072):
        p = added(i, "rsa", ok=False, key=key)
        assert p.returncode == 1 and b"rsa_bits_min" in p.stderr
    added(i, "rsa", key=key)


def refused_by(i, item):
    i.keyring.import_file(harness.ROOT / "tests" / "fault" / "elgamal.key")
    cert = write(i.place / "old.asc", i.keyring.export("A test"))
    with reloaded(i, **{item: "no"}):
        p = i.run("key", "add", ALICE, cert, check=False)
        assert p.returncode == 1 and item.encode() in p.stderr, p.stderr
    name = item.replace("_", "")
    i.add_account(name)
    i.run("key", "add", f"{name}@{DOMAIN}", cert)


def accept_dsa(i):
    refused_by(i, "accept_dsa")


def accept_elgamal(i):
    refused_by(i, "accept_elgamal")


def keep_wildcard_mail(i):
    inner = harness.mail("inner").replace(b"Subject: inner\r\n", b"")
    packets = i.keyring.gpg("--armor", "-R", ALICE, "--encrypt", data=inner).stdout
    mail = harness.crlf("From: a@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; "
                        "protocol=\"application/pgp-encrypted\"; boundary=\"b\"\n\n--b\nContent-Type: "
                        "application/pgp-encrypted\n\nVersion: 1\n\n--b\nContent-Type: application/octet-stream\n\n"
                        + packets.decode() + "\n--b--\n")
    before = counter(i, "arrived_wildcard")
    with reloaded(i, keep_wildcard_mail="no"):
        assert code(i, mail) == [250] and counter(i, "arrived_wildcard") == before
    # The gate of the vault has to take it as well.
    assert code(i, mail.replace(b"Subject: x", b"Subject: y")) == [250]
    assert counter(i, "arrived_wildcard") == before + 1


def key_notice_days(i):
    ring = Ring(f"/dev/shm/letterlock-keys-{os.getpid()}")
    with contextlib.closing(ring):
        fpr = ring.make(f"soon@{DOMAIN}", "60d")
        added(i, "soon", key=ring.export(fpr))
        address = i.app_password(f"soon@{DOMAIN}")
        assert i.status()["keys"] == [] and i.fetch_all(address) == {}
        with reloaded(i, key_notice_days=90):
            assert [k["state"] for k in i.status()["keys"]] == ["expires"]
            end = time.monotonic() + 10
            while not i.fetch_all(address) and time.monotonic() < end:
                time.sleep(0.1)
            assert len(i.fetch_all(address)) == 1
        i.run("account", "remove", address)


def begins_a_cache(i, **settings):
    """What is asked then: tests/script/test_names_asked.py."""
    before = counter(i, "caches", "resolver")
    with reloaded(i, smtp_errors=21):
        assert counter(i, "caches", "resolver") == before, "another item"
    with reloaded(i, **settings):
        assert counter(i, "caches", "resolver") == before + 1


def dns_server(i):
    begins_a_cache(i, dns_server="127.0.0.1@5353, ::1")


def dns_stub(i):
    begins_a_cache(i, dns_stub="test 127.0.0.1@5353, test ::1, example.org 192.0.2.1")


def to_relay(name, value):
    def case(i):  # what it does with it: tests/script/test_sending.py
        reads = counter(i, "queue_reads", "relay")
        with reloaded(i, **{name: value}):
            assert counter(i, "queue_reads", "relay") == reads + 1, "the queue is scheduled anew"
    case.__name__ = name
    return case


def elsewhere(name, value):  # what comes of these: test_mail_auth.py, test_http.py, test_fetch.py...
    def case(i):
        with reloaded(i, **{name: value}):
            pass
    case.__name__ = name
    return case


ELSEWHERE = [elsewhere(*item) for item in dict(
    web_sessions=7, web_sessions_peer=7, web_request_timeout=7, web_transfer_timeout=7, web_idle_timeout=7,
    web_lookups_peer=7, web_lookups_minute=7, web_signin="no", session_idle=60, session_life=60,
    certificate_uploads="no", certificate_uploads_other="yes",
    mta_sts_mode="enforce", mta_sts_mx="a.example, *.b.example", mta_sts_max_age=86401,
    fetch_timeout=2, discover_wait=3, discover_key_server="vks:keys.example",
    discover_unanswered="defer", doctor_peer="mx.example",
    blocklists="a.example, b.example", send_messages_day=5,
    send_recipients_day=5, send_new_recipients_day=5, send_domain_messages_day=5, complaints_day=5, tls_report="no",
    tls_report_contact="tls@letterlock.test", tls_report_interval=3600,
    auth_reject="no", auth_junk="no", auth_author_reject="yes", auth_spf_reject="yes", helo_reject="yes",
    auth_unavailable="defer", auth_exempt="192.0.2.0/24", arc_trusted="lists.example",
    dnsbl="zen.example, other.example=4", greylist="yes", greylist_wait=5, greylist_keep=3601,
    forward_plaintext="yes", blocklists_interval=5).items()]
RELAY = [to_relay(*item) for item in dict(
    queue_retry=10, queue_retry_max=100, queue_delay_notice=0, relay_connections=7, smarthost="x",
    relay_connections_destination=3, relay_connect_timeout=7, relay_timeout=9, relay_source="127.0.0.1,::1",
    smarthost_user="me", smarthost_password_file="/etc/hostname").items()]
AT_ONCE = {f.__name__: f for f in (
    message_max, recipients_max, text_line_max, smtp_sessions, smtp_sessions_peer, smtp_errors, smtp_errors_peer,
    smtp_sessions_account, send_messages_burst, send_messages_minute,
    smtp_errors_minute, smtp_command_timeout, smtp_data_timeout, smtp_session_timeout, plaintext_budget,
    plaintext_budget_peer, xclient_hosts, imap_sessions, imap_sessions_peer, imap_sessions_account, imap_login_timeout,
    imap_idle_timeout, imap_plain_auth_loopback, submission_plain_auth_loopback, submission_scram_plus,
    hold_max, queue_lifetime, tls_chain, tls_key, log_level, debug_names, quota_default, account_entries_max,
    queue_messages_max, dkim_publish_wait, disk_reserve, policy_default, publish_default, autocrypt_default,
    rsa_bits_min, accept_dsa, accept_elgamal,
    keep_wildcard_mail, key_notice_days, dns_server, dns_stub, *RELAY, *ELSEWHERE)}

AT_START = dict(domain="other.example", bind="127.0.0.9", port_base=1000, smtp="no", submissions="no", submission="no",
                imap="no", imaps="no", http="yes", https="yes", web_instances=3,
                store_key_file="other", dns_anchor_file="other", relay_port=26, map_size="2 TB",
                relay_tls_roots="other", fetch_allow="10.0.0.0/8", fetch_ca_file="other", allow_no_landlock="yes",
                role_uid_base=70000, ingest_instances=3, access_instances=3, relay_instances=3, reader_turn_ms=500)


def test_every_item_is_here_and_says_when_it_takes_effect(live):
    text = (live.dir / "letterlock.conf").read_text()
    said = {name: effect.split(";")[0] for effect, name in re.findall(r"^# Takes effect: (.*)\n(\w+) = ", text, re.M)}
    live_items = set(re.findall(r"^(\w+) = ", text, re.M))
    page = (harness.ROOT / "docs" / "man" / "letterlock.conf.5").read_text()
    words = dict(re.findall(r"^\.It Cm (\w+)\n(?:.*\n)*?Takes effect ([^.;]*)", page, re.M))
    assert set(words) == live_items and said.items() <= words.items()
    assert {n for n, w in words.items() if w == "at once"} == set(AT_ONCE)
    assert {n for n, w in words.items() if w == "at the next start"} == set(AT_START)


@pytest.mark.parametrize("item", AT_ONCE)
def test_at_once(live, item):
    """And nothing else changes: no process is started anew."""
    pids = {r["role"]: r["pid"] for r in live.status()["roles"]}
    AT_ONCE[item](live)
    assert {r["role"]: r["pid"] for r in live.status()["roles"]} == pids


@pytest.mark.parametrize("item", AT_START)
def test_at_the_next_start(live, item):
    with reloaded(live, **{item: AT_START[item]}) as said:
        assert re.search(rf"\b{item}: takes effect at the next start", said) and said.count("\n") == 1
        assert live.logged(f"{item}: takes effect at the next start")
        assert code(live, harness.mail("still served")) == [250]
        live.imap(ALICE, tls=True).logout()
    assert live.run("reload").stderr == b""


def test_several_at_the_next_start(live):
    with reloaded(live, domain="other.example", imaps="no", message_max="3 MB") as said:
        assert "domain, imaps: takes effect at the next start" in said
        assert ehlo(live)["size"] == str(3 * MB)


def test_a_role_that_starts_anew_is_like_its_siblings(live):
    """What takes effect at the next start is not taken by a role that died in between."""
    def back(role, old):
        end = time.monotonic() + 20
        while (not live.pids(role) or live.pids(role) == old) and time.monotonic() < end:
            time.sleep(0.1)
        assert live.pids(role) != old

    with reloaded(live, domain="other.example", reader_turn_ms=500, message_max="3 MB"):
        for role in ("ingest", "access", "vault"):
            old = live.pids(role)
            os.kill(old[0], signal.SIGKILL)
            back(role, old)
        t, words = greeted(live)
        with t:
            assert words.startswith(f"220 {DOMAIN} ".encode())
        assert ehlo(live)["size"] == str(3 * MB)
        assert code(live, harness.mail("still served")) == [250]
