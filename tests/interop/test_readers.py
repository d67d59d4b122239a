"""What readers' clients see of sealed mail, by policy: gpg, sq, rnp and OpenPGP.js decrypt the same octets; neomutt
shows the true Subject, correspondents, text, attachments and signatures. The table of docs/openpgp.md ("What a client
sees") is what is asserted here. Every mail and policy with LETTERLOCK_FULL=1."""
import base64
import concurrent.futures
import email
import email.policy
import email.utils
import hashlib
import json
import os
import pathlib
import re
import subprocess

import harness
import mails
import openpgp_peers
import pytest
import terminal

pytestmark = pytest.mark.needs("sq", "rnp", "openssl", "OpenPGP.js (npm)")
FULL = bool(os.environ.get("LETTERLOCK_FULL"))
DISPLAY = "shy+display"  # what is hidden stands as text inside, for clients that show no protected fields
POLICIES = ("shy", "baseline", "hidden", DISPLAY)
HERE = pathlib.Path(__file__).resolve().parent


class Sealed:
    """Every mail, sent to an account of each policy; what is served of it; what gpg decrypts."""

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.instance = harness.Instance()
        self.js = openpgp_peers.OpenPGPjs()

    def fill(self):
        i = self.instance.init()
        self.maker = mails.Maker(i.keyring, self.place)
        self.addresses = {p: i.add_account(p.split("+")[-1], policy=p) for p in POLICIES}
        i.serve()
        self.mails, self.served, self.clear = {}, {}, {}
        for policy, address in self.addresses.items():
            made = [m for m in self.maker.make(address) if FULL or m.short or policy == "shy"]
            with i.smtp() as s:
                for m in made:
                    s.sendmail("bounces@example.org", [address], m.data, mail_options=["BODY=8BITMIME"])
            served = i.fetch_all(address)
            assert len(served) == len(made)
            self.mails[policy] = {m.name: m for m in made}
            self.served[policy] = dict(zip(self.mails[policy], [served[u] for u in sorted(served)]))
            self.clear[policy] = self.decrypt(policy, self.gpg)

    def decrypt(self, policy, reader):
        """Name: octets. reader gets a folder of name.asc and writes name.out beside each."""
        place = self.place / f"{policy}-{reader.__name__}"
        place.mkdir()
        for name, rendered in self.served[policy].items():
            (place / f"{name}.asc").write_bytes(harness.armor_of(rendered))
        names = list(self.served[policy])
        reader(place, [str(place / n) for n in names], self.addresses[policy])
        return {n: (place / f"{n}.out").read_bytes() for n in names}

    def run(self, *args, timeout=120, **kw):
        p = subprocess.run([str(a) for a in args], capture_output=True, timeout=timeout, **kw)
        assert (
            p.returncode == 0
        ), f"{args[0]}: {p.stdout.decode(errors='replace')[-2000:]} {p.stderr.decode(errors='replace')[-2000:]}"
        return p.stdout

    def secret(self, address):
        path = self.place / f"{address}.secret.asc"
        path.write_bytes(self.instance.keyring.secret(address, "--armor"))
        return path

    def gpg(self, place, names, address):
        self.instance.keyring.gpg("--multifile", "--decrypt", *(f"{n}.asc" for n in names))
        for n in names:
            os.rename(n, f"{n}.out")

    def sq(self, place, names, address):
        key = self.secret(address)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: self.run("sq", "decrypt", "--recipient-key", key, "--output", f"{n}.out",
                                             f"{n}.asc"), names))

    def rnp(self, place, names, address):
        key = self.secret(address)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: self.run("rnp", "--decrypt", "--keyfile", key, "--password", "", "--output",
                                             f"{n}.out", f"{n}.asc"), names))

    def openpgpjs(self, place, names, address):
        opened_by_js(self.js, self.secret(address), names)


def opened_by_js(js, key, names):
    for n in names:
        got = js.open(f"{n}.asc", key, f"{n}.out")
        assert got.ok, (n, got.said)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    s = None
    try:
        s = Sealed(tmp_path_factory.mktemp("readers"))
        s.fill()
        yield s
    finally:
        if s:
            s.js.close()
            s.instance.close()


