"""What Thunderbird shows of sealed mail, asked from the running program: its message list, header pane, body, pictures,
attachments and OpenPGP status, under each policy, and what it makes of a reply. docs/openpgp.md ("What a client
sees") says what is asserted here. Every mail and policy with LETTERLOCK_FULL=1; with LETTERLOCK_SCREENSHOTS=docs/img
what is shown there."""
import base64
import concurrent.futures
import contextlib
import email
import email.policy
import email.utils
import os
import pathlib
import subprocess
import time

import corpus
import harness
import mails
import pytest
import thunderbird

FULL = bool(os.environ.get("LETTERLOCK_FULL"))
POLICIES = ("shy", "baseline", "hidden", "shy+display") if FULL else ("shy",)
# Their Subject outside is not the protected one that Thunderbird takes, so that of the sender stays, and hidden's, too.
AS_PUBLISHED = ("inline", "encrypted-hp")
HIDDEN = "hidden@hidden.invalid"
full = pytest.mark.needs("the long run")
pytestmark = pytest.mark.needs(*thunderbird.PROGRAMS)


@contextlib.contextmanager
def names(**values):
    """Other values for what mails.py puts into every mail."""
    before = {k: getattr(mails, k) for k in values}
    for k, v in values.items():
        setattr(mails, k, v)
    try:
        yield
    finally:
        for k, v in before.items():
            setattr(mails, k, v)


