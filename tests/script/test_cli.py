"""Every command, with the server running and without: what it does and its usual mistakes."""
import concurrent.futures
import contextlib
import hashlib
import hmac
import imaplib
import os
import pathlib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cli_tools import (ALICE, DOMAIN, any_instance, bare, certs, cold, fresh, harness, lines,  # noqa: E402,F401
                       live, make, refused, run, usage)
from store_format import USE, dump, hash16, store_key, value_at  # noqa: E402

COMMANDS = [tuple(c.split()) for c in (
    "init", "serve", "account add", "account list", "account show", "account set", "account remove",
    "account hold", "account release", "alias add",
    "alias list", "alias remove", "key add", "key list", "key show", "key messages", "key current",
    "key approve",
    "key retire", "key revoke", "key publish", "key log",
    "app-password add", "app-password list", "app-password revoke", "invite list", "invite revoke", "invite",
    "session list", "session end", "factor list", "factor remove", "domain add",
    "domain list", "domain remove", "domain dns", "domain report", "client-config",
    "dkim list", "dkim show", "dkim rotate", "store-key add",
    "store-key list", "store-key remove", "store-key new-queue", "queue list", "queue show", "queue retry",
    "queue flush", "queue hold", "queue release", "queue remove", "suppression list", "suppression add",
    "suppression remove", "correspondent list", "correspondent show", "correspondent accept",
    "correspondent forget", "acme run", "acme hook", "status", "doctor", "discover", "reload", "audit",
    "backup", "restore", "upgrade", "trace", "dmarc-report", "tls-report", "unseal")]


# Words and options


def test_the_commands_are_these(cold):
    p = run(cold, "--help")
    assert p.returncode == 0 and p.stderr == b""
    found = re.findall(r"^  ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?(?= |$)", p.stdout.decode(), re.M)
    assert [tuple(w for w in c if w) for c in found] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_and_wrong_usage(cold, command):
    for word in ("--help", "-h"):
        p = run(cold, *command, word, env={"LETTERLOCK_DIR": ""})
        assert p.returncode == 0 and p.stderr == b""
        assert p.stdout.decode().startswith("usage: letterlock " + " ".join(command))
    usage(cold, *command, "--no-such-option")
    usage(cold, *command, *"abcdefghi")
    if command != ("serve",):
        assert "no such option" in usage(cold, *command, *({"init": ("--json",)}.get(command[0], ("--loopback", "1"))))
    synopsis = re.split(r"\(|\[|--", run(cold, *command, "--help").stdout.decode().split("\n")[0])[0]
    p = run(cold, *command, *["x"] * len(re.findall(r" [A-Z]+", synopsis)), env={"LETTERLOCK_DIR": ""})
    if command not in (("unseal",), ("tls-report",), ("dmarc-report",)):
        assert p.returncode == 2 and b"--dir" in p.stderr, p.stderr


def test_families_and_unknown_words(cold):
    commands = {c[0] for c in COMMANDS if len(c) == 1}  # `invite` is one, besides its family
    for family in sorted({c[0] for c in COMMANDS if len(c) == 2} - commands):
        text = usage(cold, family)
        assert text == usage(cold, family, "nonsense")
        p = run(cold, family, "--help")
        assert p.returncode == 0 and p.stdout.decode() == text and p.stderr == b""
        assert len(text.splitlines()) == len([c for c in COMMANDS if c[0] == family])
    assert "nonsense" in usage(cold, "nonsense")
    usage(cold)
    assert run(cold, "--version").stdout.startswith(b"letterlock ")


def test_wrong_usage_that_options_make(cold, certs):
    for args in (["account", "add", "x@" + DOMAIN], ["account", "set", ALICE], ["app-password", "add", ALICE],
                 ["account", "add", "x@" + DOMAIN, "--key", "a", "--new-key", "b"], ["store-key", "add"], ["init"],
                 ["account", "add", "x@" + DOMAIN, "--key", certs[0] / "one", "--passphrase-file", "/dev/null"],
                 ["store-key", "add", "--store-key-file", "a", "--passphrase-file", "b"],
                 ["init", "--domain", "a.example", "--store-key-file", "a", "--passphrase-file", "b"]):
        assert usage(cold, *args).count("\n") == 1


