"""Mail that is sealed to its recipients before it goes anywhere (account set --encrypt): gpg opens what has come, and
nobody's copy tells of another's."""
import email
import json
import re
import time

import harness
import pytest

ALICE, BOB, CAROL, DAVE = (f"{n}@{harness.DOMAIN}" for n in ("alice", "bob", "carol", "dave"))
SECRET = "The geese fly at midnight"


@pytest.fixture(scope="module")
def i():
    with harness.Instance() as i:
        i.init(relay_port=1, discover_wait=0)  # of accounts here: test_discover.py has the others
        for name in ("alice", "bob", "carol"):
            i.add_account(name)
        i.add_account("dave", algo="rsa")
        i.serve()
        yield i


@pytest.fixture(autouse=True)
def clean(i):
    yield
    i.run("account", "set", ALICE, "--encrypt", "never")
    for address in (BOB, CAROL, DAVE):
        emptied(i, address)


def emptied(i, address):
    boxes = i.fetch_all(address)
    c = i.imap(address)
    c.select("INBOX")
    if boxes:
        c.store("1:*", "+FLAGS", r"(\Deleted)")
        c.expunge()
    c.logout()
    return [boxes[uid] for uid in sorted(boxes)]


def only(i, address):
    boxes = i.fetch_all(address)
    assert len(boxes) == 1
    return boxes[1] if 1 in boxes else boxes[min(boxes)]


def letter(to=BOB, cc="", body=SECRET, extra=""):
    return harness.crlf(f"From: Alice <{ALICE}>\nTo: {to}\n{f'Cc: {cc}' + chr(10) if cc else ''}"
                        f"Subject: {SECRET} too\nMessage-ID: <m1@{harness.DOMAIN}>\nReferences: <r1@{harness.DOMAIN}>\n"
                        f"{extra}\n{body}\n")


def submit(i, message, to, options=()):
    s = i.submission(ALICE)
    refused = s.sendmail(ALICE, to, message, mail_options=list(options))
    s.quit()
    assert refused == {}


def keys_named(i, rendered):
    out = i.keyring.gpg("--list-packets", data=harness.armor_of(rendered), check=False)
    return re.findall(r"^:pubkey enc packet:.*keyid ([0-9A-F]{16})$", out.stdout.decode(), re.M)


def key_of(i, address):
    out = i.keyring.gpg("--with-colons", "--list-keys", address).stdout.decode()
    return re.search(r"^sub:(?:[^:]*:){3}([0-9A-F]{16}):", out, re.M).group(1)


def set_encrypt(i, word):
    i.run("account", "set", ALICE, "--encrypt", word)
    assert f"encrypt  {word}" in i.run("account", "show", ALICE).stdout.decode()


@pytest.mark.parametrize("word", ["opportunistic", "always"])
def test_what_comes_was_sealed_by_the_sender(i, word):
    set_encrypt(i, word)
    submit(i, letter(cc=f"{CAROL}, {DAVE}"), [BOB, CAROL, DAVE])
    for address in (BOB, CAROL, DAVE):
        rendered = only(i, address)
        outer = email.message_from_bytes(rendered)
        assert outer.get_content_type() == "multipart/encrypted" and outer["Sealed-By"] is None
        assert outer["Subject"] == "[...]" and SECRET.encode() not in rendered
        assert outer["Message-ID"] == f"<m1@{harness.DOMAIN}>" and outer["References"] == f"<r1@{harness.DOMAIN}>"
        assert CAROL in outer["Cc"] and BOB in outer["To"] and ALICE in outer["From"]
        inside = i.keyring.decrypt(harness.armor_of(rendered))
        m = email.message_from_bytes(inside)
        assert m["Subject"] == f"{SECRET} too" and m.get_payload() == f"{SECRET}\r\n"
        assert m.get_content_type() == "text/plain" and m.get_param("hp") == "cipher"
        assert f"Alice <{ALICE}>" == m["From"] and "Sealed-By" not in inside.decode()
        assert [h for h in m.get_all("HP-Outer") if h.startswith("Subject:")] == ["Subject: [...]"]
        assert sorted(keys_named(i, rendered)) == sorted(key_of(i, a) for a in (BOB, CAROL, DAVE))


