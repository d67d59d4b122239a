"""Every command, with the server running and without: what it does, its usual mistakes, and being cut short."""
import base64
import concurrent.futures
import contextlib
import hashlib
import hmac
import imaplib
import json
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
from harness import DOMAIN  # noqa: E402

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
COMMANDS = [tuple(c.split()) for c in (
    "init", "serve", "account add", "account list", "account show", "account set", "account remove", "alias add",
    "alias list", "alias remove", "key add", "key list", "key retire", "app-password add", "app-password list",
    "app-password revoke", "domain add", "domain list", "domain remove", "domain dns", "store-key add",
    "store-key list", "store-key remove", "status", "reload", "audit", "backup", "restore", "unseal")]


def run(i, *args, env=None, data=None):
    return subprocess.run([i.binary, *map(str, args)], env=dict(i.env, **env or {}), input=data, capture_output=True,
                          timeout=60, start_new_session=True)


def refused(i, *args, says, env=None, data=None):
    """Exit 1, nothing on stdout, one line on stderr with these words in it."""
    p = run(i, *args, env=env, data=data)
    text = p.stderr.decode()
    assert p.returncode == 1, (args, p.returncode, text, p.stdout)
    assert text.count("\n") == 1 and text.startswith("letterlock " + str(args[0])), text
    for word in [says] if isinstance(says, str) else says:
        assert word in text, text
    return text


def usage(i, *args):
    p = run(i, *args)
    assert p.returncode == 2 and p.stdout == b"" and p.stderr, (args, p.returncode, p.stderr, p.stdout)
    return p.stderr.decode()


def lines(i, *args):
    return i.run(*args).stdout.decode().splitlines()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """Certificates of two readers, an RSA one, and the keyring that holds their secrets."""
    ring = harness.Keyring(f"/dev/shm/letterlock-cli-{os.getpid()}")
    folder = tmp_path_factory.mktemp("certs")
    for name, algo in (("one", "future-default"), ("two", "future-default"), ("rsa", "rsa")):
        (folder / name).write_bytes(ring.generate(f"{name}@example.net", algo))
    yield folder, ring
    ring.close()
    shutil.rmtree(ring.path, ignore_errors=True)


def make(certs, serve, names=("alice",)):
    i = harness.Instance()
    try:
        i.init(reader_turn_ms=100)
        for name in names:
            address = f"{name}@{DOMAIN}"
            i.run("account", "add", address, "--key", certs[0] / "one")
            i.passwords[address] = i.run("app-password", "add", address, "--label", "test").stdout.decode().strip()
        if serve:
            i.serve()
    except BaseException:
        i.close()
        raise
    return i


@pytest.fixture(scope="module")
def cold(certs):
    with make(certs, False) as i:
        yield i


@pytest.fixture(scope="module")
def live(certs):
    with make(certs, True) as i:
        yield i


@pytest.fixture(params=["cold", "live"])
def any_instance(request):
    """With a server running, and without."""
    return request.getfixturevalue(request.param)


ALICE = f"alice@{DOMAIN}"


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
        assert p.returncode == 0 and p.stderr == b"" and p.stdout.startswith(b"usage: letterlock " + " ".join(command).encode())
    usage(cold, *command, "--no-such-option")
    usage(cold, *command, "a", "b", "c", "d")
    if command != ("serve",):
        assert "no such option" in usage(cold, *command, *({"init": ("--json",)}.get(command[0], ("--loopback", "1"))))
    p = run(cold, *command, *["x"] * len(re.findall(r" [A-Z]+", run(cold, *command, "--help").stdout.decode().split("\n")[0]
                                                    .split("(")[0].split("[")[0].split("--")[0])), env={"LETTERLOCK_DIR": ""})
    if command != ("unseal",):
        assert p.returncode == 2 and b"--dir" in p.stderr, p.stderr


