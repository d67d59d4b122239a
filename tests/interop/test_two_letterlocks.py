"""Two servers of ours whose people write to one another, and a Thunderbird: a first mail goes in the clear, its answer
is sealed, and from then on both ways, though nobody has touched a key. Names by NSD, the mail by each one's own relay;
what opens it is each reader's own keyring."""
import base64
import contextlib
import email
import email.policy
import re
import smtplib
import time

import harness
import names
import pytest
import thunderbird
import web

pytestmark = pytest.mark.needs(*names.NEEDS, "gpg", "openssl")
ONE, TWO = "one.test", "two.test"
WAIT = 120
SENT = '\n@ MX 10 mx\nmx A 127.0.0.1\n@ TXT "v=spf1 ip4:127.0.0.1 -all"\n_dmarc TXT "v=DMARC1; p=none"\n'
ZONES = {ONE: SENT, TWO: SENT + "out A 127.0.0.3\n", "test": "one NS ns.one\ntwo NS ns.two",
         "127.in-addr.arpa": f"1.0.0 PTR mx.{ONE}.\n3.0.0 PTR out.{TWO}."}
WITH_WKD = {**ZONES, **{d: ZONES[d] + "openpgpkey A 127.0.0.1\n" for d in (ONE, TWO)}}


class Pair:
    """alice, ann, amy and tom at the one; bob, ben, bill and tess at the other."""

    def __init__(self, stack, zones, **how):
        n = stack.enter_context(names.start(zones))
        self.servers = {d: stack.enter_context(harness.Instance(domain=d, **how)) for d in (ONE, TWO)}
        self.seen = {}
        for i, other in zip(self.servers.values(), reversed(self.servers.values())):
            i.init(**n.settings(), relay_port=other.port("smtp"), queue_retry=1,
                   queue_retry_max=2, auth_exempt="192.0.2.1")
            self.prepare(i, other)
            for name in ("alice", "ann", "amy", "tom") if i.domain == ONE else ("bob", "ben", "bill", "tess"):
                i.run("account", "set", i.add_account(name), "--encrypt", "opportunistic")
        for i in self.servers.values():
            i.serve()

    def prepare(self, i, other):
        pass

    def of(self, address):
        return self.servers[address.partition("@")[2]]

    def submit(self, author, to, text, more=""):
        s = self.of(author).submission(author)
        try:
            s.sendmail(author, [to], harness.crlf(f"From: {author}\nTo: {to}\nSubject: About {text}\n{more}\n{text}\n"))
        finally:
            s.close()

    def arrives(self, address, by_client=False):
        """What comes next: whether it was sealed on its way; its header as it is served; what its reader opens; what
        was submitted. by_client: it was not our server that sealed it."""
        i, seen = self.of(address), self.seen.setdefault(address, set())
        end = time.monotonic() + WAIT
        while not (new := {u: m for u, m in i.fetch_all(address).items() if u not in seen}):
            assert time.monotonic() < end, i.log()[-3000:]
            time.sleep(0.1)
        (uid, rendered), = new.items()
        seen.add(uid)
        opened = i.keyring.decrypt(harness.armor_of(rendered))
        outer, inside, sent = (email.message_from_bytes(x, policy=email.policy.default) for x in (
            rendered, opened, b"" if by_client else i.run("unseal", data=opened).stdout))
        if not outer["Sealed-By"] and not by_client:
            packets = i.keyring.gpg("--list-packets", data=harness.armor_of(rendered)).stdout.decode()
            assert re.findall(r"^:pubkey enc packet:.*keyid ([0-9A-F]{16})$", packets, re.M) == [self.key(address)]
            assert outer["Subject"] == "[...]" and inside.get_param("hp") == "cipher"
        return not outer["Sealed-By"], outer, inside, sent

    def key(self, address):
        """The key id of what is encrypted to."""
        out = self.of(address).keyring.gpg("--with-colons", "--list-keys", address).stdout.decode()
        return re.search(r"^sub:(?:[^:]*:){3}([0-9A-F]{16}):", out, re.M).group(1)

    def goes(self, author, to, text, more=""):
        """Whether it was sealed on its way."""
        self.submit(author, to, text, more)
        sealed, outer, inside, sent = self.arrives(to)
        assert (inside["Subject"], inside["From"]) == (f"About {text}", author)
        assert sent.get_content().strip() == text
        return sealed

    def knows(self, author, to):
        """The key that came with mail, once it is kept: it is written after the mail was answered."""
        i, end = self.of(author), time.monotonic() + WAIT
        while (p := i.run("correspondent", "show", author, to, "--json", check=False)).returncode:
            assert time.monotonic() < end, p.stderr
            time.sleep(0.1)
        return p.stdout.decode().lower()


