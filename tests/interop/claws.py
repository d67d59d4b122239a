"""Claws Mail under Xvfb, read through its accessibility tree. claws.py HOME GNUPGHOME USER PASSWORD PORT UIDS
SCREENSHOT, inside an X server and a session bus: prints JSON, for each UID what the message view shows: {uid: {"From",
"To", "Subject", "text", "parts", "signature", perhaps "part_signature"}}. The message list is drawn by hand and cannot
be read so: the screenshot shows it. Needs python3-pyatspi."""
import json
import os
import pathlib
import subprocess
import sys
import time

CLAWSRC = """[Common]
config_version=4
ask_mark_all_read=0
warn_queued_on_exit=0
confirm_on_exit=0
never_send_retrcpt=1
check_on_start=0
autochk_newmail=0
promote_html_part=0
render_html=1
display_header_pane=1
display_header=1
show_timezone=1
always_show_message_when_selected=1
open_selected_message_on_folder_open=0
stop_blinking=1
unsafe_ssl_certs=0
show_inline_attachments=1
layout_mode=2
mainwin_width=1180
mainwin_height=860
mainwin_x=0
mainwin_y=0

[Plugins_GTK3]
/usr/lib/x86_64-linux-gnu/claws-mail/plugins/pgpcore.so
/usr/lib/x86_64-linux-gnu/claws-mail/plugins/pgpmime.so
/usr/lib/x86_64-linux-gnu/claws-mail/plugins/pgpinline.so

[GPG]
auto_check_signatures=1
use_gpg_agent=1
gpg_ask_create_key=0
"""
ACCOUNTRC = """[Account: 1]
account_name=test
is_default=1
name=Reader
address={user}
protocol=1
receive_server=127.0.0.1
smtp_server=127.0.0.1
user_id={user}
imap_auth_method=1
set_imapport=1
imap_port={port}
ssl_imap=0
imap_subsonly=0
receive_at_get_all=0
recv_at_getall=0
"""
FOLDERS = """<?xml version="1.0" encoding="UTF-8"?>
<folderlist>
    <folder type="imap" name="test" account_id="1" collapsed="0" sort="0">
        <folderitem type="inbox" name="INBOX" path="INBOX" mtime="0" new="0" unread="0" total="0"
            threaded="0"></folderitem>
    </folder>
</folderlist>
"""


def walk(node, depth=0):
    if node is None or depth > 40:
        return
    yield node
    try:
        count = node.childCount
    except Exception:
        return
    for k in range(min(count, 500)):
        try:
            child = node.getChildAtIndex(k)
        except Exception:
            continue
        yield from walk(child, depth + 1)


def text(node):
    t = node.queryText()
    return t.getText(0, t.characterCount)