def test_families_and_unknown_words(cold):
    for family in sorted({c[0] for c in COMMANDS if len(c) == 2}):
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
    assert "hidden" in text and "0 of 5242880 bytes" in text and text.count("mailbox") == 6 and "current" in text
    i.run("account", "set", carol, "--policy", "baseline", "--quota", "0")
    text = i.run("account", "show", carol).stdout.decode()
    assert "baseline" in text and "none (0 bytes used)" in text
    refused(i, "account", "add", carol, "--key", one, says="taken")
    refused(i, "account", "add", "x@elsewhere.example", "--key", one, says="domain")
    refused(i, "account", "add", "no address", "--key", one, says="not a mail address")
    refused(i, "account", "add", "x@" + DOMAIN, "--key", tmp_path / "none", says="is not there")
    refused(i, "account", "add", "x@" + DOMAIN, "--key", "/etc/hostname", says="/etc/hostname")
    refused(i, "account", "add", "x@" + DOMAIN, "--key", tmp_path, says=str(tmp_path))
    refused(i, "account", "add", "x@" + DOMAIN, "--key", one, "--policy", "loud", says=["loud", "shy"])
    for quota in ("K", "-1", "", "5X", "17592186044416T", "99999999999999999999999", "1025T", "5MM", " 5", "5 "):
        refused(i, "account", "set", carol, "--quota", quota, says="--quota takes")
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
    i.run("alias", "add", "Sales@shop.example", ALICE)
    i.run("alias", "add", "@BÜCHER.example", ALICE)
    assert [x.split() for x in lines(i, "alias", "list")] == [["@xn--bcher-kva.example", ALICE], ["sales@shop.example", ALICE]]
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


def test_key(any_instance, certs):
    i, folder, ring = any_instance, *certs
    one, two = (ring.fingerprint(f"{n}@example.net") for n in ("one", "two"))
    assert [x.split()[:2] for x in lines(i, "key", "list", ALICE)] == [["current", one]]
    refused(i, "key", "retire", ALICE, one, says=["last current", "add another"])
    refused(i, "key", "retire", ALICE, two, says="no such key")
    refused(i, "key", "retire", ALICE, one[-16:], says=["whole fingerprint", "key list"])
    refused(i, "key", "add", ALICE, "/etc/hostname", says="/etc/hostname")
    refused(i, "key", "add", "nobody@" + DOMAIN, folder / "two", says="nobody@")
    i.run("key", "add", ALICE, folder / "two")
    i.run("key", "add", ALICE, folder / "rsa")
    i.run("key", "add", ALICE, folder / "two")
    rows = [x.split() for x in lines(i, "key", "list", ALICE)]
    assert len(rows) == 3 and {r[0] for r in rows} == {"current"} and {r[2] for r in rows} == {"ECDH", "RSA"}
    spaced = " ".join(two[k:k + 4] for k in range(0, 40, 4)).lower()
    i.run("key", "retire", ALICE, spaced)
    i.run("key", "retire", ALICE, ring.fingerprint("rsa@example.net"))
    assert sorted(x.split()[0] for x in lines(i, "key", "list", ALICE)) == ["current", "retired", "retired"]
    refused(i, "key", "retire", ALICE, one, says="last current")


def test_app_password(any_instance, tmp_path):
    i = any_instance
    made = i.run("app-password", "add", ALICE, "--label", "häuschen two", "--scope", "imap").stdout.decode()
    assert re.fullmatch(r"[a-z2-7]{26}\n", made)
    rows = lines(i, "app-password", "list", ALICE)
    number = rows[-1].split()[0]
    assert len(rows) == 2 and "häuschen two" in rows[-1] and rows[-1].split()[3] == "imap"
    assert "imap,pop3,smtp" in rows[0] and made.strip() not in "".join(rows)
    refused(i, "app-password", "add", ALICE, "--label", "x", "--scope", "imap,web", says="imap, pop3 and smtp")
    refused(i, "app-password", "add", ALICE, "--label", "x", "--scope", "", says="--scope is empty")
    refused(i, "app-password", "add", ALICE, "--label", "x" * 128, says="too long")
    refused(i, "app-password", "add", ALICE, "--label", "a\nb", says="control character")
    refused(i, "app-password", "add", "nobody@" + DOMAIN, "--label", "x", says="nobody@")
    for bad in ("0", "x", "99999999999"):
        refused(i, "app-password", "revoke", ALICE, bad, says="app-password list")
    refused(i, "app-password", "revoke", ALICE, "77", says="no such app password")
    i.run("app-password", "revoke", ALICE, number)
    refused(i, "app-password", "revoke", ALICE, number, says="no such app password")
    assert len(lines(i, "app-password", "list", ALICE)) == 1


def open_record(i, place, sealed):
    from test_docs import open_record as opened, store_key
    return opened(store_key(i), place, sealed)