def parse(data):
    return email.message_from_bytes(data, policy=email.policy.default)


def addresses(message, name):
    """Raw UTF-8 in names as text: Python keeps it as surrogates."""
    text = {a: a.encode(errors="surrogateescape").decode() for f in message.get_all(name, [])
            for a in [x.display_name for x in f.addresses]}
    return [(text[a.display_name], a.addr_spec) for f in message.get_all(name, []) for a in f.addresses]


def decoded(part):
    """A part's octets without transfer encoding; text with its line ends as one."""
    data = part.get_payload(decode=True)
    return (
        None
        if data is None
        else data.replace(b"\r\n", b"\n").rstrip(b"\n") if part.get_content_maintype() == "text" else data
    )


def texts(message):
    return "\n".join(p.get_content() for p in message.walk() if p.get_content_maintype() == "text"
                     and not p.is_multipart())


@pytest.mark.parametrize("reader", ["sq", "rnp", "openpgpjs"])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_reader_decrypts_the_same_octets(sealed, policy, reader):
    got = sealed.decrypt(policy, getattr(sealed, reader))
    assert got.keys() == sealed.clear[policy].keys() and len(got) >= 8
    for name, data in sealed.clear[policy].items():
        assert data and got[name] == data, name


# Before decrypting: the list that every client shows from the outer fields.

@pytest.mark.parametrize("policy", POLICIES)
def test_what_the_list_shows_before_decrypting(sealed, policy):
    for name, rendered in sealed.served[policy].items():
        m, known = parse(rendered), sealed.mails[policy][name]
        sender = email.utils.parseaddr(known.sender)
        assert m["Subject"] == "[...]", name
        assert m.get_content_type() == "multipart/encrypted"
        assert (m["Sealed-By"] is not None) == known.sealed
        people = addresses(m, "From") + addresses(m, "To") + addresses(m, "Cc")
        if policy in ("shy", DISPLAY):
            expected = [("", sender[1]), ("", sealed.addresses[policy])] + [("", "third@example.net")] * known.sealed
            assert people == expected and m["Date"] == "Sat, 21 Nov 2026 11:34:56 +0000", name
        elif policy == "baseline":
            assert m["Date"] == mails.DATE, name
            # A raw 8-bit name that is no UTF-8 does not fit the grammar and is left out; every other name is as its
            # sender wrote it.
            assert people[0] == (sender if name != "raw-latin1" else ("", sender[1])), name
            assert people[1][1] == sealed.addresses[policy]
        else:
            assert {a for _, a in people} == {"hidden@hidden.invalid"} and m["Cc"] is None, name
            assert m["Date"] == "Sat, 21 Nov 2026 11:00:00 +0000"
        ids = (m["Message-ID"] or "") + (m["References"] or "")
        assert ("example.org" in ids) == (policy != "hidden"), name
        for secret in (known.text, known.subject):
            assert not secret or secret.encode() not in rendered, (name, secret)


# After decrypting, by any client that parses what is inside.

