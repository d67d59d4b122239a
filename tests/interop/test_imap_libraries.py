"""The libraries that webmail, desks and robots read mail with: imapflow and node-imap (npm), imap_tools and
Horde_Imap_Client (Debian). Each is led through one session, and what it sees is what the server holds."""
import base64
import datetime
import email
import email.policy
import imaplib
import json
import os
import pathlib
import subprocess
import threading
import time

import harness
import pytest

HERE = pathlib.Path(__file__).resolve().parent
SESSIONS = HERE / "imap_clients"
BOX = "Projects/Größe & Co"
NODE = ("node", "imapflow and node-imap (npm)")
CLIENTS = {
    "imapflow": (["node", SESSIONS / "imapflow.cjs"], NODE),
    "imap": (["node", SESSIONS / "node_imap.cjs", "imap"], NODE),
    "node-imap": (["node", SESSIONS / "node_imap.cjs", "node-imap"], NODE),
    "imap_tools": (["/usr/bin/python3", SESSIONS / "imap_tools_.py"], ("/usr/lib/python3/dist-packages/imap_tools",)),
    "Horde_Imap_Client": (["php", SESSIONS / "horde.php"], ("php", "/usr/share/php/Horde/Imap/Client.php")),
}
DATE = "1969-07-20T04:05:06+01:00"


def attachment():
    m = email.message.EmailMessage(email.policy.SMTP)
    m["From"], m["To"], m["Subject"] = "Päul <paul@example.org>", "x@example.org", "Zweite: Grüße"
    m["Message-ID"], m["Date"] = "<second@example.org>", "Sat, 21 Nov 2026 10:00:00 +0000"
    m.set_content("Körper\n")
    m.add_alternative("<p>Körper</p>\n", subtype="html")
    m.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="pdf", filename="Übersicht.pdf")
    return m.as_bytes()


def lead(server, address, command, draft, event):
    """What the session prints, by step; event is called when it waits for mail."""
    env = dict(os.environ, IMAPS=str(server.port("imaps")), WHO=address, PASS=server.passwords[address], DATE=DATE,
               CA=str(server.dir / "tls/chain.pem"), DRAFT=str(draft))
    if command[0] == "node":
        env["MODULES"] = subprocess.check_output([HERE / "fetch_imap_libraries"], text=True).strip()
    seen = {}
    with subprocess.Popen([str(c) for c in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        stop = threading.Timer(40, p.kill)
        stop.start()
        for line in p.stdout:
            assert line.startswith(b"{"), line
            step = json.loads(line)
            seen[step["step"]] = step["value"]
            if step["step"] == "idle":
                event()
        wrong = p.stderr.read().decode()
        assert p.wait() == 0, wrong
        stop.cancel()
    return seen


def shape(part):
    return [part.get_content_type(), [shape(p) for p in part.get_payload()] if part.is_multipart() else []]


def check_mails(server, held, seen, sent):
    assert [m["uid"] for m in seen] == [1, 2]
    for m, message in zip(seen, sent):
        source = base64.b64decode(m["source"])
        assert source.replace(b"\r\n", b"\n") == held[m["uid"]].replace(b"\r\n", b"\n")
        assert m["size"] == len(held[m["uid"]])
        assert server.unseal(held[m["uid"]]) == message
        assert {f.lower() for f in m["flags"]} <= {"\\recent"}
        read = email.message_from_bytes(source, policy=email.policy.default)
        assert m["subject"] == read["Subject"] == "[...]"
        assert m["from"] == read["From"].addresses[0].addr_spec
        assert m["id"] == read["Message-ID"]
        assert m["shape"] == shape(read) == ["multipart/encrypted", [
            ["application/pgp-encrypted", []], ["application/octet-stream", []]]]


def check_left(server, address, sent, draft, dated):
    """What the session did, as another one finds it."""
    held = server.fetch_all(address)
    assert {u: server.unseal(t) for u, t in held.items()} == {1: sent[0], 3: draft}
    assert [server.unseal(t) for t in server.fetch_all(address, "Projects/Gr&APYA3w-e &- Co").values()] == [sent[1]]
    m = server.imap(address)
    m.select("INBOX", readonly=True)
    lines = m.uid("FETCH", "1,3", "(FLAGS INTERNALDATE)")[1]
    flags = [set(imaplib.ParseFlags(line)) - {b"\\Recent"} for line in lines]
    assert flags == [{b"\\Flagged", b"$Forwarded"}, {b"\\Seen", b"$Label1"}]
    when = time.mktime(imaplib.Internaldate2tuple(lines[1]))
    assert (when == datetime.datetime.fromisoformat(DATE).timestamp()) == dated
    m.logout()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_session(server, name, tmp_path):
    command, needs = CLIENTS[name]
    harness.need(*needs)
    who = name.replace("_", "").lower()
    server.add_account(who, policy="baseline")
    address = f"{who}@{harness.DOMAIN}"
    sent = [harness.mail("First", to=address), attachment()]
    for message in sent:
        assert not server.send(address, message)
    held = server.fetch_all(address)
    draft = tmp_path / "draft"
    draft.write_bytes(harness.mail("Draft", "Später.\n", sender=address))
    third = harness.mail("While it waits", to=address)
    seen = lead(server, address, command, draft, lambda: server.send(address, third))
    assert seen["end"] == 1 and seen["moved"] is True
    assert {"INBOX", "Projects", BOX, "Sent", "Trash"} <= set(seen["boxes"])
    assert (seen["exists"], seen["all"], seen["past"], seen["unseen"]) == (2, [1, 2], [2], [1, 2])
    check_mails(server, held, seen["mails"], sent)
    assert (seen["arrived"], seen["after"], seen["keyword"], seen["status"]) == (3, [1, 3], [1], [1, 2, 1])
    assert "R&D" in seen["more"] and "R&D" not in seen["fewer"]
    check_left(server, address, sent, draft.read_bytes(), dated=name != "node-imap")