def test_scram_keys_are_of_the_password_as_printed(cold, tmp_path):
    """RFC 5802 section 3: a client computes with what it was given, byte for byte."""
    from test_docs import dump, hash16, store_key
    password = cold.passwords[ALICE].encode()
    kv = dump(cold.dir / "store" / "data.mdb", "kv", tmp_path)
    key = store_key(cold)
    place = bytes(8) + b"a" + hash16(key, 1, 0, ALICE.encode())
    account = open_record(cold, place, kv[place])[:8]
    record = open_record(cold, account + b"A", kv[account + b"A"])
    stored = [v for k, v in kv.items() if k[:9] == account + b"P"]
    assert len(stored) == 1
    found = False
    for at in range(len(record) - 20):  # wherever salt and iterations stand
        if int.from_bytes(record[at + 16:at + 20], "big") == 4096:
            salted = hashlib.pbkdf2_hmac("sha256", password, record[at:at + 16], 4096)
            client = hmac.digest(salted, b"Client Key", "sha256")
            found |= hashlib.sha256(client).digest() in stored[0] and hmac.digest(salted, b"Server Key", "sha256") in stored[0]
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
    made = {s: live.run("app-password", "add", ALICE, "--label", s, "--scope", s).stdout.decode().strip() for s in ("imap", "smtp")}
    good = made["imap"]
    assert login(live, good) and login(live, "-".join(re.findall(".{1,5}", good)).upper()) and login(live, f" {good[:7]} {good[7:]}")
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
    live.passwords[bob] = live.run("app-password", "add", bob, "--label", "x").stdout.decode().strip()
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
    live.passwords[bob] = live.run("app-password", "add", bob, "--label", "x").stdout.decode().strip()
    assert live.fetch_all(bob) == {}
    live.run("account", "remove", bob)
    live.run("domain", "remove", "all.example")


