"""IMAP libraries that others write clients with: each lists, puts mail in, polls as it does, changes flags and
moves."""
import functools
import json
import pathlib
import subprocess

import harness
import pytest

HERE = pathlib.Path(__file__).resolve().parent


@functools.lru_cache(None)
def modules():
    harness.need("npm", "node")
    made = subprocess.run([HERE / "fetch_imap_libraries"], capture_output=True, text=True)
    if made.returncode:
        pytest.skip("needs imapflow and node-imap (npm)")
    return made.stdout.strip()


def ask(server, address, which):
    p = subprocess.run(["node", HERE / "imap_libraries.mjs", which, modules(), str(server.port("imaps")), address,
                        server.passwords[address], server.dir / "tls/chain.pem"],
                       capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)


@pytest.fixture
def account(server, request):
    name = request.node.name.replace("_", "")
    server.add_account(name)
    return f"{name}@{harness.DOMAIN}"


def test_imapflow(server, account):
    r = ask(server, account, "imapflow")
    assert {"INBOX", "Archive", "Sent"} <= set(r["boxes"])
    assert r["found"] == [1] and r["put"] == 1 and r["flagged"] == [1] and r["moved"]
    assert r["all"] == [[1, ["$Label1", "\\Seen"], "multipart/encrypted", True, "1969-07-20T00:00:00.000Z"]]
    assert (r["status"]["messages"], r["status"]["uidNext"], r["status"]["unseen"]) == (1, 2, 0)


def test_node_imap(server, account):
    r = ask(server, account, "imap")
    assert {"INBOX", "Archive", "Sent"} <= set(r["boxes"])
    assert r["found"] == [1] and r["later"] == [1]
    assert r["all"] == [[1, ["$Later", "\\Flagged", "\\Seen"], "encrypted"]]
    m = server.imap(account)
    assert m.select("Archive")[1] == [b"2"] and len(m.search(None, "KEYWORD", "$Later")[1][0].split()) == 2
    m.logout()


def test_imap_tools(server, account):
    imap_tools = pytest.importorskip("imap_tools")
    with imap_tools.MailBoxUnencrypted("127.0.0.1", server.port("imap")).login(
            account, server.passwords[account]) as box:
        assert {"INBOX", "Archive"} <= {f.name for f in box.folder.list()}
        box.folder.create("R&D")
        assert box.folder.exists("R&D")
        box.append(harness.mail("put in"), "R&D", flag_set=["\\Seen"])
        box.folder.set("R&D")
        assert box.uids("UID 1:*") == box.uids() == ["1"]
        box.flag("1", ["$Later"], True)
        assert [m.flags for m in box.fetch(imap_tools.AND(keyword="$Later"), mark_seen=False)] == [("\\Seen", "$Later")]
        box.move("1", "Archive")
        assert box.folder.status("Archive")["MESSAGES"] == 1
        box.folder.set("INBOX")
        box.folder.delete("R&D")
        assert not box.folder.exists("R&D")


PHP = """<?php
spl_autoload_register(function ($class) {
    $file = stream_resolve_include_path(strtr($class, ['_' => '/', '\\\\' => '/']) . '.php');
    if ($file) require_once $file;
});
$c = new Horde_Imap_Client_Socket(['username' => $argv[2], 'password' => $argv[3], 'hostspec' => '127.0.0.1',
    'port' => (int)$argv[1], 'secure' => false]);
$c->login();
$all = $c->listMailboxes('*', Horde_Imap_Client::MBOX_ALL, ['flat' => true, 'children' => true]);
$out = ['boxes' => array_map('strval', $all)];
$c->createMailbox('Horde');
$c->subscribeMailbox('Horde', true);
$ids = $c->append('Horde', [['data' => "Subject: x\\r\\n\\r\\ntext\\r\\n", 'flags' => ['\\\\Seen', '$Label1']]]);
$c->openMailbox('Horde', Horde_Imap_Client::OPEN_READWRITE);
$out['put'] = count($ids);
$found = $c->search('Horde', new Horde_Imap_Client_Search_Query(), ['sort' => [Horde_Imap_Client::SORT_SEQUENCE]]);
$out['found'] = $found['match']->ids;
$q = new Horde_Imap_Client_Fetch_Query();
$q->flags(); $q->envelope(); $q->structure(); $q->fullText();
$all = $c->fetch('Horde', $q);
$out['flags'] = $all[1]->getFlags();
$out['type'] = $all[1]->getStructure()->getType();
$c->store('Horde', ['add' => ['\\\\Deleted'], 'ids' => $found['match']]);
$c->expunge('Horde', ['ids' => $found['match']]);
$out['left'] = $c->status('Horde', Horde_Imap_Client::STATUS_MESSAGES)['messages'];
$c->deleteMailbox('Horde');
$c->subscribeMailbox('Horde', false);
$c->logout();
echo json_encode($out);
"""


def test_horde(server, account, tmp_path):
    harness.need("php", "/usr/share/php/Horde/Imap/Client.php")
    script = tmp_path / "client.php"
    script.write_text(PHP)
    p = subprocess.run(["php", script, str(server.port("imap")), account, server.passwords[account]],
                       capture_output=True, text=True, timeout=120)
    assert p.returncode == 0 and p.stdout.startswith("{"), p.stdout + p.stderr
    r = json.loads(p.stdout)
    assert {"INBOX", "Archive"} <= set(r["boxes"]) and r["put"] == 1 and r["found"] == [1] and r["left"] == 0
    assert set(r["flags"]) == {"\\seen", "$label1"} and r["type"] == "multipart/encrypted"
