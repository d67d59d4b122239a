"""Certificates that are sent in by mail: who has the mailbox and the key publishes them, nobody is told who is here,
and what is no submission is refused while its sender waits."""
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
import key_tools  # noqa: E402
import wks  # noqa: E402
from key_tools import ring  # noqa: E402,F401 (a fixture)
from uploads import ask, expiry, found, mails, wait_mails  # noqa: E402

DOMAIN, OTHER = harness.DOMAIN, "other.test"
ANN, BEA, HID = (f"{n}@{DOMAIN}" for n in ("ann", "bea", "hid"))
TO = wks.address()
KNOWN = "/.well-known/openpgpkey"
SEALS = {}  # by submission address: the fingerprint of its key


def count(i, name):
    return i.counters("ingest").get(name, 0)


@pytest.fixture(scope="module")
def i(ring):  # noqa: F811
    with harness.Instance(web=True) as instance:
        instance.init(web_instances=1, ingest_instances=1)
        instance.run("domain", "add", OTHER)
        instance.keys = {}
        for address in ANN, BEA, HID:
            fpr = instance.keys[address] = ring.make(f"<{address}>")
            instance.run("account", "add", address, "--key", key_tools.write(instance.place / fpr, ring.export(fpr)))
            instance.app_password(address)
        instance.run("account", "set", HID, "--publish", "no")
        instance.serve()
        for domain in DOMAIN, OTHER:
            status, head, cert = ask(instance, f"{KNOWN}/{domain}/hu/{wks.z_base_32('key-submission')}")
            assert (status, head["content-type"]) == (200, "application/octet-stream")
            before = set(ring.all())
            ring.gpg("--import", data=cert)
            SEALS[wks.address(domain)], = set(ring.all()) - before
        yield instance


def encrypt(ring, text, to=TO):  # noqa: F811
    return ring.gpg("--always-trust", "--armor", "-r", SEALS.get(to, to), "--encrypt", data=text).stdout


def submit(i, ring, text, to=TO, sender=ANN, **how):  # noqa: F811
    return wks.send(i, wks.encrypted(encrypt(ring, text, to), to, sender), to, sender, **how)


def keys(cert):
    return wks.part("application/pgp-keys", cert)


def wait_published(i, ring, address, after):  # noqa: F811
    return key_tools.wait_for(lambda: (c := found(i, address)) and int(expiry(ring, c)) > int(after) and c, 120)


def test_what_clients_ask_first(i):
    for domain in DOMAIN, OTHER:
        said = f"key-submission@{domain}\n".encode()
        for path, host in (f"{KNOWN}/{domain}/", DOMAIN), (f"{KNOWN}/", domain):
            assert ask(i, path + "submission-address", Host=host)[::2] == (200, said)
            status, head, policy = ask(i, path + "policy", Host=host)
            assert status == 200 and b"submission-address: " + said in policy and b"protocol-version: 14\n" in policy
            assert b"mailbox-only" not in policy and b"auth-submit" not in policy
    one, again = (ask(i, f"{KNOWN}/{DOMAIN}/hu/{wks.z_base_32('key-submission')}?l=key-submission")[2]
                  for _ in range(2))
    assert one == again
    assert ask(i, f"{KNOWN}/elsewhere.example/submission-address")[0] == 404
    assert ask(i, f"{KNOWN}/elsewhere.example/policy")[::2] == (200, b"")
    assert ask(i, f"{KNOWN}/elsewhere.example/hu/{wks.z_base_32('key-submission')}")[0] == 404


def test_a_renewed_key_is_published_by_its_holder(i, ring):  # noqa: F811
    fpr = i.keys[ANN]
    before = expiry(ring, found(i, ANN))
    ring.extend(fpr, "5y")
    assert submit(i, ring, keys(ring.export(fpr)))[0] == 250
    rendered, = wait_mails(i, ANN, 1)
    mail, asks = wks.request(ring, rendered)
    assert mail["From"] == f"Letterlock <{TO}>" and mail["Auto-Submitted"] == "auto-generated"
    assert {n: v for n, v in asks.items() if n != "nonce"} == {
        "type": "confirmation-request", "sender": TO, "address": ANN, "fingerprint": fpr}
    assert expiry(ring, found(i, ANN)) == before
    nonce = asks["nonce"]
    # Another secret of the same length; one that was cut; in clear; another kind of word; for another domain's key.
    for wrong in nonce[:-1] + ("a" if nonce[-1] != "a" else "b"), "a" * len(nonce):
        assert submit(i, ring, wks.response(wrong, ANN))[0] == 250
    for wrong in nonce[:-2], nonce.upper(), nonce + "\nnonce: " + nonce:
        assert submit(i, ring, wks.response(wrong, ANN))[0] == 550
    assert submit(i, ring, wks.response(nonce, ANN, "confirmation-request"))[0] == 550
    assert wks.send(i, harness.crlf(f"From: {ANN}\nTo: {TO}\n".encode() + wks.response(nonce, ANN)))[0] == 550
    assert wks.send(i, wks.encrypted(encrypt(ring, wks.response(nonce, ANN), wks.address(OTHER)), TO, ANN))[0] == 550
    assert expiry(ring, found(i, ANN)) == before
    assert submit(i, ring, wks.response(nonce, ANN))[0] == 250
    after = wait_published(i, ring, ANN, before)
    assert json.loads(i.run("key", "log", "--json").stdout)[-1]["why"] == "verified"
    taken = count(i, "key_submissions_published")
    assert taken == 1
    assert submit(i, ring, wks.response(nonce, ANN))[0] == 250  # once
    assert found(i, ANN) == after and count(i, "key_submissions_published") == taken
    assert i.run("audit").returncode == 0