def test_new_mail_is_sealed_to_all_current_keys(live, certs):
    folder, ring = certs
    subkeys = {n: re.findall(r"^sub:.*?:([0-9A-F]{16}):[^\n]*:e:", ring.gpg("--with-colons", "--list-keys", f"{n}@example.net")
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
    assert roles == {"vault", "ingest", "access", "gpg-judge", "gpg-seal"} and status["running"] and status["domain"] == DOMAIN
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
    assert not status["running"] and status["roles"] == [] and status["accounts"] == 1 and status["store_key_slots"] == ["key file"]
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


@ROOT_ONLY
def test_another_user_is_refused(live):
    def as_nobody(*args):
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", live.binary, *args],
                              env=live.env, capture_output=True, timeout=60)
    for args in (["status"], ["reload"], ["account", "list"], ["account", "remove", ALICE]):
        p = as_nobody(*args)
        assert p.returncode == 1 and p.stderr.count(b"\n") == 1, (args, p)
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


# init and the store key


def bare(tmp_path, name="server"):
    """An instance's folder, without a harness's settings."""
    i = harness.Instance(place=tmp_path / "place", base=30000)
    i.dir = i.place / name
    i.env["LETTERLOCK_DIR"] = str(i.dir)
    i.env.pop("CREDENTIALS_DIRECTORY", None)
    return i


@pytest.fixture
def fresh(tmp_path):
    i = bare(tmp_path)
    yield i
    i.close()


def test_init(fresh):
    p = run(fresh, "init", "--domain", "Example.ORG", "--loopback", "30000")
    assert p.returncode == 0 and p.stdout == b"" and p.stderr.count(b"\n") == 1 and b"mind:" in p.stderr
    assert lines(fresh, "domain", "list") == ["example.org"]
    assert (fresh.place / "server.storekey").stat().st_mode & 0o777 == 0o600
    assert (fresh.dir / "tls" / "key.pem").stat().st_mode & 0o777 == 0o600
    kept = {p: p.read_bytes() for p in fresh.dir.rglob("*") if p.is_file()}
    refused(fresh, "init", "--domain", "example.org", says="holds an instance already")
    assert kept == {p: p.read_bytes() for p in fresh.dir.rglob("*") if p.is_file()}


def test_init_refuses(fresh, tmp_path):
    for domain in ("", "a b", "x@y", "a..b", "[1.2.3.4]"):
        refused(fresh, "init", "--domain", domain, says="not a domain name")
    for base in ("x", "0", "70000", "-1", "20000x"):
        refused(fresh, "init", "--domain", "a.example", "--loopback", base, says="--loopback takes")
    assert not fresh.dir.exists()
    refused(fresh, "init", "--domain", "a.example", "--dir", fresh.place / "no" / "parent", says="No such file")
    (fresh.place / "file").write_text("x")
    refused(fresh, "init", "--domain", "a.example", "--dir", fresh.place / "file", says="Not a directory")
    # A folder with other things in it stays as it is
    junk = fresh.place / "junk"
    junk.mkdir(mode=0o755)
    (junk / "letter.txt").write_text("x")
    refused(fresh, "init", "--domain", "a.example", "--dir", junk, says=["letter.txt", "empty folder"])
    assert junk.stat().st_mode & 0o777 == 0o755 and os.listdir(junk) == ["letter.txt"]
    # Key files and passphrases that will not do
    for name, content, mode in (("short", b"x" * 31, 0o600), ("open", b"x" * 32, 0o644), ("long", b"x" * 5000, 0o600)):
        (fresh.place / name).write_bytes(content)
        (fresh.place / name).chmod(mode)
        refused(fresh, "init", "--domain", "a.example", "--store-key-file", fresh.place / name, says="no key file")
    (fresh.place / "empty").write_text("\nsecond line\n")
    refused(fresh, "init", "--domain", "a.example", "--passphrase-file", fresh.place / "empty", says="empty")
    (fresh.place / "huge").write_text("x" * 1024 + "\n")
    refused(fresh, "init", "--domain", "a.example", "--passphrase-file", fresh.place / "huge", says="too long")
    refused(fresh, "init", "--domain", "a.example", "--passphrase-file", fresh.place / "none", says="none")
    credentials = {"CREDENTIALS_DIRECTORY": str(fresh.place)}
    (fresh.place / "letterlock-store-key").write_bytes(b"short")
    refused(fresh, "init", "--domain", "a.example", env=credentials, says="credential")
    assert not (fresh.dir / "letterlock.conf").exists()
    # And after all that, it works
    assert run(fresh, "init", "--domain", "a.example").returncode == 0


def cut_short(args, env, calls, n):
    """The command, killed by strace at its n-th system call of the kind."""
    return subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
                           f"inject={calls}:signal=SIGKILL:when={n}", *map(str, args)], env=env, capture_output=True,
                          timeout=60, start_new_session=True)


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("calls", ["mkdir,renameat2,link,fsync", "openat,chmod"])
def test_init_cut_short_and_again(fresh, calls):
    """Crash state 18. LeakSanitizer cannot run under a tracer."""
    env = dict(fresh.env, ASAN_OPTIONS="detect_leaks=0")
    args = [fresh.binary, "init", "--domain", "example.org", "--loopback", "30000"]
    points, seen = (range(1, 40) if "mkdir" in calls else range(25, 80, 6)), 0
    for n in points:
        shutil.rmtree(fresh.dir, ignore_errors=True)
        (fresh.place / "server.storekey").unlink(missing_ok=True)
        p = cut_short(args, env, calls, n)
        if p.returncode == 0:
            break
        seen += not (fresh.dir / "letterlock.conf").exists()
        key = fresh.place / "server.storekey"
        before = key.read_bytes() if key.exists() else None
        if not (fresh.dir / "letterlock.conf").exists():
            again = run(fresh, *args[1:])
            assert again.returncode == 0, (n, again.stderr)
        assert lines(fresh, "domain", "list") == ["example.org"], n
        assert before in (None, key.read_bytes())
        made = {p.name for p in fresh.dir.rglob("*") if p.is_file()}
        assert made == {"letterlock.conf", "store.key", "chain.pem", "key.pem", "data.mdb", "lock.mdb", "lock"}, n
    assert seen >= 4
    fresh.serve()


def test_init_goes_on_only_with_the_key_that_is_there(fresh):
    (fresh.place / "words").write_text("one\n")
    fresh.run("init", "--domain", "a.example", "--passphrase-file", fresh.place / "words")
    (fresh.dir / "letterlock.conf").unlink()
    kept = (fresh.dir / "store.key").read_bytes()
    (fresh.place / "others").write_text("two\n")
    for args in (["--passphrase-file", fresh.place / "others"], []):
        refused(fresh, "init", "--domain", "a.example", *args, says=["store.key is there already", "does not open it"])
    assert (fresh.dir / "store.key").read_bytes() == kept
    fresh.run("init", "--domain", "a.example", "--passphrase-file", fresh.place / "words")
    assert (fresh.dir / "store.key").read_bytes() == kept
    # A chain without its key is not made anew over somebody's certificate
    (fresh.dir / "letterlock.conf").unlink()
    (fresh.dir / "tls" / "key.pem").unlink()
    refused(fresh, "init", "--domain", "a.example", "--passphrase-file", fresh.place / "words", says="without its key")


