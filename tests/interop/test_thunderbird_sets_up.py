"""Thunderbird sets itself up from a name, an address and an app password, typed into its own account dialog: it finds
the settings, takes them, fetches mail over IMAPS and sends by submission. In a network namespace where every name is
this server, whose authority Thunderbird trusts; the address is of a domain that is hosted here under another name."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parent)]
import harness  # noqa: E402
import thunderbird  # noqa: E402
import web  # noqa: E402

pytestmark = pytest.mark.needs("root", "unshare", "openssl", *thunderbird.PROGRAMS)
DOMAIN, HOSTED = harness.DOMAIN, "hosted.test"
ANN, BOB = f"ann@{HOSTED}", f"bob@{DOMAIN}"
# Mozilla's own list of providers is not to be reached, as nothing else of the world.
PREFS = {"network.proxy.type": 0, "mailnews.auto_config_url": "", "signon.rememberSignons": True}
SOURCE = "account-hub-config-success-description-"  # what the dialog says of it, by the name of its text

# What a person does: the footer's button is pressed when it can be, and each step is waited for.
SET_UP = """
Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(A.authority, "C,,");
if (A.step == "find") await main.openAccountHub();
const dialog = main.document.querySelector("account-hub-container");
const hub = dialog.modal.querySelector("account-hub-email");
const step = name => until(name, () => {
    const e = hub.querySelector("#" + name);
    return !e.hidden && !hub.classList.contains("busy") && e;
}, 120).catch(e => { throw new Error(e.message + ": " + hub.innerText); });
const type = async (where, id, text) => {
    const e = await until(id, () => where.querySelector("#" + id));
    e.focus();
    e.value = text;
    e.dispatchEvent(new main.Event("input", { bubbles: true }));
};
const forward = async () => (await until("the button", () => {
    const b = hub.querySelector("account-hub-footer #forward");
    return !b.hidden && !b.disabled && b;
})).click();
if (A.step == "find") {
    const first = await step("emailAutoConfigSubview");
    await type(first, "realName", A.name);
    await type(first, "email", A.email);
    await forward();
    const found = await step("emailConfigFoundSubview");
    await sleep(1000);
    const all = e => [...e.querySelectorAll("*")].flatMap(x => [x, ...(x.shadowRoot ? all(x.shadowRoot) : [])]);
    const from = all(found.shadowRoot).map(e => e.dataset.l10nId ?? "").find(s => s.startsWith(A.source));
    return { text: found.innerText, source: from?.slice(A.source.length) };
}
if (A.step == "take") {
    await forward();
    const asks = await step("emailPasswordSubview");
    await type(asks, "password", A.password);
    await forward();
    await step("emailAddedSuccessSubview");
    await sleep(1000);
    await forward();
}
const s = server(A.email), identity = MailServices.accounts.getFirstIdentityForServer(s);
const out = MailServices.outgoingServer.getServerByKey(identity.smtpServerKey).QueryInterface(Ci.nsISmtpServer);
return { incoming: [s.hostName ?? s.hostname, s.port, s.socketType, s.username],
         outgoing: [out.hostname, out.port, out.socketType, out.username], name: identity.fullName };
"""


def pair(i):
    c = web.Certificates(i.place, ["localhost", DOMAIN, HOSTED, *(f"{n}.{d}" for n in ("autoconfig", "autodiscover")
                                                                  for d in (DOMAIN, HOSTED))])
    (i.dir / "tls/chain.pem").write_bytes(c.file("good", "pem").read_bytes() + c.ca.read_bytes())
    (i.dir / "tls/key.pem").write_bytes(c.file("good", "key").read_bytes())
    return c.ca.read_text()


def inside(place):
    """In the namespace. Prints what came of it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with harness.Instance(web=True) as i:
        i.init(port_base=0, https="yes", http="no", smtp="no")
        i.run("domain", "add", HOSTED)
        for address in ANN, BOB:
            i.add_account(address)
        authority = thunderbird.body(pair(i))
        i.serve()
        base, i.base = i.base, 0
        try:
            s = i.submission(BOB)
            s.sendmail(BOB, [ANN], harness.crlf(f"From: {BOB}\nTo: {ANN}\nSubject: Welcome\n\nThe text of Bob's.\n"))
            s.quit()
            with thunderbird.Thunderbird(i, {}, prefs=PREFS, keys=[ANN], size=(1000, 680)) as t:
                asked = {"authority": authority, "source": SOURCE, "name": "Ann", "email": ANN,
                         "password": i.passwords[ANN]}
                found = {"shown": t.run(SET_UP, {**asked, "step": "find"})}
                t.screenshot(place / "thunderbird-finds-settings.png")
                found["settings"] = t.run(SET_UP, {**asked, "step": "take"})
                key, = t.fetch(ANN, 1)
                found["opened"] = t.open(ANN, key)
                t.write(ANN, BOB, "Set up", "A text of whom nobody helped.\n", False)
            found["got"] = i.keyring.decrypt(harness.armor_of(next(iter(i.fetch_all(BOB).values())))).decode()
        finally:
            i.base = base
    print("found: " + json.dumps(found))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    place = pathlib.Path(os.environ.get("LETTERLOCK_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    p = subprocess.run(["unshare", "-n", "-m", sys.executable, __file__, place], capture_output=True, text=True,
                       timeout=600)
    assert p.returncode == 0, p.stderr[-3000:]
    return {**json.loads(p.stdout.split("found: ")[1]), "picture": place / "thunderbird-finds-settings.png"}


def test_it_shows_what_it_found(found):
    """That of the server, not what a guess from the address would be."""
    assert found["shown"]["source"] == "isp"
    text = " ".join(found["shown"]["text"].split())
    for way, port in ("Incoming IMAP", 993), ("Outgoing SMTP", 465):
        assert f"{way} SERVER: {DOMAIN} PORT: {port}" in text, text
    assert f"USERNAME: {ANN} SECURITY: SSL/TLS AUTHENTICATION: Normal Password" in text, text


def test_the_account_has_it(found):
    tls = 3  # nsMsgSocketType.SSL
    assert found["settings"] == {"name": "Ann", "incoming": [DOMAIN, 993, tls, ANN],
                                 "outgoing": [DOMAIN, 465, tls, ANN]}


def test_mail_comes(found):
    opened = found["opened"]
    assert (opened["subject"], opened["encryption"]) == ("Welcome", "MSG_ENC_OK")
    assert "The text of Bob's." in opened["body"]


def test_mail_goes(found):
    assert "A text of whom nobody helped." in found["got"] and "From: Ann <ann@hosted.test>" in found["got"]
    assert "with ESMTPSA" in found["got"]


def test_the_picture(found):
    assert 5_000 < found["picture"].stat().st_size < 200_000


if __name__ == "__main__":
    inside(pathlib.Path(sys.argv[1]))
