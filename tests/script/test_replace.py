"""Old mail and a new key: a client finds what is under its old key, encrypts it to the new one and puts it in the old
one's place (REPLACE, RFC 8508), with real gpg; and what may go wrong on the way."""
import base64
import email
import email.policy
import os
import re
import signal
import subprocess

import harness
import pytest
from test_imap import Raw, wait_until

ALICE = f"alice@{harness.DOMAIN}"
BOB = f"bob@{harness.DOMAIN}"
CAROL = f"carol@{harness.DOMAIN}"
CANARY = "canary-7f31"

LONG = "Ein Betreff mit Ümläuten, 漢字 und 🔏, der sich über mehr als eine Zeile hinzieht, wie es welche gibt"
ENCODED = "=?utf-8?b?" + base64.b64encode("Grüße 漢字 🔏".encode()).decode() + "?="


def multipart(subject):
    m = email.message.EmailMessage(policy=email.policy.SMTP)
    m["From"], m["To"], m["Subject"] = "Sender Name <sender@example.org>", ALICE, subject
    m["Date"], m["Message-ID"] = "Sat, 21 Nov 2026 10:00:00 +0100", "<multi@example.org>"
    m["References"] = "<root@example.org> <before@example.org>"
    m.set_content(f"{CANARY} plain\n")
    m.add_alternative(f"<p>{CANARY} html", subtype="html")
    m.add_attachment(os.urandom(40000), maintype="application", subtype="octet-stream", filename="Übung.bin")
    return m.as_bytes()