def test_a_line_stays_a_line(cold):
    refused(cold, "account", "show", "no\nsuch\x1b[31m@address", says="no?such?[31m")


def test_what_cannot_be_printed_is_not_done(cold):
    for args in (["status"], ["account", "list"], ["domain", "list"]):
        with open("/dev/full", "wb") as full:
            p = subprocess.run([cold.binary, *args], env=cold.env, stdout=full, stderr=subprocess.PIPE)
        assert p.returncode == 1 and b"cannot write to stdout" in p.stderr


def test_no_instance(cold, tmp_path):
    for args in (["status"], ["account", "list"], ["backup", tmp_path / "b"], ["domain", "dns", "a.example"]):
        refused(cold, *args, "--dir", tmp_path / "nothing", says=["letterlock.conf is not there", "init"])
    assert not (tmp_path / "b").exists()
    refused(cold, "status", "--dir", "/" + "x" * 500, says="DIR")
    refused(cold, "reload", says=["no server runs", "serve"])
    refused(cold, "audit", "--dir", tmp_path, says=["letterlock.conf is not there", "letterlock init"])
    refused(cold, "store-key", "list", "--dir", tmp_path, says="store.key is not there")
    refused(cold, "store-key", "remove", "1", "--dir", tmp_path, says="store.key is not there")


# Accounts


def test_account(any_instance, certs, tmp_path):
    i = any_instance
    one, a = certs[0] / "one", f"Carol@{DOMAIN.upper()}"
    carol = f"carol@{DOMAIN}"
    out = i.run("account", "add", a, "--key", one, "--policy", "hidden", "--quota", "5M").stdout.decode()
    assert out == f"{carol}  key {certs[1].fingerprint('one@example.net')}\n"
    assert [x.split()[0] for x in lines(i, "account", "list")] == [ALICE, carol]
    text = i.run("account", "show", carol).stdout.decode()
    empty = 6 * (1024 + 640)  # six mailboxes, subscribed: docs/store-format.md, "Usage"
    assert "hidden" in text and f" {empty} of 5242880 bytes" in text
    assert text.count("mailbox") == 6 and "current" in text
    i.run("account", "set", carol, "--policy", "baseline", "--quota", "0")
    text = i.run("account", "show", carol).stdout.decode()
    assert "baseline" in text and f"none ({empty} bytes used)" in text
    refused(i, "account", "add", carol, "--key", one, says="taken")
    refused(i, "account", "add", "x@elsewhere.example", "--key", one, says="domain")
    refused(i, "account", "add", "no address", "--key", one, says="not a mail address")
    refused(i, "account", "add", "x@" + DOMAIN, "--key", tmp_path / "none", says="is not there")
    refused(i, "account", "add", "x@" + DOMAIN, "--key", "/etc/hostname", says="/etc/hostname")
    refused(i, "account", "add", "x@" + DOMAIN, "--key", tmp_path, says=str(tmp_path))
    assert "loud: shy" in usage(i, "account", "add", "x@" + DOMAIN, "--key", one, "--policy", "loud")
    assert "loud: shy" in usage(i, "account", "set", carol, "--policy", "loud")
    for quota in ("K", "-1", "", "5X", "17592186044416T", "99999999999999999999999", "1025T", "5MM", " 5", "5 "):
        assert "--quota takes" in usage(i, "account", "set", carol, "--quota", quota)
    refused(i, "account", "show", "nobody@" + DOMAIN, says=["nobody@", "account list"])
    refused(i, "account", "remove", "nobody@" + DOMAIN, says="nobody@")
    i.run("account", "remove", carol)
    assert [x.split()[0] for x in lines(i, "account", "list")] == [ALICE]
    refused(i, "account", "show", carol, says=carol)


