"""Second factors and app passwords over HTTP: what is asked for, is good once, and is its owner's alone."""
import base64
import concurrent.futures
import hashlib
import hmac
import imaplib
import os
import pathlib
import sys
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
from signing_in import (FACTOR, LOGIN, MISSING, ORIGIN, OVER, REQUEST, SESSION, UNFIT, by_phrase,  # noqa: E402
                        finish, login, post, register, say, start)

ANN, BEA, CEE, DAN = (f"{n}@{harness.DOMAIN}" for n in ("ann", "bea", "cee", "dan"))
FULL = "urn:letterlock:error:full"
PASSWORD, STEP = "open sesame", 30


@pytest.fixture(scope="module")
def i():
    with harness.Instance(web=True) as instance:
        instance.init(web_instances=2)
        for address in ANN, BEA, CEE, DAN:
            instance.add_account(address)
        instance.serve()
        for address in ANN, BEA, CEE, DAN:
            register(instance, address, PASSWORD)
        yield instance


def refused(said, kind, status=401):
    assert said[0] == status and said[1]["type"] == kind, said
    return said[1]


class App:
    """An authenticator app (RFC 6238) that gives each code out once."""

    def __init__(self, uri):
        self.uri = urllib.parse.urlsplit(uri)
        query = dict(urllib.parse.parse_qsl(self.uri.query))
        assert self.uri.scheme == "otpauth" and self.uri.netloc == "totp" and query["digits"] == "6", uri
        self.secret, self.last = base64.b32decode(query["secret"]), 0

    def code_of(self, step):
        mac = hmac.digest(self.secret, step.to_bytes(8, "big"), hashlib.sha1)
        at = mac[-1] & 15
        return f"{(int.from_bytes(mac[at:at + 4], 'big') & 0x7fffffff) % 10 ** 6:06}"

    def good(self, ask):
        """What is answered to a code that is good. One whose time was over before it came is asked for anew."""
        while True:
            now = int(time.time()) // STEP
            step = max(self.last + 1, now - 1)
            if step > now + 1:
                time.sleep(1)  # three codes are good at a time, and each once
                continue
            said = ask(self.code_of(step))
            if said[0] == 200:
                self.last = step
                return said
            assert int(time.time()) // STEP > now, said

    def never(self):
        """A code of no step that is near."""
        now = int(time.time()) // STEP
        near = {self.code_of(now + n) for n in range(-20, 20)}
        return next(c for c in ("000000", "111111", "222222") + tuple(f"{n:06}" for n in range(50)) if c not in near)


def add_app(i, token, **besides):
    status, said = post(i, "/factors/totp/start", None, token)
    assert status == 200 and set(said) == {"id", "uri"}, said
    app = App(said["uri"])
    status, told = app.good(lambda c: post(i, "/factors/totp/finish", {"id": said["id"], "totp": c, **besides}, token))
    app.number = told["id"]
    return app


def factors(i, token):
    status, said, _ = say(i, "GET", "/factors", token=token)
    assert status == 200, said
    return said["factors"]


def attempt(i, address, **besides):
    """(status, answer) of the right password and what comes besides."""
    proof, id = start(i, address, PASSWORD)
    return finish(i, proof, id, **besides)[:2]


@pytest.fixture
def ann(i):
    """(a session from before the factor, the app), alone for each test."""
    token = login(i, ANN, PASSWORD)
    yield token, add_app(i, token, label="phone")
    for one in factors(i, token):
        assert say(i, "DELETE", f"/factors/{one['id']}", token=token)[0] == 204


# ---- an app ----

def test_an_app_is_asked_for_once_it_is_confirmed(i, ann):
    token, app = ann
    assert urllib.parse.unquote(app.uri.path) == f"/{harness.DOMAIN}:{ANN}"
    one, = factors(i, token)
    assert one == {"id": app.number, "kind": "totp", "label": "phone", "since": one["since"]}
    refused(attempt(i, ANN), FACTOR)
    refused(by_phrase(i, ANN), FACTOR)
    proof, id = start(i, ANN, PASSWORD)
    refused(finish(i, proof, id), FACTOR)
    said = app.good(lambda code: attempt(i, ANN, totp=code))[1]
    mine, = [s for s in say(i, "GET", "/sessions", token=said["token"])[1]["sessions"] if s["current"]]
    assert mine["how"] == ["password", "totp"]


