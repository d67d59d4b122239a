"""Requests of others' test suites (tests/cases/http, with source and licence there): each is answered as the table
beside them says, and where its framing is in doubt, what stands behind it is read by nobody."""
import re

import pytest

import test_http
from test_http import AFTER, NAME, connect, harness, read_all

CASES = harness.ROOT / "tests/cases/http"
ESCAPES = {rb"\r\n": b"\r\n", rb"\0": b"\0", rb"\n": b"\n", rb"\t": b"\t"}


@pytest.fixture(scope="module")
def site():
    with harness.Instance(web=True).init(web_instances=1, web_request_timeout=2, web_transfer_timeout=2,
                                         web_idle_timeout=2) as i:
        yield i.serve()


def read(file):
    return re.sub(rb"\\r\\n|\\[0nt]", lambda m: ESCAPES[m[0]], file.read_bytes().replace(b"\n", b""))


def for_us(data):
    """As it is, but for us: without it most are refused for their host, whatever else they are."""
    data = re.sub(rb"(?i)(?<=\n)host:[^\r\n]*\r\n", b"", data)
    return data.replace(b"\r\n", f"\r\nHost: {NAME}\r\n".encode(), 1)


def answers(i, data):
    """The statuses of all answers, one behind the other, with "end" where the connection ended before what stands
    behind the case was answered."""
    with connect(i) as s:
        s.sendall(data + AFTER.encode())
        said = read_all(s)
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", said)
    return " ".join(x.decode() for x in statuses) + ("" if b"User-agent" in said else " end")


def table():
    rows = [line.split("\t") for line in (CASES / "verdicts.tsv").read_text().splitlines()]
    return {name: tuple(verdicts) for name, *verdicts in rows}


def test_each_has_its_verdict(site):
    files = sorted(p for kind in ("valid", "invalid") for p in (CASES / kind).glob("*.http"))
    assert len(files) == 98
    got = {f"{p.parent.name}/{p.stem}": (answers(site, read(p)), answers(site, for_us(read(p)))) for p in files}
    wanted = table()
    assert got.keys() == wanted.keys()
    assert {n: (v, wanted[n]) for n, v in got.items() if v != wanted[n]} == {}