def displayed(m, known):
    """The mail proper, of one whose hidden fields are displayed: the second part, the first being those fields as
    text."""
    assert m.get_content_type() == "multipart/mixed" and len(m.get_payload()) == 2, known.name
    fields, mail = m.get_payload()
    assert fields.get_content_type() == "text/rfc822-headers" and fields.get_param("protected-headers") == "v1"
    if known.name != "raw-latin1":
        assert fields.get_content().strip() == f"Subject: {known.subject}".strip(), known.name
    return mail


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_inside(sealed, policy):
    for name, data in sealed.clear[policy].items():
        known = sealed.mails[policy][name]
        m, original = parse(data), parse(known.data)
        mail = displayed(m, known) if policy == DISPLAY and known.sealed and name != "no-subject" else m
        assert tuple(p.get_content_type() for p in mail.walk()) == known.types, name
        if name == "raw-latin1":
            assert (
                b"\r\nSubject: Gr\xfc\xdfe, roh in Latin-1\r\n" in data
                and b"\r\nFrom: J\xf6rg <ada@example.org>\r\n" in data
            )
        else:
            assert (m["Subject"] or "") == known.subject, name
            assert addresses(m, "From") == [email.utils.parseaddr(known.sender)], name
        assert addresses(m, "To")[0][1] == sealed.addresses[policy], name
        assert m["Date"] == mails.DATE and m.get_all("From") and len(m.get_all("From")) == 1, name
        assert m.get_param("hp") == "cipher" and m.get_param("protected-headers") == "v1", name
        assert known.text in texts(m), name
        if known.sealed and name not in ("broken-type",):
            assert [decoded(p) for p in mail.walk()] == [decoded(p) for p in original.walk()], name
        files = {p.get_filename(): p.get_payload(decode=True) for p in m.walk()
                 if p.get_content_disposition() in ("attachment", "inline")}
        for file, octets in known.attachments.items():
            if file in files:
                assert files[file].rstrip(b"\r\n") == octets.rstrip(b"\r\n"), (name, file)
            else:  # raw 8-bit in a parameter: Python keeps the octets only
                assert file.encode() in data and octets in files.values(), (name, file)
        # RFC 9788 section 2.2: HP-Outer says what stands outside, field by field, so that a client can tell the two
        # apart.
        if known.sealed:
            outer = parse(sealed.served[policy][name])
            told = [f.split(":", 1) for f in m.get_all("HP-Outer", [])]
            assert [(n, v.strip()) for n, v in told] == [(n, str(v)) for n, v in outer.items()
                                                         if n not in ("MIME-Version", "Content-Type")], name
            assert sealed.instance.run("unseal", data=data).stdout == known.data, name
        else:
            assert data == sealed.instance.keyring.decrypt(harness.armor_of(known.data))


def signed_part(data):
    """(the first part, the second part's content) of a multipart/signed, octet by octet as RFC 1847 section 2.1 has
    it."""
    data = data[re.search(rb"(?i)\r\nContent-Type: *multipart/signed", data).start():]
    boundary = b"\r\n--" + re.search(rb'boundary="?([^";\r]+)', data).group(1)
    parts = data.split(boundary)
    return parts[1].removeprefix(b"\r\n"), parts[2].split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize("policy", POLICIES)
def test_signatures_inside_still_verify(sealed, policy, tmp_path):
    """In what a client decrypts, and in what letterlock unseal gives back; and not when an octet changes."""
    seen = set()
    for name, clear in sealed.clear[policy].items():
        known = sealed.mails[policy][name]
        for data in (clear, sealed.instance.run("unseal", data=clear).stdout if known.signed else b""):
            if known.signed:
                seen.add(known.signed)
            if known.signed == "pgp":
                part, signature = signed_part(data)
                (tmp_path / "sig").write_bytes(signature)
                for octets, good in ((part, True), (part.replace(b" text", b" texts"), False)):
                    (tmp_path / "part").write_bytes(octets)
                    p = sealed.instance.keyring.gpg("--status-fd", "1", "--verify", tmp_path / "sig", tmp_path / "part",
                                                    check=False)
                    assert (b"GOODSIG" in p.stdout and p.returncode == 0) == good, (name, p.stderr)
            elif known.signed == "clear":
                p = sealed.instance.keyring.gpg("--status-fd", "1", "--verify",
                                                data=data[data.index(b"-----BEGIN PGP SIGNED"):])
                assert b"GOODSIG" in p.stdout, name
            elif known.signed in ("cms", "cms-opaque"):
                mail = parse(data)
                (tmp_path / "mail").write_bytes(data if mail.get_content_type() == known.types[0] else data[re.search(
                    rb"\r\nContent-Type: " + known.types[0].encode(), data).start() + 2:])
                out = sealed.run("openssl", "cms", "-verify", "-in", tmp_path / "mail", "-CAfile",
                                 sealed.maker.cms_cert, "-purpose", "any")
                assert b"S/MIME." in out, name
            elif known.signed == "dkim":  # RFC 6376 section 3.7: simple body canonicalization
                bh = re.search(rb"bh=([^;]+);", data).group(1)
                mail = parse(data)
                mail = mail.get_payload(1) if mail.is_multipart() else mail
                assert base64.b64encode(hashlib.sha256(mail.get_payload(decode=True)).digest()) == bh
    assert seen >= {"pgp", "cms"} and (seen == {"pgp", "clear", "cms", "cms-opaque", "dkim"}
                                       or not (FULL or policy == "shy"))


