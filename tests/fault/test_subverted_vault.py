"""A vault in a stranger's hands (docs/threats.md, "Approvals"): a program with the vault's record keys, but without the
root, changes what an account's mail is sealed to, or where it goes. Nothing is sealed to it; the log, status and audit
say so."""
import os
import pathlib
import pty
import shutil
import smtplib
import subprocess

import harness
import pytest

WRITER = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/vault_writer"
ALICE, MALLORY = (f"{name}@{harness.DOMAIN}" for name in ("alice", "mallory"))


@pytest.fixture(scope="module")
def i():
    with harness.Instance() as i:
        i.init()
        i.add_account("mallory")
        i.add_account("alice")
        second = i.place / "second.asc"
        second.write_bytes(i.keyring.generate(f"Alice again <{ALICE}>"))
        i.run("key", "add", ALICE, second)
        i.run("key", "retire", ALICE, i.keyring.fingerprint(f"Alice again <{ALICE}>"))
        i.serve()
        i.send(ALICE, harness.mail(subject="before"))
        i.send(MALLORY, harness.mail(subject="before"))
        i.stop()
        yield i


@pytest.fixture
def store(i):
    """The store as it was, whatever a test does to it."""
    file, kept = i.dir / "store/data.mdb", i.place / "kept.mdb"
    shutil.copy(file, kept)
    yield
    i.stop()
    shutil.copy(kept, file)