MAILS = {
    "plain": harness.mail(f"{CANARY} plain subject", f"{CANARY} body\n"),
    "encoded": harness.mail(ENCODED, f"{CANARY} body\n"),
    "multipart": multipart(LONG),
    "8bit": harness.mail(
        "eight bits", "Grüße \n", extra="Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    ),
    "no body": harness.mail("no body", ""),
    "large": harness.mail("large", ("x" * 70 + "\n") * 20000),
}


def pgp_mime(outer, armor):
    """RFC 3156 section 4."""
    return (
        outer
        + b'MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted";'
        b' boundary="b"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion:'
        b' 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n'
        + re.sub(rb"\r?\n", b"\r\n", armor)
        + b"\r\n--b--\r\n"
    )


def outer_of(rendered):
    return rendered[:rendered.index(b"MIME-Version:")]


def encrypt(ring, clear, *fprs):
    return ring.gpg("--armor", "--encrypt", *(x for f in fprs for x in ("-r", f)), data=clear).stdout



class Reader(Raw):
    """A client as the documentation describes it."""

    def __init__(self, instance, address, mailbox="INBOX"):
        super().__init__(instance, address)
        assert self.say(f"SELECT {mailbox}")[-1].startswith(b"t OK")

    def under(self, key):
        lines = self.say(f"UID SEARCH X-LETTERLOCK-KEY {key}")
        assert lines[-1].startswith(b"t OK"), lines
        return [int(x) for x in lines[0].split()[2:]]

    def fetch(self, uid):
        """(flags, internal date, the message)"""
        self.send(f"t UID FETCH {uid} (FLAGS INTERNALDATE BODY.PEEK[])\r\n")
        line = self.line()
        flags, date = re.search(rb"FLAGS (\([^)]*\))", line).group(1), re.search(
            rb'INTERNALDATE ("[^"]*")', line
        ).group(1)
        size = int(re.search(rb"\{(\d+)\}\r\n$", line).group(1))
        while len(self.buf) < size:
            self.buf += self.s.recv(1 << 20)
        message, self.buf = self.buf[:size], self.buf[size:]
        assert self.until(b"t ")[-1].startswith(b"t OK")
        return flags.decode(), date.decode(), message

    def replace(self, uid, message, flags="", date="", mailbox="INBOX"):
        self.send(
            "t UID REPLACE"
            f" {uid} {mailbox} {flags}{' ' if flags else ''}{date}{' ' if date else ''}{{{len(message)}+}}\r\n".encode()
            + message
            + b"\r\n"
        )
        return self.until(b"t ", b"* BYE")


def keys_of(ring, address):
    out = ring.gpg("--with-colons", "--list-keys", address).stdout.decode()
    return re.findall(r"^pub:.*\nfpr:+([0-9A-F]+):", out, re.M)


@pytest.fixture(scope="module", params=["shy", "baseline", "hidden"])
def changed(request):
    """alice had key A and mail under it; now B is her current key. Yields (instance, A, B, originals by UID)."""
    with harness.Instance() as i:
        i.init()
        i.add_account("alice", policy=request.param)
        a, = keys_of(i.keyring, ALICE)
        i.serve()
        originals = {}
        for uid, m in enumerate(MAILS.values(), 1):
            i.send(ALICE, m)
            originals[uid] = m
        # and one that its sender encrypted
        inner = harness.crlf(
            f"Subject: {CANARY} from a sender who encrypts\nContent-Type: text/plain\n\n{CANARY} secret\n"
        )
        outer = harness.mail("Encrypted for you", "")
        i.send(ALICE, pgp_mime(outer[:outer.index(b"\r\n\r\n") + 2], encrypt(i.keyring, inner, a)))
        originals[len(originals) + 1] = inner
        r = Reader(i, ALICE)
        assert r.say("UID STORE 1 FLAGS (\\Seen \\Flagged $Work)")[-1].startswith(b"t OK")
        assert r.say("UID STORE 3 FLAGS (\\Answered)")[-1].startswith(b"t OK")
        assert len(r.under(a)) == len(originals)
        r.close()
        i.keyring.unasked("--quick-gen-key", f"Alice anew <{ALICE}>")
        b, = set(keys_of(i.keyring, ALICE)) - {a}
        cert = i.place / "b.asc"
        cert.write_bytes(i.keyring.gpg("--armor", "--export", b).stdout)
        i.run("key", "add", ALICE, cert)
        i.run("key", "retire", ALICE, a)
        r = Reader(i, ALICE)  # the notice of the added key
        assert r.say(f"UID STORE {len(originals) + 1} +FLAGS (\\Deleted)")[-1].startswith(b"t OK")
        assert r.say("EXPUNGE")[0].endswith(b" EXPUNGE\r\n")
        r.close()
        yield i, a, b, originals


def test_the_whole_way(changed):
    i, a, b, originals = changed
    i.send(ALICE, harness.mail("under the new key"))
    r = Reader(i, ALICE)
    old = r.under(a)
    assert old == sorted(originals) and r.under(b) == [len(originals) + 2]
    assert r.under(a[-16:]) == old  # by key id
    before = {uid: r.fetch(uid) for uid in old}
    new = {}
    for uid, (flags, date, message) in before.items():
        clear = i.keyring.decrypt(harness.armor_of(message))
        lines = r.replace(uid, pgp_mime(outer_of(message), encrypt(i.keyring, clear, b)), flags, date)
        assert lines[-1].startswith(b"t OK"), lines
        new[uid] = int(re.match(rb"\* OK \[APPENDUID \d+ (\d+)\]", lines[0]).group(1))
        assert any(x.endswith(b" EXPUNGE\r\n") for x in lines[1:-1])
    assert r.under(a) == [] and set(r.under(b)) == {len(originals) + 2, *new.values()}
    # nothing is under the old key: without it, everything opens
    secrets = i.keyring.gpg("--list-packets", data=harness.armor_of(r.fetch(new[1])[2])).stdout.decode()
    assert secrets.count(":pubkey enc packet:") == 1
    for uid, original in originals.items():
        flags, date, message = r.fetch(new[uid])
        assert set(flags.strip("()").split()) == set(before[uid][0].strip("()").split())
        assert date == before[uid][1]
        # the outer header is what it was, but for the server's word that it sealed this
        assert outer_of(message) == re.sub(rb"Sealed-By: [^\r]*\r\n", b"", outer_of(before[uid][2]))
        clear = i.keyring.decrypt(harness.armor_of(message))
        assert clear == i.keyring.decrypt(harness.armor_of(before[uid][2]))
        if uid == len(originals):  # what its sender encrypted was never sealed
            assert clear == original
            continue
        assert i.run("unseal", data=clear).stdout == original
        # what a client shows when it has decrypted: the true Subject
        shown = email.message_from_bytes(clear, policy=email.policy.default)
        assert shown["Subject"] == email.message_from_bytes(original, policy=email.policy.default)["Subject"]
        assert "protected-headers" in str(shown["Content-Type"])
    canaries = i.place / "canaries"
    canaries.write_text(CANARY + "\n")
    assert i.run("audit", "--canary", canaries).returncode == 0
    r.close()


def test_nothing_readable_can_be_put_there(changed):
    """Plain text is sealed like any other mail, and so is what is encrypted to the retired key alone."""
    i, a, b, _ = changed
    r = Reader(i, ALICE)
    for body in (harness.mail("uploaded in the clear", f"{CANARY} clear\n"),
                 pgp_mime(b"Subject: to the old key\r\nFrom: a@example.org\r\n",
                          encrypt(i.keyring, CANARY.encode(), a))):
        i.send(ALICE, harness.mail("to be replaced"))
        wait_until(lambda: r.say("NOOP"))
        uid = r.under(b)[-1]
        lines = r.replace(uid, body)
        assert lines[-1].startswith(b"t OK"), lines
        uid = r.under(b)[-1]
        assert uid not in r.under(a)
        message = r.fetch(uid)[2]
        assert b"Sealed-By: " in outer_of(message) and CANARY.encode() not in message
        assert i.unseal(message) == body
    # to both keys: passes as it is, and is found under both
    both = pgp_mime(b"Subject: for both\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n", encrypt(i.keyring, b"x", a, b))
    assert r.replace(uid, both)[-1].startswith(b"t OK")
    assert r.under(a) == [r.under(b)[-1]]
    assert r.say(f"UID SEARCH X-LETTERLOCK-KEY {a} NOT X-LETTERLOCK-KEY {b}")[0] == b"* SEARCH\r\n"
    canaries = i.place / "canaries"
    assert i.run("audit", "--canary", canaries).returncode == 0
    r.close()


def test_quota_counts_what_is_gone(instance):
    """At the quota's edge a message can be replaced by one as large, but none can be added."""
    i = instance.init()
    i.add_account("bob", quota="100K")
    fpr, = keys_of(i.keyring, BOB)
    i.serve()
    i.send(BOB, harness.mail("first", "x" * 60 + "\n"))
    r = Reader(i, BOB)
    body = pgp_mime(b"Subject: s\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n",
                    encrypt(i.keyring, os.urandom(65000), fpr))
    assert r.replace(1, body)[-1].startswith(b"t OK")
    for _ in range(3):
        assert b"[OVERQUOTA]" in b"".join(r.replace("*",
                                                    pgp_mime(b"Subject: s\r\n",
                                                             encrypt(i.keyring, os.urandom(90000), fpr))))
        assert r.replace("*", body)[-1].startswith(b"t OK")
    r.send(f"t APPEND INBOX {{{len(body)}+}}\r\n".encode() + body + b"\r\n")
    assert r.until(b"t ")[-1].startswith(b"t NO [OVERQUOTA]")
    assert len(i.fetch_all(BOB)) == 1
    r.close()


def test_hidden_ids_stay_the_same(instance):
    """Under the policy hidden the outer ids are pseudonyms: put back, they are not hidden once more, so that threads
    hold."""
    i = instance.init()
    i.add_account("carol", policy="hidden")
    fpr, = keys_of(i.keyring, CAROL)
    i.serve()
    i.send(CAROL, multipart("one"))
    r = Reader(i, CAROL)
    flags, date, message = r.fetch(1)
    assert b"multi@example.org" not in message and b"Message-ID: <p1." in message
    clear = i.keyring.decrypt(harness.armor_of(message))
    for uid in (1, 2):
        assert r.replace(uid, pgp_mime(outer_of(message), encrypt(i.keyring, clear, fpr)), flags,
                         date)[-1].startswith(b"t OK")
        assert outer_of(r.fetch(uid + 1)[2]) == re.sub(rb"Sealed-By: [^\r]*\r\n", b"", outer_of(message))
    r.close()


def test_a_vault_that_dies_over_it(instance):
    """kill -9 of the vault in each round: none ends with both messages or neither. The next vault is asked again, so
    what
    the client reads is OK, unless that vault is long in coming."""
    i = instance.init()
    i.add_account("bob")
    fpr, = keys_of(i.keyring, BOB)
    i.serve()
    i.send(BOB, harness.mail("0"))
    r = Reader(i, BOB)
    bodies = {n: pgp_mime(b"Subject: %d\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" % n,
                          encrypt(i.keyring, os.urandom(30000), fpr)) for n in range(4)}
    last, stored = 0, 0
    for n in range(6):
        body = bodies[n % 4]
        r.send(f"t UID REPLACE * INBOX {{{len(body)}+}}\r\n".encode() + body[:-2])
        pid, = i.pids("vault")
        r.send(body[-2:] + b"\r\n")
        subprocess.run(["sleep", str(n % 6 / 500)], check=True)
        os.kill(pid, signal.SIGKILL)
        lines = r.until(b"t ", b"* BYE")
        ok = lines[-1].startswith(b"t OK")
        assert ok or lines[-1].startswith(b"t NO [UNAVAILABLE]"), lines
        wait_until(lambda: i.pids("vault") not in ([], [pid]), 60)
        assert r.say("NOOP")[-1].startswith(b"t OK")
        (_, message), = i.fetch_all(BOB).items()
        now = int(re.search(rb"Subject: (?:\[\.\.\.\]|(\d+))\r\n", message).group(1) or 0)
        assert now == n % 4 if ok else now in (n % 4, last)
        last, stored = now, stored + ok
    assert stored >= 3
    assert i.run("audit").returncode == 0
    r.close()
