"""Settings as the clients that cannot be run here ask for them, request by request, read by each one's rules: K-9 (and
Thunderbird for Android), Delta Chat, Evolution, Outlook, Apple's devices. Thunderbird itself:
test_thunderbird_sets_up.py."""
import hashlib
import json
import pathlib
import plistlib
import re
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as ET

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[1]
                                                                      / "script")]
import harness  # noqa: E402
from test_http import ask  # noqa: E402

NAME, DOMAIN, ANN = harness.DOMAIN, "example.org", "Ann+x@example.org"
SCHEMAS = "http://schemas.microsoft.com/exchange/autodiscover/"
ANDROID = "User-Agent: okhttp/4.12.0\r\nAccept-Encoding: gzip\r\n"
OFFICE = "User-Agent: Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17726; Pro)\r\n"


@pytest.fixture(scope="module")
def site():
    with harness.Instance(web=True).init(web_instances=1, imap="yes", submission="yes") as i:
        i.run("domain", "add", DOMAIN)
        yield i.serve()


def fetch(i, target, host, fields="", method="GET", body=b"", tls=True):
    data = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: Keep-Alive\r\n\r\n".encode()
    return ask(i, data + body, tls=tls, name=host)


def servers(i):
    """What is to be found by each: the first server of each kind."""
    return {"imap": (NAME, i.port("imaps"), "SSL"), "smtp": (NAME, i.port("submissions"), "SSL")}


# ---- readers of clientConfig ----

