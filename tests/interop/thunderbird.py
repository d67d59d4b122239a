"""Drives Debian's Thunderbird: a fresh profile with IMAP accounts and keys, under Xvfb, asked over Marionette what it
shows. It talks to loopback alone: everything else goes to a proxy that is not there."""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

PROGRAM = "thunderbird"
PROGRAMS = (PROGRAM, "Xvfb", "import", "convert")


def body(pem):
    """The base64 of the first block."""
    return "".join(pem.split("-----")[2].split())


class Marionette:
    """Mozilla's remote protocol: frames of "{length}:{JSON}", [type, id, ...] in each."""

    def __init__(self, port, timeout):
        end = time.monotonic() + timeout
        while True:
            try:
                self.s = socket.create_connection(("127.0.0.1", port), 5)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        self.s.settimeout(timeout)
        self.id = 0
        self.buffer = b""
        self._receive()
        self.command("WebDriver:NewSession", {})
        self.command("WebDriver:SetTimeouts", {"script": timeout * 1000})
        self.command("Marionette:SetContext", {"value": "chrome"})

    def _receive(self):
        while b":" not in self.buffer:
            self._more()
        size, self.buffer = self.buffer.split(b":", 1)
        while len(self.buffer) < int(size):
            self._more()
        data, self.buffer = self.buffer[:int(size)], self.buffer[int(size):]
        return json.loads(data)

    def _more(self):
        data = self.s.recv(65536)
        if not data:
            raise ConnectionError("Thunderbird ended")
        self.buffer += data

    def command(self, name, params):
        self.id += 1
        data = json.dumps([0, self.id, name, params]).encode()
        self.s.sendall(b"%d:%s" % (len(data), data))
        _, number, error, result = self._receive()
        assert number == self.id
        if error:
            raise RuntimeError(f"{name}: {error['error']}: {error['message']}\n{error.get('stacktrace', '')}")
        return result