def test_passphrase(fresh):
    words = fresh.place / "words"
    words.write_text("correct horse\r\nsecond line\n")
    assert run(fresh, "init", "--domain", "a.example", "--loopback", fresh.base, "--passphrase-file", words).stderr == b""
    refused(fresh, "account", "list", says=["no terminal", "LETTERLOCK_PASSPHRASE_FILE"])
    (fresh.place / "wrong").write_text("correct horse \n")
    refused(fresh, "account", "list", env={"LETTERLOCK_PASSPHRASE_FILE": str(fresh.place / "wrong")}, says="passphrase is wrong")
    refused(fresh, "account", "list", env={"LETTERLOCK_PASSPHRASE_FILE": str(fresh.place / "none")}, says="LETTERLOCK_PASSPHRASE_FILE")
    refused(fresh, "serve", env={"LETTERLOCK_PASSPHRASE_FILE": str(fresh.place / "wrong")}, says="passphrase is wrong")
    fresh.env["LETTERLOCK_PASSPHRASE_FILE"] = str(words)
    assert lines(fresh, "account", "list") == [] and lines(fresh, "domain", "list") == ["a.example"]
    fresh.serve()
    assert fresh.status()["store_key_slots"] == ["passphrase"]


def test_the_longest_passphrase_that_is_taken_opens(fresh):
    words = fresh.place / "words"
    words.write_text("x" * 1023 + "\n" + "comment\n" * 50)
    fresh.env["LETTERLOCK_PASSPHRASE_FILE"] = str(words)
    fresh.run("init", "--domain", "a.example", "--passphrase-file", words)
    assert lines(fresh, "domain", "list") == ["a.example"]


def test_credential(fresh):
    folder = fresh.place / "credentials"
    folder.mkdir()
    (folder / "letterlock-store-key").write_bytes(os.urandom(32))
    (folder / "letterlock-store-key").chmod(0o400)
    env = {"CREDENTIALS_DIRECTORY": str(folder)}
    assert run(fresh, "init", "--domain", "a.example", env=env).stderr == b""
    assert not (fresh.place / "server.storekey").exists()
    assert run(fresh, "domain", "list", env=env).stdout == b"a.example\n"
    refused(fresh, "domain", "list", says="store key does not open")
    (folder / "letterlock-store-key").chmod(0o600)
    (folder / "letterlock-store-key").write_bytes(os.urandom(32))
    refused(fresh, "domain", "list", env=env, says="opens no slot")


def test_store_key(fresh, tmp_path):
    fresh.run("init", "--domain", "a.example")
    assert re.fullmatch(r" *1  key file, made \d{4}-\d\d-\d\d\n", fresh.run("store-key", "list").stdout.decode())
    refused(fresh, "store-key", "remove", "1", says=["last slot", "add another"])
    for bad in ("", "x", "99999999999"):
        refused(fresh, "store-key", "remove", bad, says="store-key list")
    refused(fresh, "store-key", "remove", "7", says=["no slot 7", "store-key list"])
    words = fresh.place / "words"
    words.write_text("open sesame\n")
    fresh.run("store-key", "add", "--passphrase-file", words)
    key = fresh.place / "second.key"
    out = subprocess.run([fresh.binary, "store-key", "add", "--store-key-file", "second.key"], env=fresh.env, cwd=fresh.place,
                         capture_output=True, check=True).stdout.decode()
    assert f"store_key_file = {key}" in out  # whole, though a relative one was given
    refused(fresh, "store-key", "add", "--store-key-file", key, says="exists")
    refused(fresh, "store-key", "add", "--store-key-file", fresh.place / "no" / "key", says="No such file")
    refused(fresh, "store-key", "add", "--passphrase-file", fresh.place / "none", says="none")
    assert [x.split(",")[0].split("  ")[-1] for x in lines(fresh, "store-key", "list")] == ["key file", "passphrase", "key file"]
    fresh.run("store-key", "remove", "1")
    refused(fresh, "domain", "list", says="store key does not open")
    assert run(fresh, "domain", "list", env={"LETTERLOCK_PASSPHRASE_FILE": str(words)}).stdout == b"a.example\n"
    fresh.configure(store_key_file=key)
    assert lines(fresh, "domain", "list") == ["a.example"]
    fresh.run("store-key", "remove", "2")
    refused(fresh, "store-key", "remove", "3", says="last slot")
    key.chmod(0o644)
    refused(fresh, "domain", "list", says="others may read it")
    key.chmod(0o600)
    key.write_bytes(os.urandom(32))
    refused(fresh, "domain", "list", says=[str(key), "opens no slot"])