def test_account_with_a_pair_for_trials(any_instance, tmp_path):
    i, dora, secret = any_instance, f"dora@{DOMAIN}", tmp_path / "secret.asc"
    homes = set(os.listdir("/dev/shm"))
    refused(i, "account", "add", dora, "--new-key", secret, says=["no terminal", "--passphrase-file"])
    (tmp_path / "words").write_text("open sesame\nnot this\n")
    out = i.run("account", "add", dora, "--new-key", secret, "--passphrase-file", tmp_path / "words").stdout.decode()
    assert "for trials" in out and secret.stat().st_mode & 0o777 == 0o600
    assert "for trials" in i.run("account", "show", dora).stdout.decode()
    refused(i, "account", "add", "eve@" + DOMAIN, "--new-key", secret, "--passphrase-file", "/dev/null", says="exists")
    before = secret.read_bytes()
    ring = harness.Keyring(tmp_path / "ring")
    try:
        ring.gpg("--passphrase", "open sesame", "--pinentry-mode", "loopback", "--import", str(secret))
        cert = tmp_path / "dora.asc"
        cert.write_bytes(ring.export(dora))
        sealed = ring.gpg("--encrypt", "-r", dora, data=b"text").stdout
        args = ["--pinentry-mode", "loopback", "--decrypt"]
        assert ring.gpg("--passphrase", "wrong", *args, data=sealed, check=False).returncode
        subprocess.run(["gpgconf", "--homedir", str(ring.path), "--reload", "gpg-agent"], check=True)
        assert ring.gpg("--passphrase", "open sesame", *args, data=sealed).stdout == b"text"
    finally:
        ring.close()
    # What is refused leaves no secret key behind
    refused(i, "account", "add", dora, "--new-key", tmp_path / "again", "--passphrase-file", "/dev/null", says="taken")
    refused(i, "account", "add", "x@y.example", "--new-key", tmp_path / "again", "--passphrase-file", "/dev/null",
            says="domain add")
    assert not (tmp_path / "again").exists() and secret.read_bytes() == before
    i.run("account", "remove", dora)
    assert not {p for p in os.listdir("/dev/shm") if p.startswith("letterlock-new-")} - homes


def test_alias_and_domain(any_instance):
    i = any_instance
    refused(i, "alias", "add", "sales@shop.example", ALICE, says="domain")
    i.run("domain", "add", "Shop.Example")
    i.run("domain", "add", "bücher.example")
    assert lines(i, "domain", "list") == [DOMAIN, "shop.example", "xn--bcher-kva.example"]
    refused(i, "domain", "add", "shop.example", says="there already")
    for bad in ("", "a..b", "[127.0.0.1]", "-", "a b"):
        refused(i, "domain", "add", bad, says="not a domain")
        refused(i, "domain", "dns", bad, says="not a domain")
        refused(i, "dkim", "rotate", bad, says="not a domain")
    refused(i, "domain", "add", "my_shop.example", says="not a domain")  # no host has such a name
    i.run("alias", "add", "Sales@shop.example", ALICE)
    i.run("alias", "add", "@BÜCHER.example", ALICE)
    assert [x.split() for x in lines(i, "alias", "list")] == [
        ["@xn--bcher-kva.example", ALICE],
        ["sales@shop.example", ALICE],
    ]
    assert "catches  @xn--bcher-kva.example" in i.run("account", "show", ALICE).stdout.decode()
    refused(i, "alias", "add", "sales@shop.example", ALICE, says="taken")
    refused(i, "alias", "add", "other@shop.example", "nobody@" + DOMAIN, says="nobody@")
    refused(i, "alias", "add", "@nothing.example", ALICE, says="domain")
    refused(i, "alias", "add", "@", ALICE, says="not a domain")
    refused(i, "alias", "add", "nonsense", ALICE, says="not a mail address")
    refused(i, "alias", "remove", ALICE, says="remove the account")
    refused(i, "alias", "remove", "none@shop.example", says="no such address")
    refused(i, "domain", "remove", "shop.example", says="addresses in it")
    refused(i, "domain", "remove", "xn--bcher-kva.example", says="addresses in it")
    refused(i, "domain", "remove", "none.example", says="no such domain")
    dns = i.run("domain", "dns", "Shop.example").stdout.decode()
    assert f"shop.example.  IN MX 10 {DOMAIN}." in dns and "_imaps._tcp.shop.example." in dns
    i.run("alias", "remove", "sales@SHOP.example")
    i.run("alias", "remove", "@bücher.example")
    i.run("domain", "remove", "shop.example")
    i.run("domain", "remove", "bücher.example")
    assert lines(i, "alias", "list") == [] and lines(i, "domain", "list") == [DOMAIN]


