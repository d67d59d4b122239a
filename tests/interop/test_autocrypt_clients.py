"""Autocrypt beside the clients that have it: what neomutt, Thunderbird and Sequoia write as we read it, and ours as
they read it. Letters go out to a stranger's server, in the clear, where each field is as it was sent."""
import base64
import email
import email.policy
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import time

import harness
import peers
import pytest
import terminal
import thunderbird

TOOL = pathlib.Path(os.environ["LETTERLOCK_BINARY"]).parent / "tests/interop/autocrypt_tool"
ALICE, BOB, OUTSIDE = f"alice@{harness.DOMAIN}", f"bob@{harness.DOMAIN}", "carol@world.example"
WAIT = 120


class World(peers.World):
    def __init__(self):
        super().__init__(harness.Instance())
        self.seen = 0

    def fingerprint(self, address):
        return self.instance.keyring.fingerprint(address)

    def next(self):
        """What came next to the stranger."""
        end = time.monotonic() + WAIT
        while len(self.peer.mails) <= self.seen:
            assert time.monotonic() < end
            time.sleep(0.02)
        self.seen += 1
        return self.peer.mails[self.seen - 1].octets

    def ours(self, word="never", ago=0):
        """A letter of Alice's, written so many seconds ago, to which the server has put her certificate."""
        self.instance.run("account", "set", ALICE, "--encrypt", word)
        s = self.instance.submission(ALICE)
        s.sendmail(ALICE, [OUTSIDE], harness.crlf(f"From: Alice <{ALICE}>\nTo: {OUTSIDE}\nSubject: Of ours\n"
                                                  f"Date: {email.utils.formatdate(time.time() - ago)}\n\nHello.\n"))
        s.quit()
        return self.next()


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


def keys(octets):
    """(fingerprint, user ids) as GnuPG reads a certificate."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        p = subprocess.run(["gpg", "--homedir", home, "--batch", "--with-colons", "--import-options", "show-only",
                            "--import"], input=octets, capture_output=True, check=True)
    rows = [line.split(":") for line in p.stdout.decode().splitlines()]
    return next(r[9] for r in rows if r[0] == "fpr"), [r[9] for r in rows if r[0] == "uid"]


def read_by_us(octets):
    """(address, word, date, fingerprint, user ids)"""
    out = subprocess.run([TOOL], input=octets, capture_output=True, check=True).stdout.decode().split()
    assert len(out) == 4, out
    return out[0], out[1], int(out[2]), *keys(base64.b64decode(out[3], validate=True))


def field_of(octets):
    field, = email.message_from_bytes(octets).get_all("Autocrypt")
    return field


# ---- neomutt ----

MUTTRC = """
set folder="{place}" spoolfile="{place}/mbox" record="" from="{user}" realname="Bob" use_from=yes hostname=laptop.home
set smtp_pass="{password}" smtp_url="smtps://{quoted}@localhost:{port}/" certificate_file="{dir}/tls/chain.pem"
set ssl_force_tls=yes ssl_verify_host=no editor="{place}/editor" abort_unmodified=no fast_reply=yes
set crypt_use_gpgme=yes autocrypt=yes autocrypt_dir="{place}/autocrypt" sleep_time=0 wait_key=no help=no quit=yes
set index_format="IDX%C|%s" pager_format="PAGER%C." status_format="INDEX" compose_format="COMPOSE" mail_check=0
"""


class Neomutt:
    """Of Bob's, with a mailbox of its own; it makes an Autocrypt account at its first start, with a key."""

    def __init__(self, i, place):
        self.place = place
        (place / "mbox").touch()
        (place / "editor").write_text('#!/bin/sh\necho "A text of neomutt\'s." >>"$1"\n')
        (place / "editor").chmod(0o755)
        (place / "muttrc").write_text(MUTTRC.format(
            place=place, user=BOB, quoted=BOB.replace("@", "%40"), password=i.passwords[BOB],
            port=i.port("submissions"), dir=i.dir))
        self.begin((("does not exist. Create it", "y"), ("Create an initial autocrypt account", "y"), (BOB, "Enter"),
                    ("reate new", "c"), ("Prefer encryption", "y"), ("Scan a mailbox", "n")))

    def begin(self, answers=()):
        self.screen = terminal.Terminal(["neomutt", "-n", "-F", str(self.place / "muttrc")],
                                        {"HOME": str(self.place), "LANG": "C.UTF-8", "TERM": "screen-256color"})
        for prompt, answer in answers:
            self.screen.wait(prompt, WAIT)
            self.screen.keys(answer)
        self.screen.wait("INDEX", WAIT)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.screen.close()

    def read(self, letter):
        """A letter has come to the mailbox; it looks at each field when it opens that."""
        self.screen.close()
        with open(self.place / "mbox", "ab") as f:
            f.write(b"From x@y Mon Nov 30 11:00:00 2026\n" + letter.replace(b"\r\n", b"\n") + b"\n")
        self.begin()

    def write(self, to):
        self.screen.keys("m")
        for prompt, answer in (("To:", to), ("Subject:", "Of neomutt's")):
            self.screen.wait(prompt, WAIT)
            self.screen.type(answer)
            self.screen.keys("Enter")
        self.screen.wait("COMPOSE", WAIT)
        self.screen.keys("y")
        assert "INDEX" in self.screen.wait("INDEX|failed|rror", WAIT), self.screen.screen()

    def table(self, text):
        with sqlite3.connect(self.place / "autocrypt/autocrypt.db") as db:
            return db.execute(text).fetchall()