def test_store_key_missing_or_foreign(fresh):
    fresh.run("init", "--domain", "a.example", "--loopback", fresh.base)
    other = bare(fresh.place.parent, "other")
    other.run("init", "--domain", "b.example")
    kept = (fresh.dir / "store.key").read_bytes()
    (fresh.dir / "store.key").unlink()
    for args in (["domain", "list"], ["domain", "add", "c.example"], ["serve"], ["audit"]):
        refused(fresh, *args, says=["store.key", "not found"])
    # Another instance's store.key, with the file that opens it
    (fresh.dir / "store.key").write_bytes((other.dir / "store.key").read_bytes())
    refused(fresh, "domain", "list", says="opens no slot")
    fresh.configure(store_key_file=other.place / "other.storekey")
    for args in (["domain", "list"], ["domain", "add", "c.example"], ["status"]):
        refused(fresh, *args, says=["another store's", "store.key"])
    p = run(fresh, "serve")
    assert p.returncode == 1 and b"not this store's" in p.stderr
    (fresh.dir / "store.key").write_bytes(b"junk")
    refused(fresh, "domain", "list", says="malformed")
    (fresh.dir / "store.key").write_bytes(kept)
    fresh.configure(store_key_file=fresh.place / "server.storekey")
    assert lines(fresh, "domain", "list") == ["a.example"]


def patch(file, old, new):
    data = pathlib.Path(file).read_bytes()
    assert data.count(old) >= 1 and len(old) == len(new)
    pathlib.Path(file).write_bytes(data.replace(old, new))


def test_a_newer_store_is_refused(fresh, tmp_path):
    from test_docs import dump
    fresh.run("init", "--domain", "a.example", "--loopback", fresh.base)
    file = fresh.dir / "store" / "data.mdb"
    version = dump(file, "kv", tmp_path)[bytes(8) + b"V"]
    newer = (int.from_bytes(version[:4], "big") + 1).to_bytes(4, "big") + version[4:]
    patch(file, version, newer)
    for args in (["status"], ["domain", "list"], ["domain", "add", "b.example"], ["audit"], ["backup", fresh.place / "b"]):
        refused(fresh, *args, says=["newer letterlock", "use that version"])
    assert not (fresh.place / "b").exists()
    p = run(fresh, "serve")
    assert p.returncode == 1 and b"a newer version wrote the store: use that one" in p.stderr
    patch(file, newer, version)
    assert lines(fresh, "domain", "list") == ["a.example"]


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
        done = list(pool.map(lambda _: run(live, "account", "add", "crowd@" + DOMAIN, "--key", certs[0] / "one"), range(4)))
    assert sorted(p.returncode for p in done) == [0, 1, 1, 1]
    assert all(b"taken" in p.stderr for p in done if p.returncode)
    live.run("account", "remove", "crowd@" + DOMAIN)


def test_offline_work_keeps_a_server_out_and_the_other_way_round(live):
    p = run(live, "serve")
    assert p.returncode == 1 and p.stderr.count(b"\n") == 1 and b"at work" in p.stderr, p.stderr


# Audit, backup, restore, unseal


@pytest.fixture(scope="module")
def filled(certs):
    """Stopped, with three messages of alice's."""
    with make(certs, True) as i:
        for n in range(3):
            i.send(ALICE, harness.mail(subject=f"number {n}", body="A line of the letter.\n" * 50))
        i.stop()
        yield i


def copy_of(i, name):
    other = bare(i.place, name)
    shutil.copytree(i.dir, other.dir)
    if os.geteuid() == 0:
        uid = (i.dir / "store").stat().st_uid
        for p in (other.dir / "store", *(other.dir / "store").iterdir()):
            os.chown(p, uid, uid)
    other.base, other.passwords = i.base, i.passwords
    return other