# What every script finds: the windows' parts, and waiting.
PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const main = Services.wm.getMostRecentWindow("mail:3pane");
// A window's own timers stand still while it has a modal one.
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const sleep = ms => new Promise(r => setTimeout(r, ms));
async function until(what, test, seconds = 60) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const value = await test();
        if (value) return value;
        if (Date.now() > end) throw new Error("waited in vain for " + what);
        await sleep(50);
    }
}
const pane = () => main.document.getElementById("tabmail").currentAbout3Pane;
const message = () => pane().messageBrowser.contentWindow;
const server = user => MailServices.accounts.allServers.find(s => s.username == user && s.type == "imap");
const mailbox = (user, flag) => server(user).rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[flag]);
const inbox = user => mailbox(user, "Inbox");
// The windows of a message that is composed, and what is asked or complained of while it is sent.
const composing = () => until("the compose window", () => {
    const w = Services.wm.getMostRecentWindow("msgcompose");
    return w?.gMsgCompose?.editor && w.document
        .getElementById("messageEditor")?.contentDocument?.body?.textContent.trim() && w;
});
const writing = async (identity, mail) => {
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { to: mail.to, subject: mail.subject, body: mail.text });
    const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    Object.assign(params, { composeFields: fields, identity, type: Ci.nsIMsgCompType.New,
                            format: Ci.nsIMsgCompFormat.PlainText });
    MailServices.compose.OpenComposeWindowWithParams(null, params);
    const w = await composing();
    await sleep(500);
    return w;
};
const sendNow = async w => {
    w.GenericSendMessage(Ci.nsIMsgCompDeliverMode.Now);
    await until("sending", () => {
        const asks = Services.wm.getMostRecentWindow("") ?? {};
        const text = asks.document?.getElementById("infoBody")?.textContent;
        if (text) throw new Error("Thunderbird says: " + text);
        return w.closed;
    });
};
"""


class Thunderbird:
    """accounts: addresses with their app passwords; instance: the server they are on (harness.Instance), whose keyring
    has
    their secret keys; senders: armoured certificates that the reader has verified; authorities: PEM,
    trusted for S/MIME. Mail is sent by port 465, and by 587 by whom starttls names; copies go to Sent. prefs: more of
    them, or other ones. keys: whose secret keys it has, if not those of the accounts."""

    def __init__(self, instance, accounts, senders=(), authorities=(), size=(1180, 760), timeout=120, starttls=(),
                 prefs=None, keys=None):
        self.more, self.keys = prefs or {}, keys or accounts
        self.instance, self.accounts, self.timeout, self.size = instance, accounts, timeout, size
        self.senders, self.authorities, self.starttls = list(senders), list(authorities), starttls
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="letterlock-thunderbird-"))
        self.processes = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # Starting and ending

    def _display(self):
        """A server of its own on a number that it chooses."""
        read, write = os.pipe()
        log = open(self.home / "xvfb.log", "wb")
        self.processes.append(subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{self.size[0]}x{self.size[1]}x24", "-nolisten", "tcp"],
            pass_fds=(write,), stdout=log, stderr=log, start_new_session=True))
        os.close(write)
        with os.fdopen(read) as f:
            number = f.readline().strip()
        assert number, "Xvfb: " + (self.home / "xvfb.log").read_text()
        return f":{number}"

    def way(self, address):
        return "submission" if address in self.starttls else "submissions"

    def _prefs(self, port):
        prefs = {
            "marionette.port": port,
            "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9,
            "network.proxy.ssl": "127.0.0.1",
            "network.proxy.ssl_port": 9, "network.proxy.socks": "127.0.0.1", "network.proxy.socks_port": 9,
            "network.proxy.no_proxies_on": "localhost,127.0.0.1", "network.trr.mode": 5,
            "network.dns.forceResolve": "127.0.0.1", "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False, "network.dns.disablePrefetch": True,
            "app.update.enabled": False, "app.update.auto": False, "app.donation.eoy.version.viewed": 9999,
            "extensions.update.enabled": False, "extensions.getAddons.cache.enabled": False,
            "extensions.blocklist.enabled": False,
            "services.settings.server": "http://127.0.0.1:9/", "browser.safebrowsing.downloads.remote.enabled": False,
            "datareporting.policy.dataSubmissionEnabled": False, "datareporting.healthreport.uploadEnabled": False,
            "datareporting.policy.dataSubmissionPolicyBypassNotification": True, "toolkit.telemetry.enabled": False,
            "toolkit.telemetry.unified": False, "toolkit.telemetry.server": "",
            "mail.inappnotifications.enabled": False,
            "mail.rights.version": 1, "mail.shell.checkDefaultClient": False,
            "mail.provider.suppress_dialog_on_startup": True,
            "mail.spam.version": 1, "mail.spotlight.firstRunDone": True, "mail.winsearch.firstRunDone": True,
            "mailnews.start_page.enabled": False, "mailnews.start_page_override.mstone": "ignore",
            "mail.tabs.drawInTitlebar": False,
            "mail.biff.show_alert": False, "mail.biff.play_sound": False, "mail.mdn.report.enabled": False,
            "mail.pane_config.dynamic": 0, "mail.threadpane.listview": 1, "mailnews.default_sort_order": 1,
            "mailnews.default_view_flags": 0, "mailnews.mark_message_read.auto": False,
            "calendar.timezone.local": "UTC",
            "calendar.timezone.useSystemTimezone": False, "intl.locale.requested": "en-US",
            "ui.prefersReducedMotion": 1,
            "mailnews.message_display.disable_remote_image": True, "mail.openpgp.fetch_pubkeys_from_gnupg": False,
            "mail.openpgp.key_assistant.enable": False, "browser.cache.disk.enable": False,
            "gfx.canvas.accelerated": False,
            "layers.acceleration.disabled": True, "mail.accounthub.enabled": False, "mail.setup.loop.enabled": False,
        }
        for n, address in enumerate(self.accounts, 1):
            prefs.update({
                f"mail.account.account{n}.server": f"server{n}", f"mail.account.account{n}.identities": f"id{n}",
                f"mail.server.server{n}.type": "imap", f"mail.server.server{n}.hostname": "localhost",
                f"mail.server.server{n}.port": self.instance.port("imaps"), f"mail.server.server{n}.socketType": 3,
                f"mail.server.server{n}.authMethod": 3, f"mail.server.server{n}.userName": address,
                f"mail.server.server{n}.name": address, f"mail.server.server{n}.login_at_startup": False,
                f"mail.server.server{n}.check_new_mail": False, f"mail.server.server{n}.autosync_offline_stores": False,
                f"mail.server.server{n}.offline_download": False, f"mail.server.server{n}.max_cached_connections": 2,
                f"mail.server.server{n}.trash_folder_name": "Trash",
                f"mail.identity.id{n}.useremail": address,
                f"mail.identity.id{n}.fullName": address.split("@")[0].capitalize(),
                f"mail.identity.id{n}.smtpServer": f"smtp{n}", f"mail.identity.id{n}.valid": True,
                f"mail.identity.id{n}.reply_on_top": 0, f"mail.identity.id{n}.compose_html": False,
                f"mail.identity.id{n}.autocrypt": False, f"mail.identity.id{n}.sendAutocryptHeaders": False,
                f"mail.identity.id{n}.openpgp_key_id": self.instance.keyring.fingerprint(address)[-16:],
                f"mail.identity.id{n}.attachPgpKey": False, f"mail.identity.id{n}.fcc": True,
                f"mail.identity.id{n}.fcc_folder": f"imap://{urllib.parse.quote(address)}@localhost/Sent",
                f"mail.smtpserver.smtp{n}.hostname": "localhost", f"mail.smtpserver.smtp{n}.authMethod": 3,
                f"mail.smtpserver.smtp{n}.username": address,
                f"mail.smtpserver.smtp{n}.port": self.instance.port(self.way(address)),
                f"mail.smtpserver.smtp{n}.try_ssl": 2 if address in self.starttls else 3,
            })
        if self.accounts:
            prefs.update({
                "mail.accountmanager.accounts": ",".join(f"account{n}" for n in range(1, len(self.accounts) + 1)),
                "mail.accountmanager.defaultaccount": "account1",
                "mail.smtpservers": ",".join(f"smtp{n}" for n in range(1, len(self.accounts) + 1)),
                "mail.smtp.defaultserver": "smtp1",
            })
        prefs.update(self.more)
        return "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in prefs.items())

    def _start(self):
        profile = self.home / "profile"
        profile.mkdir()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        (profile / "user.js").write_text(self._prefs(port))
        self.display = self._display()
        env = {
            k: v
            for k, v in os.environ.items()
            if k not in ("WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")
        }
        env.update(HOME=str(self.home), DISPLAY=self.display, GDK_BACKEND="x11", LANG="C.UTF-8", TZ="UTC",
                   MOZ_CRASHREPORTER_DISABLE="1",
                   MOZ_DISABLE_CONTENT_SANDBOX="1", NO_AT_BRIDGE="1", LIBGL_ALWAYS_SOFTWARE="1",
                   GNUPGHOME=str(self.home / "none"))
        log = open(self.home / "log", "wb")
        self.processes.append(subprocess.Popen(
            [PROGRAM, "--profile", str(profile), "--no-remote", "--marionette", "--remote-allow-system-access",
             "--mail"],
            env=env, stdout=log, stderr=log, start_new_session=True))
        self.marionette = Marionette(port, self.timeout)
        pem = (self.instance.dir / "tls/chain.pem").read_text()
        self.run(START, {
            "accounts": self.accounts, "ports": [self.instance.port(p) for p in ("imaps", "submissions", "submission")],
            "certificate": body(pem),
            "secret": [self.instance.keyring.gpg("--armor", "--export-secret-keys", a).stdout.decode()
                       for a in self.keys],
            "own": [self.instance.keyring.fingerprint(a) for a in self.keys], "senders": self.senders,
            "authorities": [body(a) for a in self.authorities], "size": self.size})

    def close(self):
        for p in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, signal.SIGKILL)
            p.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def log(self):
        return (self.home / "log").read_text(errors="replace")

    # Asking

    def fetch(self, user, count, box="Inbox"):
        """New mail of a mailbox (Inbox, SentMail), at least so many messages: their UIDs."""
        return self.run(UPDATE, {"user": user, "count": count, "box": box})

    def list(self, user, threaded=False):
        return self.run(LIST, {"user": user, "threaded": threaded})

    def open(self, user, key, files=False, wait=50, box="Inbox"):
        """What the pane shows of a message. attachments: [name, octets in base64 if files]."""
        return self.run(OPEN, {"user": user, "key": key, "files": files, "wait": wait, "box": box})

    def write(self, user, to, subject, text, encrypts):
        """Writes a mail and sends it, end-to-end encrypted (and signed) or not."""
        self.run(WRITE, {"user": user, "to": to, "subject": subject, "text": text, "encrypts": encrypts})

    def reply(self, user, key, text="", encrypts=None):
        """encrypts: whatever Thunderbird would do by itself. What it showed before."""
        return self.run(REPLY, {"user": user, "key": key, "text": text, "encrypts": encrypts})

    def draft(self, user, to, subject, text, encrypts):
        """Of a draft that Thunderbird saves, encrypted by itself or not: what it goes on editing after it has shown
        it."""
        return self.run(DRAFT, {"user": user, "to": to, "subject": subject, "text": text, "encrypts": encrypts})

    def protected(self, pairs):
        """Of each (original, what is sealed): Subject and Date in ms that Thunderbird's own code reads from the one's
        header, and as
        protected from the other."""
        text = [[base64.b64encode(x[:80000]).decode() for x in pair] for pair in pairs]
        return [x for k in range(0, len(text), 200) for x in self.run(PROTECTED, text[k:k + 200])]

    def discover(self, email, fingerprint="", authority=None, pause=0):
        """Looks for somebody's key online, by the address or by the fingerprint, and takes it, as one who has not
        compared it: what was asked then, and what is known afterwards. None: nothing was found. authority: PEM, trusted
        for web servers. pause: ms for which the question stands."""
        return self.run(DISCOVER, {"email": email, "fingerprint": fingerprint, "pause": pause,
                                   "authority": authority and body(authority)})

    def arrange(self, height):
        self.run(ARRANGE, {"height": height})

    def screenshot(self, path):
        """The whole screen as a small PNG."""
        subprocess.run(["import", "-display", self.display, "-window", "root", str(self.home / "shot.png")], check=True,
                       timeout=60)
        subprocess.run(["convert", str(self.home / "shot.png"), "-strip", "+dither", "-colors", "128", "-define",
                        "png:compression-level=9",
                        f"PNG8:{path}"], check=True, timeout=60)

    def run(self, script, argument=None):
        return self.marionette.command("WebDriver:ExecuteScript", {
            "script": "return (async A => {" + PRELUDE + script + "})(arguments[0])", "args": [argument],
            "newSandbox": True})["value"]


START = """
await until("the window", () => Services.wm.getMostRecentWindow("mail:3pane")
    ?.document.getElementById("tabmail")?.currentAbout3Pane?.threadTree);
