"""What submission changes of real mail: the named fields of its header (docs/operating.md, "Mail from our own people")
and nothing else. A sample by default; all 6,046 messages with LETTERLOCK_FULL=1."""
import email.utils
import os
import pathlib
import re
import subprocess

import corpus
import harness
import pytest

TOOL = pathlib.Path(harness.BINARY).parent / "tests/interop/clean_tool"
EVERY = 1 if os.environ.get("LETTERLOCK_FULL") else 10
SECTION = harness.ROOT.joinpath("docs/operating.md").read_text().partition("## Mail from our own people")[2]
ROWS = dict(re.findall(r"^\| (`.*`) \| (removed|written|stays)\b", SECTION.partition("\n## ")[0], re.M))
NAMED = {word: [n.lower() for names, w in ROWS.items() if w == word for n in re.findall(r"`([^`]+)`", names)]
         for word in ROWS.values()}
assert set(NAMED) == {"removed", "written", "stays"}


def is_named(word, field):
    name = field.split(b":")[0].strip(b" \t").decode("latin-1").lower()
    return any(name == n or (n.endswith("*") and name.startswith(n[:-1])) for n in NAMED[word])


def parts(mail):
    """(fields, with the empty line; body)"""
    head, empty, body = mail.partition(b"\r\n\r\n")
    return re.split(rb"\r\n(?![ \t])", head), body if empty else None


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    """[(before, after)] of what is taken."""
    folder = tmp_path_factory.mktemp("clean")
    paths = []
    for n, (_, data) in enumerate(list(corpus.messages())[::EVERY]):
        paths.append(folder / str(n))
        paths[-1].write_bytes(corpus.wire(data.replace(b"\r", b"")))
    said = subprocess.run([TOOL], input="".join(f"{p}\n" for p in paths), capture_output=True, text=True, check=True,
                          timeout=300).stdout.splitlines()
    assert len(said) == len(paths)
    # A header that has lines which are no fields is refused: an mbox's "From " inside, text without an empty line.
    assert said.count("ok") > 0.97 * len(said)
    return [(p.read_bytes(), p.with_name(p.name + ".out").read_bytes()) for p, s in zip(paths, said) if s == "ok"]


def test_bodies_stay(cleaned):
    assert [b for b, a in cleaned if parts(b)[1] != parts(a)[1]] == []


def test_other_fields_stay_in_their_order(cleaned):
    def others(mail):
        return [f for f in parts(mail)[0] if not any(is_named(w, f) for w in NAMED)]
    for before, after in cleaned:
        assert others(before) == others(after)


def test_removed_fields_are_gone(cleaned):
    assert sum(is_named("removed", f) for b, _ in cleaned for f in parts(b)[0]) > len(cleaned)
    assert [f for _, a in cleaned for f in parts(a)[0] if is_named("removed", f)] == []


def test_there_is_one_date_in_utc_and_one_id(cleaned):
    for before, after in cleaned:
        date, = (f for f in parts(after)[0] if f.lower().startswith(b"date:"))
        assert re.fullmatch(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", date), date
        ident, = (f for f in parts(after)[0] if f.lower().startswith(b"message-id:"))
        assert ident == b"Message-ID: <0123456789abcdef@sender.test>"
        old = next((f for f in parts(before)[0] if f.lower().startswith(b"date:")), None)
        if old and re.fullmatch(rb"Date: \w{3}, \d+ \w{3} [12]\d{3} \d\d:\d\d:\d\d [+-]\d{4}", old):
            then, now = (email.utils.parsedate_tz(f.partition(b": ")[2].decode()) for f in (old, date))
            assert email.utils.mktime_tz(then) == email.utils.mktime_tz(now)