@pytest.fixture(scope="module")
def pair():
    with contextlib.ExitStack() as stack:
        yield Pair(stack, ZONES)


def test_the_first_mail_in_the_clear_and_then_never_again(pair):
    alice, bob = f"alice@{ONE}", f"bob@{TWO}"
    pair.submit(alice, bob, "geese")
    sealed, _, inside, sent = pair.arrives(bob)
    assert not sealed and sent.get_content() == "geese\r\n"
    assert sent["Autocrypt"].startswith(f"addr={alice}; prefer-encrypt=mutual; keydata=")
    assert "dmarc=pass" in inside["Authentication-Results"]
    assert pair.of(alice).keyring.fingerprint(alice).lower() in pair.knows(bob, alice)
    assert pair.goes(bob, alice, "ganders")
    assert pair.of(bob).keyring.fingerprint(bob).lower() in pair.knows(alice, bob)
    for n in range(2):
        assert pair.goes(alice, bob, f"goslings {n}")
        assert pair.goes(bob, alice, f"gaggles {n}")


def test_always_takes_no_word_that_anybody_can_write(pair):
    """Refused, never clear, until the administrator says that it is hers; and again once that is taken back."""
    ann, ben = f"ann@{ONE}", f"ben@{TWO}"
    i, fingerprint = pair.of(ben), pair.of(ann).keyring.fingerprint(ann)
    assert not pair.goes(ann, ben, "swans")
    assert fingerprint.lower() in pair.knows(ben, ann)
    assert pair.goes(ben, ann, "cygnets")
    i.run("account", "set", ben, "--encrypt", "always")
    refused(pair, ben, ann, "No key is known")
    i.run("correspondent", "accept", ben, ann, fingerprint)
    assert pair.goes(ben, ann, "cobs") and pair.goes(ann, ben, "pens")
    i.run("correspondent", "forget", ben, ann)
    refused(pair, ben, ann, "No key is known")
    assert pair.goes(ann, ben, "necks")
    pair.knows(ben, ann)
    refused(pair, ben, ann, "No key is known")


def refused(pair, author, to, why):
    before = len(pair.of(to).fetch_all(to))
    with pytest.raises(smtplib.SMTPRecipientsRefused, match=why) as e:
        pair.submit(author, to, "a secret")
    assert e.value.recipients[to][0] == 550
    assert pair.of(author).run("queue", "list", "--json").stdout.strip() == b"[]"
    assert len(pair.of(to).fetch_all(to)) == before


def test_a_stranger_in_her_name_moves_nothing(pair):
    """With another key, from where her domain does not send; nor do two fields, or one that takes her wish back."""
    amy, bill, eve = f"amy@{ONE}", f"bill@{TWO}", f"eve@{TWO}"
    pair.submit(amy, bill, "ducks")
    sealed, _, _, sent = pair.arrives(bill)
    own, known = str(sent["Autocrypt"]).replace(" ", "\n "), pair.knows(bill, amy)
    assert not sealed
    ring = pair.of(bill).keyring
    ring.unasked("--quick-gen-key", f"Amy <{amy}>", "future-default")
    data = base64.b64encode(ring.gpg("--export", amy).stdout).decode()
    other = "".join(f"\n {data[k:k + 76]}" for k in range(0, len(data), 76))
    for fields in ([f"addr={amy}; prefer-encrypt=mutual; keydata={other}"], [f"addr={amy}; keydata={other}"],
                   [own.replace("prefer-encrypt=mutual;", "x=y;")], [own, f"addr={amy}; keydata={other}"]):
        text = "".join(f"{line}\n" for line in (f"From: {amy}\nTo: {bill}\nSubject: Forged",
                                                *(f"Autocrypt: {f}" for f in fields), "\nx"))
        with smtplib.SMTP("127.0.0.1", pair.of(bill).port("smtp"), f"out.{TWO}", WAIT, ("127.0.0.3", 0)) as s:
            assert s.sendmail(eve, [bill], harness.crlf(text)) == {}
        sealed, _, inside, _ = pair.arrives(bill)
        assert not sealed and "dmarc=fail" in inside["Authentication-Results"]
    assert pair.goes(bill, amy, "drakes")  # to the key that amy has: she opened it
    assert pair.knows(bill, amy) == known


