"""The documentation against the program: names, numbers, paths, man pages, and the formats read as they are written."""
import base64
import ctypes
import ctypes.util
import email
import hashlib
import json
import pathlib
import re
import socket
import struct
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
from store_format import (  # noqa: E402
    KINDS, USE, USES, approved, body_of, body_sizes, dump, facts_of, hash16, head_of, message, open_record, poly1305,
    sealed_blob_sizes, store_key, u, value_at,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
SOURCE_FOLDERS = ("crypto", "store", "server", "tests", "docs", "keyserver", "webmail-api", ".ci")


def read(path):
    return (ROOT / path).read_text()


def letterlock(*args):
    return subprocess.run([harness.BINARY, *args], capture_output=True, text=True, timeout=60)


# Links and paths


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            heads = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-")
                     for h in re.findall(r"^#+ (.*)", file.read_text(), re.M)}
            assert anchor in heads, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_paths_in_backticks_are_there(page):
    """A path below one of the tree's folders: there as it is, or as the stem of source files ("server/base/ipc"),
    perhaps with a test in it ("tests/x.py::test_y")."""
    missing = []
    for name in re.findall(r"`([^`\s]+)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)):
        if name.split("/")[0] not in SOURCE_FOLDERS or "/" not in name.rstrip("/") or re.search("NAME|FOLDER", name):
            continue
        stem = name.split("::")[0].rstrip("/")
        if not (ROOT / stem).exists() and not list((ROOT / stem).parent.glob(pathlib.Path(stem).name + ".*")):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_lines_are_short(page):
    lines = enumerate(page.read_text().splitlines(), 1)
    assert [n for n, line in lines if len(line) > 120 and not line.startswith("|")] == []


# Commands and configuration


def commands():
    p = letterlock("--help")
    assert p.returncode == 0
    found = re.findall(r"^  ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?(?= |$)", p.stdout, re.M)
    assert len(found) > 20
    return [tuple(w for w in c if w) for c in found]


def test_every_command_is_in_the_man_page_and_the_other_way_round():
    page = read("docs/man/letterlock.1")
    described = {tuple(re.match(r"[a-z -]*", line).group().split())
                 for line in re.findall(r"^\.It Cm (.*)$", page, re.M)}
    assert described == set(commands())


def test_every_command_has_help_and_its_options_are_in_the_man_page():
    page = read("docs/man/letterlock.1")
    known = set(re.findall(r"Fl -([a-z-]+)", page))
    for command in commands():
        p = letterlock(*command, "--help")
        assert p.returncode == 0, command
        assert p.stdout.startswith("usage: letterlock " + " ".join(command)), command
        assert p.stderr == "", command
        assert set(re.findall(r"--([a-z][a-z-]*)", p.stdout)) <= known, command


@pytest.fixture(scope="module")
def made():
    """An instance that was made and never served."""
    with harness.Instance() as i:
        i.run("init", "--domain", harness.DOMAIN, "--loopback", i.base, "--store-key-file", i.place / "storekey")
        yield i


def conf_page(made):
    return subprocess.run([ROOT / "docs" / "man" / "make-conf-page", made.dir / "letterlock.conf"],
                          capture_output=True, check=True).stdout.decode()


def test_every_config_item_is_in_the_man_page_with_its_text(made):
    items = re.findall(r"^    (?:TEXT|BOOL|U32|SIZE)\((\w+),", read("server/base/config_items.c"), re.M)
    written = re.findall(r"^(\w+) *=", (made.dir / "letterlock.conf").read_text(), re.M)
    assert len(items) > 25 and written == items
    page = read("docs/man/letterlock.conf.5")
    assert conf_page(made) == page, "docs/man/make-conf-page says how the page is made again"
    described = re.findall(r"^\.It Cm (\w+)\n(.+)\n", page, re.M)
    assert [name for name, _ in described] == items
    assert [name for name, text in described if text.startswith(".")] == []


@pytest.mark.needs("mandoc")
@pytest.mark.parametrize("name", ["letterlock.1", "letterlock.conf.5"])
def test_man_pages_are_clean(name):
    p = subprocess.run(["mandoc", "-Tlint", "-W", "error", ROOT / "docs" / "man" / name], capture_output=True,
                       text=True)
    assert (p.returncode, p.stdout) == (0, "")


# Messages between processes


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def enum_of(path, name):
    """Names and values of an enum."""
    body = re.search(r"enum " + name + r" \{(.*?)\};", without_comments(read(path)), re.S).group(1)
    values, value = {}, -1
    for item in filter(None, (i.strip() for i in body.split(","))):
        item, _, given = (x.strip() for x in item.partition("="))
        value = int(given) if given else value + 1
        values[item] = value
    return values


@pytest.mark.parametrize("path, enum", [("store/request.h", "vault_msg"), ("server/base/role.h", "role_msg"),
                                        ("server/master/control.h", "control_msg")])
def test_every_message_is_in_the_catalogue_with_its_number(path, enum):
    values = enum_of(path, enum)
    rows = dict(re.findall(r"^\| ([A-Z_]+) \| (\d+) \|", read("docs/ipc.md"), re.M))
    values.pop("CONTROL_REPLY", None)
    assert {k: str(v) for k, v in values.items()} == {k: rows.get(k) for k in values}


FIELD = r"\b(u8|u32|u64|raw|bytes|str|ranges)\d*\b"


def described(cell, cells):
    """The fields of a payload in the catalogue, in their order."""
    cell = re.sub(r"as (VAULT_\w+)", lambda m: cells[m.group(1)], cell)
    return re.findall(FIELD, cell)


def walked(name, functions):
    """The fields that one function of request.c walks."""
    known = {"u8_bool": ["u8"], "u64_flags": ["u64"], "u32_cert_len": ["u32"], "raw_verdict": ["raw"],
             "raw_at": ["raw"],
             "u32_envelope": ["u32"], "bytes_fpr": ["bytes"], "keywords": ["u32", "str"], "ranges": ["ranges"]}
    if name in known or re.fullmatch(FIELD, name):
        return known.get(name, [name])
    fields = []
    for call, arguments in re.findall(r"\b(\w+)\(c, ([^;]*)\);", functions[name]):
        if call == "list":
            fields += ["u32"] + walked(re.findall(r"\w+", arguments)[-1], functions)
        elif call != "must":
            fields += walked(call, functions)
    return fields


def test_every_payload_is_as_the_catalogue_says():
    parts = ("_fields.h", "_queue.h", "_reply.h", "_signin.h", ".c")
    source = without_comments("".join(read(f"store/request{n}") for n in parts))
    functions = dict(re.findall(r"^static (?:inline )?void (\w+)\(struct codec \*c[^{]*\{\n(.*?)^\}", source,
                                re.M | re.S))
    messages = re.findall(r"^    \{(VAULT_\w+), (\w+), (\w+)\},", source, re.M)
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in read("docs/ipc.md").splitlines()
            if line.startswith("| VAULT_")]
    payloads, replies = ({r[0]: r[n] for r in rows if len(r) == 6} for n in (3, 5))
    assert {m[0] for m in messages} == set(payloads) - {"VAULT_REPLY"} and len(messages) > 25
    for name, request, reply in messages:
        if name in ("VAULT_NOTICE", "VAULT_FULL"):
            assert walked(reply, functions) == described(payloads[name], payloads)
        else:
            assert walked(request, functions) == described(payloads[name], payloads), name
            assert walked(reply, functions) == described(replies[name], replies), name