def test_audit(filled, tmp_path):
    text = filled.run("audit").stdout.decode()
    found = re.fullmatch(r"1 accounts, 3 messages, (\d+) files, (\d+) bytes read: 0 faults, 0 canaries in the clear\n", text)
    files = [p for p in filled.dir.rglob("*") if p.is_file()]
    assert int(found[1]) == len(files) and int(found[2]) == sum(p.stat().st_size for p in files)
    refused(filled, "audit", "--canary", tmp_path / "none", says="none")
    for bad in (b"", b"\n\n", b"tiny\n", b"x" * 1025, b"canary\0bird\n"):
        (tmp_path / "bad").write_bytes(bad)
        refused(filled, "audit", "--canary", tmp_path / "bad", says="bad")


def test_audit_finds_canaries(filled, tmp_path):
    canaries = tmp_path / "canaries"
    canaries.write_text("A line of the letter.\r\n\nnumber 1\nunheard-of bird\n")
    assert b"0 canaries" in filled.run("audit", "--canary", canaries).stdout
    other = copy_of(filled, "leaky")
    leak = other.dir / "run" / "leak"
    bird = b"unheard-of bird"
    try:
        for place in (0, 5, (1 << 20) - 7, (1 << 20) - 1, 1 << 20, 3 * (1 << 20) + 11):  # the seams of the search as well
            leak.write_bytes(b"." * place + bird + b"." * 99)
            p = run(other, "audit", "--canary", canaries)
            assert p.returncode == 1 and p.stderr.count(b"\n") == 1 and b"1 canaries in the clear" in p.stderr
            assert f"leak: canary of line 4 in the clear at byte {place}\n".encode() in p.stdout, p.stdout
        for shift in range(3):
            leak.write_bytes(base64.b64encode(b"x" * shift + bird + b"yz"))
            p = run(other, "audit", "--canary", canaries)
            assert p.returncode == 1 and b"line 4 in the clear (base64)" in p.stdout
    finally:
        shutil.rmtree(other.dir)


@pytest.mark.parametrize("what", ["header", "length", "keyid", "capsule"])
def test_audit_finds_damage(filled, tmp_path, what):
    from test_docs import dump
    other = copy_of(filled, "damaged-" + what)
    file = other.dir / "store" / "data.mdb"
    blobs = dump(file, "blob", tmp_path)
    high = 0x80 if what == "capsule" else 0
    old = next(v for k, v in sorted(blobs.items()) if k[8] & 0xc0 == high)
    at = {"header": 0, "length": 1, "keyid": 4, "capsule": 0}[what]
    head = old[:120]
    patch(file, head, head[:at] + bytes([head[at] ^ 0x11]) + head[at + 1:])
    p = run(other, "audit")
    assert p.returncode == 1 and p.stderr.count(b"\n") == 1 and b"1 faults" in p.stderr, p
    assert re.match(rb"account 16 message \d+: does not pass the gate: \w+", p.stdout)
    shutil.rmtree(other.dir)


def uidvalidities(i):
    m = i.imap(ALICE)
    try:
        names = ("INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive")
        return {n: int(re.search(rb"UIDVALIDITY (\d+)", m.status(n, "(UIDVALIDITY)")[1][0]).group(1)) for n in names}
    finally:
        m.logout()