def test_an_account_can_turn_display_on_and_off(sealed):
    i = sealed.instance
    address = i.add_account("switch")

    def inside():
        known = len(i.fetch_all(address))
        i.send(address, harness.mail(subject="=?utf-8?q?t=C3=BCrn?=", to=f"Somebody <{address}>",
                                     extra="Content-Type: text/plain\n"))
        served = i.fetch_all(address)
        assert len(served) == known + 1
        return i.keyring.decrypt(harness.armor_of(served[max(served)]))
    for policy in ("hidden+display", "baseline+display", "hidden"):
        i.run("account", "set", address, "--policy", policy)
        assert re.search(rf"^  policy +{re.escape(policy)}$", i.run("account", "show", address).stdout.decode(), re.M)
        clear = inside()
        shown = "\r\n\r\nSubject: türn\r\n".encode()
        if policy == "hidden+display":
            shown += (
                f"From: sender@example.org\r\nTo: Somebody <{address}>\r\nDate: Sat, 21 Nov 2026 10:00:00"
                " +0000\r\n\r\n--".encode()
            )
        assert (shown in clear) == ("display" in policy), (policy, clear)
    for bad in ("+display", "shy+", "shy+displa", "display", "shy+display+display", "shyshyshyshyshyshyshy+display",
                "SHY+DISPLAY"):
        p = i.run("account", "set", address, "--policy", bad, check=False)
        assert p.returncode == 2 and p.stderr.count(b"\n") <= 2, (bad, p)
    assert i.run("audit").returncode == 0


# RFC 9580's own: gpg, sq and rnp of Debian 12 read none of these. OpenPGP.js does.

@pytest.mark.parametrize("version,kind,container", [(6, "curve25519", 2), (6, "curve448", 2), (4, "curve25519", 1)])
def test_new_keys_are_read_by_openpgpjs(sealed, version, kind, container):
    i, name = sealed.instance, f"v{version}{kind}"
    address, place = f"{name}@{harness.DOMAIN}", sealed.place / name
    place.mkdir()
    key = sealed.js.generate(place, "key", {"type": kind, "userIDs": [{"email": address}]}, v6=version == 6)
    i.run("account", "add", address, "--key", key.public)
    i.app_password(address)
    made = [m for m in sealed.maker.make(f"shy@{harness.DOMAIN}") if m.sealed and (FULL or m.short)]
    for m in made:
        i.send(address, m.data)
    served = i.fetch_all(address)
    assert len(served) == len(made)
    for m, uid in zip(made, sorted(served)):
        (place / f"{m.name}.asc").write_bytes(harness.armor_of(served[uid]))
        packets = dearmor(harness.armor_of(served[uid]))
        assert packets[0] == 0xc1 and packets[2 if packets[1] < 192 else 3] == (6 if container == 2 else 3), m.name
        assert seipd_version(packets) == container, m.name
    opened_by_js(sealed.js, key, [place / m.name for m in made])
    for m in made:
        clear = (place / f"{m.name}.out").read_bytes()
        assert i.run("unseal", data=clear).stdout == m.data, m.name
        assert m.name == "raw-latin1" or (parse(clear)["Subject"] or "") == m.subject, m.name


def dearmor(armor):
    body = armor.split(b"\r\n\r\n" if b"\r\n\r\n" in armor else b"\n\n", 1)[1].split(b"-----END")[0]
    return base64.b64decode(re.sub(rb"(?m)^=.*$", b"", body))


def seipd_version(packets):
    """Of the packet behind the first, in the new format with a definite length (RFC 9580 section 4.2.1)."""
    first = packets[1] if packets[1] < 192 else ((packets[1] - 192) << 8) + packets[2] + 192
    at = first + (2 if packets[1] < 192 else 3)
    assert packets[at] == 0xd2
    return packets[at + (2 if packets[at + 1] < 192 else 3 if packets[at + 1] < 224 else 6)]


# neomutt