def host_valid(name):
    return re.fullmatch(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", name) is not None


def leaf(element):
    assert len(element) == 0
    return element.text


def config(body, address):
    """As K-9's RealAutoconfigParser: strict about each server, of which the first of its kind counts."""
    local, _, domain = address.partition("@")

    def filled(text):
        return text.replace("%EMAILDOMAIN%", domain).replace("%EMAILLOCALPART%", local).replace("%EMAILADDRESS%",
                                                                                               address)
    root = ET.fromstring(body)
    provider = root.find("emailProvider")
    assert root.tag == "clientConfig" and host_valid(provider.attrib["id"])
    assert any(host_valid(filled(leaf(e))) for e in provider.iter("domain"))
    found = {}
    for kind, tag in ("imap", "incomingServer"), ("smtp", "outgoingServer"):
        for e in provider.iter(tag):
            assert e.attrib["type"] == kind
            assert host_valid(filled(leaf(e.find("hostname")))) and 0 < int(leaf(e.find("port"))) < 65536
            assert leaf(e.find("socketType")) in ("SSL", "STARTTLS")
            assert leaf(e.find("authentication")) == "password-cleartext"
            assert filled(leaf(e.find("username"))) == address
            found.setdefault(kind, (leaf(e.find("hostname")), int(leaf(e.find("port"))), leaf(e.find("socketType"))))
    return found


def quoted(address, plain):
    return urllib.parse.quote(address, safe=plain)


MD5 = hashlib.md5(ANN.encode()).hexdigest()
CONFIG = [
    # OkHttp leaves "@" in a query as it is.
    ("K-9", f"autoconfig.{DOMAIN}", f"/mail/config-v1.1.xml?emailaddress={quoted(ANN, '@')}", ANDROID),
    ("K-9", DOMAIN, f"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={quoted(ANN, '@')}", ANDROID),
    ("K-9 without the address", f"autoconfig.{DOMAIN}", "/mail/config-v1.1.xml", ANDROID),
    ("Delta Chat", f"autoconfig.{DOMAIN}", f"/mail/config-v1.1.xml?emailaddress={quoted(ANN, '')}", ""),
    ("Delta Chat", DOMAIN, f"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={quoted(ANN, '')}", ""),
    ("Evolution", f"autoconfig.{DOMAIN}", f"/mail/config-v1.1.xml?emailaddress={quoted(ANN, '')}&emailmd5={MD5}",
     "User-Agent: Evolution/3.46.4\r\nAccept-Language: en\r\n"),
]


@pytest.mark.parametrize("who,host,target,fields", CONFIG)
def test_config(site, who, host, target, fields):
    status, answer, body = fetch(site, target, host, fields)
    assert status == 200 and answer["content-type"].startswith("text/xml") and "content-encoding" not in answer
    assert config(body, ANN) == servers(site)


@pytest.mark.parametrize("who,host,target,fields", CONFIG)
def test_in_the_clear_it_leads_to_tls(site, who, host, target, fields):
    """They ask without TLS as well, where nothing is to be believed."""
    status, answer, body = fetch(site, target, host, fields, tls=False)
    assert status == 308 and b"<" not in body
    assert answer["location"] == f"https://{host}:{site.port('https')}{target}"


@pytest.mark.needs("xmllint")
@pytest.mark.parametrize("target", ["/mail/config-v1.1.xml", "/autodiscover/autodiscover.xml"])
def test_another_reader_of_xml(site, target, tmp_path):
    (tmp_path / "x").write_bytes(fetch(site, target, DOMAIN)[2])
    subprocess.run(["xmllint", "--noout", "--nonet", "--pedantic", tmp_path / "x"], check=True, timeout=120)


# ---- Outlook ----

def outlook(body):
    """As Outlook reads its settings: the first Protocol of each type; Encryption says more than SSL."""
    a, r = f"{{{SCHEMAS}responseschema/2006}}", f"{{{SCHEMAS}outlook/responseschema/2006a}}"
    root = ET.fromstring(body)
    account = root.find(f"{r}Response/{r}Account")
    assert root.tag == a + "Autodiscover" and leaf(account.find(r + "AccountType")) == "email"
    assert leaf(account.find(r + "Action")) == "settings"
    found, users = {}, set()
    for p in account.iter(r + "Protocol"):
        one = {e.tag.removeprefix(r): leaf(e) for e in p}
        assert set(one) <= {"Type", "Server", "Port", "DomainRequired", "LoginName", "SPA", "SSL", "Encryption",
                            "AuthRequired"}
        assert {one[k] for k in ("SSL", "AuthRequired")} == {"on"} and one["SPA"] == one["DomainRequired"] == "off"
        found.setdefault(one["Type"].lower(), (one["Server"], int(one["Port"]), one["Encryption"]))
        users.add(one.get("LoginName"))
    return found, users


def request(address, schema="outlook/requestschema/2006", accepts="outlook/responseschema/2006a"):
    return (f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{SCHEMAS}{schema}"><Request>'
            f"<EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{SCHEMAS}{accepts}"
            "</AcceptableResponseSchema></Request></Autodiscover>").encode()


INDENTED = (f"""<?xml version="1.0" encoding="utf-8"?>
    <Autodiscover xmlns="{SCHEMAS}outlook/requestschema/2006">
      <Request>
        <EMailAddress>{ANN}</EMailAddress>
        <AcceptableResponseSchema>{SCHEMAS}outlook/responseschema/2006a</AcceptableResponseSchema>
      </Request>
    </Autodiscover>""").encode()
# With the fields that are not the same every time.
POSTS = {
    "Outlook 365": ("/autodiscover/autodiscover.xml", request(ANN), OFFICE +
                    "Content-Type: text/xml\r\nX-MS-CookieUri-Requested: t\r\nX-FeatureVersion: 1\r\n"
                    "Client-Request-Id: {8F5D2B1C-0000-4000-8000-5A1B2C3D4E5F}\r\nX-MapiHttpCapability: 1\r\n"
                    "Depth: 0\r\n" f"X-AnchorMailbox: {ANN}\r\n"),
    "Outlook 2010": ("/Autodiscover/Autodiscover.xml", request(ANN),
                     "Content-Type: text/xml; charset=utf-8\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n"
                     "User-Agent: Microsoft Office/14.0 (Windows NT 6.1; Microsoft Outlook 14.0.7143; Pro)\r\n"),
    "Outlook for Mac": ("/AutoDiscover/AutoDiscover.xml", request(ANN),
                        "User-Agent: MacOutlook/16.78 (Intelx64 Mac OS X 13.6)\r\nContent-Type: text/xml\r\n"),
    "with its octet order mark": ("/autodiscover/autodiscover.xml", b"\xef\xbb\xbf" + request(ANN),
                                  "Content-Type: text/xml\r\n"),
    "Thunderbird": ("/autodiscover/autodiscover.xml", INDENTED,
                    "Content-Type: text/xml; charset=utf-8\r\nAuthorization: Basic QW5uOg==\r\n"),
}


@pytest.mark.parametrize("host", [DOMAIN, f"autodiscover.{DOMAIN}", NAME])
@pytest.mark.parametrize("who", POSTS)
def test_autodiscover(site, who, host):
    """At the domain, at autodiscover below it, and at the name that the SRV record says."""
    target, body, fields = POSTS[who]
    status, answer, got = fetch(site, target, host, f"{fields}Content-Length: {len(body)}\r\n", "POST", body)
    assert status == 200 and answer["content-type"].startswith("text/xml")
    assert outlook(got) == (servers(site), {ANN})


@pytest.mark.parametrize("target", [
    f"/autodiscover/autodiscover.json/v1.0/{ANN}?Protocol=Autodiscoverv1&RedirectCount=1",
    f"/autodiscover/autodiscover.json?Email={quoted(ANN, '')}&Protocol=AutodiscoverV1&RedirectCount=1",
    f"/Autodiscover/Autodiscover.json?Email={quoted(ANN, '')}&Protocol=AutoDiscoverV1"])
def test_autodiscover_is_asked_for_and_then_asked(site, target):
    status, answer, body = fetch(site, target, f"autodiscover.{DOMAIN}", OFFICE)
    assert status == 200 and answer["content-type"] == "application/json"
    place = json.loads(body)
    url = urllib.parse.urlsplit(place["Url"])
    assert place["Protocol"] == "AutodiscoverV1" and url.scheme == "https"
    body = request(ANN)
    got = fetch(site, url.path, url.netloc, f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n", "POST", body)
    assert outlook(got[2]) == (servers(site), {ANN})


@pytest.mark.parametrize("protocol", ["ActiveSync", "EWS", "REST", "Substrate"])
def test_of_what_is_not_here_there_is_no_place(site, protocol):
    target = f"/autodiscover/autodiscover.json?Email={quoted(ANN, '')}&Protocol={protocol}&RedirectCount=1"
    assert fetch(site, target, f"autodiscover.{DOMAIN}", OFFICE)[0] == 404


def test_delta_chat_gets_what_outlook_posts_for(site):
    for host in DOMAIN, f"autodiscover.{DOMAIN}":
        status, _, body = fetch(site, "/autodiscover/autodiscover.xml", host)
        assert status == 200 and outlook(body) == (servers(site), {None})


# ---- Apple ----

# Apple's device-management: of each key its type, and what it may be. Those that are None need not be there.
COMMON = {"PayloadIdentifier": str, "PayloadUUID": str, "PayloadType": str, "PayloadVersion": int,
          "PayloadDisplayName": None, "PayloadDescription": None, "PayloadOrganization": None}
MAIL = {**COMMON, "EmailAccountDescription": None, "EmailAccountName": None, "EmailAccountType": str,
        "EmailAddress": None, "OutgoingPasswordSameAsIncomingPassword": None,
        **{f"{way}MailServer{what}": of for way in ("Incoming", "Outgoing") for what, of in {
            "Authentication": str, "HostName": str, "PortNumber": None, "UseSSL": None, "Username": None}.items()}}
PROFILE = {**COMMON, "PayloadContent": list}
OPTIONAL = {"PortNumber": int, "UseSSL": bool, "OutgoingPasswordSameAsIncomingPassword": bool}


def apple(body):
    """The mail account of a profile that a device would take."""
    profile = plistlib.loads(body)
    mail, = profile["PayloadContent"]
    for payload, keys in (profile, PROFILE), (mail, MAIL):
        assert set(payload) <= set(keys) and all(k in payload for k, of in keys.items() if of)
        for k, v in payload.items():
            assert type(v) is (keys[k] or next((t for end, t in OPTIONAL.items() if k.endswith(end)), str)), k
        assert payload["PayloadVersion"] == 1
    assert (profile["PayloadType"], mail["PayloadType"]) == ("Configuration", "com.apple.mail.managed")
    assert mail["EmailAccountType"] == "EmailTypeIMAP"
    assert {mail[f"{way}MailServerAuthentication"] for way in ("Incoming", "Outgoing")} == {"EmailAuthPassword"}
    assert mail["PayloadIdentifier"] != profile["PayloadIdentifier"], "unique within the profile"
    return profile, mail


def profile_of(i, address):
    query = f"?emailaddress={quoted(address, '')}" if address else ""
    status, answer, body = fetch(i, "/mail/mail.mobileconfig" + query, f"autoconfig.{DOMAIN}",
                                 "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X)\r\n"
                                 "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip, br\r\n")
    assert status == 200 and answer["content-type"] == "application/x-apple-aspen-config"
    assert "content-encoding" not in answer
    return apple(body)


@pytest.mark.parametrize("address", [ANN, "j.o'neil&co@example.org", None])
def test_profile(site, address):
    _, mail = profile_of(site, address)
    assert mail.get("EmailAddress") == address
    for way, kind in ("Incoming", "imap"), ("Outgoing", "smtp"):
        host, port, _ = servers(site)[kind]
        assert (mail[f"{way}MailServerHostName"], mail[f"{way}MailServerPortNumber"]) == (host, port)
        assert mail[f"{way}MailServerUseSSL"] and mail.get(f"{way}MailServerUsername") == address
    assert mail["OutgoingPasswordSameAsIncomingPassword"]


def test_a_second_account_does_not_replace_the_first(site):
    """A device replaces the profile that has the same identifier."""
    first, second, again = (profile_of(site, a)[0] for a in (ANN, "info@example.org", ANN))
    assert first == again
    for key in "PayloadIdentifier", "PayloadUUID":
        assert first[key] != second[key] and first["PayloadContent"][0][key] != second["PayloadContent"][0][key]
