"""Mail that arrives encrypted goes in by SMTP in every form of encrypted_forms.py, comes out by IMAP, and is opened:
what is kept holds the same packets in a form that clients can read, everything else is sealed like any mail and gives
back what was sent."""
import email
import email.policy
import hashlib
import os
import re
import subprocess
import tempfile

import encrypted_forms
import harness
import openpgp_peers
import pytest
import thunderbird
from encrypted_forms import TEXT, armor, dearmor

pytestmark = pytest.mark.needs("sq", "rnp", "openssl", "OpenPGP.js (npm)")

class Box:
    """The server, its three readers, and every form sent."""

    def __init__(self, place):
        self.place, self.instance, self.js = place, harness.Instance(), openpgp_peers.OpenPGPjs()
        self.ring = self.instance.keyring
        self.forms, self.served = {}, {}

    def fill(self):
        self.instance.init()
        alice = f"alice@{harness.DOMAIN}"
        self.cert("alice.old", self.ring.generate(alice))
        self.retired = self.ring.fingerprint(alice)
        self.account("alice", "alice.old")
        made = self.ring.unasked("--status-fd", "1", "--quick-gen-key", "--yes", alice, "future-default").stdout
        current = re.search(rb"KEY_CREATED \w (\w+)", made).group(1).decode()
        self.instance.run("key", "add", alice, self.cert("alice", self.ring.export(current)))
        self.instance.run("key", "retire", alice, self.retired)
        self.instance.add_account("bob", algo="rsa")
        self.ring.generate("carol@example.org")
        for address, primary, encryption in (("dave@example.org", "rsa3072", "rsa3072"),
                                             ("erin@example.org", "nistp256", "nistp256")):
            self.ring.unasked("--quick-gen-key", address, primary)
            self.ring.unasked("--quick-add-key", self.ring.fingerprint(address), encryption, "encr")
        six = self.js.generate(self.place, "six", {"userIDs": [{"email": f"six@{harness.DOMAIN}"}]}, v6=True)
        self.six = six
        self.cert("six", six.public.read_bytes())
        self.account("six", "six")
        keys = {"alice": current, "bob": self.ring.fingerprint(f"bob@{harness.DOMAIN}"),
                **{n: self.ring.fingerprint(f"{n}@example.org") for n in ("carol", "dave", "erin")}}
        self.keys = keys
        self.maker = encrypted_forms.Maker(self.place, self.ring, self.js, keys, self.retired)
        self.instance.serve()
        self.send(self.maker.all())

    def cert(self, name, data):
        path = self.place / f"{name}.cert"
        path.write_bytes(data)
        return path

    def account(self, who, cert):
        address = f"{who}@{harness.DOMAIN}"
        self.instance.run("account", "add", address, "--key", self.place / f"{cert}.cert")
        self.instance.app_password(address)

    def send(self, forms):
        forms = list(forms)
        with self.instance.smtp() as s:
            for f in forms:
                assert not re.search(rb"\r(?!\n)|(?<!\r)\n", f.data), f.name
                s.sendmail("sender@example.org", [f"{f.who}@{harness.DOMAIN}"], f.data, mail_options=["BODY=8BITMIME"])
        by_id = {}
        for who in {f.who for f in forms}:
            for data in self.instance.fetch_all(f"{who}@{harness.DOMAIN}").values():
                by_id[re.search(rb"(?im)^Message-ID: (<.*>)", data).group(1)] = data
        for f in forms:
            assert f.name not in self.forms, f.name
            self.forms[f.name] = f
            self.served[f.name] = by_id[re.search(rb"(?m)^Message-ID: (<.*>)", f.data).group(1)]

    def open(self, form, armored):
        if form.who != "six":
            # Keys that a wildcard was not for make an error of it, though the message is opened.
            p = self.ring.gpg("--status-fd", "2", "--decrypt", data=armored, check=False)
            assert b"DECRYPTION_OKAY" in p.stderr and b"GOODMDC" in p.stderr, (form.name, p.stderr)
            return p.stdout
        path = self.place / "to-six"
        path.write_bytes(armored)
        answer = self.js.open(path, self.six)
        assert answer.ok, answer.said
        return answer

    def close(self):
        self.js.close()
        self.instance.close()


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    b = Box(tmp_path_factory.mktemp("forms"))
    try:
        b.fill()
        yield b
    finally:
        b.close()


def of(box, *outcomes):
    found = [f for f in box.forms.values() if f.outcome in outcomes]
    assert found
    return found