def test_every_right_is_as_the_catalogue_says():
    words = {"INGEST": "`ingest`", "ACCESS": "`access`", "ADMIN": "command line", "RELAY": "`relay`", "WEB": "`web`"}
    verbs = re.findall(r'^    \{(VAULT_\w+), "[a-z-]+", ([A-Z |]+),', read("store/vault/requests.c"), re.M)
    rows = dict(re.findall(r"^\| (VAULT_\w+) \| \d+ \| (.*?) \|", read("docs/ipc.md"), re.M))
    assert len(verbs) > 25
    assert {name: ", ".join(words[w] for w in may.split(" | ")) for name, may in verbs} == \
        {name: rows[name] for name, _ in verbs}


def test_no_message_of_the_catalogue_is_unknown():
    known = {**enum_of("store/request.h", "vault_msg"), **enum_of("server/base/role.h", "role_msg"),
             **enum_of("server/master/control.h", "control_msg"), **enum_of("server/gpg/gpg.h", "gpg_msg"),
             **enum_of("server/dns/message.h", "dns_msg")}
    named = set(re.findall(r"\b(?:VAULT|ROLE_MSG|CONTROL|GPG|DNS)_[A-Z_]*[A-Z]\b", read("docs/ipc.md")))
    assert named == set(known)
    text = read("docs/ipc.md")
    for name in ("GPG_JUDGE", "GPG_SEAL", "DNS_ASK"):
        assert f"{name} ({known[name]})" in text
    for name in ("GPG_REPLY", "CONTROL_REPLY", "DNS_REPLY"):
        assert f"{name}, type {known[name]}" in text