def test_nobody_learns_of_a_blind_copy(i):
    set_encrypt(i, "always")
    submit(i, letter(), [CAROL, BOB, DAVE])  # carol and dave are in no field
    for address in (BOB, CAROL, DAVE):
        rendered = only(i, address)
        assert keys_named(i, rendered) == [key_of(i, address)]
        inside = i.keyring.decrypt(harness.armor_of(rendered)).decode()
        for other in {CAROL, DAVE} - {address}:
            assert other not in inside and other not in rendered.decode()


def test_always_refuses_whom_it_knows_no_key_of(i):
    set_encrypt(i, "always")
    s = i.submission(ALICE)
    assert s.docmd("MAIL", f"FROM:<{ALICE}>")[0] == 250
    code, text = s.docmd("RCPT", "TO:<friend@elsewhere.example>")
    assert code == 550
    assert text.startswith(b"5.7.5 No key is known for this recipient, and your account seals always")
    assert s.docmd("RCPT", f"TO:<{BOB}>")[0] == 250
    assert s.docmd("DATA")[0] == 354
    s.send(letter() + b".\r\n")
    assert s.getreply()[0] == 250
    s.quit()
    assert keys_named(i, only(i, BOB)) == [key_of(i, BOB)]


def test_opportunistic_sends_as_it_is_when_a_key_is_missing(i):
    set_encrypt(i, "opportunistic")
    submit(i, letter(to=f"{BOB}, friend@elsewhere.example"), [BOB, "friend@elsewhere.example"])
    rendered = only(i, BOB)
    assert email.message_from_bytes(rendered)["Sealed-By"]  # by the server, as what comes from outside
    assert SECRET in i.unseal(rendered).decode()


def begun(i, *to, options=""):
    """A session in which these have been taken."""
    s = i.submission(ALICE)
    assert s.docmd("MAIL", f"FROM:<{ALICE}>{options}")[0] == 250
    for address in to:
        assert s.docmd("RCPT", f"TO:<{address}>")[0] == 250
    return s


def ended(s, message):
    assert s.docmd("DATA")[0] == 354
    s.send(message + b".\r\n")
    code, text = s.getreply()
    s.quit()
    return code, text.decode()


def waiting(i):
    return [r["to"] for m in json.loads(i.run("queue", "list", "--json").stdout) for r in m["recipients"]]


def test_a_key_that_ends_after_rcpt(i):
    """What counts is what is known when the message is there: one that goes always sealed does not go then."""
    erin = i.add_account("erin")
    revocation = i.place / "erin.rev"
    made_by_gpg = i.keyring.path / "openpgp-revocs.d" / f"{i.keyring.fingerprint(erin)}.rev"
    revocation.write_text(made_by_gpg.read_text().replace(":-----BEGIN", "-----BEGIN"))
    set_encrypt(i, "always")
    before = waiting(i)
    s = begun(i, BOB, erin, options=" HOLDFOR=1000")
    i.run("key", "revoke", erin, revocation)
    code, text = ended(s, letter(to=f"{BOB}, {erin}"))
    assert (code, text[:5]) == (451, "4.7.5") and waiting(i) == before and i.fetch_all(BOB) == {}


def test_a_key_that_takes_another_s_place_after_rcpt(i):
    """Nothing is sealed to the old one."""
    frank = i.add_account("frank")
    old, new = key_of(i, frank), harness.Keyring(i.place / "another")
    new.generate(frank)
    (i.place / "new.asc").write_bytes(new.export(frank))
    set_encrypt(i, "opportunistic")
    s = begun(i, BOB, frank)
    i.run("key", "add", frank, i.place / "new.asc")
    i.run("key", "retire", frank, i.keyring.fingerprint(frank))
    assert ended(s, letter(to=f"{BOB}, {frank}"))[0] == 250
    new.close()
    named = keys_named(i, only(i, BOB))
    assert old not in named and len(named) == 2


