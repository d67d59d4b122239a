"""imap_tools through one session; test_imap_libraries.py says what each line it prints must hold."""
import base64
import datetime
import json
import os
import ssl

import imap_tools

BOX = "Projects/Größe & Co"


def say(step, value):
    print(json.dumps({"step": step, "value": value}), flush=True)


def shape(part):
    return [part.get_content_type(), [shape(p) for p in part.get_payload()] if part.is_multipart() else []]


def main():
    context = ssl.create_default_context(cafile=os.environ["CA"])
    box = imap_tools.MailBox("localhost", int(os.environ["IMAPS"]), ssl_context=context)
    box.login(os.environ["WHO"], os.environ["PASS"])
    box.folder.create(BOX)
    say("boxes", [f.name for f in box.folder.list()])
    box.folder.set("INBOX")
    status = box.folder.status("INBOX")
    say("exists", status["MESSAGES"])
    say("all", [int(u) for u in box.uids(imap_tools.A(uid="1:*"))])
    say("past", [int(u) for u in box.uids(imap_tools.A(uid=f"{status['UIDNEXT']}:*"))])
    say("unseen", [int(u) for u in box.uids(imap_tools.A(seen=False))])
    say("mails", [{
        "uid": int(m.uid), "subject": m.subject, "from": m.from_, "id": m.headers.get("message-id", [None])[0],
        "size": m.size_rfc822, "flags": list(m.flags), "source": base64.b64encode(m.obj.as_bytes()).decode(),
        "shape": shape(m.obj)} for m in box.fetch(mark_seen=False)])
    draft = open(os.environ["DRAFT"], "rb").read()
    box.append(draft, "INBOX", dt=datetime.datetime.fromisoformat(os.environ["DATE"]),
               flag_set=[imap_tools.MailMessageFlags.SEEN, "$Label1"])
    box.flag("1", ["$Forwarded", "Custom-Word", imap_tools.MailMessageFlags.FLAGGED], True)
    box.flag("1", ["Custom-Word"], False)
    box.move("2", BOX)
    say("moved", True)
    with box.idle as idle:
        say("idle", 1)
        said = idle.poll(timeout=30)
    say("arrived", next(int(r.split()[1]) for r in said if r.endswith(b"EXISTS")))
    box.delete("4")
    say("after", [int(u) for u in box.uids("UID 1:*")])
    say("keyword", [int(u) for u in box.uids(imap_tools.A(keyword="$Forwarded"))])
    status = box.folder.status(BOX)
    say("status", [status[k] for k in ("MESSAGES", "UIDNEXT", "UNSEEN")])
    box.folder.create("R&D")
    box.folder.subscribe("R&D", True)
    box.copy("1", "R&D")
    say("more", [f.name for f in box.folder.list()])
    box.folder.delete("R&D")
    box.folder.subscribe("R&D", False)
    say("fewer", [f.name for f in box.folder.list()])
    box.logout()
    say("end", 1)


main()
