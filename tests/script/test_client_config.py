"""How mail clients find their settings: what each asks for, as it asks, and that nobody learns more by it than what
domains there are."""
import hashlib
import json
import pathlib
import plistlib
import re
import sys
import xml.etree.ElementTree as ET

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import base64  # noqa: E402

import harness  # noqa: E402
from test_http import ask, get  # noqa: E402

NAME, DOMAIN, ANN = harness.DOMAIN, "example.org", "Ann.Öz@example.org"
XML, WELL_KNOWN = "/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"
OUTLOOK = ("/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AutoDiscover.xml")
PACC = "/.well-known/user-agent-configuration.json"
REQUEST, RESPONSE = ("http://schemas.microsoft.com/exchange/autodiscover/" + s
                     for s in ("outlook/requestschema/2006", "outlook/responseschema/2006a"))


@pytest.fixture(scope="module")
def site():
    with harness.Instance(web=True).init(web_instances=1, imap="yes", submission="yes") as i:
        i.run("domain", "add", DOMAIN)
        yield i.serve()


def ports(i):
    return {name: str(i.port(name)) for name in ("imap", "imaps", "submission", "submissions")}


def post(i, path, address, host="autodiscover." + DOMAIN):
    body = (f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{REQUEST}"><Request>'
            f"<EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{RESPONSE}"
            "</AcceptableResponseSchema></Request></Autodiscover>").encode()
    return ask(i, f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/xml\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n".encode() + body)


def servers(body):
    """[(type, host, port, socket, user)] of clientConfig."""
    provider = ET.fromstring(body).find("emailProvider")
    assert provider.findtext("domain") == provider.get("id") == DOMAIN and provider.findtext("displayName")
    found = [s for s in provider if s.tag in ("incomingServer", "outgoingServer")]
    assert all(s.findtext("authentication") == "password-cleartext" for s in found)
    return [(s.get("type"), s.findtext("hostname"), s.findtext("port"), s.findtext("socketType"),
             s.findtext("username")) for s in found]


# ---- Thunderbird, K-9, Evolution, Geary, Delta Chat ----

@pytest.mark.parametrize("host, path", [("autoconfig." + DOMAIN, XML), (DOMAIN, WELL_KNOWN),
                                        ("autoconfig." + DOMAIN, WELL_KNOWN), ("autodiscover." + DOMAIN, XML)])
@pytest.mark.parametrize("query", ["", "?emailaddress=ann%40example.org", "?emailaddress=ann@example.org",
                                   "?emailaddress=%25EMAILADDRESS%25", "?emailaddress=",
                                   "?emailaddress=x@else.example"])
def test_autoconfig(site, host, path, query):
    status, fields, body = get(site, path + query, host)
    p = ports(site)
    assert status == 200 and fields["content-type"].startswith("text/xml")
    assert servers(body) == [("imap", NAME, p["imaps"], "SSL", "%EMAILADDRESS%"),
                             ("imap", NAME, p["imap"], "STARTTLS", "%EMAILADDRESS%"),
                             ("smtp", NAME, p["submissions"], "SSL", "%EMAILADDRESS%"),
                             ("smtp", NAME, p["submission"], "STARTTLS", "%EMAILADDRESS%")]


def test_by_the_name_of_the_mx(site):
    """A client that looks up the MX comes to the server's own name with an address of the domain."""
    assert servers(get(site, XML + "?emailaddress=ann%40EXAMPLE.org", NAME)[2])
    for query in ("", "?emailaddress=ann@elsewhere.example", "?emailaddress=nonsense"):
        assert b"<domain>%s</domain>" % NAME.encode() in get(site, XML + query, NAME)[2]
        assert get(site, XML + query, "autoconfig.elsewhere.example")[0] == 421


def test_over_tls_alone(site):
    for host, path in (("autoconfig." + DOMAIN, XML), (DOMAIN, WELL_KNOWN), ("autodiscover." + DOMAIN, OUTLOOK[0])):
        status, fields, _ = get(site, path + "?emailaddress=a%40b", host + ":80", tls=False)
        assert status == 308
        assert fields["location"] == f"https://{host}:{site.port('https')}{path}?emailaddress=a%40b"


# ---- Outlook ----

@pytest.mark.parametrize("path", OUTLOOK)
def test_autodiscover(site, path):
    status, fields, body = post(site, path, "ann+x&amp;y@example.org")
    assert status == 200 and fields["content-type"].startswith("text/xml")
    account = ET.fromstring(body).find(f"{{{RESPONSE}}}Response/{{{RESPONSE}}}Account")
    assert account.findtext(f"{{{RESPONSE}}}Action") == "settings"
    found = [{e.tag.split("}")[1]: e.text for e in protocol} for protocol in account.iter(f"{{{RESPONSE}}}Protocol")]
    assert [(f["Type"], f["Port"], f["Encryption"]) for f in found] == [
        ("IMAP", ports(site)["imaps"], "SSL"), ("IMAP", ports(site)["imap"], "TLS"),
        ("SMTP", ports(site)["submissions"], "SSL"), ("SMTP", ports(site)["submission"], "TLS")]
    assert {(f["Server"], f["LoginName"], f["SPA"], f["SSL"], f["AuthRequired"], f["DomainRequired"]) for f in found} \
        == {(NAME, "ann+x&y@example.org", "off", "on", "on", "off")}
    status, _, body = get(site, path, "autodiscover." + DOMAIN)
    assert status == 200 and b"LoginName" not in body


def test_what_is_no_request_of_outlooks(site):
    assert post(site, OUTLOOK[0], "ann@elsewhere.example")[0] == 404
    assert post(site, OUTLOOK[0], "nonsense")[0] == 404
    assert post(site, OUTLOOK[0], "a" * 9000)[0] == 413
    for body in (b"", b"x", b"<a>", b'<!DOCTYPE a [<!ENTITY x "y">]><EMailAddress>&x;@example.org</EMailAddress>'):
        assert ask(site, b"POST %s HTTP/1.1\r\nHost: autodiscover.example.org\r\nContent-Length: %d\r\n\r\n"
                   % (OUTLOOK[0].encode(), len(body)) + body)[0] == 400


def test_where_autodiscover_is(site):
    for path in ("/autodiscover/autodiscover.json?Email=ann@example.org&Protocol=AutodiscoverV1&RedirectCount=1",
                 "/autodiscover/autodiscover.json/v1.0/ann@example.org?Protocol=Autodiscoverv1"):
        status, fields, body = get(site, path, "autodiscover." + DOMAIN)
        assert status == 200 and fields["content-type"] == "application/json"
        assert json.loads(body) == {"Protocol": "AutodiscoverV1",
                                    "Url": f"https://autodiscover.{DOMAIN}/autodiscover/autodiscover.xml"}
        assert get(site, path.replace("odiscoverV1", "odiscover").replace("odiscoverv1", "odiscover"),
                   "autodiscover." + DOMAIN)[0] == 404


# ---- Apple ----

@pytest.mark.parametrize("query, address", [("?emailaddress=ann%40example.org", "ann@example.org"), ("", None)])
def test_mobileconfig(site, query, address):
    status, fields, body = get(site, "/mail/mail.mobileconfig" + query, DOMAIN)
    assert status == 200 and fields["content-type"] == "application/x-apple-aspen-config"
    assert fields["content-disposition"] == 'attachment; filename="mail.mobileconfig"'
    profile = plistlib.loads(body)
    mail, = profile["PayloadContent"]
    for payload in profile, mail:
        assert payload["PayloadVersion"] == 1 and re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}",
                                                               payload["PayloadUUID"])
    assert profile["PayloadUUID"] != mail["PayloadUUID"]
    assert profile["PayloadType"] == "Configuration" and mail["PayloadType"] == "com.apple.mail.managed"
    assert mail["EmailAccountType"] == "EmailTypeIMAP" and mail.get("EmailAddress") == address
    for way, port in ("Incoming", "imaps"), ("Outgoing", "submissions"):
        assert (mail[way + "MailServerHostName"], mail[way + "MailServerPortNumber"]) == (NAME, site.port(port))
        assert mail[way + "MailServerUseSSL"] is True and mail.get(way + "MailServerUsername") == address
        assert mail[way + "MailServerAuthentication"] == "EmailAuthPassword"