def test_the_same_once_more_with_it(i, ann):
    proof, id = start(i, ANN, PASSWORD)
    refused(finish(i, proof, id), FACTOR)
    code = ann[1].code_of(int(time.time()) // STEP + 1)
    assert finish(i, proof, id, totp=code)[0] == 200
    refused(finish(i, proof, id, totp=code), LOGIN)  # but the code is used


def test_a_secret_that_nobody_confirmed_is_nothing(i):
    token = login(i, BEA, PASSWORD)
    said = post(i, "/factors/totp/start", None, token)[1]
    app = App(said["uri"])
    refused(post(i, "/factors/totp/finish", {"id": said["id"], "totp": app.never()}, token), UNFIT, 422)
    assert factors(i, token) == [] and attempt(i, BEA)[0] == 200


def test_a_secret_is_of_one_account_and_kind(i):
    token, other = login(i, BEA, PASSWORD), login(i, CEE, PASSWORD)
    said = post(i, "/factors/totp/start", None, token)[1]
    app = App(said["uri"])
    proof, of_login = start(i, BEA, PASSWORD)
    code = app.code_of(int(time.time()) // STEP)
    for id, who, kind, status in ((said["id"], other, OVER, 410), (said["id"], None, SESSION, 401),
                                  (of_login, token, OVER, 410)):
        refused(post(i, "/factors/totp/finish", {"id": id, "totp": code}, who), kind, status)
    refused(finish(i, proof, said["id"]), OVER, 410)
    assert factors(i, token) == factors(i, other) == []


def test_an_app_is_added_once(i):
    """Twice, under two numbers, its codes would be good twice."""
    token = login(i, CEE, PASSWORD)
    said = post(i, "/factors/totp/start", None, token)[1]
    app, heard = App(said["uri"]), []

    def twice(code):
        ask = lambda: post(i, "/factors/totp/finish", {"id": said["id"], "totp": code}, token)  # noqa: E731
        first = ask()
        heard.append(ask())
        return first
    number = app.good(twice)[1]["id"]
    assert heard[-1][0] in (409, 422), heard  # 422: its time was over
    assert len(factors(i, token)) == 1
    assert say(i, "DELETE", f"/factors/{number}", token=token)[0] == 204


def test_a_code_is_good_once(i, ann):
    app = ann[1]
    app.good(lambda code: attempt(i, ANN, totp=code))
    again = refused(attempt(i, ANN, totp=app.code_of(app.last)), LOGIN)
    older = refused(attempt(i, ANN, totp=app.code_of(app.last - 1)), LOGIN)
    wrong = refused(attempt(i, ANN, totp=app.never()), LOGIN)
    none = refused(attempt(i, ANN, totp="12345"), LOGIN)
    _, id = start(i, f"nobody@{harness.DOMAIN}", "x")
    unknown = refused(finish(i, [os.urandom(64)], id, totp="123456"), LOGIN)
    assert again == older == wrong == none == unknown


def test_a_code_of_another_account(i, ann):
    token = login(i, DAN, PASSWORD)
    app = add_app(i, token)
    refused(attempt(i, ANN, totp=app.code_of(app.last + 1)), LOGIN)
    for one in factors(i, token):
        assert say(i, "DELETE", f"/factors/{one['id']}", token=token)[0] == 204
    assert [one["id"] for one in factors(i, ann[0])] == [ann[1].number]


def test_at_once_in_two_processes(i, ann):
    """Of exchanges that bring one code at the same time, one becomes a session."""
    n = 4

    def all_at_once(code):
        begun = [start(i, ANN, PASSWORD) for _ in range(n)]
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            said = list(pool.map(lambda b: finish(i, *b, totp=code)[:2], begun))
        good = [one for one in said if one[0] == 200]
        assert len(good) <= 1, said
        return good[0] if good else said[0]
    ann[1].good(all_at_once)


def test_guesses_are_slowed(i, ann):
    """Each counts as a failed login: after the third there is half a second to wait, and more each time."""
    here = {"peer": "127.250.1.1"}
    proof, id = start(i, ANN, PASSWORD, **here)
    began = time.monotonic()
    for _ in range(4):
        refused(finish(i, proof, id, here, totp=ann[1].never()), LOGIN)
    assert time.monotonic() - began >= 1


# ---- codes on paper ----

def test_codes_on_paper_are_good_once_each(i, ann):
    token, app = ann
    status, said = post(i, "/factors/codes", None, token)
    assert status == 200 and len(set(said["codes"])) == 10
    first, second, third = said["codes"][:3]
    assert attempt(i, ANN, code=first)[0] == 200
    refused(attempt(i, ANN, code=first), LOGIN)
    status, entered = attempt(i, ANN, code=second.upper().replace("-", " "))
    mine, = [s for s in say(i, "GET", "/sessions", token=entered["token"])[1]["sessions"] if s["current"]]
    assert mine["how"] == ["password", "code"]
    assert next(f["left"] for f in factors(i, token) if f["kind"] == "codes") == 8
    refused(attempt(i, ANN, totp=third), LOGIN)
    status, fresh = post(i, "/factors/codes", None, token)  # instead of those
    assert status == 200 and fresh["id"] == said["id"] and not set(fresh["codes"]) & set(said["codes"])
    refused(attempt(i, ANN, code=third), LOGIN)
    assert attempt(i, ANN, code=fresh["codes"][0])[0] == 200
    assert say(i, "DELETE", f"/factors/{app.number}", token=token)[0] == 204
    assert attempt(i, ANN)[0] == 200  # by themselves they are asked of nobody


def test_codes_of_another_account(i, ann):
    token = login(i, BEA, PASSWORD)
    _, said = post(i, "/factors/codes", None, token)
    refused(attempt(i, ANN, code=said["codes"][0]), LOGIN)
    assert say(i, "DELETE", f"/factors/{said['id']}", token=token)[0] == 204


# ---- their end ----

def test_what_is_removed_lets_nobody_in(i):
    token = login(i, CEE, PASSWORD)
    gone, stays = add_app(i, token), add_app(i, token)
    assert say(i, "DELETE", f"/factors/{gone.number}", token=token)[0] == 204
    refused(attempt(i, CEE, totp=gone.code_of(gone.last + 1)), LOGIN)
    refused(attempt(i, CEE), FACTOR)
    for wrong in gone.number, 0, 4294967296, "x", "totp":
        refused(say(i, "DELETE", f"/factors/{wrong}", token=token), MISSING, 404)
    i.run("factor", "remove", CEE, str(stays.number))  # by the operator, for whoever lost both
    assert attempt(i, CEE)[0] == 200


def test_there_are_so_many(i):
    token = login(i, CEE, PASSWORD)
    apps = [add_app(i, token) for _ in range(16)]
    refused(post(i, "/factors/codes", None, token), FULL, 409)
    for app in apps:
        assert say(i, "DELETE", f"/factors/{app.number}", token=token)[0] == 204


# ---- app passwords ----

def fits(i, address, password):
    kept, i.passwords[address] = i.passwords[address], password
    try:
        i.imap(address).logout()
        return True
    except imaplib.IMAP4.error:
        return False
    finally:
        i.passwords[address] = kept


def test_app_passwords_come_and_go(i):
    token = login(i, DAN, PASSWORD)
    status, imap = post(i, "/app-passwords", {"label": "mail program", "scope": ["imap"]}, token)
    assert status == 200 and set(imap) == {"id", "password"}
    status, smtp = post(i, "/app-passwords", {"label": "sends", "scope": ["smtp", "jmap"]}, token)
    assert status == 200 and fits(i, DAN, imap["password"]) and not fits(i, DAN, smtp["password"])
    listed = {p["id"]: p for p in say(i, "GET", "/app-passwords", token=token)[1]["appPasswords"]}
    assert listed[imap["id"]]["label"] == "mail program" and listed[imap["id"]]["scope"] == ["imap"]
    assert listed[smtp["id"]]["scope"] == ["smtp", "jmap"] and len(listed) == 3
    assert say(i, "DELETE", f"/app-passwords/{imap['id']}", token=token)[0] == 204
    assert not fits(i, DAN, imap["password"])
    for wrong in imap["id"], 0, "x":
        refused(say(i, "DELETE", f"/app-passwords/{wrong}", token=token), MISSING, 404)
    refused(say(i, "GET", "/app-passwords", Authorization=f"Bearer {smtp['password']}"), SESSION)


@pytest.mark.parametrize("body, kind, status", [
    ({"label": "x", "scope": []}, UNFIT, 422), ({"label": "", "scope": ["imap"]}, UNFIT, 422),
    ({"label": "x", "scope": ["root"]}, REQUEST, 400), ({"label": "x", "scope": ["imap", "imap"]}, REQUEST, 400),
    ({"label": "x" * 128, "scope": ["imap"]}, REQUEST, 400), ({"label": "x"}, REQUEST, 400),
    ({"label": "a\nb", "scope": ["imap"]}, REQUEST, 400)])
def test_app_passwords_that_are_none(i, body, kind, status):
    refused(post(i, "/app-passwords", body, login(i, DAN, PASSWORD)), kind, status)


# ---- whose it is ----

ROWS = [("GET", "/factors", None), ("DELETE", "/factors/1", None), ("POST", "/factors/totp/start", None),
        ("POST", "/factors/codes", None), ("GET", "/app-passwords", None), ("DELETE", "/app-passwords/1", None),
        ("POST", "/app-passwords", {"label": "x", "scope": ["imap"]})]


@pytest.mark.parametrize("method, path, body", ROWS)
def test_a_session_that_is_over_and_a_page_of_others(i, method, path, body):
    proof, id = start(i, DAN, PASSWORD)
    own = {"Letterlock-CSRF": "1", "Origin": f"https://{harness.DOMAIN}", "Sec-Fetch-Site": "same-origin"}
    cookie = finish(i, proof, id, own, cookie=True)[2]["set-cookie"].split("; ")[0]
    refused(say(i, method, path, body, Cookie=cookie, **{"Sec-Fetch-Site": "cross-site"}), ORIGIN, 403)
    if method != "GET":
        refused(say(i, method, path, body, Cookie=cookie), ORIGIN, 403)
    assert say(i, "DELETE", "/sessions/current", Cookie=cookie, **own)[0] == 204
    refused(say(i, method, path, body, Cookie=cookie, **own), SESSION)
    refused(say(i, method, path, body), SESSION)