def subvert(i, what):
    env = dict(os.environ, STORE_KEY_FILE=str(i.place / "storekey"))
    p = subprocess.run([WRITER, i.dir, what, ALICE, MALLORY], env=env, capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr


def refusal(i, to):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        i.send(to, harness.mail(subject="after"))
    return refused.value.recipients[to]


@pytest.mark.parametrize("what", ["add-key", "state", "verdict", "certificate", "set", "seal-v2", "encrypt",
                                  "forward"])
def test_nothing_is_sealed_to_certificates_that_nobody_approved(i, store, what):
    subvert(i, what)
    p = i.run("audit", check=False)
    assert p.returncode == 1 and "its certificates: not approved" in p.stdout.decode(), p.stdout
    start = len(i.log())
    i.serve()
    code, text = refusal(i, ALICE)
    assert code == 450 and b"not approved" in text
    assert i.logged(r"error .*keys-not-approved account=17", start)
    assert {"account": ALICE, "state": "not-approved"} in i.status()["keys"]
    assert i.status()["forwarding"] == [] and i.run("queue", "list", "--json").stdout.strip() == b"[]"
    i.send(MALLORY, harness.mail(subject="others go on"))
    c = i.imap(ALICE)
    reply, _ = c.append("INBOX", None, None, harness.mail(subject="appended"))
    assert reply == "NO"
    assert c.select("INBOX")[1] == [b"2"]  # the notice of the second key, and what came before
    c.logout()
    more = i.place / "more.asc"
    more.write_bytes(i.keyring.generate(f"More {what} <{ALICE}>"))
    p = i.run("key", "add", ALICE, more, check=False)  # it would sign what was slipped in
    assert p.returncode == 1 and b"nobody who holds the store key" in p.stderr
    changes = i.run("key", "log").stdout
    assert b"nobody approved its certificates" in i.run("key", "publish").stderr
    assert i.run("key", "log").stdout == changes and ALICE in i.run("account", "show", ALICE).stdout.decode()


def test_nothing_goes_where_nobody_approved(i, store):
    """Nor in another way than was approved: each octet of the order is signed."""
    i.serve()
    i.send(ALICE, harness.mail(subject="in order"))
    i.run("account", "set", ALICE, "--forward", "friend@elsewhere.example", "--forward-own-keys")
    i.send(ALICE, harness.mail(subject="goes on"))
    assert i.run("queue", "list", "--json").stdout.count(b"friend@elsewhere.example") == 1
    i.stop()
    for what in ("forward-how", "forward"):
        subvert(i, what)
        i.serve()
        code, text = refusal(i, ALICE)
        assert code == 450 and b"not approved" in text
        i.stop()
        assert i.run("audit", check=False).returncode == 1
    assert i.run("queue", "list", "--json").stdout.count(b"spy@elsewhere.example") == 0


def test_a_certificate_under_an_unchanged_record(i, store):
    subvert(i, "swap")
    p = i.run("audit", check=False)
    assert p.returncode == 1 and "its certificate is another one, or was changed" in p.stdout.decode(), p.stdout
    assert "another one" in i.run("key", "list", ALICE).stdout.decode()
    start = len(i.log())
    i.serve()
    code, text = refusal(i, ALICE)
    assert code == 450 and b"not approved" in text
    assert i.logged(r"error .*keys-not-approved account=17", start)
    assert {"account": ALICE, "state": "not-approved"} in i.status()["keys"]
    p = i.run("key", "approve", ALICE, "--yes", check=False)
    assert p.returncode == 1 and b"restore a backup" in p.stderr


@pytest.mark.parametrize("served", [False, True])
def test_somebody_has_looked_at_them(i, store, served):
    """A key that was brought back is approved as it stands, after a look at it; then it goes again."""
    subvert(i, "state")
    if served:
        i.serve()
    second = i.keyring.fingerprint(f"Alice again <{ALICE}>")
    p = i.run("key", "approve", ALICE, check=False)  # nobody answers
    assert p.returncode == 1 and b"nothing was signed" in p.stderr
    p = i.run("key", "approve", ALICE, "--yes")
    shown = p.stdout.decode()
    for fingerprint in (second, i.keyring.fingerprint(f"={ALICE}")):
        assert fingerprint in shown
    assert shown.count("state       current") == 2 and "Alice again" in shown and shown.endswith("approved\n")
    i.run("key", "retire", ALICE, second)
    if not served:
        i.serve()
    i.send(ALICE, harness.mail(subject="after"))
    m = i.imap(ALICE)
    assert m.select("INBOX")[1] == [b"3"]
    m.logout()
    i.stop()
    assert i.run("audit").returncode == 0


def asked(i, answer):
    """key approve at a terminal, where somebody answers: its end, what it shows, what it says."""
    ours, terminal = pty.openpty()
    with subprocess.Popen([i.binary, "key", "approve", ALICE], env=i.env, stdin=terminal, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        os.close(terminal)
        said = b""
        while not said.endswith(b"(yes/no) "):
            more = os.read(p.stderr.fileno(), 4096)
            assert more, said
            said += more
        os.write(ours, answer)
        shown, rest = p.communicate(timeout=120)
    os.close(ours)
    return p.returncode, shown.decode(), rest.decode()


def test_whoever_is_asked_says_yes(i, store):
    """Nothing else will do: not a beginning of it, not what begins so, and no end of the input."""
    subvert(i, "state")
    second = i.keyring.fingerprint(f"Alice again <{ALICE}>")
    for answer in [b"no\n", b"\n", b"y\n", b"YES\n", b"yes \n", b"yes, yes\n", b"no\nyes\n", b"\x04"]:
        code, shown, said = asked(i, answer)
        assert (code, "nothing was signed" in said) == (1, True), (answer, said)
        assert second in shown and "approved\n" not in shown, answer
        assert i.run("audit", check=False).returncode == 1, answer
    code, shown, said = asked(i, b"yes\n")
    assert code == 0 and said == "" and second in shown and shown.endswith("approved\n")
    assert i.run("audit").returncode == 0


def test_mail_goes_to_no_account_that_nobody_approved(i, store):
    subvert(i, "address")
    p = i.run("audit", check=False)
    assert p.returncode == 1 and f"address {ALICE} of account 16: not approved" in p.stdout.decode(), p.stdout
    start = len(i.log())
    i.serve()
    code, text = refusal(i, ALICE)
    assert code == 450 and b"not approved" in text
    assert i.logged("error .*address-not-approved", start)
    c = i.imap(MALLORY)
    assert c.select("INBOX")[1] == [b"1"]
    c.logout()


@pytest.mark.parametrize("served", [False, True])
def test_somebody_says_whose_address_it_is(i, store, served):
    """Not by the record that was turned elsewhere: the account that is shown is the one that is listed under it."""
    subvert(i, "address")
    if served:
        i.serve()
    p = i.run("key", "approve", ALICE, check=False)  # nobody answers
    assert p.returncode == 1 and b"nothing was signed" in p.stderr
    assert f"address {ALICE} of account 16: not approved" in i.run("audit", check=False).stdout.decode()
    shown = i.run("key", "approve", ALICE, "--yes").stdout.decode()
    assert shown.startswith(f"{ALICE}\n  address     nobody approved") and shown.endswith("approved\n")
    assert i.keyring.fingerprint(f"={ALICE}") in shown and i.keyring.fingerprint(f"={MALLORY}") not in shown
    assert "nobody approved" not in i.run("key", "approve", ALICE, "--yes").stdout.decode()
    if not served:
        i.serve()
    i.send(ALICE, harness.mail(subject="after"))
    for who, held in ((ALICE, b"3"), (MALLORY, b"1")):
        c = i.imap(who)
        assert c.select("INBOX")[1] == [held]
        c.logout()
    i.stop()
    assert i.run("audit").returncode == 0


def test_an_address_is_no_other_accounts_by_that(i, store):
    p = i.run("key", "approve", f"nobody@{harness.DOMAIN}", "--yes", check=False)
    assert p.returncode == 1 and b"no account has the address" in p.stderr
    subvert(i, "listed")
    p = i.run("key", "approve", ALICE, "--yes", check=False)
    assert p.returncode == 1 and b"with one voice" in p.stderr


def test_an_alias_that_nobody_approved_goes_and_comes_anew(i, store):
    alias = f"al@{harness.DOMAIN}"
    subvert(i, "alias")
    p = i.run("audit", check=False)
    assert p.returncode == 1 and f"address {alias} of account 16: not approved" in p.stdout.decode(), p.stdout
    assert i.run("alias", "add", alias, ALICE, check=False).returncode == 1
    i.run("alias", "remove", alias)
    i.run("alias", "add", alias, ALICE)
    assert i.run("audit").returncode == 0
    i.serve()
    i.send(alias, harness.mail(subject="for alice"))


def test_the_same_without_a_change(i, store):
    assert i.run("audit").returncode == 0
    i.serve()
    i.send(ALICE, harness.mail(subject="after"))


def test_what_forwards_there_is_shown_all_the_same(i, store):
    """Whoever is asked what there is says it, and of mail that would go there nobody says 250."""
    i.serve()
    i.run("account", "set", MALLORY, "--forward", ALICE)
    i.stop()
    subvert(i, "address")
    start = len(i.log())
    i.serve()
    for command in (("account", "list"), ("account", "show", MALLORY), ("status",)):
        assert f"to {ALICE}, which is here, and not approved" in i.run(*command).stdout.decode(), command
    with pytest.raises(smtplib.SMTPDataError) as refused:
        i.send(MALLORY, harness.mail(subject="after"))
    assert refused.value.smtp_code == 451 and b"not approved" in refused.value.smtp_error
    assert i.logged(r"mail .*reason=not-approved", start)