def test_the_table_of_roles_is_the_program_s():
    words = {"ROLE_HAS_TLS": "TLS", "ROLE_QUEUE_SEALS": "queue key", "ROLE_QUEUE_OPENS": "queue's secret key",
             "LISTEN_SMTP": "SMTP", "LISTEN_SUBMISSIONS": "submissions", "LISTEN_SUBMISSION": "submission",
             "LISTEN_IMAP": "IMAP", "LISTEN_IMAPS": "IMAPS", "LISTEN_HTTP": "HTTP", "LISTEN_HTTPS": "HTTPS"}
    table = read("server/base/roles.c").partition("roles_table[ROLES] = {")[2].partition("\n};")[0]
    rows = {}
    for row in re.split(r"\n    \[ROLE_", table)[1:]:
        fields = dict(re.findall(r"\.(\w+) =\s+([^,}]+)", row))
        name = fields["name"].strip('"')
        if name == "master":
            continue
        said = {k: re.findall(r"[A-Z]+_[A-Z_]+", fields.get(k, "")) for k in ("traits", "listeners", "servers")}
        servers = [s.removeprefix("ROLE_").lower().replace("_", "-") for s in said["servers"] if s != "ROLE_BIT"]
        instances = re.search(r"\((\w+)\)", fields.get("instances", ""))
        rows[name] = [f"`{instances[1]}`" if instances else "one",
                      "yes" if "ROLE_REQUIRED" in said["traits"] else "",
                      ", ".join(["record keys"][:"uses" in fields] + [words[t] for t in said["traits"] if t in words]),
                      ", ".join(words[x] for x in said["listeners"] if x != "LISTEN_BIT"),
                      ", ".join(f"`{x}`" for x in servers),
                      ["first", "second", "third"][int(fields.get("stop_stage", 0))]]
    section = read("docs/ipc.md").partition("## The roles")[2].partition("\n## ")[0]
    told = {cells[0].strip("`"): cells[1:] for cells in
            ([c.strip() for c in line.strip("|").split("|")] for line in re.findall(r"^\| `.*$", section, re.M))}
    assert len(rows) >= 5 and told == rows


def test_the_table_of_what_roles_can_open_is_the_program_s():
    source = read("server/base/roles.c")
    given = {role.lower(): set(re.findall(r"RECORD_BIT\(RECORD_(\w+)\)", uses))
             for role, uses in re.findall(r"(\w+)_USES =(.*?),\n", source, re.S)}
    section = read("docs/threats.md").partition("## What each role can open")[2].partition("\n## ")[0]
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in re.findall(r"^\|.*$", section, re.M)]
    roles = [c.strip("`") for c in rows[0][1:]]
    told = {role: {row[0].partition(":")[0] for row in rows[2:] if row[i] == "yes"} for i, role in enumerate(roles, 1)}
    assert told == given and len(given) == 5
    uses = {u.removeprefix("RECORD_") for u in enum_of("crypto/record.h", "record_use")} - {"USES"}
    assert {row[0].partition(":")[0] for row in rows[2:]} == uses - {"LOGIN_SALT"}