def test_by_submission_and_to_a_second_domain(i, ring):  # noqa: F811
    """Any domain's address takes it; the answer comes from the address's own."""
    fpr = i.keys[BEA]
    ring.extend(fpr, "6y")
    before = expiry(ring, found(i, BEA))
    other = wks.address(OTHER)
    assert submit(i, ring, keys(ring.export(fpr)), other, BEA, session=i.submission(BEA))[0] == 250
    mail, asks = wks.request(ring, wait_mails(i, BEA, 1)[0])
    assert asks["sender"] == TO
    assert submit(i, ring, wks.response(asks["nonce"], BEA), sender=BEA, session=i.submission(BEA))[0] == 250
    wait_published(i, ring, BEA, before)


def test_answers_tell_nobody_who_is_here(i, ring):  # noqa: F811
    said = set()
    mailed = count(i, "verify_mails")
    of = [ring.make(f"<{address}>") for address in (f"nobody@{DOMAIN}", "ann@elsewhere.example", TO)]
    for fpr in i.keys[HID], *of, ring.make(f"<{BEA}>"):  # the last one is a key that the account has not
        said.add(submit(i, ring, keys(ring.export(fpr)))[0])
    assert said == {250}
    ring.extend(i.keys[BEA], "7y")
    assert submit(i, ring, keys(ring.export(i.keys[BEA])))[0] == 250
    wait_mails(i, BEA, 2)  # after all of the above
    assert mails(i, HID) == [] and count(i, "verify_mails") == mailed + 1


def test_what_is_no_submission(i, ring):  # noqa: F811
    cert = ring.export(i.keys[ANN])
    before = count(i, "key_submissions")
    plain = f"From: {ANN}\nTo: {TO}\n".encode()
    symmetric = ring.gpg("--armor", "--pinentry-mode", "loopback", "--passphrase", "x", "-c", data=keys(cert)).stdout
    for mail in (plain + keys(cert), plain + b"\nhello\n",
                 wks.encrypted(encrypt(ring, keys(cert), i.keys[ANN]), TO, ANN), wks.encrypted(symmetric, TO, ANN),
                 wks.encrypted(ring.gpg("--armor", "-u", i.keys[ANN], "--sign", data=keys(cert)).stdout, TO, ANN),
                 wks.encrypted(cert, TO, ANN)):
        assert wks.send(i, harness.crlf(mail))[0] == 550
    for inner in (b"", b"hello", wks.part("text/plain", cert), keys(b"hello"), keys(ring.secret(i.keys[ANN])),
                  wks.part("multipart/encrypted", cert), wks.part("application/vnd.gnupg.wks", b"")):
        assert submit(i, ring, inner)[0] == 550, inner
    assert wks.send(i, b"From: x\r\n\r\n" + b"x" * 76 + b"\r\n" + (b"x" * 76 + b"\r\n") * 7000)[0] == 552
    assert count(i, "key_submissions") == before


def test_it_stands_alone(i):
    with i.smtp() as s:
        s.ehlo()
        s.mail("sender@example.org")
        assert s.rcpt(TO)[0] == s.rcpt(TO.upper())[0] == 250
        assert s.rcpt(ANN)[0] == s.rcpt(wks.address(OTHER))[0] == s.rcpt(f"nobody@{DOMAIN}")[0] == 452
        s.rset()
        s.mail("sender@example.org")
        assert s.rcpt(ANN)[0] == 250 and s.rcpt(TO)[0] == 452
        s.rset()
        s.mail("")
        assert s.rcpt(wks.address("elsewhere.example"))[0] == 550


def test_no_account_has_the_address(i, ring):  # noqa: F811
    cert = i.place / i.keys[ANN]
    for words in ("account", "add", TO, "--key", cert), ("alias", "add", TO, ANN), ("alias", "add", TO.upper(), ANN):
        p = i.run(*words, check=False)
        assert p.returncode != 0 and b"the server takes mail to that address itself" in p.stderr, p.stderr
    i.run("alias", "add", f"@{DOMAIN}", ANN)  # who gets all that is nobody's does not get this
    before = len(mails(i, ANN))
    assert wks.send(i, harness.mail(to=TO))[0] == 550
    i.run("alias", "remove", f"@{DOMAIN}")
    assert len(mails(i, ANN)) == before


def test_a_peer_sends_in_so_many(i, ring):  # noqa: F811
    """Each counts, whatever comes of it. Others notice nothing of it."""
    word = wks.encrypted(encrypt(ring, wks.response("ab" * 42, ANN)), TO, ANN)
    codes = []
    while 450 not in codes:
        assert len(codes) < 200  # each minute 6 are forgiven
        codes.append(wks.send(i, word, peer="127.0.0.77")[0])
    assert set(codes) == {250, 450} and len(codes) > 30
    assert wks.send(i, word)[0] == 250


def test_the_operator_takes_none_in(i, ring):  # noqa: F811
    i.configure(certificate_uploads="no")
    i.run("reload")
    try:
        assert wks.send(i, harness.mail(to=TO))[0] == 550
        assert ask(i, f"{KNOWN}/{DOMAIN}/submission-address")[0] == 404
        assert ask(i, f"{KNOWN}/{DOMAIN}/policy")[::2] == (200, b"")
        assert ask(i, f"{KNOWN}/{DOMAIN}/hu/{wks.z_base_32('key-submission')}")[0] == 404
    finally:
        i.configure(certificate_uploads="yes")
        i.run("reload")