def check_kept(box, f, served):
    """The sender's packets octet by octet, in the form they came in; and they open."""
    header, _, body = served.partition(b"\r\n\r\n")
    assert b"\r\nSealed-By:" not in header, f.name
    assert b"\r\nSubject: as published" in header, f.name
    armored = harness.armor_of(served)
    charset = re.search(rb"text/plain; charset=(\S+)", header)
    assert (b"\r\nCharset: " in armored) == bool(charset and charset[1] != b"utf-8"), f.name
    assert dearmor(armored) == f.packets, f.name
    message = email.message_from_bytes(served, policy=email.policy.default)
    if f.name.startswith("inline"):
        assert message.get_content_type() == "text/plain" and body == armored.replace(b"\n", b"\r\n").replace(
            b"\r\r", b"\r"
        ), f.name
    else:
        assert message.get_content_type() == "multipart/encrypted", f.name
        control, data = message.iter_parts()
        assert [p.get_content_type() for p in (control, data)] == [
            "application/pgp-encrypted",
            "application/octet-stream",
        ], f.name
        # What Thunderbird goes by: the protocol, and parts that are not encoded.
        assert message.get_param("protocol") == "application/pgp-encrypted", f.name
        assert control.get_payload().strip() == "Version: 1", f.name
        assert {p["Content-Transfer-Encoding"] for p in (control, data)} <= {None, "7bit"}, f.name
    opened = box.open(f, armored)
    if f.clear is not None:
        assert opened == f.clear, f.name


def check_sealed(box, f, served):
    """One PGP/MIME message by the server that gives back what was sent, and that opens in its turn if it can be opened
    at all."""
    header = served.partition(b"\r\n\r\n")[0]
    assert re.search(rb"\r\nSealed-By: letterlock.test; v=1(\r\n|$)", header), f.name
    assert b"\r\nSubject: [...]\r\n" in header, f.name
    if f.who == "six":
        assert box.open(f, harness.armor_of(served)).ok
        return
    assert box.instance.unseal(served) == f.data, f.name
    if f.clear is None:
        return
    inner = f.data
    if b"Content-Transfer-Encoding: quoted" in inner:
        inner = re.sub(rb"=\r\n", b"", inner)
    opened = box.ring.gpg("--decrypt", "--allow-multiple-messages", "--passphrase", "x", "--pinentry-mode", "loopback",
                          data=harness.armor_of(inner), check=False)
    assert opened.stdout == f.clear, (f.name, opened.stderr)


def test_what_is_for_us_and_nothing_else_is_kept(box):
    for f in of(box, "kept", "inline", "hidden"):
        check_kept(box, f, box.served[f.name])


def test_openpgpjs_opens_what_is_kept(box):
    """With the key that each is for, of gpg's; it is given the armour as it is served."""
    path, opened = box.place / "served.asc", 0
    for who in ("alice", "bob"):
        secret = box.place / f"{who}.secret"
        secret.write_bytes(box.ring.secret(box.keys[who]))
        for f in of(box, "kept", "inline", "hidden"):
            if f.who != who or f.clear is None or "somebody else" in f.name:
                continue
            path.write_bytes(harness.armor_of(box.served[f.name]))
            answer = box.js.open(path, secret)
            assert answer.ok and answer.sha256 == hashlib.sha256(f.clear).hexdigest(), (f.name, answer.said)
            opened += 1
    assert opened > 40


def test_everything_else_is_sealed_and_comes_back(box):
    for f in of(box, "sealed"):
        check_sealed(box, f, box.served[f.name])


def test_inline_text_keeps_its_charset(box):
    want = {"inline, ISO-8859-1": b"iso-8859-1", "inline, the armour knows the charset": b"iso-8859-15",
            "inline, gpg": b"utf-8", "inline, no MIME type": b"utf-8"}
    for name, charset in want.items():
        assert (
            b"\r\nContent-Type: text/plain; charset=" + charset + b"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
            in box.served[name]
        ), name