def test_app_password(any_instance, tmp_path):
    i = any_instance
    made = i.run("app-password", "add", ALICE, "--label", "häuschen two", "--scope", "imap").stdout.decode()
    assert re.fullmatch(r"[a-z2-7]{26}\n", made)
    rows = lines(i, "app-password", "list", ALICE)
    number = rows[-1].split()[0]
    assert len(rows) == 2 and "häuschen two" in rows[-1] and rows[-1].split()[3] == "imap"
    assert "imap,pop3,smtp" in rows[0] and made.strip() not in "".join(rows)
    assert "imap, pop3, smtp and jmap" in usage(i, "app-password", "add", ALICE, "--label", "x", "--scope", "imap,web")
    assert "--scope is empty" in usage(i, "app-password", "add", ALICE, "--label", "x", "--scope", "")
    refused(i, "app-password", "add", ALICE, "--label", "x" * 128, says="too long")
    refused(i, "app-password", "add", ALICE, "--label", "a\nb", says="control character")
    refused(i, "app-password", "add", ALICE, "--label", "a\x9b2Jb", says="control character")  # CSI as one character
    refused(i, "app-password", "add", ALICE, "--label", "a\udce4", says="not UTF-8")  # an octet alone
    refused(i, "app-password", "add", "nobody@" + DOMAIN, "--label", "x", says="nobody@")
    for bad in ("0", "x", "99999999999"):
        refused(i, "app-password", "revoke", ALICE, bad, says="app-password list")
    refused(i, "app-password", "revoke", ALICE, "77", says="no such app password")
    i.run("app-password", "revoke", ALICE, number)
    refused(i, "app-password", "revoke", ALICE, number, says="no such app password")
    # A number is never another password's: a list that is an hour old revokes nothing else
    i.run("app-password", "add", ALICE, "--label", "third")
    assert int(lines(i, "app-password", "list", ALICE)[-1].split()[0]) > int(number)
    i.run("app-password", "revoke", ALICE, lines(i, "app-password", "list", ALICE)[-1].split()[0])
    assert len(lines(i, "app-password", "list", ALICE)) == 1


def test_scram_keys_are_of_the_password_as_printed(cold, tmp_path):
    """RFC 5802 section 3: a client computes with what it was given, byte for byte."""
    password = cold.passwords[ALICE].encode()
    kv = dump(cold.dir / "store" / "data.mdb", "kv", tmp_path)
    key = store_key(cold)
    place = bytes(8) + b"a" + hash16(key, USE["ADDRESS"], 0, ALICE.encode())
    account = value_at(key, kv, place)[:8]
    record = value_at(key, kv, account + b"A")
    stored = [value_at(key, kv, k) for k in kv if k[:9] == account + b"P"]
    assert len(stored) == 1
    found = False
    for at in range(len(record) - 20):  # wherever salt and iterations stand
        if int.from_bytes(record[at + 16:at + 20], "big") == 4096:
            salted = hashlib.pbkdf2_hmac("sha256", password, record[at:at + 16], 4096)
            client = hmac.digest(salted, b"Client Key", "sha256")
            found |= (
                hashlib.sha256(client).digest() in stored[0]
                and hmac.digest(salted, b"Server Key", "sha256") in stored[0]
            )
    assert found


