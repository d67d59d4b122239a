"""Signing in over HTTP: who has the password, or the phrase, and nobody else; what sessions are for, and their end."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
import opaque  # noqa: E402
from signing_in import (CHANGED, FACTOR, INVITATION, LOGIN, MISSING, ORIGIN, OVER, REQUEST, SESSION,  # noqa: E402,F401
                        SIGNATURE, UNFIT, Made, by_phrase, finish, invite, login, octets, post, register, say, start,
                        text)

ANN, BEA, CEE, DAN = (f"{n}@{harness.DOMAIN}" for n in ("ann", "bea", "cee", "dan"))
NOBODY = f"nobody@{harness.DOMAIN}"
WRAPPED = b"LLWK" + os.urandom(300)
COOKIE = "__Host-letterlock"


@pytest.fixture(scope="module")
def i():
    with harness.Instance(web=True) as instance:
        instance.init(web_instances=2)
        for address in ANN, BEA, CEE, DAN:
            instance.add_account(address)
        instance.run("alias", "add", f"other@{harness.DOMAIN}", ANN)
        yield instance.serve()


@pytest.fixture(scope="module")
def ann(i):
    return register(i, ANN, "open sesame", wrapped=WRAPPED)


def refused(said, kind, status=401):
    assert said[0] == status and said[1]["type"] == kind, said
    return said[1]


def sessions(i, token):
    status, said, _ = say(i, "GET", "/sessions", token=token)
    return said["sessions"] if status == 200 else refused((status, said), SESSION) and None


# ---- the password ----

def test_from_the_invitation_to_the_end_of_the_session(i, ann):
    proof, id = start(i, ANN, "open sesame")
    assert proof[1] == ann.export  # what is wrapped under it opens
    status, said, head = finish(i, proof, id, label="a test")
    assert status == 200 and set(said) == {"token", "expires", "accountId"} and "set-cookie" not in head
    token = said["token"]
    mine, = [s for s in sessions(i, token) if s["current"]]
    assert mine["label"] == "a test" and mine["how"] == ["password"] and mine["expires"] == said["expires"]
    status, has, _ = say(i, "GET", "/wrapped", token=token)
    assert status == 200 and has["accountId"] == said["accountId"] and octets(has["keys"]["password"]) == ann.key.public
    assert {w["kind"]: octets(w["envelope"]) for w in has["wrapped"]} == {"password": WRAPPED, "phrase": WRAPPED}
    assert say(i, "DELETE", "/sessions/current", token=token)[0] == 204
    refused(say(i, "GET", "/wrapped", token=token), SESSION)
    assert sessions(i, token) is None


@pytest.mark.parametrize("spelt", [ANN.upper(), "Ann@" + harness.DOMAIN])
def test_a_name_in_any_case(i, ann, spelt):
    assert login(i, spelt, "open sesame")


@pytest.mark.parametrize("who", [ANN, BEA, NOBODY, f"other@{harness.DOMAIN}", "ann@elsewhere.example", "no address"])
def test_whoever_is_not_signed_in_hears_one_thing(i, ann, who):
    """A wrong password, an account without one, nobody, an alias, another's domain: the same in every octet."""
    proof, id = start(i, who, "wrong")
    assert proof is None
    heard = finish(i, [os.urandom(64)], id)
    assert refused(heard, LOGIN) == {"type": LOGIN, "detail": "This did not sign anybody in."}
    quiet = {k: v for k, v in heard[2].items() if k != "date"}
    assert quiet == {**quiet, "content-type": "application/problem+json", "cache-control": "no-store"}
    assert "set-cookie" not in quiet


def test_ids_and_answers_have_one_length(i, ann):
    lengths = set()
    for who in ANN, BEA, NOBODY, "x@" + "y" * 60 + ".example":
        attempt = opaque.Login("x")
        _, said = post(i, "/opaque/login/start", {"address": who, "ke1": text(attempt.ke1)})
        lengths.add((len(said["id"]), len(said["ke2"]), said["profile"]))
    assert len(lengths) == 1


def evaluated(i, address, attempt):
    return octets(post(i, "/opaque/login/start", {"address": address, "ke1": text(attempt.ke1)})[1]["ke2"])[:32]


def test_one_credential_a_name(i, ann):
    """Each time the same, and another one for each name: an alias is not told from nobody."""
    attempt = opaque.Login("x")
    names = ANN, BEA, NOBODY, "nobody2@" + harness.DOMAIN, f"other@{harness.DOMAIN}"
    first = [evaluated(i, name, attempt) for name in names]
    assert first == [evaluated(i, name.upper(), attempt) for name in names]
    assert len(set(first)) == len(names)


# ---- messages that are none ----