MUTTRC = """
set folder="imap://{user}@127.0.0.1:{port}/" spoolfile="imap://{user}@127.0.0.1:{port}/INBOX"
set imap_user="{user}" imap_pass="{password}" imap_authenticators="login" ssl_starttls=no ssl_force_tls=no
set sort=mailbox-order wait_key=no sleep_time=0 mark_old=no copy=no move=no quit=yes delete=no record=""
set confirmappend=no mail_check=0 imap_keepalive=0
set header_cache="{cache}" message_cachedir=""
set crypt_use_gpgme=yes crypt_protected_headers_read={protected} crypt_verify_sig=yes
set index_format="IDX%C|%n|%(%Y-%m-%d)|%s" pager_format="PAGER%C."
set pager_index_lines=0 menu_scroll=no markers=no wrap=200 charset=utf-8 smart_wrap=no
set attach_format="ATT%n|%m/%M|%d" date_format="%Y" arrow_cursor=no help=no
set status_format="INDEX" implicit_autoview=no tilde=no
auto_view text/html
alternative_order text/plain text/html
ignore *
unignore from to cc subject date message-id
hdr_order subject: from: to: cc: date: message-id:
"""


class Neomutt:
    def __init__(self, sealed, policy, place, protected="yes"):
        i, address = sealed.instance, sealed.addresses[policy]
        rc = place / "muttrc"
        rc.write_text(MUTTRC.format(user=address, port=i.port("imap"), password=i.passwords[address],
                                    cache=place / "cache", protected=protected))
        self.count = len(sealed.served[policy])
        env = {"HOME": str(place), "GNUPGHOME": str(i.keyring.path), "LANG": "C.UTF-8", "TERM": "screen-256color"}
        self.screen = terminal.Terminal(["neomutt", "-n", "-F", str(rc)], env, columns=240, rows=140)

    def __enter__(self):
        self.index()
        return self

    def __exit__(self, *exc):
        self.screen.close()

    def index(self):
        """Number: (correspondent, subject, date) of each line of the list."""
        text = self.screen.wait(rf"IDX{self.count}\|")
        return {int(n): (who, subject.rstrip(), date) for n, who, date,
                subject in re.findall(r"IDX(\d+)\|(.*?)\|(\d{4}-\d\d-\d\d)\|(.*)", text)}

    def show(self, n):
        """What the pager shows of message n, header and body."""
        self.screen.keys(str(n), "Enter")
        self.screen.keys("Enter")
        text = self.screen.wait(rf"PAGER{n}\.")
        self.screen.keys("q")
        return re.split(r"PAGER\d", text)[0].rstrip()

    def attachments(self, n, place):
        """The octets of each attached part of message n, by the name that neomutt gives its file."""
        place.mkdir()
        self.screen.keys(str(n), "Enter", "v")
        for k, _, name in re.findall(r"(?m)^ATT(\d+)\|([^|]*)\|(.*?) *$", self.screen.wait(r"ATT1\|")):
            if name == "<no description>":
                continue
            self.screen.keys(k, "Enter", "s")
            self.screen.wait("Save to file.*: ")
            self.screen.keys("C-u")
            self.screen.type(f"{place}/{name}")
            self.screen.keys("Enter")
            self.screen.wait("Attachment saved")
        self.screen.keys("q")
        return {p.name: p.read_bytes() for p in place.iterdir()}