FIGURES = [  # page, source, constant, as the page says it
    ("ipc.md", "server/base/ipc.h", "IPC_MAX", 61440, "61,440 octets"),
    ("ipc.md", "server/base/ipc.h", "IPC_MAX_FDS", 4, "4 a message"),
    ("ipc.md", "server/base/ipc.h", "IPC_QUEUE_MAX", 8 << 20, "8 MB"),
    ("ipc.md", "store/request.h", "VAULT_SET_MAX", 2048, "2,048 messages"),
    ("ipc.md", "store/request.h", "VAULT_RANGES_MAX", 4096, "u32 n (at most 4,096)"),
    ("ipc.md", "store/client.h", "VAULT_WAIT_MS", 15000, "at most 15 s"),
    ("ipc.md", "store/client.h", "VAULT_CLIENT_PENDING_MAX", 4096, "At most 4,096 requests"),
    ("ipc.md", "store/vault/vault.h", "CLIENTS_MAX", 64, "At most 64 clients"),
    ("ipc.md", "server/gpg/gpg.h", "GPG_CERTS_MAX", 16, "u32 n (1 to 16)"),
    ("ipc.md", "server/gpg/gpg.h", "GPG_OPS_MAX", 32, "At most 32 gpgs"),
    ("ipc.md", "server/login/login.h", "LOGIN_ANSWER_MS", 5000, "is silent for 5 s"),
    ("ipc.md", "server/master/master.c", "PEERS_MAX", 16384, "16,384 entries"),
    ("ipc.md", "server/master/impl.h", "CONTROL_CLIENTS_MAX", 16, "At most 16 connections"),
    ("store-format.md", "store/schema.h", "SCHEMA_VERSION", 2, "Schema version 2."),
    ("ipc.md", "store/request.h", "VAULT_QUEUE_ROWS_MAX", 1024, "u32 n (1 to 1,024)"),
    ("store-format.md", "store/schema.h", "PART_ACCOUNT_FIRST", 16, "16 on"),
    ("store-format.md", "store/records.h", "KEYWORDS_MAX", 512, "at most 512"),
    ("store-format.md", "store/records.h", "BLOCK_UIDS", 1024, "block*1024"),
    ("store-format.md", "store/engine.h", "ENGINE_VALUE_MAX", 16368, "at most 16,368 octets"),
    ("store-format.md", "store/engine.h", "ENGINE_BLOB_CHUNK", 16368, "one chunk, at most 16,368 octets"),
    ("store-format.md", "store/content.h", "CONTENT_PADDING_MAX", 1024, "1,024 at most"),
    ("store-format.md", "store/content.h", "CONTENT_PADDING_SHARE", 128, "a 128th"),
    ("store-format.md", "store/blob_size.h", "BLOB_LEAF_MAX", 1877, "longer than 1,877 octets"),
    ("store-format.md", "store/engine.h", "ENGINE_KEY_MAX", 200, "at most 200 octets"),
    ("store-format.md", "server/format/parcel.h", "PARCEL_OUTER_MAX", 15 << 10, "15 KB"),
    ("store-format.md", "server/format/parcel.h", "PARCEL_CAPSULE_MAX", 256 << 10, "256 KB"),
    ("store-format.md", "server/format/render.h", "RENDER_VERSION", 1, "Render version 1"),
    ("store-format.md", "store/message.h", "DELIVERY_DAYS", 7, "Kept 7 days"),
    ("store-format.md", "store/mailbox.h", "MAILBOX_DEPTH_MAX", 16, "16 levels"),
    ("store-format.md", "store/mailbox.c", "TOMBSTONES_KEPT", 4096, "newest 4,096 records"),
    ("store-format.md", "store/mailbox.c", "TOMBSTONES_EVERY", 512, "every 512 modseqs"),
    ("store-format.md", "server/format/capsule.h", "CAPSULE_MAX", 64 << 10, "at most 64 KB"),
    ("openpgp.md", "server/mail/header.h", "HEADER_MAX", 256 << 10, "a header block of 256 KB"),
    ("openpgp.md", "server/mail/header.h", "HEADER_FIELDS_MAX", 1000, "1,000 fields"),
    ("openpgp.md", "server/format/protection.h", "HEADER_INSERTIONS_MAX", 256, "256 insertions"),
    ("openpgp.md", "server/mail/header.h", "HEADER_LINE_MAX", 998, "998 octets"),
    ("openpgp.md", "server/mail/message_id.h", "MESSAGE_ID_MAX", 900, "at most 900 octets"),
    ("openpgp.md", "crypto/pgp_cert.h", "PGP_KEYS_MAX", 64, "at most 64 keys"),
    ("openpgp.md", "crypto/pgp_judge.h", "PGP_USER_IDS_MAX", 256, "256 user ids"),
    ("openpgp.md", "crypto/pgp_judge.h", "PGP_SIGNATURES_MAX", 500, "the native judge tries 500"),
    ("openpgp.md", "server/gpg/gpg.h", "GPG_STORED_MAX", 64 << 10, "at most 64 KB when it is reduced"),
    ("openpgp.md", "server/gpg/judge.c", "SECONDS_MAX", 60, "60 s"),
    ("ipc.md", "server/gpg/gpg.h", "GPG_ADDRESSES_MAX", 128, "at most 128"),
    ("ipc.md", "server/gpg/judge.c", "JOBS_MAX", 16, "at most 16 wait"),
]


@pytest.mark.parametrize("page, source, constant, value, words", FIGURES, ids=lambda x: str(x))
def test_figures(page, source, constant, value, words):
    given = re.search(r"\b" + constant + r"\s*=\s*([0-9* ]+)", without_comments(read(source))).group(1)
    assert eval(given) == value  # digits and "*"
    assert words in re.sub(r"\s+", " ", read(f"docs/{page}"))