class Claws:
    def __init__(self, home, gnupg, user, password, port):
        import pyatspi
        from gi.repository import GLib
        self.atspi, self.context = pyatspi, GLib.MainContext.default()
        self.config = pathlib.Path(home) / "claws"
        self.config.mkdir(parents=True)
        (self.config / "clawsrc").write_text(CLAWSRC)
        (self.config / "accountrc").write_text(ACCOUNTRC.format(user=user, port=port))
        (self.config / "folderlist.xml").write_text(FOLDERS)
        self.env = dict(os.environ, HOME=str(home), GNUPGHOME=gnupg, LANG="C.UTF-8", TZ="UTC")
        self.command = ["claws-mail", "--alternate-config-dir", str(self.config)]
        self.process = subprocess.Popen([*self.command, "--debug"], env=self.env,
                                        stdout=open(f"{home}/claws.out", "wb"), stderr=subprocess.STDOUT)
        self.password = password
        # The accessibility bus is looked at only when Claws is there: what was asked too early stays empty.
        end = time.monotonic() + 60
        while subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "Claws Mail"],
                             capture_output=True).returncode and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(4)

    def application(self):
        desktop = self.atspi.Registry.getDesktop(0)
        for k in range(desktop.childCount):
            app = desktop.getChildAtIndex(k)
            if app is not None and "claws" in (app.name or "").lower():
                return app
        return None

    def nodes(self, role):
        return [n for n in walk(self.application()) if n.getRoleName() == role]

    def remote(self, *args):
        """A command for the running instance."""
        subprocess.run([*self.command, *args], env=self.env, timeout=30, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def wait(self, what, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                found = what()
                if found:
                    return found
            except Exception as e:  # the tree changes while it is read
                self.error = e
            while self.context.pending():
                self.context.iteration(False)
            time.sleep(0.1)
        self.dump()
        raise AssertionError(f"{what} did not come; last error {getattr(self, 'error', None)}")

    def dialogs(self):
        """Answers the question for the password; every other dialog is a failure."""
        for frame in self.application():
            if frame.name == "Input password":
                entry = next(n for n in walk(frame) if n.getRoleName() == "password text")
                entry.queryEditableText().setTextContents(self.password)
                next(n for n in walk(frame) if n.getRoleName() == "push button"
                     and n.name == "OK").queryAction().doAction(0)
                return False
            if frame.name == "Error":  # the account has no folder for drafts: nothing is written here
                next(n for n in walk(frame) if n.getRoleName() == "push button"
                     and n.name == "Close").queryAction().doAction(0)
                return False
            if "Claws Mail 4" not in frame.name:
                raise AssertionError(f"dialog {frame.name!r}")
        return True

    def view(self):
        """The message view: header pane and text."""
        labels = [n.name for n in self.nodes("label")]
        at = labels.index("From:")
        pane = dict(zip(("From", "To", "Subject"), (labels[at + 1], labels[labels.index("To:") + 1],
                                                    labels[labels.index("Subject:") + 1])))
        return pane, "\n".join(text(n) for n in self.nodes("text") if n.parent.getRoleName() == "scroll pane")

    def parts(self):
        table = self.nodes("tree table")[0]
        return [n.name for n in walk(table) if n.getRoleName() == "table cell" and n.name]

    def signature(self):
        return " ".join(n.name for n in self.nodes("label") if "ignature" in n.name
                        and n.getState().contains(self.atspi.STATE_SHOWING))

    def signature_of_part(self):
        """What it says of a signature in one of the parts, when that part is chosen."""
        following = next(n for n in self.nodes("menu item") if n.name == "Next part")
        for _ in range(6):
            following.queryAction().doAction(0)
            time.sleep(0.7)
            if self.signature():
                break
        return self.signature()

    def show(self, uid, last):
        self.remote("--select", f"#imap/test/INBOX/{uid}")
        state = {"view": None, "times": 0}

        def ready():
            self.dialogs()
            view = self.view()
            state["times"] = state["times"] + 1 if view == state["view"] else 0
            state["view"] = view
            return state["times"] >= (3 if view != last and view[1].strip() else 30) and view
        return self.wait(ready)

    def dump(self):
        for n in walk(self.application()):
            extra = ""
            try:
                extra = repr(text(n)[:200])
            except Exception:
                pass
            print(n.getRoleName(), repr(n.name), extra, file=sys.stderr)


def main():
    home, gnupg, user, password, port, uids, shot = sys.argv[1:]
    claws = Claws(home, gnupg, user, password, port)
    out, last = {}, None
    try:
        claws.wait(lambda: claws.application() is not None and claws.application().childCount and claws.dialogs())
        claws.remote("--select", "#imap/test/INBOX")
        for uid in json.loads(uids):
            last = claws.show(uid, last)
            out[uid] = {**last[0], "text": last[1], "parts": claws.parts(), "signature": claws.signature()}
            if "multipart/signed" in out[uid]["parts"] and not out[uid]["signature"]:
                out[uid]["part_signature"] = claws.signature_of_part()
            if shot and len(out) == 1:
                subprocess.run(["import", "-window", "root", shot])
        print(json.dumps(out))
    finally:
        claws.process.terminate()
        claws.process.wait(30)


if __name__ == "__main__":
    main()
