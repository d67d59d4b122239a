"""Signing in over HTTP as its clients do (docs/api.md), with tests/opaque.py for what is secret."""
import base64
import hashlib
import json

import opaque
from uploads import ask

API = "/api/v1"
LOGIN, SESSION, OVER, FACTOR, ORIGIN, INVITATION, SIGNATURE, CHANGED, UNFIT, REQUEST, MISSING = (
    f"urn:letterlock:error:{n}" for n in ("login", "session", "over", "factor", "origin", "invitation", "signature",
                                          "changed", "unfit", "request", "missing"))


def text(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def octets(said):
    return base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))


def say(i, method, path, body=None, token=None, **fields):
    """(status, what was said, header fields). A body that is bytes is sent as it is."""
    if token:
        fields["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body)
    status, head, said = ask(i, API + path, method, body, **fields)
    assert head["cache-control"] == "no-store", (status, head)
    assert "access-control-allow-origin" not in head
    return status, json.loads(said) if said else None, head


def post(i, path, body, token=None, **fields):
    return say(i, "POST", path, body, token, **fields)[:2]


def invite(i, address, *options):
    return i.run("invite", address, *options).stdout.decode().split()[-1]


class Made:
    """A record, as a client makes it: what is sent of it, and what stays with its owner."""

    def __init__(self, i, password, question, token=None, phrase=b"p" * 16, wrapped=b"", phrase_key=None):
        r = opaque.Registration(password)
        status, said = post(i, "/opaque/register/start", {**question, "request": text(r.request)}, token)
        assert status == 200, said
        self.record, self.export = r.finish(octets(said["response"]))
        self.profile = said["profile"]
        self.key = opaque.Key(self.export)
        self.phrase = opaque.Key(phrase) if phrase else None
        self.phrase_key = self.phrase.public if phrase else phrase_key
        self.wrapped = {"password": wrapped, "phrase": wrapped if phrase else b""} if wrapped else {}

    def sent(self):
        keys = {"password": text(self.key.public), **({"phrase": text(self.phrase_key)} if self.phrase_key else {})}
        return {"record": text(self.record), "profile": self.profile, "keys": keys,
                "wrapped": {k: text(v) for k, v in self.wrapped.items() if v}}

    def signed(self, has, key, by="password"):
        digest = lambda kind: hashlib.sha256(self.wrapped.get(kind, b"")).digest()  # noqa: E731
        said = (b"Letterlock sign-in v1" + octets(has["store"]) + int(has["accountId"]).to_bytes(8, "big")
                + has["serial"].to_bytes(4, "big") + b"\x01" + self.record + bytes([self.profile]) + self.key.public
                + (self.phrase_key or bytes(32)) + digest("password") + digest("phrase"))
        return {**self.sent(), "serial": has["serial"], "by": by, "signature": text(key.sign(said))}


def register(i, address, password, token=None, **options):
    question = {"address": address, "invite": token or invite(i, address)}
    made = Made(i, password, question, **options)
    status, said = post(i, "/opaque/register/finish", {**question, **made.sent()})
    assert status == 204, said
    return made


def start(i, address, password, **fields):
    """(what proves it, or None, the id)."""
    attempt = opaque.Login(password)
    status, said = post(i, "/opaque/login/start", {"address": address, "ke1": text(attempt.ke1)}, **fields)
    assert status == 200 and list(said) == ["id", "ke2", "profile"], said
    return attempt.finish(octets(said["ke2"])), said["id"]


def finish(i, proof, id, fields=None, **besides):
    return say(i, "POST", "/opaque/login/finish", {"id": id, "ke3": text(proof[0]), **besides}, **(fields or {}))


def login(i, address, password, **besides):
    """The token, or None."""
    proof, id = start(i, address, password)
    if not proof:
        return None
    status, said, _ = finish(i, proof, id, **besides)
    assert status == 200, said
    return said["token"]


def by_phrase(i, address, phrase=b"p" * 16, key=None):
    status, said = post(i, "/phrase/start", {"address": address})
    assert status == 200 and list(said) == ["id", "challenge"], said
    signature = (key or opaque.Key(phrase)).sign(b"Letterlock phrase v1" + octets(said["challenge"]))
    return post(i, "/phrase/finish", {"id": said["id"], "signature": text(signature)})