const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
const overrides = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
for (const port of A.ports)
    overrides.rememberValidityOverride("localhost", port, {}, db.constructX509FromBase64(A.certificate), false);
for (const [user, password] of Object.entries(A.accounts)) {
    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    for (const at of ["imap://localhost", "smtp://localhost"]) {
        login.init(at, null, at, user, password, "", "");
        await Services.logins.addLoginAsync(login);
    }
}
const { RNP } = ChromeUtils.importESModule("chrome://openpgp/content/modules/RNP.sys.mjs");
const { EnigmailKeyRing } = ChromeUtils.importESModule("chrome://openpgp/content/modules/keyRing.sys.mjs");
const { PgpSqliteDb2 } = ChromeUtils.importESModule("chrome://openpgp/content/modules/sqliteDb.sys.mjs");
const { EnigmailCore } = ChromeUtils.importESModule("chrome://openpgp/content/modules/core.sys.mjs");
await EnigmailCore.init();
for (const key of A.secret) {
    const r = await RNP.importSecKeyBlockImpl(main, null, false, key);
    if (r.exitCode || !r.importedKeys.length) throw new Error("secret key: " + r.errorMsg);
}
for (const fingerprint of A.own) await PgpSqliteDb2.updateAcceptance(fingerprint, null, "personal");
for (const key of A.senders) {
    const r = await RNP.importPubkeyBlockAutoAcceptImpl(main, key, "verified");
    if (r.exitCode || !r.importedKeys.length) throw new Error("public key: " + r.errorMsg);
}
await EnigmailKeyRing.clearCache();
for (const certificate of A.authorities) db.addCertFromBase64(certificate, ",C,");
main.moveTo(0, 0);
main.resizeTo(...A.size);
for (const user of Object.keys(A.accounts)) {
    server(user).performExpand(main.msgWindow);
    await until("the mailboxes of " + user, () => inbox(user));
}
return Services.appinfo.version;
"""

# The question is modal: what answers it has to be waiting before.
DISCOVER = """
const { KeyLookupHelper } = ChromeUtils.importESModule("chrome://openpgp/content/modules/keyLookupHelper.sys.mjs");
const { EnigmailKeyRing } = ChromeUtils.importESModule("chrome://openpgp/content/modules/keyRing.sys.mjs");
const { PgpSqliteDb2 } = ChromeUtils.importESModule("chrome://openpgp/content/modules/sqliteDb.sys.mjs");
if (A.authority)
    Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(A.authority, "C,,");
