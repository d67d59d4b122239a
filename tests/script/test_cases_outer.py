"""What stands outside of mail whose fields are odd: dates."""
import re
import time

import harness
import pytest

CASES = harness.ROOT / "tests/cases"


@pytest.fixture(scope="module")
def instance():
    with harness.Instance() as i:
        i.init()
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
        at = [time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(t)) for t in range(before, int(time.time()) + 2)]
        assert date in at
    else:
        assert date == outside
