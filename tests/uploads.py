"""Sending certificates in, as strangers do, and what comes of it."""
import http.client
import itertools
import json
import re
import ssl
import time
import urllib.parse

import harness

WAIT = 120
PEERS = (f"127.{a}.{b}.1" for a, b in itertools.product(range(1, 200), range(1, 200)))


def ask(i, path, method="GET", body=None, kind="application/json", peer=None, **fields):
    """(status, {field: value}, body), from another address each time, since each has its share."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    c = http.client.HTTPSConnection("127.0.0.1", i.port("https"), timeout=WAIT, context=context,
                                    source_address=(peer or next(PEERS), 0))
    try:
        c.request(method, path, body,
                  {"Host": harness.DOMAIN, **({} if body is None else {"Content-Type": kind}), **fields})
        r = c.getresponse()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
    finally:
        c.close()


def vks(i, what, **fields):
    status, head, body = ask(i, f"/vks/v1/{what}", "POST", json.dumps(fields))
    assert head["content-type"] == "application/json" and head["access-control-allow-origin"] == "*"
    return status, json.loads(body)


def hkp(i, cert, path="/pks/add"):
    form = urllib.parse.urlencode({"keytext": cert.decode()})
    return ask(i, path, "POST", form, "application/x-www-form-urlencoded")


def upload(i, cert, *addresses):
    """Sends it in and has the addresses verified. What was answered, last."""
    status, said = vks(i, "upload", keytext=cert.decode())
    assert status == 200, said
    status, said = vks(i, "request-verify", token=said["token"], addresses=list(addresses), locale=["en"])
    assert status == 200, said
    return said


def mails(i, address):
    return list(i.fetch_all(address).values())


def wait_mails(i, address, n):
    end = time.monotonic() + WAIT
    while len(mails(i, address)) < n:
        assert time.monotonic() < end, i.log()[-3000:]
        time.sleep(0.1)
    found = mails(i, address)
    assert len(found) == n
    return found


def links(text):
    return re.findall(r"https://\S+/verify/([0-9a-f]{84})\b", text)


def found(i, address):
    status, _, body = ask(i, "/vks/v1/by-email/" + urllib.parse.quote(address))
    return body if status == 200 else None


def expiry(ring, cert):
    out = ring.gpg("--with-colons", "--show-keys", data=cert).stdout.decode()
    return next(line.split(":")[6] for line in out.splitlines() if line.startswith("pub"))
