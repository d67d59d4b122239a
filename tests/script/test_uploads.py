"""Certificates that strangers send in, by VKS and HKP: who has the mailbox and the key publishes them, nobody is told
who is here, and nobody is written to more often than a few times a day."""
import json
import pathlib
import re
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
import key_tools  # noqa: E402
from key_tools import ring  # noqa: E402,F401 (a fixture)
from uploads import ask, expiry, found, hkp, links, mails, upload, vks, wait_mails  # noqa: E402

DOMAIN = harness.DOMAIN
ANN, POST, BEA, HID, OLD = (f"{n}@{DOMAIN}" for n in ("ann", "post", "bea", "hid", "old"))


@pytest.fixture(scope="module")
def i(ring):  # noqa: F811
    with harness.Instance(web=True) as instance:
        instance.init(web_instances=1)
        instance.keys = {}
        for address in ANN, BEA, HID, OLD:
            fpr = instance.keys[address] = ring.make(f"<{address}>")
            file = key_tools.write(instance.place / fpr, ring.export(fpr))
            instance.run("account", "add", address, "--key", file)
            instance.app_password(address)
        instance.run("account", "set", HID, "--publish", "no")
        instance.run("alias", "add", POST, ANN)
        yield instance.serve()


def test_a_renewed_key_is_published_by_its_holder(i, ring):  # noqa: F811
    fpr = i.keys[ANN]
    before = expiry(ring, found(i, ANN))
    status, said = vks(i, "upload", keytext=ring.export(fpr).decode())
    assert status == 200 and said["key_fpr"] == fpr and said["status"] == {ANN: "published"}
    ring.extend(fpr, "5y")
    ring.unasked("--quick-add-uid", fpr, "Ann <ann@elsewhere.example>")
    said = upload(i, ring.export(fpr), ANN)
    assert said["status"] == {ANN: "pending", "ann@elsewhere.example": "unpublished"}
    rendered, = wait_mails(i, ANN, 1)
    text = ring.decrypt(harness.armor_of(rendered)).decode()
    assert fpr in text and f"From: Letterlock <postmaster@{DOMAIN}>" in text and "BEGIN PGP" not in text
    token, = links(text)
    # A program that looks through mail fetches the link: nothing comes of it, and it looks like any.
    page = ask(i, f"/verify/{token}")
    assert page[0] == 200 and b'<form method="post">' in page[2] and page[1]["cache-control"] == "no-store"
    assert "form-action 'self'" in page[1]["content-security-policy"]
    assert ask(i, "/verify/" + "a" * 84)[2] == page[2] and ask(i, f"/verify/{token}", "HEAD")[0] == 200
    assert expiry(ring, found(i, ANN)) == before
    # Another secret of the same length, another place, more of it, less of it.
    for wrong in token[:-1] + ("a" if token[-1] != "a" else "b"), token[:-4], token + "aaaa", "a" * 84, token.upper():
        assert ask(i, f"/verify/{wrong}", "POST", "publish=yes")[0] == 404
    status, head, body = ask(i, f"/verify/{token}", "POST", "publish=yes", "application/x-www-form-urlencoded")
    assert status == 200 and b"is published" in body
    assert int(expiry(ring, found(i, ANN))) > int(before) + 2 * 365 * 86400
    assert b"elsewhere" not in found(i, ANN)
    assert ask(i, f"/verify/{token}", "POST", "publish=yes")[0] == 404  # once
    log = json.loads(i.run("key", "log", "--json").stdout)
    assert log[-1]["why"] == "verified" and log[-1]["address"] == ANN
    # It stays, whatever else is brought up to date.
    after = found(i, ANN)
    i.run("key", "publish")
    i.run("alias", "remove", POST)
    i.run("alias", "add", POST, ANN)
    assert found(i, ANN) == after and "by its holder's word" in i.run("account", "show", ANN).stdout.decode()
    assert i.run("audit").returncode == 0


