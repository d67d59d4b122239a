"""Block lists (RFC 5782, dnsbl): whose address is on one is refused, or told of, by its weight; a list that is broken
or does not answer refuses nobody."""
import pytest

import harness
import names

pytestmark = pytest.mark.needs(*names.NEEDS)
ALICE = f"alice@{harness.DOMAIN}"
ZONE = """
2.0.0.127.bl A 127.0.0.2
5.2.0.192.bl A 127.0.0.4
6.2.0.192.bl A 192.0.2.1
7.2.0.192.bl A 127.255.255.254
2.0.0.127.half A 127.0.0.2
5.2.0.192.half A 127.0.0.2
8.2.0.192.half A 127.0.0.2
*.all A 127.0.0.2
2.0.0.127.other A 127.0.0.2
8.2.0.192.other A 127.0.0.2
5.2.0.192.empty A 127.0.0.2
"""


@pytest.fixture(scope="module")
def i():
    with names.start({"test": ZONE}) as zone, harness.Instance() as i:
        i.init(**zone.settings(), auth_exempt="203.0.113.0/24", xclient_hosts="127.0.0.1", ingest_instances=1,
               dnsbl="bl.test=10, half.test=6, other.test=4, all.test, empty.test")
        i.add_account("alice")
        i.serve()
        yield i


def mail_of(i, address, times=1):
    """The replies to whole messages of one connection."""
    with i.smtp(timeout=120) as s:
        s.ehlo("mx.test")
        assert s.docmd("XCLIENT", f"ADDR={address}")[0] == 220
        s.ehlo("mx.test")
        replies = []
        for _ in range(times):
            assert s.mail("x@sender.test")[0] == 250 and s.rcpt(ALICE)[0] == 250
            replies.append(s.data(harness.mail(sender="x@sender.test")))
        return replies


@pytest.mark.parametrize("address, code", [
    ("192.0.2.5", 550),    # on bl.test, and on half.test
    ("192.0.2.8", 550),    # on half.test and other.test: 6 and 4
    ("192.0.2.9", 250),    # on none but the one that has everybody, and so counts for nothing
    ("192.0.2.6", 250),    # an answer beyond 127/8
    ("192.0.2.7", 250),    # the list refuses to say
    ("203.0.113.5", 250),  # not judged
])
def test_by_weight(i, address, code):
    (got, text), = mail_of(i, address)
    assert got == code
    if code == 550:
        assert text.startswith(b"5.7.1 ") and b"block list" in text


def test_each_mail_of_a_connection(i):
    assert [code for code, _ in mail_of(i, "192.0.2.5", times=3)] == [550] * 3


def test_the_log_says_so(i):
    assert i.logged(r"dnsbl-useless list=4\b", wait=120) and i.logged(r"dnsbl-useless list=5\b", wait=120)
    assert i.logged(r"reason=listed\b", wait=120)
