"""Nobody is made to see another author than the one who is judged. From fields are put together of pieces that parsers
have stumbled over, and whenever ours finds an author, so do programs that read mail: Python's email, in both of its
parsers, and GMime, which Letterlock's capsule and several mail clients use. What they see has no other domain."""
import email.policy
import email.utils
import json
import pathlib
import random
import subprocess

import pytest

from tests import harness

TOOL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/mailauth_tool"
MADE = 6000
BANK, EVIL = "ceo@bank.example", "bob@evil.example"
MAILBOXES = [BANK, EVIL, f"<{EVIL}>", f"CEO <{EVIL}>", f'"{BANK}" <{EVIL}>', f"{EVIL} ({BANK})", f"CEO <{BANK}>"]
PIECES = [
    BANK, EVIL, f"<{BANK}>", f"<{EVIL}>", f'"{BANK}"', f"({BANK})", "CEO", '"CEO"', "Doe,", ",", ";", ":", "<", ">",
    '"', "(", ")", "\\", "@", ".", " ", "\r\n ", "\t", "[192.0.2.1]", "G:", "G: a@bank.example;", "<>", "''", "mailto:",
    "=?utf-8?q?ceo=40bank.example?=", "=?utf-8?q?=3Cceo=40bank.example=3E?=", "=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZQ==?=",
    f"<@bank.example:{EVIL}>", "@bank.example", "ceo", '"a b"@evil.example', '"ceo@bank.example "', "bank.example",
    "\\@bank.example", "%bank.example", "!", "(x)", "(x(y)z)", "(\\))", "é", "ü@bücher.example", ".bank.example",
    "|", "\u3002", "\u200b",
]


def made():
    """Mailboxes with pieces around them, and as many of pieces alone; each once."""
    rand = random.Random(9989)
    seen = dict.fromkeys([BANK, f'"Doe, John" <{BANK}>', f"Doe, John <{EVIL}>", f"a@evil.example, {EVIL}"])

    def some(most):
        return "".join(rand.choice(PIECES) + rand.choice(["", " "]) for _ in range(rand.randint(0, most)))

    while len(seen) < MADE:
        core = rand.choice(MAILBOXES) if len(seen) % 2 else some(2)
        seen.setdefault((some(2) + core + some(2)).strip())
    return list(seen)


def ours(values):
    lines = "".join(json.dumps({"what": "author", "value": value}) + "\n" for value in values)
    out = subprocess.run([TOOL], input=lines, text=True, check=True, capture_output=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def domain_of(address):
    name = address.rpartition("@")[2].strip().lower()
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def by_utils(value):
    return [address for _, address in email.utils.getaddresses([value.replace("\r\n", "")])]


def by_registry(value):
    mail = email.message_from_string(f"From: {value}\r\n\r\n", policy=email.policy.SMTPUTF8)
    try:
        return [a.addr_spec for a in mail["From"].addresses]
    except (AttributeError, IndexError, TypeError, ValueError):  # it dies of some, and sees nobody then
        return []


def by_gmime(value):
    gi = pytest.importorskip("gi")
    gi.require_version("GMime", "3.0")
    from gi.repository import GMime
    GMime.init()
    found, lists = [], [GMime.InternetAddressList.parse(None, value)]
    while lists:
        items = lists.pop()
        for i in range(items.length() if items else 0):
            item = items.get_address(i)
            if isinstance(item, GMime.InternetAddressGroup):
                lists.append(item.get_members())
            else:
                found.append(item.get_addr() or "")
    return found


@pytest.fixture(scope="module")
def authors():
    values = made()
    return [(value, got["domain"]) for value, got in zip(values, ours(values), strict=True) if not got["fault"]]


def test_enough_of_them_have_an_author(authors):
    assert len(authors) > MADE / 20
    assert {"bank.example", "evil.example"} <= {domain for _, domain in authors}


@pytest.mark.parametrize("reader", [by_utils, by_registry, by_gmime])
def test_readers_see_no_other(authors, reader):
    others = []
    for value, domain in authors:
        seen = [address for address in reader(value) if "@" in address]
        if any(domain_of(address) != domain for address in seen):
            others.append((value, domain, seen))
    assert others == []