@pytest.fixture(scope="module")
def neomutt(world, tmp_path_factory):
    with Neomutt(world.instance, tmp_path_factory.mktemp("neomutt")) as n:
        yield n


@pytest.mark.needs("neomutt", "tmux")
def test_ours_by_neomutt(world, neomutt):
    """The key, that encryption is preferred or not, and when."""
    for word, ago, prefers in ("never", 7200, 0), ("opportunistic", 3600, 1), ("never", 0, 0):
        letter = world.ours(word, ago)
        neomutt.read(letter)
        peer, = neomutt.table("select email_addr, keyid, keydata, prefer_encrypt, autocrypt_timestamp from peer")
        sent = email.message_from_bytes(letter, policy=email.policy.default)["Date"].datetime.timestamp()
        assert peer[:2] == (ALICE, world.fingerprint(ALICE)) and peer[3:] == (prefers, sent)
        assert keys(base64.b64decode(peer[2]))[0] == world.fingerprint(ALICE)


@pytest.mark.needs("neomutt", "tmux")
def test_neomutts_by_us(world, neomutt):
    neomutt.write(OUTSIDE)
    octets = world.next()
    address, word, date, fingerprint, names = read_by_us(octets)
    (keyid, prefers), = neomutt.table("select keyid, prefer_encrypt from account")
    assert (address, word, prefers, fingerprint) == (BOB, "mutual", 1, keyid)
    assert names == [f"Bob <{BOB}>"] and abs(date - time.time()) < 3600
    assert fingerprint != world.fingerprint(BOB), "its own, not the account's: what a client says counts"


# ---- Thunderbird ----

READ = """
const { CollectedKeysDB } = ChromeUtils.importESModule("chrome://openpgp/content/modules/CollectedKeysDB.sys.mjs");
MailServices.accounts.createLocalMailAccount();
const root = MailServices.accounts.localFoldersServer.rootFolder.QueryInterface(Ci.nsIMsgLocalMailFolder);
const folder = root.createLocalSubfolder("Read").QueryInterface(Ci.nsIMsgLocalMailFolder);
const hdr = folder.addMessage("From x\\r\\n" + A.text);
const p = pane();
p.displayFolder(folder.URI);
await until("the list", () => p.gDBView?.viewFolder?.URI == folder.URI && p.gDBView.rowCount);
p.threadTree.selectedIndex = p.gDBView.findIndexOfMsgHdr(hdr, true);
const db = await CollectedKeysDB.getInstance();
const found = await until("the key", async () => {
    const keys = await db.findKeysForEmail(A.email);
    return keys.length && keys;
}, 110);
return found.map(k => ({ fingerprint: k.fingerprint, emails: k.emails, sources: k.sources.map(s => s.type) }));
"""


@pytest.mark.needs("root", *thunderbird.PROGRAMS)
def test_thunderbird(world):
    """Ours it collects, of the mail that it shows; its own is of a mail that it sends."""
    with thunderbird.Thunderbird(world.instance, {BOB: world.instance.passwords[BOB]},
                                 prefs={"mail.identity.id1.sendAutocryptHeaders": True}) as t:
        collected, = t.run(READ, {"text": world.ours().decode(), "email": ALICE})
        t.write(BOB, OUTSIDE, "Of Thunderbird's", "A text of Thunderbird's.", False)
        octets = world.next()
    assert collected["fingerprint"] == world.fingerprint(ALICE) and collected["sources"] == ["autocrypt"]
    assert collected["emails"] == [ALICE]
    address, word, _, fingerprint, names = read_by_us(octets)
    assert (address, word, fingerprint) == (BOB, "-", world.fingerprint(BOB))
    assert len(names) == 1 and BOB in names[0]


# ---- Sequoia ----

@pytest.mark.needs("sq")
@pytest.mark.parametrize("word", ["never", "opportunistic"])
def test_ours_by_sequoia(world, word):
    octets = world.ours(word)
    p = subprocess.run(["sq", "autocrypt", "decode"], input=octets, capture_output=True, check=True)
    assert keys(p.stdout)[0] == world.fingerprint(ALICE)
    assert ("prefer-encrypt=mutual" in field_of(octets)) == (word != "never")


@pytest.mark.needs("sq")
@pytest.mark.parametrize("word", ["nopreference", "mutual"])
def test_sequoias_by_us(world, word):
    cert = world.instance.keyring.gpg("--export", BOB).stdout
    p = subprocess.run(["sq", "autocrypt", "encode-sender", "--email", BOB, "--prefer-encrypt", word], input=cert,
                       capture_output=True, check=True)
    octets = f"From: {BOB}\r\n".encode() + harness.crlf(p.stdout.decode().strip() + "\n\nHello.\n")
    address, read, _, fingerprint, names = read_by_us(octets)
    assert (address, read, fingerprint) == (BOB, "mutual" if word == "mutual" else "-", world.fingerprint(BOB))
    assert len(names) == 1 and BOB in names[0]