const open = name => [...Services.wm.getEnumerator(null)].filter(w => w.location.href.includes(name));
const said = e => e?.value || e?.textContent;
let over = false, asked = null;
const answering = (async () => {
    const d = await until("the question", () => {
        const d = open("confirmPubkeyImport")[0]?.document;
        return over || (said(d?.querySelector(".openpgp-key-fpr label")) && d);
    }, 100);
    if (over) return;
    asked = { fingerprint: said(d.querySelector(".openpgp-key-fpr label")),
              names: [...d.querySelectorAll(".openpgp-key-name")].map(said) };
    await sleep(A.pause);
    d.getElementById("acceptanceRadio").selectedItem = d.getElementById("acceptUnverified");
    d.querySelector("dialog").acceptDialog();
    await until("its end", () => { open("eyImportInfo").forEach(w => w.close()); return over; });
})();
const imported = A.fingerprint
    ? await KeyLookupHelper.downloadDirectlyByFingerprint("interactive-import", main, A.fingerprint, false)
    : await KeyLookupHelper.lookupAndImportByEmail("interactive-import", main, A.email, false);
over = true;
await answering;
const keys = [];
for (const k of EnigmailKeyRing.getKeysByEmail(A.email) ?? [])
    keys.push({ fingerprint: k.fpr, acceptance: (await PgpSqliteDb2.getFingerprintAcceptance(null, k.fpr)) });