def test_imap_knows_the_inline_form(box):
    """One part: its structure, sizes and sections say what the octets say."""
    m = box.instance.imap(f"alice@{harness.DOMAIN}")
    m.select("INBOX", readonly=True)
    number = m.search(None, "HEADER", "Message-ID",
                      re.search(rb"(?m)^Message-ID: <(.*)>",
                                box.forms["inline, gpg"].data).group(1).decode())[1][0].decode()
    served = box.served["inline, gpg"]
    header, body = served[:served.index(b"\r\n\r\n") + 4], served[served.index(b"\r\n\r\n") + 4:]

    def fetch(what):
        data = m.fetch(number, f"({what})")[1]
        return data[0][1] if isinstance(data[0], tuple) else data[0]

    lines = body.count(b"\n")
    assert f'BODY ("text" "plain" ("charset" "utf-8") NIL NIL "7bit" {len(body)} {lines})'.encode() in fetch("BODY")
    structure = f'BODYSTRUCTURE ("text" "plain" ("charset" "utf-8") NIL NIL "7bit" {len(body)} {lines} NIL NIL NIL NIL)'
    assert structure.encode() in fetch("BODYSTRUCTURE")
    assert f"RFC822.SIZE {len(served)}".encode() in fetch("RFC822.SIZE")
    for what, want in (("BODY.PEEK[]", served), ("BODY.PEEK[HEADER]", header), ("BODY.PEEK[TEXT]", body),
                       ("BODY.PEEK[1]", body), ("RFC822.TEXT", body),
                       ("BODY.PEEK[1]<5.20>", body[5:25]), ("BODY.PEEK[]<30.1000>", served[30:1030])):
        assert fetch(what) == want, what
    assert header.endswith(fetch("BODY.PEEK[1.MIME]")) and fetch("BODY.PEEK[1.MIME]").startswith(
        b"MIME-Version: 1.0\r\nContent-Type: text/plain"
    )
    assert fetch("BODY.PEEK[2]") .endswith(b"BODY[2] NIL)")
    m.logout()


BACKENDS = {
    "gpgme": "set crypt_use_gpgme=yes\n",
    "pgp": (
        'set crypt_use_gpgme=no\nset pgp_use_gpg_agent=yes\nset pgp_decode_command="gpg --status-fd=2 --no-verbose'
        ' --quiet --batch --output - %f"\n'
    ),
}


def shown_by_neomutt(box, served, backend="gpgme"):
    """What neomutt makes of a message, decrypted: header and text as it pipes them."""
    with tempfile.TemporaryDirectory(dir=box.place) as place:
        box_file, rc, saved = f"{place}/mbox", f"{place}/rc", f"{place}/saved"
        with open(box_file, "wb") as f:
            f.write(b"From x@example.org Sat Nov 21 10:00:00 2026\n" + served.replace(b"\r\n", b"\n") + b"\n")
        with open(rc, "w") as f:
            f.write(
                f"set folder={place}\nset confirmcreate=no\nset header_cache=\n{BACKENDS[backend]}set"
                " pgp_auto_decode=yes\nset pipe_decode=yes\nset wait_key=no\nset sleep_time=0\nset quit=yes\nset"
                " move=no\nset delete=no\nset mark_old=no\n"
            )
        env = dict(os.environ, HOME=place, GNUPGHOME=str(box.ring.path), TERM="xterm", LANG="C.UTF-8")
        push = f"<first-entry><display-message><exit><pipe-message>cat > {saved}<enter><quit>"
        out = subprocess.run(["script", "-qec", f"neomutt -n -R -F {rc} -f {box_file} -e 'push \"{push}\"'",
                              "/dev/null"], env=env, capture_output=True,
                             timeout=30, stdin=subprocess.DEVNULL)
        assert os.path.exists(saved), out.stdout[-2000:]
        with open(saved, encoding="utf-8") as f:
            return f.read()


@pytest.mark.needs("neomutt", "tmux")
@pytest.mark.parametrize("name", ["inline, gpg", "inline, one line", "inline, looks like MIME", "inline, ISO-8859-1",
                                  "inline, the armour knows the charset", "inline, base64",
                                  "inline, alone in multipart/mixed, as FlowCrypt writes it"])
def test_neomutt_shows_all_of_an_inline_text(box, name):
    form = box.forms[name]
    charset = re.search(rb"charset=(\S+)", box.served[name]).group(1).decode()
    text = form.clear.decode(charset).replace("\r\n", "\n")
    # Through GPGME neomutt takes every such text for UTF-8; its other backend reads the armour's Charset.
    assert text.strip() in shown_by_neomutt(box, box.served[name], "gpgme" if charset == "utf-8" else "pgp")


@pytest.mark.needs("neomutt", "tmux")
@pytest.mark.parametrize("name", ["as Thunderbird writes it", "both parts in base64, as FlowCrypt writes them",
                                  "a false CRC", "no protocol", "wildcard only", "16 wildcards"])
def test_neomutt_shows_a_kept_pgp_mime_mail(box, name):
    shown = shown_by_neomutt(box, box.served[name])
    assert TEXT.decode().replace("\r\n", "\n").strip() in shown


@pytest.mark.needs("neomutt", "tmux")
@pytest.mark.parametrize("name", ["wildcard and a stranger", "for a retired key only", "an epilogue",
                                  "a list's multipart/mixed around it"])
def test_neomutt_opens_pgp_mime_that_was_sealed_again(box, name):
    assert TEXT.decode().replace("\r\n", "\n").strip() in shown_by_neomutt(box, box.served[name])


