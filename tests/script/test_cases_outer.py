"""What stands outside of mail whose fields are odd, dates, senders, ids, and what is put in on top."""
import re
import time

import harness
import pytest

CASES = harness.ROOT / "tests/cases"


@pytest.fixture(scope="module")
def instance():
    with harness.Instance() as i:
        i.init()
        for policy in ("shy", "baseline", "hidden"):
            i.run("account", "set", i.add_account(policy), "--policy", policy)
        i.add_account("alice")
        yield i.serve()


def case(name):
    return harness.crlf((CASES / f"{name}.eml").read_text(encoding="utf-8").replace("\r\n", "\n"))


def append(instance, mail, when=None):
    """What FETCH gives of it: the outer header and ENVELOPE."""
    with instance.imap("alice@letterlock.test") as imap:
        assert imap.append("Archive", None, when, mail)[0] == "OK"
        imap.select("Archive")
        typ, data = imap.fetch("*", "(INTERNALDATE ENVELOPE BODY.PEEK[HEADER.FIELDS (DATE)])")
        assert typ == "OK"
        date = re.search(rb"(?im)^date: ([^\r]*)\r", data[0][1])[1].decode()
        assert f'ENVELOPE ("{date}"'.encode() in data[0][0]
        return date


APPENDED = '" 1-Feb-2003 04:05:06 +0200"'


@pytest.mark.parametrize("field, when, outside", [
    (None, APPENDED, "Tue, 24 Jul 2007 18:55:07 +0000"),  # the case's own: asctime(3)
    (b"Date: 6 October 2007 13:2:1 +0200", APPENDED, "Sat, 06 Oct 2007 11:02:01 +0000"),
    (b"Date: Tue, 24 Jul 1956 18:55:07 GMT", APPENDED, "Tue, 24 Jul 1956 18:55:07 +0000"),
    (b"Date: last summer", APPENDED, "Sat, 01 Feb 2003 02:05:06 +0000"),
    (b"Date:", APPENDED, "Sat, 01 Feb 2003 02:05:06 +0000"),
    (b"X-Date: none", APPENDED, "Sat, 01 Feb 2003 02:05:06 +0000"),
    (b"X-Date: none", None, None),
    (b"Date: 31 Jun 2007 18:55:07", None, None),
])
def test_the_date_of_what_is_appended(instance, field, when, outside):
    mail = case("append-asctime")
    if field is not None:
        mail = re.sub(rb"(?m)^Date:[^\r]*", field, mail)
    before = int(time.time())
    date = append(instance, mail, when)
    if outside is None:  # the internal date, which is now
        span = range(before - 1, int(time.time()) + 2)  # the server reads the coarse clock
        at = [time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(t)) for t in span]
        assert date in at
    else:
        assert date == outside


NOBODY = "unreadable@unreadable.invalid"


def shown(instance, address, mail):
    """The outer From fields of a mail that comes by SMTP, and From of its ENVELOPE."""
    assert instance.send(address, mail) == {}
    with instance.imap(address) as imap:
        imap.select("INBOX")
        data = imap.fetch("*", "(ENVELOPE BODY.PEEK[HEADER.FIELDS (FROM)])")[1]
    envelope = data[0][0].decode("utf-8", "replace")
    fields = re.sub(rb"\r\n(?=[ \t])", b"", data[0][1]).decode()
    return re.findall(r"(?im)^from: ([^\r]*)\r", fields), envelope


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def in_envelope(name, spec):
    local, _, host = spec.rpartition("@")
    return f"(({quoted(name) if name else 'NIL'} NIL {quoted(local)} {quoted(host)}))"


