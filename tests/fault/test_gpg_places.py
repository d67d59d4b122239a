"""Floods of mail to one reader whose key gpg seals to, from one sender and from many: another such reader's mail, and
everybody else's, gets in meanwhile."""
import time

import harness
import pressure
import pytest
from test_fail_closed import certificate_for_gpg

SECONDS = 12
SESSIONS = 700  # each sends one mail after another: more than wait for gpg in two processes
HONEST = 70


@pytest.fixture(scope="module")
def served():
    pressure.many_files()
    with harness.Instance() as i:
        i.init(ingest_instances=2, access_instances=2, smtp_sessions_peer=SESSIONS)
        i.alice = i.add_account("alice")
        i.odd, i.other = f"odd@{harness.DOMAIN}", f"other@{harness.DOMAIN}"
        cert = i.place / "odd.asc"
        for address in (i.odd, i.other):
            cert.write_bytes(certificate_for_gpg(i, address))
            i.run("account", "add", address, "--key", cert)
            i.app_password(address)
        yield i.serve()


def flood(recipient):
    """Of mails that are new each time; a session goes on whatever the answer is."""
    def script(number):
        yield "220"
        yield b"EHLO flood.example\r\n"
        n = 0
        while True:
            n += 1
            body = harness.mail(f"flood {number} {n} {time.monotonic()}", "x" * 70 + "\n")
            yield b"MAIL FROM:<f@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\n" % recipient.encode()
            yield "354"
            yield body + b".\r\n"
            yield ""
            yield 0.1
    return script


@pytest.mark.parametrize("addresses", [pytest.param(1, marks=pytest.mark.needs("the long run")), SESSIONS])
def test_a_flood_to_one_reader(served, addresses):
    i = served
    ends = pressure.counter(i, "gpg-seal", "sealed")
    address = (lambda n: "127.99.1.1") if addresses == 1 else pressure.networks(addresses, 99)
    with pressure.Crowd(i.port("smtp"), SESSIONS, flood(i.odd), address):
        time.sleep(2)
        assert pressure.honest_mail(i, i.other, HONEST, SECONDS) >= HONEST - 1
        assert pressure.honest_mail(i, i.alice, HONEST, SECONDS, first=210) >= HONEST - 1
        m = i.imap(i.other)
        assert m.append("INBOX", None, None, harness.mail("uploaded meanwhile"))[0] == "OK"
        m.logout()
        waiting = pressure.counter(i, "ingest", "gpg_seals_waiting_now")
        refused = pressure.counter(i, "ingest", "gpg_seals_refused")
    print(f"gpg sealed {pressure.counter(i, 'gpg-seal', 'sealed') - ends}, {waiting} waiting, {refused} refused")
    assert refused > 0
    pressure.settled(i, "ingest", "gpg_seals_waiting_now")
    # ten and a sum, of each process, in each minute of the two tests
    assert 0 < i.log().count("gpg-seal-refused") <= 2 * 11 * 4