def test_an_exchange_is_whole_or_nothing(i, ann):
    proof, id = start(i, ANN, "open sesame")
    other, other_id = start(i, ANN, "open sesame")
    refused(finish(i, other, id), LOGIN)  # of another exchange
    status, said, _ = finish(i, proof, id)
    assert status == 200
    again = finish(i, proof, id)  # the same once more has the same session, and no second one
    assert again[0] == 200 and again[1]["token"] == said["token"]
    changed = bytearray(octets(other_id))
    for at in 0, 1, 30, len(changed) - 1:
        changed[at] ^= 1
        refused(finish(i, other, text(bytes(changed))), OVER, 410)
        changed[at] ^= 1
    refused(finish(i, other, other_id[:-4]), REQUEST, 400)
    say(i, "DELETE", "/sessions", token=said["token"])


def test_an_id_of_another_kind(i, ann):
    _, id = start(i, ANN, "open sesame")
    status, said = post(i, "/phrase/finish", {"id": id, "signature": text(bytes(64))})
    refused((status, said), OVER, 410)


BAD = [b"", b"{", b"[]", b"null", b'{"address":1}', b'{"address":"a@b","ke1":"AAAA"}',
       b'{"address":"a@b","ke1":"%s","x":1}', b'{"address":"a@b","address":"a@b","ke1":"%s"}',
       b'{"address":"a\\u0000@b","ke1":"%s"}', b'{"address":"\xff","ke1":"%s"}', b"[" * 2000]


@pytest.mark.parametrize("body", BAD)
def test_what_is_no_request(i, body):
    ke1 = text(opaque.Login("x").ke1).encode()
    refused(say(i, "POST", "/opaque/login/start", body.replace(b"%s", ke1)), REQUEST, 400)


def test_elements_that_are_none(i):
    good = opaque.Login("x").ke1
    for ke1 in bytes(96), b"\xff" * 32 + good[32:], good[:64] + bytes(32):
        refused(post(i, "/opaque/login/start", {"address": ANN, "ke1": text(ke1)}), UNFIT, 422)


def test_the_kind_of_a_body(i):
    status, said, _ = say(i, "POST", "/opaque/login/start", b"{}", kind="text/plain")
    assert status == 415


# ---- invitations ----

def test_an_invitation_is_for_one_registration_of_one_account(i):
    token = invite(i, BEA)
    anothers, none = {"address": ANN, "invite": token}, {"address": BEA, "invite": text(bytes(16))}
    for question in anothers, none, {"address": BEA}, {}:
        request = text(opaque.Registration("x").request)
        status, said = post(i, "/opaque/register/start", {**question, "request": request})
        assert status in (401, 403) and said["type"] in (INVITATION, SESSION), said
    made = register(i, BEA, "first", token)
    assert login(i, BEA, "first")
    again = {"address": BEA, "invite": token, **made.sent()}
    refused(post(i, "/opaque/register/finish", again), INVITATION, 403)
    old = login(i, BEA, "first")
    register(i, BEA, "second", invite(i, BEA, "--reset"))
    assert login(i, BEA, "first") is None and login(i, BEA, "second")
    assert sessions(i, old) is None


def test_records_that_are_none(i):
    question = {"address": CEE, "invite": invite(i, CEE)}
    made = Made(i, "x", question)
    for change in {"record": text(bytes(192))}, {"profile": 0}:
        refused(post(i, "/opaque/register/finish", {**question, **made.sent(), **change}), UNFIT, 422)
    refused(post(i, "/opaque/register/finish", {**question, **made.sent(), "profile": 2}), REQUEST, 400)
    assert post(i, "/opaque/register/finish", {**question, **made.sent()})[0] == 204


# ---- the phrase, and another password ----

def test_the_phrase_signs_in(i, ann):
    status, said = by_phrase(i, ANN)
    assert status == 200 and sessions(i, said["token"])[-1]["how"] == ["phrase"]
    for who, phrase in (ANN, b"q" * 16), (DAN, b"p" * 16), (NOBODY, b"p" * 16):
        refused(by_phrase(i, who, phrase), LOGIN)
    refused(by_phrase(i, ANN, key=ann.key), LOGIN)  # each key for its own


