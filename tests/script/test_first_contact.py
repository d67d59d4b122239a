"""First contact: the capsule of a mail says that its author is new to the account, which is so until they have written
to it, or it to them; and what mail shows of its sender is known again in that account, and in no other."""
import json
import time

import pytest

import harness
from store_format import USE, dump, hash16, head_of, message, store_key, u, value_at

ALICE, BOB = f"alice@{harness.DOMAIN}", f"bob@{harness.DOMAIN}"
FRIEND = "friend@elsewhere.test"


def submit(i, sender, to, subject):
    s = i.submission(sender)
    s.sendmail(sender, to, f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello\r\n")
    s.close()


def arrive(i, subject, author, to=ALICE, **how):
    i.send([to], harness.mail(subject=subject, sender=author, to=to, **how))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The warnings of each mail by subject, and its features."""
    with harness.Instance() as i:
        i.init()
        for name in ("alice", "bob"):
            i.add_account(name)
        i.serve()
        arrive(i, "new", "a@one.test")
        arrive(i, "again", "A@one.test")
        arrive(i, "other", "b@one.test", body="See http://www.shop.test/ and https://shop.test:8443/x\n")
        arrive(i, "to bob", "b@one.test", to=BOB, body="See http://www.shop.test/\n")
        arrive(i, "several", "a@one.test\r\nFrom: b@two.test")
        arrive(i, "several again", "a@one.test\r\nFrom: b@two.test")
        submit(i, ALICE, FRIEND, "to a friend")
        arrive(i, "answer of the friend", FRIEND)
        submit(i, ALICE, BOB, "within")
        submit(i, BOB, ALICE, "answer within")
        submit(i, ALICE, BOB, "within again")
        arrive(i, "in alice's name", ALICE, to=BOB)
        i.run("backup", i.place / "backup")
        i.stop()
        here, key = tmp_path_factory.mktemp("dump"), store_key(i)
        kv, blobs = (dump(i.place / "backup/data.mdb", name, here) for name in ("kv", "blob"))
        mails = {}
        for place in (k for k in kv if k[8:9] == b"m"):
            m = message(key, kv, place[:8], place[9:])
            sealed, _ = head_of(key, blobs, place[:8], m)
            capsule = json.loads(i.keyring.decrypt(sealed))
            mails[capsule["subject"]] = capsule["warnings"], m["features"], place[:8]
        yield mails, key, kv


@pytest.mark.parametrize("subject, new", [
    ("new", True), ("again", False), ("other", True), ("to bob", True),
    ("several", True), ("several again", True),  # who cannot be told is nobody known
    ("answer of the friend", False),
    ("within", True), ("answer within", False), ("within again", False),
    ("in alice's name", True),  # without her password
])
def test_the_first_one_is_told(found, subject, new):
    warnings, _, _ = found[0][subject]
    assert ("first-contact" in warnings) == new


def test_features_are_known_again_in_one_account(found):
    mails, key, _ = found
    shop = {to: hash16(key, USE["FEATURE"], u(mails[to][2]), b"web", b"shop.test")[:8] for to in ("other", "to bob")}
    assert shop["other"] in mails["other"][1] and shop["to bob"] in mails["to bob"][1]
    assert mails["other"][1].count(shop["other"]) == 1 and shop["other"] not in mails["new"][1]
    assert set(mails["new"][1]) & set(mails["again"][1]) and mails["new"][1][0] == mails["again"][1][0]
    assert not set(mails["other"][1]) & set(mails["to bob"][1])


def test_they_are_as_written_down(found):
    """docs/store-format.md, "Who writes to accounts"."""
    mails, key, kv = found
    _, features, account = mails["other"]
    shown = {"from": "b@one.test", "domain": "one.test", "organization": "one.test", "path": "example.org",
             "net": "127.0.0.0", "web": "shop.test"}
    assert {hash16(key, USE["FEATURE"], u(account), kind.encode(), value.encode())[:8]
            for kind, value in shown.items()} <= set(features)
    who = hash16(key, USE["FEATURE"], u(account), b"contact", b"b@one.test", b"")
    bucket = value_at(key, kv, account + b"f" + bytes([0, 0, 0, who[0] & 0x7f]))
    rows = {bucket[n:n + 8]: u(bucket[n + 8:n + 10]) for n in range(5, len(bucket), 10)}
    assert bucket[0] == 1 and u(bucket[1:5]) == len(rows)
    assert abs(rows[bytes([who[0] | 0x80]) + who[1:8]] - int(time.time()) // 604800) <= 1


def test_nothing_of_them_stands_in_the_clear(found):
    mails, key, kv = found
    values = b"".join(kv.values())
    for subject in ("new", "other", "to bob", "within"):
        features = mails[subject][1]
        assert features and not any(f in values for f in features)
    buckets = [k for k in kv if u(k[:8]) >= 16 and k[8:9] == b"f"]
    assert buckets and {len(kv[k]) for k in buckets} == {41 + 256}
    assert all(value_at(key, kv, k)[0] == 1 for k in buckets)
