"""What strangers fetch: WKD, HKP and VKS over HTTPS, read by gpg; and that nobody can tell who is not to be found from
who is not there."""
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
import key_tools  # noqa: E402
from key_tools import ring  # noqa: E402,F401 (a fixture)
from test_http import ask  # noqa: E402

DOMAIN = harness.DOMAIN
ANN, POST, HID = f"ann@{DOMAIN}", f"post@{DOMAIN}", f"hid@{DOMAIN}"


def z_base_32(text):
    bits = int.from_bytes(hashlib.sha1(text.encode()).digest(), "big")
    return "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[bits >> shift & 31] for shift in range(155, -1, -5))


def wkd(local, domain=DOMAIN, direct=False, query=True):
    way = "" if direct else f"{domain}/"
    return f"/.well-known/openpgpkey/{way}hu/{z_base_32(local.lower())}" + (
        "?" + urllib.parse.urlencode({"l": local}) if query else "")


def get(i, path, host=DOMAIN, method="GET", body=None, kind="text/plain"):
    more = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body is not None else ""
    return ask(i, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n{body or ''}",
               method=method)


@pytest.fixture(scope="module")
def i(ring):  # noqa: F811
    """Ann, who has an alias; somebody who does not want to be found."""
    with harness.Instance(web=True) as instance:
        instance.init(web_instances=1)
        fpr = ring.make(f"Ann <{ANN}>")
        ring.unasked("--quick-add-uid", fpr, f"Post <{POST}>")
        ring.unasked("--quick-add-uid", fpr, "A private name <ann@elsewhere.example>")
        hid = ring.make(f"<{HID}>")
        for address, key in ((ANN, fpr), (HID, hid)):
            file = key_tools.write(instance.place / key, ring.export(key))
            instance.run("account", "add", address, "--key", file)
        instance.run("alias", "add", POST, ANN)
        instance.run("key", "add", ANN, instance.place / fpr)  # whose user id of the alias is wanted only now
        instance.run("account", "set", HID, "--publish", "no")
        instance.fpr, instance.hid = fpr, hid
        yield instance.serve()


def read(data, tmp_path):
    """{fingerprint of the primary key: {user id}} as gpg has it after an import."""
    home = tmp_path / f"home-{time.monotonic_ns()}"
    home.mkdir(mode=0o700)
    base = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty"]
    subprocess.run([*base, "--import"], input=data, capture_output=True, check=True)
    text = subprocess.run([*base, "--with-colons", "--list-keys"], capture_output=True, check=True, text=True).stdout
    found, key = {}, None
    for f in (line.split(":") for line in text.splitlines()):
        if f[0] == "pub":
            key = None
        elif f[0] == "fpr" and key is None:
            key = found.setdefault(f[9], set())
        elif f[0] == "uid":
            key.add(f[9])
    return found


def test_wkd(i, tmp_path):
    for path in wkd("ann"), wkd("ann", query=False), wkd("ann", direct=True), wkd("Ann"), wkd("ANN", DOMAIN.upper()):
        status, fields, body = get(i, path, host=DOMAIN if "hu" in path.split("/")[3] else f"openpgpkey.{DOMAIN}")
        assert (status, fields["content-type"]) == (200, "application/octet-stream"), path
        assert fields["access-control-allow-origin"] == "*"
        assert read(body, tmp_path) == {i.fpr: {f"Ann <{ANN}>"}} and body[0] & 0xc0 == 0xc0  # binary
    status, fields, nothing = get(i, wkd("ann"), method="HEAD")
    assert status == 200 and int(fields["content-length"]) == len(body)
    assert read(get(i, wkd("post"))[2], tmp_path) == {i.fpr: {f"Post <{POST}>"}}
    for path in f"/.well-known/openpgpkey/{DOMAIN}/policy", "/.well-known/openpgpkey/policy":
        status, fields, body = get(i, path)
        assert status == 200 and f"submission-address: key-submission@{DOMAIN}\n" in body.decode()