def test_answers_tell_nobody_who_is_here(i, ring):  # noqa: F811
    """Who is found here, who does not want to be, who is not here, whose domain is not: answers alike, and no mail."""
    seen, times = set(), {}
    for address in BEA, HID, f"nobody@{DOMAIN}", "ann@elsewhere.example":
        cert = ring.export(ring.make(f"<{address}>"))
        status, said = vks(i, "upload", keytext=cert.decode())
        began = time.monotonic()
        again = ask(i, "/vks/v1/request-verify", "POST", json.dumps({"token": said["token"], "addresses": [address]}))
        times[address] = time.monotonic() - began
        body = json.loads(again[2])
        assert body["status"] == {address: "pending"} and said["status"] == {address: "unpublished"}
        head = {k: v for k, v in again[1].items() if k not in ("date", "content-length")}
        seen.add((status, again[0], tuple(head), tuple(head.values()), tuple(body)))
        assert hkp(i, cert)[0] == 200
    assert len(seen) == 1
    assert len({hkp(i, ring.export(i.keys[a]))[2] for a in (HID, ANN)}) == 1
    upload(i, ring.export(i.keys[HID]), HID)
    # Keys that the account does not have are not published: the operator has not said so.
    ring.extend(i.keys[BEA], "3y")
    upload(i, ring.export(i.keys[BEA]), BEA)
    rendered, = wait_mails(i, BEA, 1)  # after all of the above: they are looked at one after the other
    assert i.keys[BEA] in ring.decrypt(harness.armor_of(rendered)).decode()
    assert mails(i, HID) == []


def test_few_mails_a_day(i, ring):  # noqa: F811
    """Two for keys that the account has; neither the same once more is a third, nor another."""
    fpr = i.keys[OLD]
    for n, life in enumerate(("3y", "4y")):
        ring.extend(fpr, life)
        upload(i, ring.export(fpr), OLD)
        wait_mails(i, OLD, n + 1)
    assert hkp(i, ring.export(fpr))[0] == 200
    ring.extend(fpr, "5y")
    upload(i, ring.export(fpr), OLD)
    ring.extend(i.keys[BEA], "6y")
    upload(i, ring.export(i.keys[BEA]), BEA)
    wait_mails(i, BEA, 2)
    tokens = [links(ring.decrypt(harness.armor_of(m)).decode())[0] for m in wait_mails(i, OLD, 2)]
    # Each link is for its certificate; both wait, and none pushed the other out.
    for token, years in zip(tokens, (3, 4)):
        assert ask(i, f"/verify/{token}", "POST", "")[0] == 200
        assert abs(int(expiry(ring, found(i, OLD))) - time.time() - years * 365.25 * 86400) < 3 * 86400
    assert i.run("audit").returncode == 0


def test_a_wish_and_a_revocation_come_first(i, ring):  # noqa: F811
    kim = f"kim@{DOMAIN}"
    fpr = ring.make(f"<{kim}>")
    i.run("account", "add", kim, "--key", key_tools.write(i.place / fpr, ring.export(fpr)))
    i.app_password(kim)
    token = []
    for n, life in enumerate(("3y", "4y")):
        ring.extend(fpr, life)
        upload(i, ring.export(fpr), kim)
        token.append(links(ring.decrypt(harness.armor_of(wait_mails(i, kim, n + 1)[-1])).decode())[0])
    i.run("account", "set", kim, "--publish", "no")
    assert ask(i, f"/verify/{token[0]}", "POST", "")[0] == 409 and found(i, kim) is None
    i.run("account", "set", kim, "--publish", "yes")
    i.run("key", "revoke", kim, key_tools.write(i.place / "revocation", ring.revocation(fpr)))
    shown = found(i, kim)
    assert ask(i, f"/verify/{token[1]}", "POST", "")[0] == 409 and found(i, kim) == shown
    status, said = vks(i, "upload", keytext=ring.revoked(fpr).decode())
    assert said["status"] == {kim: "revoked"}