def test_backup_under_mail_and_restore(certs, tmp_path):
    with make(certs, True) as i:
        i.send(ALICE, harness.mail(subject="before"))
        before = uidvalidities(i)
        stop, sent = threading.Event(), []

        def deliver():
            with i.smtp() as s:
                while not stop.is_set():
                    s.sendmail("x@example.org", [ALICE], harness.mail(subject=f"during {len(sent)}", body="x" * 2000))
                    sent.append(1)
        sender = threading.Thread(target=deliver)
        sender.start()
        try:
            while len(sent) < 3:
                time.sleep(0.01)
            out = i.run("backup", i.place / "backup").stdout.decode()
            refused(i, "backup", i.place / "backup", says=["exists", "new one"])
            refused(i, "restore", i.place / "backup", says="at work")
        finally:
            stop.set()
            sender.join()
        assert f"{(i.place / 'backup' / 'data.mdb').stat().st_size} bytes" in out and "store.key" in out
        assert sorted(os.listdir(i.place / "backup")) == ["data.mdb", "letterlock.conf"]
        assert len(i.fetch_all(ALICE)) == len(sent) + 1
        i.stop()
        refused(i, "backup", i.place / "no" / "backup", says="No such file")
        refused(i, "restore", i.place / "backup", says="holds a store already")
        refused(i, "restore", i.place, says="not a backup")
        # A fresh folder with the configuration and the store key
        other = bare(i.place, "restored")
        other.base, other.passwords = i.base, i.passwords
        other.dir.mkdir(mode=0o711)
        refused(other, "restore", i.place / "backup", says="init")
        shutil.copy(i.place / "backup" / "letterlock.conf", other.dir)
        refused(other, "restore", i.place / "backup", says="store.key")
        shutil.copy(i.dir / "store.key", other.dir)
        shutil.copytree(i.dir / "tls", other.dir / "tls")
        # A backup that is damaged, and one that is cut off: no store comes of them
        whole = (i.place / "backup" / "data.mdb").read_bytes()
        for junk in (b"junk" * 5000, whole[:6000], b""):
            (i.place / "junk").mkdir()
            (i.place / "junk" / "data.mdb").write_bytes(junk)
            p = run(other, "restore", i.place / "junk")
            if junk:
                assert p.returncode == 1 and b"damaged" in p.stderr.splitlines()[-1], p
            shutil.rmtree(i.place / "junk")
            assert p.returncode == 1 and sorted(os.listdir(other.dir)) == ["letterlock.conf", "run", "store.key", "tls"], p
        restore_cut_short(other, i.place / "backup")
        other.run("restore", i.place / "backup")
        assert not (other.dir / "restore").exists()
        assert b"0 faults" in other.run("audit").stdout
        other.serve()
        after = uidvalidities(other)
        assert all(after[n] > max(before.values()) for n in before)
        messages = list(other.fetch_all(ALICE).values())
        assert 4 <= len(messages) <= len(sent) + 1
        ring = certs[1]
        for m in (messages[0], messages[-1]):
            plain = other.run("unseal", data=ring.decrypt(harness.armor_of(m))).stdout
            assert plain.startswith(b"From: ") and b"Subject: " in plain
        other.send(ALICE, harness.mail(subject="after"))
        assert len(other.fetch_all(ALICE)) == len(messages) + 1
        other.stop()


def restore_cut_short(i, backup):
    """Crash state 19: whenever it is killed, there is no store, or one with new UIDVALIDITYs."""
    if not shutil.which("strace"):
        return
    env = dict(i.env, ASAN_OPTIONS="detect_leaks=0")
    for calls, n in (("mkdir", 1), ("mkdir", 2), ("fsync,fdatasync,msync", 1), ("fsync,fdatasync,msync", 2), ("rename", 1)):
        p = cut_short([i.binary, "restore", backup], env, calls, n)
        assert p.returncode != 0
        assert not (i.dir / "store" / "data.mdb").exists(), (calls, n)
        shutil.rmtree(i.dir / "store", ignore_errors=True)


@pytest.mark.parametrize("junk", [b"", b"junk", b"From: a@b\r\n\r\nbody", b"Letterlock-Seal: v=1; len=99999999; ins=0+00000010\r\n\r\n",
                                  b"Letterlock-Seal: v=2; len=1; ins=0+00000010\r\n\r\nx", b"\0" * 5000])
def test_unseal_of_garbage(cold, junk):
    refused(cold, "unseal", data=junk, says="not a decrypted message")


def test_unseal_without_an_instance(filled, certs, tmp_path):
    filled.serve()
    sealed = harness.armor_of(next(iter(filled.fetch_all(ALICE).values())))
    filled.stop()
    plain = certs[1].decrypt(sealed)
    env = {"LETTERLOCK_DIR": ""}
    out = run(filled, "unseal", data=plain, env=env)
    assert out.returncode == 0 and out.stdout.startswith(b"From: sender@example.org\r\n") and b"Letterlock" not in out.stdout
    # From a socket as well: stdin is what it is
    a, b = socket.socketpair()
    p = subprocess.Popen([filled.binary, "unseal"], stdin=b, stdout=subprocess.PIPE)
    b.close()
    a.sendall(plain)
    a.close()
    assert p.communicate(timeout=30)[0] == out.stdout
    for end in (1, 40, len(plain) // 2, len(plain) - 1):
        p = run(filled, "unseal", data=plain[:end])
        assert p.returncode == 1 and p.stdout == b"", end