def test_another_password(i):
    first = register(i, DAN, "first", wrapped=b"old")
    token, other = login(i, DAN, "first"), login(i, DAN, "first")
    has = say(i, "GET", "/wrapped", token=token)[1]
    fresh = Made(i, "second", {}, token, phrase=None, phrase_key=first.phrase.public)
    fresh.wrapped = {"password": b"new"}
    good = fresh.signed(has, first.key)
    for change in ({"signature": text(bytes(64))}, {"wrapped": {"password": text(b"mine")}}, {"by": "phrase"},
                   {"keys": {"password": text(first.phrase.public)}}):
        refused(post(i, "/password", {**good, **change}, token), SIGNATURE, 403)
    refused(post(i, "/password", good), SESSION)
    status, said = post(i, "/password", good, token)
    assert status == 200 and sessions(i, said["token"])
    assert sessions(i, token) is None and sessions(i, other) is None
    assert login(i, DAN, "first") is None and login(i, DAN, "second")
    kept = say(i, "GET", "/wrapped", token=said["token"])[1]["wrapped"]
    assert {w["kind"]: octets(w["envelope"]) for w in kept} == {"password": b"new", "phrase": b"old"}
    # A signature of before is good for nothing.
    back = first.signed(has, first.key)
    refused(post(i, "/password", back, said["token"]), CHANGED, 409)


def test_the_phrase_sets_a_new_password(i, ann):
    _, said = by_phrase(i, ANN)
    has = say(i, "GET", "/wrapped", token=said["token"])[1]
    fresh = Made(i, "open sesame", {}, said["token"], wrapped=WRAPPED)
    status, said = post(i, "/password", fresh.signed(has, ann.phrase, "phrase"), said["token"])
    assert status == 200, said
    assert login(i, ANN, "open sesame")


# ---- sessions and browsers ----

def test_sessions_end_one_by_one_or_all(i, ann):
    a, b, c = (login(i, ANN, "open sesame", label=n) for n in "abc")
    number = next(s["id"] for s in sessions(i, a) if s["label"] == "b")
    assert say(i, "DELETE", f"/sessions/{number}", token=a)[0] == 204
    assert sessions(i, b) is None and sessions(i, a) and sessions(i, c)
    for wrong in number, 0, 4294967296, "x", "-1":
        refused(say(i, "DELETE", f"/sessions/{wrong}", token=a), MISSING, 404)
    assert say(i, "DELETE", "/sessions", token=c)[0] == 204
    assert sessions(i, a) is None and sessions(i, c) is None


def test_a_cookie_is_for_our_own_pages(i, ann):
    proof, id = start(i, ANN, "open sesame")
    own = {"Letterlock-CSRF": "1", "Origin": f"https://{harness.DOMAIN}", "Sec-Fetch-Site": "same-origin"}
    refused(finish(i, proof, id, cookie=True), ORIGIN, 403)
    for strange in {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}:
        refused(finish(i, proof, id, {**own, **strange}, cookie=True), ORIGIN, 403)
    status, said, head = finish(i, proof, id, own, cookie=True)
    assert status == 200 and "token" not in said
    cookie, *traits = head["set-cookie"].split("; ")
    assert cookie.startswith(COOKIE + "=") and {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(traits)
    assert say(i, "GET", "/sessions", Cookie=cookie)[0] == 200
    refused(say(i, "GET", "/sessions", Cookie=cookie, **{"Sec-Fetch-Site": "cross-site"}), ORIGIN, 403)
    refused(say(i, "DELETE", "/sessions/current", Cookie=cookie), ORIGIN, 403)
    evil = {**own, "Origin": "https://evil.example"}
    refused(say(i, "DELETE", "/sessions/current", Cookie=cookie, **evil), ORIGIN, 403)
    assert say(i, "GET", "/sessions", Cookie=cookie)[0] == 200
    status, _, head = say(i, "DELETE", "/sessions/current", Cookie=cookie, **own)
    assert status == 204 and head["set-cookie"].startswith(COOKIE + "=;")
    refused(say(i, "GET", "/sessions", Cookie=cookie), SESSION)  # a copy of it is worth nothing


def test_tokens_that_are_none(i, ann):
    token = login(i, ANN, "open sesame")
    anothers = text(octets(token)[:7] + bytes([octets(token)[7] ^ 1]) + octets(token)[8:])
    for wrong in "x", token[:-2], token + "AA", anothers, text(bytes(32)), text(b"\xff" * 32):
        refused(say(i, "GET", "/sessions", token=wrong), SESSION)
    refused(say(i, "GET", "/sessions"), SESSION)
    refused(say(i, "GET", "/sessions", Authorization="Basic YTpi"), SESSION)  # an app password is not for this


def test_it_can_be_turned_off(i, ann):
    token = login(i, ANN, "open sesame")
    i.configure(web_signin="no")
    i.run("reload")
    try:
        refused(say(i, "GET", "/sessions", token=token), MISSING, 404)
        refused(say(i, "POST", "/phrase/start", {"address": ANN}), MISSING, 404)
    finally:
        i.configure(web_signin="yes")
        i.run("reload")
    assert sessions(i, token)
