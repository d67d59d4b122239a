"""Autocrypt: what an account sends brings its certificate along, as GMime reads it and GnuPG takes it in."""
import base64
import email
import subprocess
import tempfile

import gi
import harness
import pytest

gi.require_version("GMime", "3.0")
from gi.repository import GLib, GMime  # noqa: E402

ALICE, BOB, ALIAS = (f"{n}@{harness.DOMAIN}" for n in ("alice", "bob", "shop"))


@pytest.fixture(scope="module")
def i():
    with harness.Instance() as i:
        i.init(relay_port=1)
        for name in ("alice", "bob"):
            i.add_account(name)
        i.run("alias", "add", ALIAS, ALICE)
        i.serve()
        yield i


@pytest.fixture(autouse=True)
def as_it_was(i):
    yield
    i.run("account", "set", ALICE, "--encrypt", "never", "--autocrypt", "yes")


def sent(i, sender=f"Alice <{ALICE}>", extra="", body="Hello.\n"):
    """What has come to Bob of it, opened: the message as Alice's server let it go."""
    before = set(i.fetch_all(BOB))
    s = i.submission(ALICE)
    s.sendmail(ALICE, [BOB], harness.crlf(f"From: {sender}\nTo: {BOB}\nSubject: x\n{extra}\n{body}"))
    s.quit()
    boxes = i.fetch_all(BOB)
    uid, = set(boxes) - before
    return boxes[uid], i.keyring.decrypt(harness.armor_of(boxes[uid]))


def autocrypt(message):
    """GMime's reading of it."""
    GMime.init()
    parser = GMime.Parser.new_with_stream(GMime.StreamMem.new_with_buffer(message))
    header = parser.construct_message(None).get_autocrypt_header(GLib.DateTime.new_now_utc())
    return header if header and header.is_complete() else None


def user_ids_and_fingerprint(key):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        p = subprocess.run(["gpg", "--homedir", home, "--batch", "--with-colons", "--import-options", "show-only",
                            "--import"], input=key, capture_output=True, check=True)
    rows = [line.split(":") for line in p.stdout.decode().splitlines()]
    return [r[9] for r in rows if r[0] == "uid"], next(r[9] for r in rows if r[0] == "fpr")


def test_the_certificate_comes_along(i):
    header = autocrypt(sent(i)[1])
    assert header.get_address_as_string() == ALICE
    assert header.get_prefer_encrypt() == GMime.AutocryptPreferEncrypt.NONE
    user_ids, fpr = user_ids_and_fingerprint(header.get_keydata().get_data())
    assert fpr == i.keyring.fingerprint(ALICE) and len(user_ids) == 1 and ALICE in user_ids[0]


@pytest.mark.parametrize("word", ["opportunistic", "always"])
def test_who_seals_says_so(i, word):
    """A sealed one has it inside and outside: a reader's client looks outside, as Level 1 says."""
    i.run("account", "set", ALICE, "--encrypt", word)
    rendered, inside = sent(i)
    assert email.message_from_bytes(rendered)["Sealed-By"] is None
    assert autocrypt(inside).get_prefer_encrypt() == GMime.AutocryptPreferEncrypt.MUTUAL
    assert b"HP-Outer: Autocrypt: addr=" in inside, "outside as well"


def test_none_where_none_is_wanted(i):
    assert b"autocrypt yes" in i.run("account", "show", ALICE).stdout
    i.run("account", "set", ALICE, "--autocrypt", "no")
    assert b"autocrypt no" in i.run("account", "show", ALICE).stdout
    assert b"Autocrypt" not in sent(i)[1]


def test_a_clients_own_stays_alone(i):
    own = f"Autocrypt: addr={ALICE}; prefer-encrypt=mutual; keydata=AAAA\n"
    message = email.message_from_bytes(sent(i, extra=own)[1])
    assert message.get_all("Autocrypt") == [own.split(": ", 1)[1].strip()]


@pytest.mark.parametrize("word, of, wishes", [("opportunistic", ALICE, True), ("always", ALICE, True),
                                              ("never", ALICE, False), ("opportunistic", BOB, False)])
def test_a_clients_own_is_given_the_accounts_wish(i, word, of, wishes):
    """Where its key is the account's: Thunderbird says nothing of encrypted answers, and its server seals."""
    i.run("account", "set", ALICE, "--encrypt", word)
    data = base64.b64encode(i.keyring.gpg("--export", of).stdout).decode()
    lines = [data[k:k + 72] for k in range(0, len(data), 72)]
    own = "\n ".join([f"Autocrypt: addr={ALICE}; keydata=", *lines]) + "\n"
    _, inside = sent(i, extra=own)
    assert inside.count(b"\nAutocrypt: ") == 1
    header, wanted = autocrypt(inside), GMime.AutocryptPreferEncrypt
    assert header.get_prefer_encrypt() == (wanted.MUTUAL if wishes else wanted.NONE)
    assert header.get_keydata().get_data() == base64.b64decode(data)
    assert (harness.crlf(own) in inside) != wishes


@pytest.mark.parametrize("sender", [ALIAS, f"{ALICE}, {ALIAS}"])
def test_of_one_author_whose_name_is_in_the_key(i, sender):
    assert b"Autocrypt" not in sent(i, sender)[1]


def test_the_body_and_the_rest_stay(i):
    message = email.message_from_bytes(sent(i, body="Autocrypt: in the body\n", extra="X-Mine: y\n")[1])
    assert message["X-Mine"] == "y" and message.get_payload() == "Autocrypt: in the body\r\n"
    assert [k for k in message.keys()].count("Autocrypt") == 1