return asked && { ...asked, imported, keys };
"""

# New mail of an INBOX, until there are so many.
UPDATE = """
const folder = mailbox(A.user, A.box);
await until("mail of " + A.user, async () => {
    const done = Promise.withResolvers();
    folder.getNewMessages(main.msgWindow, { OnStartRunningUrl() {},
                                            OnStopRunningUrl(url, status) { done.resolve(); } });
    await Promise.race([done.promise, sleep(3000)]);
    return [...folder.messages].length >= A.count;
});
return [...folder.messages].map(m => m.messageKey).sort((a, b) => a - b);
"""

# What fills the rows of the message list; threads are opened. `level`: how deep in its thread.
LIST = """
const folder = inbox(A.user), p = pane();
if (p.gFolder?.URI != folder.URI) p.displayFolder(folder.URI);
await until("the list", () => p.gDBView?.viewFolder?.URI == folder.URI && p.gDBView.rowCount);
if (p.gViewWrapper.showThreaded != A.threaded) {
    p.gViewWrapper[A.threaded ? "showThreaded" : "showUnthreaded"] = true;
    await sleep(100);
}
if (A.threaded) p.gDBView.doCommand(Ci.nsMsgViewCommandType.expandAll);
const rows = [];
for (let i = 0; i < p.gDBView.rowCount; i++) {
    const level = {};
    const [subject, correspondent, date] = p.gDBView.cellDataForColumns(i,
        ["subjectCol", "correspondentCol", "dateCol"], {}, level);
    rows.push({ key: p.gDBView.getKeyAt(i), subject, correspondent, date, level: level.value });
}
return rows;
"""

# Opens one message and tells what its pane says, when all of it has been decrypted and verified.
OPEN = """
const folder = mailbox(A.user, A.box), p = pane();
if (p.gFolder?.URI != folder.URI) p.displayFolder(folder.URI);
await until("the list", () => p.gDBView?.viewFolder?.URI == folder.URI && p.gDBView.rowCount);
const hdr = folder.GetMessageHeader(A.key);
const m = message();
const outside = { subject: hdr.mime2DecodedSubject, date: hdr.dateInSeconds,
                  author: hdr.mime2DecodedAuthor, id: hdr.messageId };