def test_outer_fields_have_their_caps_and_order():
    made_by = re.findall(r'\{"([\w-]+)", \w+, (\d+)\}', read("server/format/outer_make.c"), re.M)
    checked = re.findall(r'^    \{"([\w-]+)", \w+_ok,', read("server/format/outer.c"), re.M)
    table = re.search(r"^\| field \|.*?\n\n", read("docs/openpgp.md"), re.M | re.S).group()
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    assert len(made_by) == 11
    assert [(r[0], r[-1].replace(",", "")) for r in rows if r[-1]] == made_by
    assert [r[0] for r in rows] == checked


# The store's format, read with what docs/store-format.md says and nothing else


def test_every_key_letter_is_described():
    comment = re.search(r"/\* Instance partition:(.*?)\*/", read("store/schema.h"), re.S).group(1)
    page = read("docs/store-format.md")
    parts = zip(re.split(r"Account partition:|Queue partition |Keyserver partition ", comment),
                re.split(r"^## Account partitions|^## Queue partition|^## Keyserver partition", page, flags=re.M))
    for said, described in parts:
        letters = set(re.findall(r"^ \*\s+'(\w)'|;\s+'(\w)' day4", said, re.M))
        letters = {a or b for a, b in letters}
        assert len(letters) > 3
        assert letters == set(re.findall(r"^\| `'(\w)'`", described, re.M))


def test_the_kinds_of_records_are_as_listed():
    homes = {"INSTANCE": "instance", "ACCOUNT": "account", "QUEUE": "queue", "KEYSERVER": "keyserver"}
    forms = {"TAGGED": "tagged", "CLEAR": "clear", "EMPTY": "empty", "ENGINE": "engine's", "RESERVED": "reserved"}
    rows = re.findall(r"""^    \{'(\w)', HOME_(\w+), (?:SEALED\((\w+), (\d+)\)|CLEAR\((\w+)\)), "([^"]+)"\},$""",
                      read("store/schema_table.c"), re.M)
    assert len(rows) == len(re.findall(r"^    \{'", read("store/schema_table.c"), re.M)) > 30
    assert list(KINDS.items()) == [((letter, homes[home]), (forms.get(form, "sealed"), use, int(step or 0), what))
                                   for letter, home, use, step, form, what in rows]


def test_reserved_letters_are_described():
    table = re.search(r"^\| letter \| key after it .*?\n\n", read("docs/store-format.md"), re.M | re.S).group()
    described = re.findall(r"^\| `(\w)` \|", table, re.M)
    assert described == [letter for (letter, _), (form, *_) in KINDS.items() if form == "reserved"]


def test_the_uses_of_the_store_key_are_as_listed():
    listed = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", read("docs/store-format.md"), re.M)
    assert len(listed) > 10
    assert [(int(n), name) for n, name in listed] == list(enumerate(USES))