@pytest.mark.needs("neomutt", "tmux")
def test_neomutt_shows_sealed_text_with_a_block_as_it_was_sent(box):
    shown = shown_by_neomutt(box, box.served["inline, a mailing list's footer"])
    assert "-----BEGIN PGP MESSAGE-----" in shown and "list mailing list" in shown


@pytest.mark.needs("the long run", *thunderbird.PROGRAMS)
def test_thunderbird_shows_all_of_an_inline_text(tmp_path):
    """Of every charset that is served. What was sealed again it does not open."""
    with harness.Instance() as i:
        address = i.init().add_account("alice")
        maker = encrypted_forms.Maker(tmp_path, i.keyring, None, {"alice": i.keyring.fingerprint(address)}, None)
        forms = list(maker.kept_inline())
        for charset, text in (("koi8-r", "Привет: мир\r\nи второй\r\n"),
                              ("windows-1251", "Привет: мир\r\nи второй\r\n"),
                              ("iso-8859-2", "Zażółć: gęślą\r\njaźń\r\n"),
                              ("windows-1252", "„Grüße“: 5 €\r\n")):
            packets = maker.to("alice", data=text.encode(charset))
            forms.append(encrypted_forms.Form(charset, "alice",
                                              maker.inline("alice", armor(packets), f"text/plain; charset={charset}"),
                                              "inline", packets,
                                              text.encode(charset)))
        nested = maker.mime("alice", armor(maker.to("alice")), epilogue="a list's footer\r\n")
        i.serve()
        for data in [f.data for f in forms] + [nested]:
            i.send(address, data)
        served = [v for _, v in sorted(i.fetch_all(address).items())]
        with thunderbird.Thunderbird(i, dict(i.passwords)) as client:
            *keys, last = client.fetch(address, len(served))
            for f, key, data in zip(forms, keys, served):
                shown = client.open(address, key)
                charset = re.search(rb"text/plain; charset=(\S+)", data)[1].decode()
                assert shown["body"].strip() == f.clear.decode(charset).replace("\r\n", "\n").strip(), f.name
                assert shown["encryption"] == "MSG_ENC_OK" and shown["subject"] == "as published", f.name
            assert (
                client.open(address, last)["body"].strip() == ""
            )  # docs/openpgp.md says so: should it change, so must they


def test_a_reader_may_append_the_same(box):
    """IMAP APPEND goes through the same gate: what is for the reader is kept, the rest sealed."""
    address = f"alice@{harness.DOMAIN}"
    m = box.instance.imap(address)
    m.create("Copies")
    names = ["gpg", "inline, gpg", "wildcard only", "for a stranger only", "a literal for us",
             "inline, a mailing list's footer"]
    for name in names:
        assert m.append("Copies", None, None, box.forms[name].data)[0] == "OK"
    m.logout()
    served = [v for _, v in sorted(box.instance.fetch_all(address, "Copies").items())]
    for name, data in zip(names, served, strict=True):
        f = box.forms[name]
        (check_sealed if f.outcome == "sealed" else check_kept)(box, f, data)


def test_the_store_passes_its_audit_and_status_counts(box):
    assert box.instance.run("audit").returncode == 0
    roles = [r for r in box.instance.status()["roles"] if r["role"] == "ingest"]
    count = {k: sum(r.get("counters", r).get(k, 0) for r in roles)
             for k in ("sealed", "arrived_encrypted", "arrived_wildcard")}
    assert count["arrived_wildcard"] == len(of(box, "hidden"))
    assert count["arrived_encrypted"] == len(of(box, "kept", "inline", "hidden"))
    assert count["sealed"] == len(box.forms)


def test_hidden_recipients_are_sealed_again_if_the_operator_says_so(box):
    """Ingest and the vault's gate both take the new policy from a reload. Nothing else changes."""
    i = box.instance
    before = sum(r.get("counters", r).get("arrived_wildcard", 0) for r in i.status()["roles"] if r["role"] == "ingest")
    i.configure(keep_wildcard_mail="no")
    i.run("reload")
    box.maker.phase = "b"
    again = [f._replace(name=f.name + ", not kept") for f in box.maker.hidden()]
    kept = [f._replace(name=f.name + ", still") for f in box.maker.kept() if "hidden" in f.name or f.name == "gpg"]
    box.send(again + kept)
    for f in again:
        check_sealed(box, f, box.served[f.name])
    for f in kept:
        check_kept(box, f, box.served[f.name])
    roles = [r for r in i.status()["roles"] if r["role"] == "ingest"]
    assert sum(r.get("counters", r).get("arrived_wildcard", 0) for r in roles) == before
    i.configure(keep_wildcard_mail="yes")
    i.run("reload")
    assert i.run("audit").returncode == 0  # what was kept stays good