@pytest.mark.parametrize("fields, name, spec", [
    ("From: Bank <security@pay pal.com>", "security@pay pal.com", NOBODY),
    ("From: Bank <security@pay(x)pal.com>", "security@pay(x)pal.com", NOBODY),
    ("From: Bank <security@pay\r\n\tpal.com>", "security@pay pal.com", NOBODY),
    ("From: Bank <sec urity@paypal.com>", "sec urity@paypal.com", NOBODY),
    ("From: Bank security@paypal.com", "Bank security@paypal.com", NOBODY),
    ("From: <a@paypal.com@evil.example>", "a@paypal.com@evil.example", NOBODY),
    ("From: root", "root", NOBODY),
    ("From: X,(<a@b>)", "X", NOBODY),
    ("From: <aviso@%x.com>", "", "aviso@%x.com"),
    ("From: <a@b,com>", "a@b,com", NOBODY),
    ('From: "Facebook" <>', "", NOBODY),
    ("From: <>", "", NOBODY),
    ("From:", "", NOBODY),
    ("From: (only a comment)", "", NOBODY),
    ("From: list:;", "", NOBODY),
    ("X-From: a@b.example", "", NOBODY),
    ("From: a@b.example\r\nFrom: c@d.example", "", "a@b.example"),
    ("From: root\r\nFrom: c@d.example", "root", NOBODY),
    ("From: <a . b @ c . example>", "", "a.b@c.example"),
    ("From : a@b.example", "", "a@b.example"),
])
def test_there_is_one_sender_outside(instance, fields, name, spec):
    mail = f"{fields}\r\nTo: x@example.org\r\nSubject: s\r\n\r\nb\r\n".encode()
    outside = f'"{name}" <{spec}>' if name else spec
    for policy in ("shy", "baseline"):
        got, envelope = shown(instance, f"{policy}@letterlock.test", mail)
        if policy == "baseline" and spec != NOBODY:
            assert len(got) == 1 and spec in got[0].replace(" ", "")
        elif policy == "baseline" and fields == "From: list:;":
            assert got == ["list:;"]  # as it is: RFC 6854
        else:
            assert got == [outside]
            assert in_envelope(name, spec) in envelope
    got, envelope = shown(instance, "hidden@letterlock.test", mail)
    assert got == ["hidden@hidden.invalid"] and in_envelope("", got[0]) in envelope


@pytest.mark.parametrize("field", ["Sender", "Reply-To", "To", "Cc"])
def test_no_field_shows_another_address(instance, field):
    mail = (f"From: a@b.example\r\n{field}: Bank <security@pay pal.com>\r\nSubject: s\r\n\r\nb\r\n").encode()
    for policy in ("shy", "baseline"):
        address = f"{policy}@letterlock.test"
        envelope = shown(instance, address, mail)[1]
        assert in_envelope("security@pay pal.com", NOBODY) in envelope and "paypal" not in envelope


@pytest.mark.parametrize("sender", ["bounces+1@lists.example", "", '"a b"@example.org'])
def test_the_return_path_stands_inside(instance, sender):
    mail = harness.crlf("Return-Path: <forged@bank.example>\nFrom: a@b.example\nSubject: s\nReturn-Path : <x@y>\n\nb\n")
    assert instance.send("shy@letterlock.test", mail, sender=f"<{sender}>") == {}
    served = list(instance.fetch_all("shy@letterlock.test").values())[-1]
    assert b"Return-Path" not in served and b"forged" not in served
    inner = instance.keyring.decrypt(harness.armor_of(served))
    assert f"\r\nReturn-Path: <{sender}>\r\nReceived: ".encode() in inner
    assert len(re.findall(rb"(?im)^Return-Path *:", inner)) == 1
    assert len(re.findall(rb"(?m)^Letterlock-Forged-(?:Line: )?Return-Path *:", inner)) == 2
    assert instance.unseal(served) == mail


def test_what_is_appended_keeps_its_return_path(instance):
    append(instance, b"Return-Path: <was@there.example>\r\nFrom: a@b.example\r\nSubject: s\r\n\r\nb\r\n")
    served = list(instance.fetch_all("alice@letterlock.test", "Archive").values())[-1]
    inner = instance.keyring.decrypt(harness.armor_of(served))
    assert re.findall(rb"(?im)^[^ ]*Return-Path[^\r]*", inner) == [b"Return-Path: <was@there.example>"]


@pytest.mark.parametrize("sent, outside", [
    ("<a . b @ c . example>", "<a.b@c.example>"),
    ('<"a b"@c.example>', '<"a b"@c.example>'),
    ("<a (of Monday) @c.example>", "<a@c.example>"),
    ("<a@\r\n c.example>", "<a@c.example>"),
    ('< "x\r\n y" @c.example (z)>', '<"x y"@c.example>'),
    ("(x) <a@[192.0.2.1]>", "<a@[192.0.2.1]>"),
])
def test_obsolete_ids_keep_their_thread(instance, sent, outside):
    instance.send("shy@letterlock.test", f"From: a@b\r\nMessage-ID: {sent}\r\nSubject: s\r\n\r\nb\r\n".encode())
    instance.send("shy@letterlock.test", (f"From: a@b\r\nMessage-ID: <r@c.example>\r\nIn-Reply-To: Your {sent}\r\n"
                                          f"References: <q@c.example>\r\n {sent}\r\nSubject: s\r\n\r\nb\r\n").encode())
    first, second = [s.partition(b"\r\n\r\n")[0] for s in list(instance.fetch_all("shy@letterlock.test").values())[-2:]]
    assert f"\r\nMessage-ID: {outside}\r\n".encode() in first
    assert f"\r\nIn-Reply-To: {outside}\r\n".encode() in second
    assert f"\r\nReferences: <q@c.example> {outside}\r\n".encode() in second