def test_another_key_if_the_operator_wants_it(i, ring):  # noqa: F811
    dan = f"dan@{DOMAIN}"
    own, other = ring.make(f"<{dan}>"), ring.make(f"Dan elsewhere <{dan}>")
    i.run("account", "add", dan, "--key", key_tools.write(i.place / own, ring.export(own)))
    i.app_password(dan)
    i.configure(certificate_uploads_other="yes")
    i.run("reload")
    try:
        assert hkp(i, ring.export(other))[0] == 200
        rendered, = wait_mails(i, dan, 1)
        text = ring.decrypt(harness.armor_of(rendered)).decode()
        assert other in text and links(text) == []
        block = re.search(r"-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----", text, re.S).group(0)
        assert other in ring.gpg("--status-fd", "2", "--decrypt", data=block.encode()).stderr.decode()
        token, = links(ring.decrypt(block.encode()).decode())
        assert ask(i, f"/verify/{token}", "POST", "")[0] == 200
        assert other.encode() not in found(i, dan) and b"BEGIN PGP PUBLIC" in found(i, dan)
        assert f"found    {dan}  {other}" in i.run("account", "show", dan).stdout.decode()
        i.run("key", "publish")
        assert f"found    {dan}  {other}" in i.run("account", "show", dan).stdout.decode()
        assert i.run("audit").returncode == 0
        # The account's certificates change: that is the last word.
        ring.extend(own, "7y")
        i.run("key", "add", dan, key_tools.write(i.place / own, ring.export(own)))
        assert f"found    {dan}  {own}" in i.run("account", "show", dan).stdout.decode()
    finally:
        i.configure(certificate_uploads_other="no")
        i.run("reload")


def test_what_is_no_certificate(i, ring):  # noqa: F811
    secret = ring.gpg("--armor", "--export-secret-keys", i.keys[ANN]).stdout
    two = ring.export(i.keys[ANN]) + ring.export(i.keys[BEA])
    nobody = ring.export(ring.make("Nobody at all"))
    for text in b"", b"x", secret, nobody, ring.export(i.keys[ANN])[:-400]:
        status, said = vks(i, "upload", keytext=text.decode())
        assert status == 400 and said["error"] and "token" not in said, text[:40]
        assert hkp(i, text)[0] == 400
    assert hkp(i, two)[0] == 200  # the first
    for body in ("", "{", "[]", "{}", '{"keytext": 1}', "[" * 100000, '{"keytext": "x", "keytext": "y"}',
                 '{"a": [' + "0," * 200000 + "0]}", '{"keytext": "\\ud800"}', '{"keytext": "a\\u0000b"}', b"\xff\xfe"):
        assert ask(i, "/vks/v1/upload", "POST", body)[0] == 400
    token = vks(i, "upload", keytext=ring.export(i.keys[ANN]).decode())[1]["token"]
    for fields in ({}, {"token": token}, {"addresses": [ANN]}, {"token": "x", "addresses": [ANN]},
                   {"token": token[:-8], "addresses": [ANN]}, {"token": token, "addresses": ANN},
                   {"token": token + "=", "addresses": [ANN]}):
        assert vks(i, "request-verify", **fields)[0] == 400, fields.keys()
    strange = ["x", "", 7, None, "a@b@c", BEA, "x" * 4000]
    assert vks(i, "request-verify", token=token, addresses=strange)[1]["status"][ANN] in ("published", "unpublished")
    for path in "/vks/v1/upload", "/pks/add":
        assert ask(i, path, "POST", "", **{"Content-Length": str(1024 * 1024 + 1)})[0] == 413  # before it comes
    assert ask(i, "/pks/add", "POST", "keytext=%zz", "application/x-www-form-urlencoded")[0] == 400
    assert ask(i, "/vks/v1/upload", "GET")[0] == 405


def test_one_peer_has_its_share(i, ring):  # noqa: F811
    """After some tens it waits; others do not notice."""
    body = json.dumps({"keytext": "x"})
    answers = [ask(i, "/vks/v1/upload", "POST", body, peer="127.250.1.1")[0] for _ in range(40)]
    assert set(answers[:30]) == {400} and set(answers[30:]) <= {400, 429} and 429 in answers
    assert ask(i, "/verify/" + "a" * 84, "POST", "", peer="127.250.1.1")[0] == 429
    assert ask(i, "/vks/v1/upload", "POST", body)[0] == 400


def test_an_operator_takes_none(i, ring):  # noqa: F811
    i.configure(certificate_uploads="no")
    i.run("reload")
    try:
        assert vks(i, "upload", keytext=ring.export(i.keys[ANN]).decode())[0] == 403
        assert hkp(i, ring.export(i.keys[ANN]))[0] == 403
    finally:
        i.configure(certificate_uploads="yes")
        i.run("reload")
    assert vks(i, "upload", keytext=ring.export(i.keys[ANN]).decode())[0] == 200