@pytest.mark.needs("neomutt", "tmux")
@pytest.mark.parametrize("policy", POLICIES if FULL else ("shy",))
def test_neomutt_shows(sealed, policy, tmp_path):
    chosen = [(n, m) for n, m in enumerate(sealed.mails[policy].values(), 1) if FULL or m.short]
    with Neomutt(sealed, policy, tmp_path) as neomutt:
        before = neomutt.index()
        assert {subject for _, subject, _ in before.values()} == {"[...]"}
        for n, m in chosen:
            shown = neomutt.show(n)
            assert "could not decrypt" not in shown.lower(), shown
            assert m.text in shown, (m.name, shown)
            if m.name == "raw-latin1":
                continue
            assert f"Subject: {m.subject[:150]}" in shown, (m.name, shown)
            if m.attachments:
                got = neomutt.attachments(n, tmp_path / m.name)
                for file, octets in m.attachments.items():
                    assert got[file].rstrip() == octets.rstrip(), (m.name, file)
            if (
                m.signed == "clear"
            ):  # neomutt looks for the inline form in unencrypted parts only: the text is there, with its marks
                assert "-----BEGIN PGP SIGNED MESSAGE-----" in shown and "Good signature" not in shown
            if m.signed == "pgp":
                assert "Good signature from: signer@example.org" in shown, (m.name, shown)
        after = neomutt.index()
        for n, m in chosen:
            if m.name != "raw-latin1":
                expected = m.subject or "[...]"  # an empty protected Subject replaces nothing
                assert after[n][1][:150] == expected[:150], (m.name, after[n])
    # Its header cache keeps the true Subjects: the list shows them from then on.
    with Neomutt(sealed, policy, tmp_path) as neomutt:
        again = neomutt.index()
        assert again == after
    # Without the option, which is off by default, only the outer Subject is shown.
    (tmp_path / "off").mkdir()
    with Neomutt(sealed, policy, tmp_path / "off", protected="no") as neomutt:
        assert "Subject: [...]" in neomutt.show(1)


# Claws Mail with its PGP/MIME plugin: needs .ci/install interop, and a minute.

@pytest.mark.needs("the long run", "claws-mail", "Xvfb")
@pytest.mark.parametrize("policy", POLICIES)
def test_claws_mail_shows(sealed, policy, tmp_path):
    i, address = sealed.instance, sealed.addresses[policy]
    chosen = {str(n): m for n, m in enumerate(sealed.mails[policy].values(), 1) if policy == "shy" or m.short
              or (policy == DISPLAY and m.signed)}
    (tmp_path / "run").mkdir(mode=0o700)
    image = tmp_path / "claws.png"
    out = sealed.run("xvfb-run", "-a", "-s", "-screen 0 1200x900x24", "dbus-run-session", "--", "/usr/bin/python3",
                     HERE / "claws.py", tmp_path, i.keyring.path,
                     address, i.passwords[address], i.port("imap"), json.dumps(list(chosen)), image,
                     env=dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path / "run")), timeout=600)
    shown = json.loads(out.splitlines()[-1])
    assert shown.keys() == chosen.keys() and image.stat().st_size > 10000
    outer = [parse(m) for m in sealed.served[policy].values()]
    for n, seen in shown.items():
        m = chosen[n]
        assert m.text in seen["text"], (m.name, seen)
        # Above the text it shows the outer fields, and never those that are sealed: what it can show is text.
        assert seen["Subject"] == "[...]" and "\nSubject: [...]\n" in seen["text"], (m.name, seen)
        assert outer[int(n) - 1]["From"].addresses[0].addr_spec in seen["From"], (m.name, seen)
        if m.subject and m.name != "raw-latin1":
            assert (f"\nSubject: {m.subject}\n" in seen["text"]) == (policy == DISPLAY and m.sealed), (m.name, seen)
        types = [p for p in seen["parts"] if re.fullmatch(r"[a-z]+/[a-z0-9.-]+", p)]
        if m.name != "bounce":  # Python takes message/delivery-status apart, Claws does not
            wrapped = (
                ["multipart/mixed", "text/rfc822-headers"]
                if policy == DISPLAY and m.sealed and m.name != "no-subject"
                else []
            )
            assert types == ["message/rfc822", *wrapped, *m.types], (m.name, seen)
        assert set(m.attachments) <= set(seen["parts"]), (m.name, seen)
        # Of a signature over the whole it says at once that it is good; of one over a part when that part is chosen.
        if policy == DISPLAY and m.signed == "pgp":
            assert "Good signature" in seen["part_signature"], (m.name, seen)
        assert ("ood signature" in seen["signature"]) == (m.signed in ("pgp", "clear")
                                                          and policy != DISPLAY), (m.name, seen)
    if os.environ.get("LETTERLOCK_SCREENSHOTS") and policy == DISPLAY:  # the one that the docs show
        sealed.run("convert", image, "-crop", "1180x600+0+0", "+repage", "-colors", "64", "-strip",
                   f"png8:{harness.ROOT}/docs/img/claws.png")