def test_a_word_that_is_given_after_rcpt(i):
    set_encrypt(i, "opportunistic")
    before = waiting(i)
    s = begun(i, BOB, "friend@elsewhere.example")
    set_encrypt(i, "always")
    code, text = ended(s, letter())
    assert (code, text[:5]) == (451, "4.7.5") and waiting(i) == before and i.fetch_all(BOB) == {}
    s = begun(i, BOB)
    set_encrypt(i, "never")  # what MAIL found holds for this one
    assert ended(s, letter())[0] == 250
    assert email.message_from_bytes(only(i, BOB))["Sealed-By"] is None


def test_it_is_counted_and_logged(i):
    def counted():
        return sum(r["counters"]["encrypted"] for r in i.status()["roles"] if r["role"] == "ingest")

    before = counted()
    set_encrypt(i, "always")
    submit(i, letter(), [BOB, CAROL])
    set_encrypt(i, "never")
    submit(i, letter(), [BOB])
    assert counted() == before + 1
    assert i.logged(r"ingest\S* encrypted recipients=2 copies=2 id=[0-9a-f]{16}")


def test_never_is_the_default(i):
    submit(i, letter(), [BOB])
    assert email.message_from_bytes(only(i, BOB))["Sealed-By"]


def test_encrypted_already_passes_as_it_is(i):
    set_encrypt(i, "always")
    armour = i.keyring.gpg("--armor", "--encrypt", "--recipient", BOB, "--recipient", ALICE,
                           data=b"Content-Type: text/plain\r\n\r\nIn a client\r\n").stdout.decode()
    body = ("--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\n"
            f"Content-Type: application/octet-stream\n\n{armour}\n--b--")
    kind = 'MIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\n'
    submit(i, letter(body=body, extra=kind), [BOB])
    rendered = only(i, BOB)
    assert sorted(keys_named(i, rendered)) == sorted((key_of(i, BOB), key_of(i, ALICE)))
    assert i.keyring.decrypt(harness.armor_of(rendered)) == b"Content-Type: text/plain\r\n\r\nIn a client\r\n"
    emptied(i, BOB)
    # a label alone is none
    submit(i, letter(body=body.replace(armour, SECRET), extra=kind), [BOB])
    rendered = only(i, BOB)
    assert SECRET.encode() not in rendered and keys_named(i, rendered) == [key_of(i, BOB)]


def test_a_signed_mail_stays_signed_inside(i):
    set_encrypt(i, "always")
    part = harness.crlf("Content-Type: text/plain\n\nSigned words\n")
    signature = i.keyring.unasked("--armor", "--local-user", ALICE, "--detach-sign", data=part).stdout
    body = b"--s\r\n" + part + b"\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n" + \
        harness.crlf(signature) + b"\r\n--s--\r\n"
    kind = 'MIME-Version: 1.0\nContent-Type: multipart/signed; protocol="application/pgp-signature"; ' \
        "micalg=pgp-sha512; boundary=s\n"
    submit(i, letter(extra=kind, body="").rstrip(b"\r\n") + b"\r\n\r\n" + body, [BOB])
    m = email.message_from_bytes(i.keyring.decrypt(harness.armor_of(only(i, BOB))))
    assert m.get_content_type() == "multipart/signed"
    file = i.place / "signature.asc"
    file.write_bytes(m.get_payload()[1].get_payload().encode())
    assert i.keyring.gpg("--verify", str(file), "-", data=part, check=False).returncode == 0


def test_held_mail_waits_sealed(i):
    set_encrypt(i, "always")
    submit(i, letter(), [BOB, CAROL], options=["HOLDFOR=2"])
    assert i.fetch_all(BOB) == {}
    end = time.monotonic() + 60
    while time.monotonic() < end and not (i.fetch_all(BOB) and i.fetch_all(CAROL)):
        time.sleep(0.2)
    for address in (BOB, CAROL):
        rendered = only(i, address)
        assert keys_named(i, rendered) == [key_of(i, address)] and SECRET.encode() not in rendered
        assert SECRET in i.keyring.decrypt(harness.armor_of(rendered)).decode()


def test_another_word_is_refused(i):
    for words in (["--encrypt", "sometimes"], []):
        assert i.run("account", "set", ALICE, *words, check=False).returncode == 2