def login(i, password, address=ALICE):
    m = imaplib.IMAP4("127.0.0.1", i.port("imap"), timeout=30)
    try:
        m.login(address, password)
        return True
    except imaplib.IMAP4.error:
        return False
    finally:
        m.shutdown()


def test_logins_by_app_password(live):
    made = {s: live.run("app-password", "add", ALICE, "--label", s, "--scope", s).stdout.decode().strip()
            for s in ("imap", "smtp")}
    good = made["imap"]
    assert (
        login(live, good)
        and login(live, "-".join(re.findall(".{1,5}", good)).upper())
        and login(live, f" {good[:7]} {good[7:]}")
    )
    assert not login(live, made["smtp"])
    for row in lines(live, "app-password", "list", ALICE):
        if "test" not in row.split():
            live.run("app-password", "revoke", ALICE, row.split()[0])
    assert not login(live, good) and login(live, live.passwords[ALICE])


def accepted(i, address):
    with i.smtp() as s:
        s.ehlo()
        s.mail("x@example.org")
        return s.rcpt(address)[0]


def test_addresses_through_smtp(live, certs):
    bob = f"bob@{DOMAIN}"
    live.run("account", "add", bob, "--key", certs[0] / "one")
    live.app_password(bob)
    live.run("domain", "add", "all.example")
    live.run("alias", "add", "robert@" + DOMAIN, bob)
    live.run("alias", "add", "@all.example", bob)
    for to in (bob, f"BOB+list@{DOMAIN}", f"robert@{DOMAIN}", f"robert+x+y@{DOMAIN}", "anyone@all.example"):
        assert live.send(to, harness.mail()) == {}
    assert len(live.fetch_all(bob)) == 5
    assert accepted(live, f"roberta@{DOMAIN}") == 550
    assert accepted(live, "x@elsewhere.example") in (550, 551, 554)
    live.run("alias", "remove", "@all.example")
    live.run("alias", "remove", "robert@" + DOMAIN)
    assert accepted(live, "anyone@all.example") == 550 and accepted(live, f"robert@{DOMAIN}") == 550
    # Removed with its mail: nothing is left, and the address is free
    live.run("account", "remove", bob)
    assert accepted(live, bob) == 550 and not login(live, live.passwords[bob], bob)
    assert live.run("audit").stdout.decode().splitlines()[-1].startswith("1 accounts, ")
    assert live.status()["messages"] == sum(1 for _ in live.fetch_all(ALICE))
    live.run("account", "add", bob, "--key", certs[0] / "two")
    live.app_password(bob)
    assert live.fetch_all(bob) == {}
    live.run("account", "remove", bob)
    live.run("domain", "remove", "all.example")


def test_debug_names(live):
    """The log names people while, and only while, the operator says so."""
    def send():
        start = len(live.log())
        live.send(ALICE, harness.mail(subject="named"))
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            live.send(f"nobody.here@{DOMAIN}", harness.mail())
        return start
    try:
        live.configure(debug_names="yes")
        live.run("reload")
        assert live.run("status").stdout.decode().count("debug_names is set") == 1  # every role has read it by now
        live.logged(r" warn master debug_names is set: the log names people$", 0)
        start = send()
        live.logged(rf" info ingest\.\d named-mail recipients=0 id=\w+ peer=<127.0.0.1> "
                    rf"from=<sender@example.org> to=<{ALICE}>$", start)
        live.logged(rf" info ingest\.\d named-mail recipients=0 id=\w+ peer=<127.0.0.1> "
                    rf"from=<sender@example.org> to=<nobody.here@{DOMAIN}>$", start)
    finally:
        live.configure(debug_names="no")
        live.run("reload")
    assert "debug_names" not in live.run("status").stdout.decode()
    start = send()
    time.sleep(0.3)
    assert "@" not in live.log()[start:]