def test_the_store_opens_as_written_down(made, tmp_path):
    key = store_key(made)
    kv = dump(made.dir / "store" / "data.mdb", "kv", tmp_path)
    version = kv[bytes(8) + b"V"]
    assert len(version) == 32 and u(version[:4]) == 2 and u(version[28:]) == 1
    assert value_at(key, kv, bytes(8) + b"C") == version
    assert u(value_at(key, kv, bytes(8) + b"I")) == 16
    assert len(kv[bytes(8) + b"S"]) == 8
    place = bytes(8) + b"d" + hash16(key, USE["DOMAIN"], 0, harness.DOMAIN.encode())
    domain = value_at(key, kv, place)
    assert domain[8:] == len(harness.DOMAIN).to_bytes(4, "big") + harness.DOMAIN.encode()
    with pytest.raises(AssertionError):
        open_record(key, USE["DIRECTORY"], place[:-1] + bytes([place[-1] ^ 1]), kv[place])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A served instance with one message, whose sender has not shown that it read the 250, and its backup."""
    with harness.Instance() as i:
        i.init()
        alice = i.add_account("alice")
        i.serve()
        body = harness.mail(subject="=?utf-8?q?h=C3=A4kchen?=", body="What the preview shows.\n")
        s = i.smtp()
        s.sendmail("sender@example.org", alice, body)
        s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        rendered = i.fetch_all(alice)[1]
        target = i.place / "backup"
        i.run("backup", target)
        yield i, alice, body, rendered, target / "data.mdb"


def test_a_message_is_rendered_as_written_down(stored):
    rendered = stored[3]
    block = re.search(r"lines end in\s+CRLF:\n\n(.*?)\n\n[^ ]", read("docs/store-format.md"), re.S).group(1)
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    assert lines[0] == "{outer header}" and len(lines) == 23
    want = []
    boundary = email.message_from_bytes(rendered).get_boundary()
    assert re.fullmatch(r"=_letterlock-[0-9a-f]{16}", boundary)
    armour = rendered.split(b"-----BEGIN PGP MESSAGE-----\r\n\r\n")[1].split(b"-----END")[0]
    armour = armour.decode().split("\r\n")[:-1]
    for line in lines[1:]:
        if line.startswith("{packets"):
            data = [a for a in armour if not a.startswith("=")]
            want += data
            assert {len(a) for a in data[:-1]} == {64} and 0 < len(data[-1]) <= 64
        elif line.startswith("{where"):
            want += armour[len(data):]
            assert len(armour) - len(data) == (not data[-1].endswith("="))
        else:
            want.append(line.replace("{TAB}", "\t").replace("{empty line}", "").replace("{boundary}", boundary))
    outer, _, rest = rendered.partition(b"MIME-Version:")
    assert b"MIME-Version:" + rest == "".join(w + "\r\n" for w in want).encode()
    own = email.message_from_bytes(stored[2])["Message-ID"]
    assert outer.decode().endswith(f"\r\nSubject: [...]\r\nMessage-ID: {own}\r\nSealed-By: {harness.DOMAIN}; v=1\r\n")


def test_records_of_a_message_are_as_written_down(stored, tmp_path):
    instance, alice, body, rendered, file = stored
    key = store_key(instance)
    kv = dump(file, "kv", tmp_path)
    place = bytes(8) + b"a" + hash16(key, USE["ADDRESS"], 0, alice.encode())
    address = value_at(key, kv, place)
    account = address[:8]
    name = len(alice).to_bytes(4, "big") + alice.encode()
    assert address[8:-64] == b"\1" + name
    uuid = kv[bytes(8) + b"V"][12:28]
    context = b"letterlock approval 1: address\0"
    assert approved(key, context + uuid + account + name + b"\1" + name, address[-64:])
    assert not approved(key, context + uuid + account + name + b"\2" + name, address[-64:])
    certificates = [value_at(key, kv, k) for k in kv if k[:9] == account + b"K"]
    assert len(certificates) == 1
    digests = [hashlib.blake2b(c[1:2] + c[62:158] + c[30:62] + c[159:], digest_size=32).digest() for c in certificates]
    approval = value_at(key, kv, account + b"G")
    assert approval[:5] == b"\1\0\0\0\1" and len(approval) == 69
    text = uuid + account + name + approval[1:5] + b"\0\0" + bytes(5) + b"\0\0\0\1" + b"".join(digests)
    assert approved(key, b"letterlock approval 1: certificates\0" + text, approval[5:])
    inbox = bytes([0, 0, 0, 1])
    entry = value_at(key, kv, account + b"u" + inbox + inbox)
    assert (u(entry[8:16]), entry[40], len(entry)) == (0, 0, 41)
    m = message(key, kv, account, entry[:8])
    assert facts_of(key, account, inbox, inbox, entry[24:40]) == (len(rendered), m["date"])
    fixed = {"fields": 1, "references": 1, "kind": 1, "render": 1, "scheme": 0, "hour": 0, "used": 1, "n": 1}
    assert {name: m[name] for name in fixed} == fixed and m["id"] == u(entry[:8])
    own = email.message_from_bytes(body)["Message-ID"].strip("<>").encode()
    assert m["thread"] == hash16(key, USE["THREAD"], u(account), own)
    assert m["own"] == hash16(key, USE["MESSAGE_ID"], u(account), own)
    assert rendered.startswith(m["header"] + b"MIME-Version:") and abs(m["date"] - m["received"]) < 60
    armour = "".join(harness.armor_of(rendered).decode().splitlines()[2:-1]).split("=")[0]
    packets = base64.b64decode(armour + "=" * (-len(armour) % 4))
    blobs = dump(file, "blob", tmp_path)
    _, head = head_of(key, blobs, account, m)
    assert head + body_of(key, blobs, account, m) == packets
    assert head[-1] == 1  # the version of the container, which is SEIPD v1
    box = value_at(key, kv, account + b"b" + inbox)
    assert [u(box[n:n + 4]) for n in (1, 9, 13, 17, 21)] == [1, 2, 1, 1, 0] and box[0] == 1 and len(box) == 61
    block = value_at(key, kv, account + b"k" + inbox + bytes(4))
    assert block[:7] == bytes([0, 1, 0, 1, 0, 0, 2]) and len(block) == 6 + 6 * 128
    halves = [hash16(key, USE["DELIVERY"], 0, b"content hash key, %s half" % n) for n in (b"first", b"second")]
    parts = b"sender@example.org", alice.encode(), poly1305(b"".join(halves), body)
    delivery = value_at(key, kv, account + b"D" + hash16(key, USE["DELIVERY"], u(account), *parts))
    assert delivery[8:16] == entry[:8] and len(delivery) == 36
    assert kv[account + b"w" + inbox + entry[16:24] + inbox] == b""
    length = m["packets"] - m["head"]
    sizes = sealed_blob_sizes(m["capsule"] + m["head"]) + body_sizes(length + min(length // 128, 1024))
    charged = m["outer"] + 512 + sum(sizes) + 64 * len(sizes)
    charged += 256 + 1024 + 192 + 6 * (1024 + 640)  # its entry, block and delivery id; the usual mailboxes, subscribed
    numbers = charged, 1, 1, 3  # the certificate has number 1, the message 2
    assert value_at(key, kv, account + b"q") == b"\1" + b"".join(n.to_bytes(8, "big") for n in numbers)


def test_a_capsule_has_the_members_written_down_in_their_order(stored, tmp_path):
    instance, alice, body, _, file = stored
    key, kv = store_key(instance), dump(file, "kv", tmp_path)
    place, = [k for k in kv if k[8:9] == b"m"]
    m = message(key, kv, place[:8], place[9:])
    sealed, _ = head_of(key, dump(file, "blob", tmp_path), place[:8], m)
    capsule = json.loads(instance.keyring.decrypt(sealed))
    table = re.search(r"^\| member \|.*?\n\n", read("docs/store-format.md"), re.M | re.S).group()
    names = [n for line in table.strip().splitlines()[2:] for n in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert list(capsule) == [n for n in names if n not in ("received", "header", "header_cut")]
    assert capsule["subject"] == "häkchen" and capsule["preview"] == "What the preview shows."
    assert capsule["from"] == [{"email": "sender@example.org"}] and capsule["to"] == [{"email": alice}]
    assert list(capsule["sealed"]) == ["by", "at", "tls"] and capsule["sealed"]["by"] == harness.DOMAIN


def test_what_was_sealed_is_listed_as_written_down(stored):
    """docs/openpgp.md's account of Letterlock-Seal, done by hand."""
    instance, _, body, rendered, _ = stored
    inner = instance.keyring.decrypt(harness.armor_of(rendered))
    seal = re.match(rb"Letterlock-Seal: v=1; len=(\d+); ins=0\+\d{8}(?:,(?:\r\n )?\d+\+\d+)*\r\n", inner)
    insertions = [(int(a), int(b)) for a, b in re.findall(rb"(\d+)\+(\d+)", seal.group())]
    original, at = b"", 0
    for (offset, length), (following, _) in zip(insertions, [*insertions[1:], (int(seal.group(1)), 0)]):
        at += length
        original += inner[at:at + following - offset]
        at += following - offset
    assert at == len(inner) and original == body
    fields = email.message_from_bytes(inner)
    assert fields.keys()[:3] == ["Letterlock-Seal", "Return-Path", "Received"]
    assert fields["Return-Path"] == "<sender@example.org>"
    assert fields.get_param("hp") == "cipher" and fields.get_param("protected-headers") == "v1"
    outer = rendered[:rendered.index(b"MIME-Version:")].decode()
    assert [v.replace("\r\n", "") for v in fields.get_all("HP-Outer")] == outer.replace("\r\n ", " ").split("\r\n")[:-1]


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    """The outer headers that one message gets under each policy, and the store's key-value database."""
    body = harness.crlf(
        "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\nSender: S <s@example.org>\n"
        "Reply-To: R <r@example.org>\nTo: Ann <ann@example.net>,\n  group: b@example.net (Bob);\n"
        "Cc: C <c@example.net>\nBcc: D <d@example.net>\nSubject: not outside\nDate: Tue, 1 Jul 2003 10:52:37 +0200\n"
        "Message-ID: <own@example.org>\nIn-Reply-To: <one@example.org> (said Ann)\n"
        "References: <root@example.org> <one@example.org>\nX-Other: not outside\n\nbody\n"
    )
    with harness.Instance() as i:
        i.init()
        cert, accounts = i.place / "cert.asc", {}
        cert.write_bytes(i.keyring.generate("reader@example.org"))
        for policy in ("shy", "baseline", "hidden"):
            accounts[policy] = f"{policy}@{harness.DOMAIN}"
            i.run("account", "add", accounts[policy], "--key", cert, "--policy", policy)
            made = i.run("app-password", "add", accounts[policy], "--label", "x")
            i.passwords[accounts[policy]] = made.stdout.decode().strip()
        i.serve()
        i.send(list(accounts.values()), body)
        outer = {}
        for policy, account in accounts.items():
            text = i.fetch_all(account)[1].split(b"MIME-Version:")[0].decode()
            outer[policy] = dict(f.split(": ", 1) for f in re.split(r"\r\n(?![ \t])", text)[:-1])
        target = i.place / "backup"
        i.run("backup", target)
        yield i, accounts, outer, dump(target / "data.mdb", "kv", tmp_path_factory.mktemp("kv"))