def lookup(op, search, **more):
    return "/pks/lookup?" + urllib.parse.urlencode({"op": op, "search": search, **more})


def test_hkp(i, tmp_path):
    both = {i.fpr: {f"Ann <{ANN}>", f"Post <{POST}>"}}
    for name in f"0x{i.fpr}", i.fpr.lower(), f"0x{i.fpr[-16:]}":
        status, fields, body = get(i, lookup("get", name, options="mr"))
        assert (status, fields["content-type"]) == (200, "application/pgp-keys")
        assert read(body, tmp_path) == both
    for name in ANN, f"Ann <{ANN}>":
        assert read(get(i, lookup("get", name, exact="on"))[2], tmp_path) == {i.fpr: {f"Ann <{ANN}>"}}
    status, fields, body = get(i, lookup("index", f"0x{i.fpr}", options="mr"))
    lines = body.decode().splitlines()
    assert lines[0] == "info:1:1" and re.fullmatch(rf"pub:{i.fpr}:22::\d+::", lines[1])
    assert {urllib.parse.unquote(x.split(":")[1]) for x in lines[2:]} == both[i.fpr] and len(lines) == 4
    assert get(i, lookup("vindex", ANN))[0] == 200
    assert get(i, lookup("stats", ANN))[0] == 501
    assert get(i, "/pks/lookup?op=get")[0] == get(i, "/pks/lookup?search=x")[0] == 400
    # Whoever knows eight digits only knows nothing: short ids are anybody's.
    assert get(i, lookup("get", f"0x{i.fpr[-8:]}"))[0] == 404
    assert get(i, "/pks/add", method="POST", body="keytext=x", kind="application/x-www-form-urlencoded")[0] == 400


def test_vks(i, tmp_path):
    both = {i.fpr: {f"Ann <{ANN}>", f"Post <{POST}>"}}
    assert read(get(i, f"/vks/v1/by-fingerprint/{i.fpr}")[2], tmp_path) == both
    assert read(get(i, f"/vks/v1/by-keyid/{i.fpr[-16:]}")[2], tmp_path) == both
    assert read(get(i, "/vks/v1/by-email/" + urllib.parse.quote(ANN))[2], tmp_path) == {i.fpr: {f"Ann <{ANN}>"}}
    assert get(i, f"/vks/v1/by-keyid/{i.fpr}")[0] == get(i, f"/vks/v1/by-fingerprint/{i.fpr[-16:]}")[0] == 404
    status, fields, body = get(i, "/vks/v1/upload", method="POST", body="{}", kind="application/json")
    assert status == 400 and "error" in json.loads(body)


def without_date(answer):
    status, fields, body = answer
    return status, {k: v for k, v in fields.items() if k != "date"}, body


def test_absence_is_one_answer(i):
    """Unknown here, not to be found, a domain that is not hosted, an alias without a user id, no address at all."""
    names = [HID, f"nobody@{DOMAIN}", "ann@elsewhere.example", f"ann+x@{DOMAIN}", "ann", "@", "x" * 400]
    answers = [without_date(get(i, lookup("get", n))) for n in names]
    answers += [without_date(get(i, lookup("get", f"0x{n}"))) for n in (i.hid, "0" * 40, i.hid[-16:], "f" * 64)]
    answers += [without_date(get(i, "/vks/v1/by-email/" + urllib.parse.quote(n))) for n in names[:4]]
    answers += [without_date(get(i, wkd(*n))) for n in (("hid",), ("nobody",), ("ann", "elsewhere.example"))]
    answers += [without_date(get(i, wkd("ann", direct=True), host="elsewhere.example"))]  # where a page is 421
    answers += [without_date(get(i, wkd("hid", direct=True))), without_date(get(i, wkd("x", "not..a..name")))]
    assert answers[0][0] == 404
    assert all(a == answers[0] for a in answers)