# A key that somebody has sent is taken, as by a click on "Accept".
ACCEPT = """
const { RNP } = ChromeUtils.importESModule("chrome://openpgp/content/modules/RNP.sys.mjs");
const { EnigmailKeyRing } = ChromeUtils.importESModule("chrome://openpgp/content/modules/keyRing.sys.mjs");
const r = await RNP.importPubkeyBlockAutoAcceptImpl(main, A, "unverified");
if (r.exitCode || !r.importedKeys.length) throw new Error("public key: " + r.errorMsg);
await EnigmailKeyRing.clearCache();
"""


@pytest.mark.needs("root", *thunderbird.PROGRAMS)
def test_a_thunderbird(pair):
    """It reads what came and answers: with encryption turned off, so that its server seals, and by itself, once it
    has Tom's key."""
    tom, tess = f"tom@{ONE}", f"tess@{TWO}"
    two = pair.of(tess)
    assert not pair.goes(tom, tess, "storks")
    pair.knows(tess, tom)
    with thunderbird.Thunderbird(two, {tess: two.passwords[tess]},
                                 prefs={"mail.identity.id1.sendAutocryptHeaders": True}) as t:
        key, = t.fetch(tess, 1)
        o = t.open(tess, key)
        assert (o["subject"], o["encryption"], o["signature"]) == ("About storks", "MSG_ENC_OK", "MSG_SIG_NONE")
        assert "storks" in o["body"] and tom in o["from"][0]
        # Its answer as its server has it in the clear.
        r = t.reply(tess, key, "Of herons.", encrypts=False)
        assert r["encrypts"], "it takes what its server sealed for what its sender did"
        sealed, outer, inside, sent = pair.arrives(tom)
        assert sealed and "Of herons." in inside.get_content() and outer["In-Reply-To"]
        assert sent["Autocrypt"].startswith(f"addr={tess};")
        assert two.keyring.fingerprint(tess).lower() in pair.knows(tom, tess)
        # The third, sealed to her key by Tom's server, and read in one layer.
        assert pair.goes(tom, tess, "spoonbills")
        key = t.fetch(tess, 2)[-1]
        o = t.open(tess, key)
        assert (o["subject"], o["encryption"]) == ("About spoonbills", "MSG_ENC_OK") and "spoonbills" in o["body"]
        # Her answer, which Thunderbird itself encrypts and signs.
        t.run(ACCEPT, pair.of(tom).keyring.export(tom).decode())
        pair.of(tom).keyring.gpg("--import", data=two.keyring.export(tess))  # or gpg fails, as it cannot verify
        t.reply(tess, key, "Of egrets.", encrypts=True)
        sealed, outer, inside, _ = pair.arrives(tom, by_client=True)
        assert sealed and outer["Subject"] == "..." and inside["Subject"] == "Re: About spoonbills"
        assert "Of egrets." in str(inside)
    assert pair.goes(tom, tess, "ibises")


# ---- with directories ----


class PairWithWkd(Pair):
    """Each has its people's certificates fetched from the other by WKD, under a certificate that it trusts."""

    certificates = None

    def prepare(self, i, other):
        c = self.certificates = self.certificates or web.Certificates(i.place, [f"openpgpkey.{d}" for d in (ONE, TWO)])
        (i.dir / "tls/chain.pem").write_bytes(c.file("good", "pem").read_bytes() + c.ca.read_bytes())
        (i.dir / "tls/key.pem").write_bytes(c.file("good", "key").read_bytes())
        i.configure(https="yes", fetch_allow=f"127.0.0.1@{other.port('https')}", fetch_ca_file=c.ca)


@pytest.fixture(scope="module")
def with_wkd():
    with contextlib.ExitStack() as stack:
        yield PairWithWkd(stack, WITH_WKD, web=True)


def test_found_by_wkd_always_goes_on_and_never_back(with_wkd):
    """The first mail is sealed; what was seen stays when the domain has it no more; and without it mail is refused."""
    pair, alice, bob = with_wkd, f"alice@{ONE}", f"bob@{TWO}"
    one, two = pair.of(alice), pair.of(bob)
    assert pair.goes(alice, bob, "owls") and pair.goes(bob, alice, "owlets")
    two.run("account", "set", bob, "--encrypt", "always")
    assert pair.goes(bob, alice, "barn owls") and pair.goes(alice, bob, "eagle owls")
    one.run("account", "set", alice, "--publish", "no")
    two.stop()  # what was found `ingest` forgets so, not what was seen
    two.serve()
    assert pair.goes(bob, alice, "snowy owls")
    two.run("correspondent", "forget", bob, alice)
    two.stop()
    two.serve()
    refused(pair, bob, alice, "No key is known")
    two.run("account", "set", bob, "--encrypt", "opportunistic")
    assert not pair.goes(bob, alice, "tawny owls"), "nothing was seen that could hold it"