let loaded = false, processed = false;
m.addEventListener("MsgLoaded", () => loaded = true, { once: true });
m.document.addEventListener("openpgpprocessed", () => processed = true, { once: true });
p.threadTree.selectedIndex = -1;
p.threadTree.selectedIndex = p.gDBView.findIndexOfMsgHdr(hdr, true);
await until("message " + A.key,
    () => loaded && m.gMessage?.messageKey == A.key && m.gMessage.folder.URI == folder.URI);
await until("its decryption", () => processed, 20).catch(() => {});
await sleep(A.wait);
const $ = id => m.document.getElementById(id);
const doc = m.getMessagePaneBrowser().contentDocument;
const images = [...doc.images];
const people = id => [...$(id).querySelectorAll(".header-recipient")].map(
    e => (e.querySelector(".recipient-single-line") ?? e).textContent.trim());
const time = $("dateLabel").textContent ? $("dateLabel") : $("dateLabelSubject");
await until("its pictures", () => images.every(i => i.complete && i.naturalWidth), 3).catch(() => {});
const view = m.Enigmail.hdrView;
const octets = async a => {
    let text = "";
    for (const c of new Uint8Array(await a.fetchAttachment())) text += String.fromCharCode(c);
    return btoa(text);
};
const C = ChromeUtils.importESModule("chrome://openpgp/content/modules/constants.sys.mjs").EnigmailConstants;
const name = (prefix, value) => Object.keys(C).find(k => k.startsWith(prefix) && C[k] === value);
return {
    outside, processed,
    subject: $("expandedsubjectBox").value?.textContent ?? $("expandedsubjectBox").textContent.trim(),
    title: m.document.title, from: people("expandedfromBox"), to: people("expandedtoBox"), cc: people("expandedccBox"),
    date: Date.parse(time.getAttribute("datetime")) / 1000, clock: time.textContent.trim(),
    body: doc.body.innerText, html: doc.body.innerHTML.length,
    pictures: images.map(i => i.naturalWidth),
    attachments: await Promise.all(m.currentAttachments.map(async a => [a.name, A.files ? await octets(a) : ""])),
    encryption: name("MSG_ENC_", view.msgEncryptionState), signature: name("MSG_SIG_", view.msgSignatureState),
    tech: $("cryptoBox").hidden ? "" : $("cryptoBox").getAttribute("tech"),
    icons: ["encryptedHdrIcon", "signedHdrIcon"].map(i => $(i).hidden ? "" : $(i).src.split("/").pop()),
    after: { subject: hdr.mime2DecodedSubject, date: hdr.dateInSeconds },
};
"""

# Replies to a message as a person would, who adds a line and sends it; without a text only looks.
REPLY = """
const folder = inbox(A.user), hdr = folder.GetMessageHeader(A.key);
MailServices.compose.OpenComposeWindow(null, hdr, folder.getUriForMsg(hdr), Ci.nsIMsgCompType.ReplyToSender,
    Ci.nsIMsgCompFormat.PlainText, MailServices.accounts.getFirstIdentityForServer(server(A.user)), null,
    main.msgWindow);
const w = await until("the compose window", () => Services.wm.getMostRecentWindow("msgcompose"));
const text = () => w.document.getElementById("messageEditor")?.contentDocument?.body?.textContent.trim();
await until("the quote", () => w.gMsgCompose?.editor && w.document.getElementById("msgSubject").value && text());
await sleep(500);
const shown = { subject: w.document.getElementById("msgSubject").value, to: w.gMsgCompose.compFields.to, body: text(),
                references: w.gMsgCompose.compFields.references, encrypts: w.gSendEncrypted };