def test_new_mail_is_sealed_to_all_current_keys(live, certs):
    folder, ring = certs
    subkeys = {n: re.findall(r"^sub:.*?:([0-9A-F]{16}):[^\n]*:e:",
                             ring.gpg("--with-colons", "--list-keys", f"{n}@example.net")
                             .stdout.decode(), re.M)[0] for n in ("one", "two")}
    live.run("key", "add", ALICE, folder / "two")
    live.send(ALICE, harness.mail(subject="both"))
    live.run("key", "retire", ALICE, ring.fingerprint("two@example.net"))
    live.send(ALICE, harness.mail(subject="one"))
    messages = list(live.fetch_all(ALICE).values())[-2:]
    to = [set(re.findall(r"keyid ([0-9A-F]{16})", ring.gpg("--list-packets", data=harness.armor_of(m)).stdout.decode()))
          for m in messages]
    assert to == [set(subkeys.values()), {subkeys["one"]}]
    assert b"both" in live.run("unseal", data=ring.decrypt(harness.armor_of(messages[0]))).stdout
    assert live.run("audit").returncode == 0  # a retired key's mail is as good as before


# Status, reload, other users


def test_status(live, cold):
    status = live.status()
    roles = {r["role"] for r in status["roles"]}
    assert roles == {"vault", "ingest", "access", "gpg-judge",
                     "gpg-seal", "resolver", "relay", "fetcher"} and status["running"] and status["domain"] == DOMAIN
    for role in status["roles"]:
        os.kill(role["pid"], 0)
        assert role["restarts"] == 0 and isinstance(role["counters"], dict)
    vault = next(r for r in status["roles"] if r["role"] == "vault")["counters"]
    before = vault["delivered"]
    live.send(ALICE, harness.mail())
    after = next(r for r in live.status()["roles"] if r["role"] == "vault")["counters"]["delivered"]
    assert after == before + 1
    text = live.run("status").stdout.decode()
    assert text.startswith("letterlock ") and ": running\n" in text and all(f"\n  {r}" in text for r in roles)
    assert "mind: the store key's file" in text and "opens by: key file" in text
    status = cold.status()
    assert (
        not status["running"]
        and status["roles"] == []
        and status["accounts"] == 1
        and status["store_key_slots"] == ["key file"]
    )
    assert ": not running\n" in cold.run("status").stdout.decode()


def served_certificate(i):
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", i.port("imaps")), timeout=30) as s, context.wrap_socket(s) as t:
        return t.getpeercert(True)


def max_size(i):
    with i.smtp() as s:
        s.ehlo()
        return int(s.esmtp_features["size"])


def test_reload(live, certs):
    live.configure(message_max="1 MB")
    assert run(live, "reload").stderr == b""
    assert max_size(live) == 1 << 20
    good = (live.dir / "letterlock.conf").read_text()
    (live.dir / "letterlock.conf").write_text(good + "nonsense = 1\n")
    refused(live, "reload", says=["line", "nonsense", "goes on with what it had"])
    assert max_size(live) == 1 << 20
    (live.dir / "letterlock.conf").write_text(good)
    # A change that a running server cannot take comes with a word, and exit 0
    live.configure(imaps="no")
    p = run(live, "reload")
    assert p.returncode == 0 and b"mind:" in p.stderr and b"next start" in p.stderr and p.stderr.count(b"\n") == 1
    live.configure(imaps="yes")
    # The certificate: new connections see the new one, older ones live on
    old = served_certificate(live)
    chain, key = live.dir / "tls" / "chain.pem", live.dir / "tls" / "key.pem"
    kept = chain.read_bytes(), key.read_bytes()
    connection = live.imap(ALICE, tls=True)
    with make_other(live) as other:
        chain.write_bytes((other / "tls" / "chain.pem").read_bytes())
        refused(live, "reload", says=["tls/", "goes on with what it had"])
        assert served_certificate(live) == old
        key.write_bytes((other / "tls" / "key.pem").read_bytes())
    live.run("reload")
    assert served_certificate(live) != old and connection.noop()[0] == "OK"
    connection.logout()
    # A reason longer than a line of a terminal arrives whole
    long = "/" + "/".join(["x" * 120] * 3)
    (live.dir / "letterlock.conf").write_text(good.replace("tls/key.pem\n", long + "\n", 1)
                                              if "tls_key = tls/key.pem\n" not in good
                                              else good.replace("tls_key = tls/key.pem", "tls_key = " + long))
    refused(live, "reload", says=[long + ": No such file", "goes on"])
    (live.dir / "letterlock.conf").write_text(good)
    chain.write_bytes(kept[0]), key.write_bytes(kept[1])
    live.run("reload")
    assert served_certificate(live) == old