def test_outer_headers_are_as_the_table_says(policies):
    outer = policies[2]
    ours = {"Subject": "[...]", "Sealed-By": harness.DOMAIN + "; v=1"}
    ids = {"Message-ID": "<own@example.org>", "In-Reply-To": "<one@example.org>",
           "References": "<root@example.org> <one@example.org>"}
    assert outer["shy"] == {
        "Date": "Tue, 01 Jul 2003 08:52:37 +0000", "From": "joerg@example.org", "Sender": "s@example.org",
        "Reply-To": "r@example.org", "To": "ann@example.net, b@example.net", "Cc": "c@example.net", **ids, **ours}
    assert outer["baseline"] == {
        "Date": "Tue, 1 Jul 2003 10:52:37 +0200", "From": "=?utf-8?q?J=C3=B6rg?= <joerg@example.org>",
        "Sender": "S <s@example.org>", "Reply-To": "R <r@example.org>", "Cc": "C <c@example.net>",
        "Bcc": "D <d@example.net>",
        "To": "Ann <ann@example.net>,\r\n  group: b@example.net (Bob);", **ids, **ours}
    hidden = outer["hidden"]
    assert {k: re.sub(r"\r\n", "", v) for k, v in hidden.items() if k not in ids} == {
        "Date": "Tue, 01 Jul 2003 08:00:00 +0000", "From": "hidden@hidden.invalid",
        "To": "hidden@hidden.invalid", **ours}
    assert set(ids) < set(hidden)