# ---- PACC ----

def test_pacc_is_what_dns_says(site):
    status, fields, body = get(site, PACC + "?emailaddress=ann@example.org", "ua-auto-config." + DOMAIN)
    assert status == 200 and fields["content-type"] == "application/json"
    found = json.loads(body)
    assert found["protocols"] == {"imap": {"host": NAME}, "smtp": {"host": NAME}}
    assert found["authentication"] == {"password": True} and found["info"]["provider"]["name"] == DOMAIN
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    zone = site.run("domain", "dns", DOMAIN).stdout.decode()
    assert f'_ua-auto-config.{DOMAIN}.  IN TXT "v=UAAC1; a=sha256; d={digest}"' in zone
    for name in "autoconfig", "autodiscover", "ua-auto-config":
        assert f"{name}.{DOMAIN}.  IN CNAME {NAME}." in zone
    assert f"_autodiscover._tcp.{DOMAIN}.  IN SRV 0 0 443 {NAME}." in zone
    assert json.loads(get(site, PACC, NAME)[2])["info"]["provider"]["name"] == NAME


# ---- the command, and what is not told ----

def test_the_command_says_the_same(site):
    p = site.run("client-config", ANN, "--form", "autoconfig")
    assert p.stdout == get(site, XML, "autoconfig." + DOMAIN)[2]
    assert site.run("client-config", ANN, "--form", "pacc").stdout == get(site, PACC, "ua-auto-config." + DOMAIN)[2]
    p = site.run("client-config", "ann@example.org", "--form", "mobileconfig")
    assert p.stdout == get(site, "/mail/mail.mobileconfig?emailaddress=ann@example.org", DOMAIN)[2]
    text = site.run("client-config", ANN).stdout.decode()
    assert f"IMAP       {NAME}  port {site.port('imaps')}  TLS" in text and f"user name  {ANN}" in text
    for args, status, why in (((ANN, "--form", "nonsense"), 2, "--form is"), (("ann@elsewhere.example",), 1, "domains"),
                              (("nonsense",), 1, "not an address")):
        p = site.run("client-config", *args, check=False)
        assert p.returncode == status and why in p.stderr.decode()


def test_nobody_learns_who_is_here(site):
    """An account and none have the same answers, but for the address that was asked about."""
    site.add_account("ann@example.org")
    for form in XML, "/mail/mail.mobileconfig":
        there, none = (get(site, f"{form}?emailaddress={a}@example.org", "autoconfig." + DOMAIN)
                       for a in ("ann", "bob"))
        uuid = rb"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"
        assert re.sub(uuid, b"", there[2].replace(b"ann@", b"bob@")) == re.sub(uuid, b"", none[2])
    assert post(site, OUTLOOK[0], "ann@example.org")[2].replace(b"ann@", b"bob@") \
        == post(site, OUTLOOK[0], "bob@example.org")[2]