@contextlib.contextmanager
def make_other(i):
    other = i.place / "other"
    i.run("init", "--dir", other, "--domain", "other.example", "--store-key-file", i.place / "other.key")
    yield other
    shutil.rmtree(other)
    (i.place / "other.key").unlink()


@pytest.mark.needs("root")
def test_another_user_is_refused(live):
    def as_nobody(*args):
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", live.binary, *args],
                              env=live.env, capture_output=True, timeout=60)
    for args in (["status"], ["reload"], ["account", "list"], ["account", "remove", ALICE]):
        p = as_nobody(*args)
        assert p.returncode == 1 and p.stderr.count(b"\n") == 1 and b"as root" in p.stderr, (args, p)
    # The kernel's word on the peer counts, not only the file's mode
    control = live.dir / "run" / "control"
    script = ("import socket,sys; s=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(20)\n"
              "s.connect(sys.argv[1])\n"
              "try:\n s.send(b'x' * 16); sys.exit(0 if s.recv(100) == b'' else 3)\n"
              "except (ConnectionError, BrokenPipeError): sys.exit(0)\n")
    control.chmod(0o666), control.parent.chmod(0o711)
    try:
        p = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", script,
                            str(control)], capture_output=True, timeout=30)
        assert p.returncode == 0, p
        p = as_nobody("reload")
        assert p.returncode == 1 and p.stderr.count(b"\n") == 1, p
    finally:
        control.chmod(0o600), control.parent.chmod(0o700)
    live.run("status")


# Together


def test_two_at_once(cold, certs):
    """Without a server they take turns; whoever waits too long is told so and can try again."""
    names = [f"crowd{k}@{DOMAIN}" for k in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda a: run(cold, "account", "add", a, "--key", certs[0] / "one"), names))
    assert sum(p.returncode == 0 for p in done) >= 1
    there = {x.split()[0] for x in lines(cold, "account", "list")}
    for name, p in zip(names, done):
        assert (p.returncode == 0) == (name in there)
        if p.returncode:
            assert b"another command is at work" in p.stderr and p.stderr.count(b"\n") == 1, p.stderr
    for name in names:
        if name in there:
            cold.run("account", "remove", name)
    assert run(cold, "audit").returncode == 0


def test_the_same_at_once_with_a_server(live, certs):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run(live, "account", "add", "crowd@" + DOMAIN, "--key", certs[0] / "one"),
                             range(4)))
    assert sorted(p.returncode for p in done) == [0, 1, 1, 1]
    assert all(b"taken" in p.stderr for p in done if p.returncode)
    live.run("account", "remove", "crowd@" + DOMAIN)


def test_offline_work_keeps_a_server_out_and_the_other_way_round(live):
    p = run(live, "serve")
    assert p.returncode == 1 and p.stderr.count(b"\n") == 1 and b"at work" in p.stderr, p.stderr