def test_pseudonyms_open_as_written_down(policies):
    instance, accounts, outer, kv = policies
    key = store_key(instance)
    place = bytes(8) + b"a" + hash16(key, USE["ADDRESS"], 0, accounts["hidden"].encode())
    number = value_at(key, kv, place)[:8]
    account = value_at(key, kv, number + b"A")
    assert account[0] == 1 and account[1:9] == number and account[25] == 2
    name = accounts["hidden"].encode()
    assert account[-9 - len(name):] == len(name).to_bytes(4, "big") + name + bytes(5)  # it is not forwarded
    own = account[60:92]
    tag_key, stream_key = (hashlib.blake2b(t, key=own, digest_size=32).digest()
                           for t in (b"pseudonym tag", b"pseudonym stream"))
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    for field, want in (("Message-ID", b"own@example.org"), ("In-Reply-To", b"one@example.org")):
        text, domain = re.fullmatch(r"<p1\.([\w-]+)@(.+)>", outer["hidden"][field]).groups()
        blob = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        out = ctypes.create_string_buffer(len(blob) - 16)
        sodium.crypto_stream_xchacha20_xor(out, blob[16:], ctypes.c_ulonglong(len(blob) - 16), blob[:16] + bytes(8),
                                           stream_key)
        assert hashlib.blake2b(out.raw, key=tag_key, digest_size=16).digest() == blob[:16]
        assert out.raw.rstrip(b"\0") == want and len(out.raw) % 32 == 0 and domain == harness.DOMAIN
    assert outer["hidden"]["References"].split()[1] == outer["hidden"]["In-Reply-To"]


def test_packets_are_as_written_down(stored):
    """Version 3 before version 1, new format, nothing else: what gpg says of them."""
    instance, _, _, rendered, _ = stored
    armour = harness.armor_of(rendered)
    listed = instance.keyring.gpg("--list-packets", "--verbose", data=armour).stdout.decode()
    tags = re.findall(r"^# off=\d+ ctb=(\w+) tag=(\d+)", listed, re.M)
    assert [t for _, t in tags] == ["1", "18", "11"]
    assert all(int(ctb, 16) & 0xc0 == 0xc0 for ctb, _ in tags)
    assert re.search(r"pubkey enc packet: version 3, algo 18", listed)
    assert re.search(r'literal data packet:\n\s*mode b \(62\), created 0, name="",', listed)
