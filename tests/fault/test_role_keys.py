"""What each role can open (docs/threats.md): a program in the role's place, with its descriptors, its keys and its
sandbox, tries all that it has on every record of a store that was served; and the memory of a served instance is
searched for the keys that its processes have."""
import hashlib
import pathlib
import re
import subprocess
import sys

import harness
import pytest
from store_format import KINDS, USE, derived, store_key
from test_nothing_remembered import search

READER = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/role_reader"
WITHOUT = pathlib.Path(__file__).with_name("without_memfd_secret.py")
TABLE = (harness.ROOT / "docs/threats.md").read_text().partition("## What each role can open")[2].partition("\n## ")[0]
ROWS = [[c.strip() for c in line.strip("|").split("|")] for line in re.findall(r"^\|.*$", TABLE, re.M)]
ROLES = {name.strip("`"): {row[0].partition(":")[0] for row in ROWS[2:] if row[n] == "yes"}
         for n, name in enumerate(ROWS[0][1:], 1)}
ALICE = f"alice@{harness.DOMAIN}"


@pytest.fixture(scope="module")
def i():
    """With mail by SMTP and by APPEND, mailboxes, keywords, subscriptions and what was expunged; stopped."""
    with harness.Instance() as i:
        i.init()
        i.add_account("alice")
        i.add_account("long", algo="rsa4096")
        i.run("alias", "add", f"ann@{harness.DOMAIN}", ALICE)
        i.serve()
        for n in range(4):
            i.send([ALICE, f"ann@{harness.DOMAIN}"], harness.mail(subject=f"number {n}"))
        c = i.imap(ALICE)
        c.create('"Projects/A name"')
        c.subscribe('"Projects/A name"')
        c.append("INBOX", r"(\Seen Important)", None, harness.mail(subject="appended"))
        c.select("INBOX")
        c.copy("1:2", '"Projects/A name"')
        c.store("1", "+FLAGS", r"(\Deleted Urgent)")
        c.expunge()
        c.logout()
        i.stop()
        put = subprocess.run([READER.with_name("queue_fill"), i.dir, "2", ALICE, "bob@there.example"],
                             input=harness.mail())
        assert put.returncode == 0
        yield i


def read_as(i, role):
    """({(letter, home): (records, opened)}, {other facts})"""
    p = subprocess.run([READER, i.dir, role], capture_output=True, timeout=120)
    assert p.returncode == 0, (role, p.returncode, p.stderr, p.stdout)
    records, facts = {}, {}
    for line in p.stdout.decode().splitlines():
        first, *rest = line.split()
        if first == "key":
            facts[rest[0]] = int(rest[1])
        else:
            records[first, rest[0]] = (int(rest[1]), int(rest[2]))
    return records, facts


def sealed_under(letter, home):
    form, use, _, _ = KINDS[letter, home]
    return use if form == "sealed" else None


def test_the_store_has_something_of_every_kind(i):
    """Else what a role could not open would say nothing; and whoever has the root opens all that is sealed."""
    records, _ = read_as(i, "root")
    assert {*((x, "account") for x in "AqKPBbFsxmkuw"), *((x, "instance") for x in "VCIadN"),
            *((x, "queue") for x in "QTM"), *((x, "keyserver") for x in "pcwflh")} <= set(records)
    for kind, (there, opened) in records.items():
        assert opened == (there if sealed_under(*kind) else 0), kind


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_what_its_keys_open(i, role):
    everything, _ = read_as(i, "root")
    records, facts = read_as(i, role)
    assert facts["uses"] == sum(1 << USE[use] for use in ROLES[role])
    assert {kind: there for kind, (there, _) in records.items()} == {k: there for k, (there, _) in everything.items()}
    for kind, (there, opened) in records.items():
        assert opened == (there if sealed_under(*kind) in ROLES[role] else 0), (role, kind, there, opened)
    assert facts["error"] == 0
    whole = {"MESSAGE", "CONTENT"} <= ROLES[role]
    assert facts["messages"] == (everything["m", "account"][0] if whole else 0), "headers, packets, capsules"
    assert facts["slots"] and facts["key-file"], "the slots of the store key, and what opens them, are out of reach"
    assert facts["roots"] == 0, "an approval could be signed"


def test_who_opens_what_of_the_queue(i):
    """ingest knows the envelopes that it makes and no content; vault stores envelopes without knowing them; relay knows
    all of it, and the keys that sign; access has nothing to do with it."""
    of = {role: {kind[0] for kind, (_, opened) in read_as(i, role)[0].items() if opened and kind[1] == "queue"}
          for role in ("ingest", "vault", "access", "relay")}
    assert of == {"ingest": {"Q", "T"}, "vault": {"M"}, "access": set(), "relay": {"Q", "T", "M", "D"}}


def test_ingest_opens_no_header_and_no_mailbox_s_name(i):
    """The table's promise in words, whatever the page says."""
    records, _ = read_as(i, "ingest")
    assert {kind for kind, (_, opened) in records.items() if opened} == {
        ("C", "instance"), ("a", "instance"), ("d", "instance"), ("N", "instance"), ("Q", "queue"), ("T", "queue"),
        ("l", "keyserver"), ("h", "keyserver"), *((x, "account") for x in "AqKGPfriU" if (x, "account") in records)}


@pytest.mark.parametrize("role", ["gpg-judge", "gpg-seal", "resolver", "fetcher"])
def test_others_have_no_keys(i, role):
    assert read_as(i, role) == ({}, {"uses": 0})


def approver_seed(root):
    """crypto/approver.c, as docs/store-format.md has it."""
    return hashlib.blake2b(key=root, digest_size=32, salt=bytes(16), person=b"letterlock-appr\0").digest()


def queue_secret(root):
    """crypto/queue_key.c, likewise."""
    return hashlib.blake2b(key=root, digest_size=32, salt=bytes(16), person=b"letterlock-que2\0").digest()


@pytest.mark.needs("root", "the released build")
def test_the_memory_of_each_process_has_its_keys_alone():
    with harness.Instance(binary=harness.released()) as i:
        i.init(ingest_instances="1", access_instances="1", relay_instances="1")
        i.add_account("alice")
        i.serve(wrapper=[sys.executable, str(WITHOUT)])
        i.send(ALICE, harness.mail())
        assert len(i.fetch_all(ALICE)) == 1
        root, queue = store_key(i), store_key(i, "queue.key")
        words = {derived(queue if use in ("QUEUE", "DKIM") else root, number).lower(): use
                 for use, number in USE.items()}
        words |= {root.lower(): "root", approver_seed(root).lower(): "the approver's secret",
                  queue.lower(): "the queue's root", queue_secret(queue).lower(): "the queue's secret"}
        processes = {"master": i.process.pid, **{r["role"]: r["pid"] for r in i.status()["roles"]}}
        assert set(processes) == {"master", "ingest", "access", "vault", "gpg-judge", "gpg-seal", "resolver", "relay",
                                  "fetcher"}
        for name, pid in processes.items():
            found, size = search(pid, list(words))
            assert size > 1 << 20
            has = {words[word] for word, _, _ in found}
            wanted = set(USE) if name == "master" else ROLES.get(name, set())
            wanted = wanted | {"the queue's secret"} if name in ("master", "relay") else wanted
            assert has == wanted, (name, has ^ wanted)