if (A.text) {
    if (w.gSendEncrypted != (A.encrypts ?? w.gSendEncrypted)) w.toggleEncryptMessage();
    if (w.gSendSigned != (A.encrypts ?? w.gSendSigned)) w.toggleGlobalSignMessage();
    await sleep(500);
    w.GetCurrentEditor().beginningOfDocument();
    w.GetCurrentEditor().insertText(A.text);
    await sendNow(w);
} else {
    w.close();
}
await until("the window's end", () => w.closed);
return shown;
"""

WRITE = """
const identity = MailServices.accounts.getFirstIdentityForServer(server(A.user));
const w = await writing(identity, A);
if (w.gSendEncrypted != A.encrypts) w.toggleEncryptMessage();
if (w.gSendSigned != A.encrypts) w.toggleGlobalSignMessage();
await sleep(500);
await sendNow(w);
"""

# What a picture needs: a short list with the columns that matter, above a message pane of some height.
ARRANGE = """
const p = pane(), hide = e => e && (e.hidden = true);
main.gSpacesToolbar.toggleToolbar(true);
hide(main.document.getElementById("status-bar"));
p.document.getElementById("folderPaneSplitter").width = 230;
p.document.getElementById("messagePaneSplitter").height = A.height;
for (const column of p.threadPane.columns)
    column.hidden = !["subjectCol", "correspondentCol", "dateCol"].includes(column.id);
p.threadPane.updateColumns(true);
p.threadTree.reset();
await sleep(500);
"""

# Saves a draft, closes it, looks at it in its folder and edits it again.
DRAFT = """
const identity = MailServices.accounts.getFirstIdentityForServer(server(A.user));
const folder = await until("the drafts' folder",
    () => server(A.user).rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Drafts));
identity.draftsFolderURI = folder.URI;
identity.setBoolAttribute("autoEncryptDrafts", A.encrypts);
const update = () => Promise.race([sleep(3000), new Promise(r => folder
    .QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(
    main.msgWindow, { OnStartRunningUrl() {}, OnStopRunningUrl() { r(); } }))]);
await update();
const before = [...folder.messages].length;
const w = await writing(identity, A);
w.GenericSendMessage(Ci.nsIMsgCompDeliverMode.SaveAsDraft);
const hdr = await until("the draft", async () => {
    await update();
    return [...folder.messages].length > before && [...folder.messages].sort((a, b) => b.messageKey - a.messageKey)[0];
});
await until("saving", () => !w.gMsgCompose.bodyModified && !w.gSendOperationInProgress && !w.gSaveOperationInProgress);
w.close();
await until("its end", () => w.closed);
const p = pane(), m = message();
p.displayFolder(folder.URI);
await until("the list", () => p.gDBView?.viewFolder?.URI == folder.URI && p.gDBView.rowCount);
let processed = false;
m.document.addEventListener("openpgpprocessed", () => processed = true, { once: true });
p.threadTree.selectedIndex = p.gDBView.findIndexOfMsgHdr(hdr, true);
await until("the draft's pane", () => processed && m.gMessage?.messageKey == hdr.messageKey);
MailServices.compose.OpenComposeWindow(null, hdr, folder.getUriForMsg(hdr), Ci.nsIMsgCompType.Draft,
    Ci.nsIMsgCompFormat.PlainText, identity, null, main.msgWindow);
const v = await composing();
await sleep(500);
const edited = { subject: v.document.getElementById("msgSubject").value, to: v.gMsgCompose.compFields.to,
                 text: v.document.getElementById("messageEditor").contentDocument.body.textContent.trim() };
v.close();
await until("its end", () => v.closed);
return edited;
"""

PROTECTED = """
const { EnigmailMime } = ChromeUtils.importESModule("chrome://openpgp/content/modules/mime.sys.mjs");
const { MimeParser } = ChromeUtils.importESModule("resource:///modules/mimeParser.sys.mjs");
const told = h => h && [h.get("subject") ?? "", h.get("date") ? Number(new Date(h.get("date"))) : null];
return A.map(([original, sealed]) => [told(MimeParser.extractHeaders(atob(original))),
                                      told(EnigmailMime.extractProtectedHeaders(atob(sealed)))]);
"""