def fresh_date():
    """Thunderbird does not believe a signature made an hour before or after the mail's date, nor hidden's date, which
    is the hour's beginning."""
    now = int(time.time())
    return email.utils.formatdate(now if 1 <= now // 60 % 60 < 50 else now + 900)


class Shown:
    """Every mail at an account of each policy; what Thunderbird's list says of them before and after each was opened,
    and its pane."""

    def __init__(self, place):
        self.instance = i = harness.Instance().init()
        with names(DATE=fresh_date(), SIGNER="ada@example.org"):
            self.maker = mails.Maker(i.keyring, place)
            self.date = email.utils.parsedate_to_datetime(mails.DATE).timestamp()
            self.addresses = {p: i.add_account("reader-" + p.replace("+", "-"), policy=p) for p in POLICIES}
            accounts = dict(i.passwords)
            i.add_account("friend", policy="baseline")
            self.mails = {p: [m for m in [*self.maker.make(a), *self.encrypted(a)] if FULL or m.short] for p,
                          a in self.addresses.items()}
        i.serve()
        for policy, address in self.addresses.items():
            with i.smtp() as s:
                for m in self.mails[policy]:
                    s.sendmail("bounces@example.org", [address], m.data, mail_options=["BODY=8BITMIME"])
        people = [i.keyring.export(a).decode() for a in ("ada@example.org", f"friend@{harness.DOMAIN}")]
        self.client = thunderbird.Thunderbird(i, accounts, people, [self.maker.cms_cert.read_text()])
        try:
            self.before, self.opened, self.after, self.keys = {}, {}, {}, {}
            for policy in POLICIES:
                self.look(policy)
        except BaseException:
            self.close()
            raise

    def encrypted(self, address):
        """What mails.py has not: encrypted by its sender without MIME, and with header protection that only RFC 9788
        knows."""
        def encrypt(text):
            return self.maker.keyring.gpg("--armor", "--encrypt", "--recipient", address,
                                          data=mails.crlf(text)).stdout.decode()

        def head(name):
            return (
                f"From: Ada Example <ada@example.org>\nTo: {address}\nSubject: Seen by everybody\nDate:"
                f" {mails.DATE}\nMessage-ID: <{name}@example.org>\nMIME-Version: 1.0\n"
            )
        yield mails.Mail("inline", mails.crlf(head("inline") + "Content-Type: text/plain; charset=utf-8\n\n"
                                              + encrypt("An inline text: ü.\n")),
                         "Seen by everybody", "An inline text: ü.", sealed=False)
        inner = encrypt(
            'Content-Type: text/plain; hp="cipher"\nSubject: Unseen\nHP-Outer: Subject: Seen by everybody\n\nA text'
            ' with hp alone.\n'
        )
        yield mails.Mail(
            "encrypted-hp",
            mails.crlf(
                head("hp")
                + 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";'
                ' boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type:'
                f' application/octet-stream\n\n{inner}\n--e--\n'
            ),
            "Seen by everybody",
            "A text with hp alone.",
            sealed=False,
        )

    def look(self, policy):
        address, known = self.addresses[policy], [m.name for m in self.mails[policy]]
        keys = self.client.fetch(address, len(known))
        self.keys[policy] = dict(zip(known, keys))

        def rows():
            by_key = {r["key"]: r for r in self.client.list(address)}
            return {n: by_key[k] for n, k in self.keys[policy].items()}
        self.before[policy] = rows()
        self.opened[policy] = {n: self.client.open(address, k, files=n == "attachments") for n,
                               k in self.keys[policy].items()}
        self.after[policy] = rows()

    def close(self):
        self.client.close()
        self.instance.close()


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    s = Shown(tmp_path_factory.mktemp("mails"))
    yield s
    s.close()


def each(shown, policy):
    for m in shown.mails[policy]:
        yield m, shown.opened[policy][m.name]


def correspondent(m, policy):
    name, address = email.utils.parseaddr(m.sender)
    if policy == "hidden":
        return HIDDEN
    # A raw 8-bit name that is no UTF-8 is left out under baseline too.
    return address if policy.startswith("shy") or m.name == "raw-latin1" else m.sender


def outer_date(shown, policy):
    return shown.date - shown.date % 3600 if policy == "hidden" else shown.date


@pytest.mark.parametrize("policy", POLICIES)
def test_the_list_before_opening(shown, policy):
    for m in shown.mails[policy]:
        row, outside = shown.before[policy][m.name], shown.opened[policy][m.name]["outside"]
        published = m.subject if m.name in AS_PUBLISHED and policy != "hidden" else "[...]"
        assert row["subject"] == published == outside["subject"], m.name
        assert row["correspondent"] == correspondent(m, policy), m.name
        assert outside["date"] == outer_date(shown, policy), m.name


@pytest.mark.parametrize("policy", POLICIES)
def test_everything_is_decrypted(shown, policy):
    for m, o in each(shown, policy):
        assert (
            o["encryption"] == "MSG_ENC_OK" and o["tech"] == "OpenPGP" and o["icons"][0] == "message-encrypted-ok.svg"
        ), (m.name, o)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_true_subject_shows(shown, policy):
    for m, o in each(shown, policy):
        subject = m.subject if m.name not in AS_PUBLISHED or policy != "hidden" else "[...]"
        if m.name == "raw-latin1" and "+display" in policy:  # the charset that helps to guess is that of a part
            subject = "Gr\ufffd\ufffde, roh in Latin-1"
        assert o["subject"] == o["title"] == subject, m.name
        assert shown.after[policy][m.name]["subject"] == o["after"]["subject"] == subject, m.name


@pytest.mark.parametrize("policy", POLICIES)
def test_correspondents_stay_those_outside(shown, policy):
    for m, o in each(shown, policy):
        assert o["from"] == [correspondent(m, policy)], m.name
        assert shown.after[policy][m.name]["correspondent"] == correspondent(m, policy), m.name
        assert o["cc"] == ([] if policy == "hidden" or not m.sealed else ["third@example.net"]), m.name


@pytest.mark.parametrize("policy", POLICIES)
def test_the_true_date_shows_in_the_list(shown, policy):
    for m, o in each(shown, policy):
        assert o["date"] == outer_date(shown, policy), m.name  # the pane keeps the date outside
        assert o["after"]["date"] == (shown.date if m.name not in AS_PUBLISHED else outer_date(shown, policy)), m.name


@pytest.mark.parametrize("policy", POLICIES)
def test_text_pictures_attachments(shown, policy):
    for m, o in each(shown, policy):
        # Thunderbird shows an invitation's calendar instead of its text.
        text = "Besprechung über Köln" if m.name == "invitation" else m.text
        assert text in o["body"], (m.name, o["body"])
        pictures = [a for a in m.attachments if a.endswith(".png")]
        assert o["pictures"] == [16] * len(pictures), m.name
        files = {"forwarded": ["The inner subject.eml"], "forwarded-alone": ["Yet another inner subject.eml"],
                 "smime-opaque": ["smime.p7m"]}
        assert [name for name, _ in o["attachments"]] == files.get(
            m.name, [a for a in m.attachments if a not in pictures]
        ), m.name
        if "+display" in policy and m.sealed and m.name != "no-subject":
            assert o["body"].startswith(f"Subject: {m.subject}"[:70]), (m.name, o["body"])
        if m.name == "attachments":
            for name, octets in o["attachments"]:
                assert base64.b64decode(octets).rstrip(b"\r\n") == m.attachments[name].rstrip(b"\r\n"), name
        if m.name == "flowed":
            assert "A paragraph that the sender's client broke softly, as RFC 3676 has it." in o["body"]
        if m.name == "flowed-delsp":
            assert "Kein Leerzeichen im zusammengesetzten Wort." in o["body"]
        if m.name == "clear-signed":
            assert "-----BEGIN PGP SIGNED MESSAGE-----" in o["body"]
        if m.name == "smime-opaque":
            assert o["body"].removeprefix(f"Subject: {m.subject}").strip() == ""


@pytest.mark.parametrize("policy", POLICIES)
def test_signatures(shown, policy):
    """PGP/MIME verifies; under hidden its key is nobody's, since the sender outside is nobody. Nothing else is verified
    inside PGP/MIME, and
    no part of what is inside."""
    verified = {"hidden": ("MSG_SIG_UNCERTAIN_UID_MISMATCH", "message-signed-mismatch.svg"),
                "shy+display": ("MSG_SIG_NONE", "")}.get(
        policy, ("MSG_SIG_VALID_KEY_VERIFIED", "message-signed-verified.svg"))
    seen = 0
    for m, o in each(shown, policy):
        seen += m.signed == "pgp"
        assert (o["signature"], o["icons"][1]) == (verified if m.signed == "pgp" else ("MSG_SIG_NONE", "")), m.name
    assert seen == 2


@full
@pytest.mark.needs("the corpus of real mail (npm)")
def test_real_mail_keeps_subject_and_date(shown):
    """A sixth of the corpus and all of it that is signed: what Thunderbird takes for protected is what the sender
    wrote."""
    tool = pathlib.Path(harness.BINARY).parent / "tests/unit/protect_tool"
    chosen = [(name, corpus.wire(data)) for n, (name, data) in enumerate(corpus.messages()) if n % 6 == 0
              or b"multipart/signed" in data[:6000]]

    def protect(mail):
        return subprocess.run([tool, "shy"], input=mail[1], capture_output=True, check=True).stdout
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        sealed = list(pool.map(protect, chosen))
    assert len(chosen) > 1000 and sum(b"\r\nContent-Type: text/rfc822-headers; protected-headers" in s
                                      for s in sealed) > 90
    for (name, _), (original, protected) in zip(chosen,
                                                shown.client.protected([(m, s) for (_, m), s in zip(chosen, sealed)])):
        assert protected, name
        # Raw 8-bit that is no UTF-8 is better read beside a charset, which a header alone does not have.
        assert protected == original or ("\ufffd" in original[0] and protected[1] == original[1]), name


# Threads and replies

def thread(instance, address):
    """Three mails in one thread, the last two as replies, and one apart."""
    for n, (name, parents) in enumerate([("root", []), ("first", ["root"]), ("second", ["root", "first"]),
                                         ("apart", [])]):
        ids = [f"<{p}@thread.example>" for p in parents]
        extra = f"In-Reply-To: {ids[-1]}\nReferences: {' '.join(ids)}\n" if ids else ""
        assert not instance.send(
            address,
            harness.crlf(
                f"From: A Friend <friend@{harness.DOMAIN}>\nTo: {address}\nSubject: {'Re: ' if ids else ''}Of"
                f" {name if name == 'apart' else 'threads'}\nDate: Sun, 01 Mar 2026 0{n}:12:34 +0000\nMessage-ID:"
                f" <{name}@thread.example>\n{extra}\nThe text of {name}.\n"
            ),
        )


@full
@pytest.mark.parametrize("policy", POLICIES)
def test_threads_and_replies(shown, policy):
    address, friend = shown.addresses[policy], f"friend@{harness.DOMAIN}"
    earlier = len(shown.mails[policy])
    thread(shown.instance, address)
    keys = shown.client.fetch(address, earlier + 4)[earlier:]
    levels = {r["key"]: r["level"] for r in shown.client.list(address, threaded=True)}
    assert [levels[k] for k in keys] == [0, 1, 2, 0]
    o = shown.client.open(address, keys[1])
    assert o["subject"] == "Re: Of threads" and o["after"]["subject"] == "Of threads"
    before = set(shown.instance.fetch_all(friend))
    reply = shown.client.reply(address, keys[1], "My answer." if policy != "hidden" else "")
    assert reply["encrypts"] and reply["subject"] == "Re: Of threads"
    assert "> The text of first." in reply["body"]
    ids = reply["references"].split()
    if policy == "hidden":  # the sender outside is nobody, and so are the ids
        assert reply["to"] == HIDDEN and len(ids) == 2 and all(x.startswith("<p1.") for x in ids)
        return
    assert reply["to"] in (friend, f"A Friend <{friend}>") and ids == [
        "<root@thread.example>",
        "<first@thread.example>",
    ]
    new = {k: v for k, v in shown.instance.fetch_all(friend).items() if k not in before}
    assert len(new) == 1
    got = email.message_from_bytes(new.popitem()[1], policy=email.policy.default)
    assert (
        got["In-Reply-To"] == "<first@thread.example>"
        and got["References"] == "<root@thread.example> <first@thread.example>"
    )
    inner = shown.instance.keyring.decrypt(harness.armor_of(got.as_bytes()))
    assert b"Subject: Re: Of threads\r\n" in inner and b"My answer." in inner and b"> The text of first." in inner


@full
@pytest.mark.parametrize("encrypts", [True, False])
@pytest.mark.parametrize("policy", POLICIES)
def test_drafts_come_back(shown, policy, encrypts):
    """Thunderbird encrypts its drafts, with their Subject outside, if not told otherwise; those that it does not are
    sealed."""
    address, to = shown.addresses[policy], "A Friend <friend@example.org>"
    before = set(shown.instance.fetch_all(address, "Drafts"))
    got = shown.client.draft(address, to, "Only drafted", "Half a text.", encrypts)
    outside = {"baseline": to, "hidden": HIDDEN}.get(policy, "friend@example.org")
    # Under hidden its recipients are lost: Thunderbird takes those outside.
    assert got == {"subject": "Only drafted", "to": outside, "text": "Half a text."}
    new = [v for k, v in shown.instance.fetch_all(address, "Drafts").items() if k not in before]
    assert (
        len(new) == 1
        and b"Half a text" not in new[0]
        and b"Half a text." in shown.instance.keyring.decrypt(harness.armor_of(new[0]))
    )
    m = email.message_from_bytes(new[0], policy=email.policy.default)
    assert (m["Subject"], m["To"]) == ("Only drafted" if encrypts and policy != "hidden" else "[...]", outside)


# Pictures of it for people

LETTERS = (
    (
        "Nora Berg <nora@example.org>",
        "Minutes of Tuesday's meeting",
        "08:02",
        "Dear all,\n\nhere is what we agreed on, in short.\n",
    ),
    ("Post Office <parcels@example.net>", "Your parcel arrives tomorrow", "09:15", "Between eight and ten.\n"),
    (
        "=?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@example.org>",
        "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=",
        "10:30",
        "Hallo Alice,\n\nsonnige Grüße!\n\nJörg\n",
    ),
    (
        "Ada Example <ada@example.org>",
        "The design of the new lock",
        "11:47",
        (
            "Hello Alice,\n\nthe letter itself is its own lock: it is folded, slit and sealed so that\nnobody opens it"
            " unseen. What the server stored of this mail is ciphertext;\nits subject, names and text are readable here"
            " alone, with your key.\n\nAda\n"
        ),
    ),
)


@full
def test_screenshots(tmp_path):
    """The list before anything is decrypted; then a message and what the list has learned."""
    place = pathlib.Path(os.environ.get("LETTERLOCK_SCREENSHOTS") or tmp_path)
    with harness.Instance() as i:
        i.init()
        alice = i.add_account("alice")
        i.serve()
        for sender, subject, clock, text in LETTERS:
            i.send(
                alice,
                mails.crlf(
                    f"From: {sender}\nTo: Alice <{alice}>\nSubject: {subject}\nDate: Wed, 04 Mar 2026 {clock}:00"
                    f" +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{text}"
                ),
            )
        with thunderbird.Thunderbird(i, i.passwords, size=(1000, 620)) as t:
            keys = t.fetch(alice, len(LETTERS))
            t.list(alice)
            t.arrange(height=350)
            assert {r["subject"] for r in t.list(alice)} == {"[...]"}
            t.screenshot(place / "thunderbird-list.png")
            for key in keys:
                last = t.open(alice, key)
            assert last["subject"] == "The design of the new lock" and "its own lock" in last["body"]
            assert [r["subject"] for r in t.list(alice)][2] == "Grüße aus Köln"
            t.screenshot(place / "thunderbird-message.png")
    for name in ("thunderbird-list.png", "thunderbird-message.png"):
        data = (place / name).read_bytes()
        assert 5_000 < len(data) < 200_000
        size, colours = subprocess.run(["identify", "-format", "%wx%h %k", place / name], capture_output=True,
                                       check=True, text=True).stdout.split()
        assert size == "1000x620" and int(colours) > 16
