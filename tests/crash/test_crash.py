"""kill -9 of each role, of master alone and of all at once, at random moments under load: every message that got 250 is
there exactly once and decrypts, nothing is half-written, what got an OK by IMAP stays, and what a reader was once
shown never changes. LETTERLOCK_CRASH_ROUNDS=200 for the long run."""
import collections
import os
import random
import re
import time

from workload import MAILBOXES, Changer, Reader, Sender, decrypt_all, digest, kill_one, wait_for_progress

ROUNDS = int(os.environ.get("LETTERLOCK_CRASH_ROUNDS", "8"))
VICTIMS = ["ingest", "access", "vault", "gpg-judge", "gpg-seal", "resolver", "relay", "fetcher", "everything",
           "vault", "master"]


def token_of(message):
    return re.search(rb"Message-ID: <([^@]*)@", message).group(1)


def check_received(instance, address, promised, reader):
    stored = instance.fetch_all(address)
    tokens = collections.Counter(token_of(m) for m in stored.values())
    assert promised <= set(tokens), f"lost: {promised - set(tokens)}"
    assert not [t for t, n in tokens.items() if n != 1], "stored twice"
    if reader and reader.address == address:
        assert {
            u: digest(m) for u, m in stored.items() if u in reader.seen
        } == reader.seen, "what the reader saw is not what is there"
    for uid, clear in decrypt_all(instance, stored, instance.place / f"clear-{address}").items():
        assert b"X-Token: " + token_of(stored[uid]) in clear


def check_changed(instance, changer):
    m = instance.imap(changer.address)
    changer.look(m)
    m.logout()
    for mailbox in MAILBOXES:
        stored = instance.fetch_all(changer.address, mailbox)
        for uid, clear in decrypt_all(instance, stored, instance.place / f"changed-{mailbox}").items():
            assert b"X-Token: " + token_of(stored[uid]) in clear


def test_what_was_promised_is_there_exactly_once(instance):
    i = instance.init()
    recipients = [i.add_account("alice"), i.add_account("bob", algo="rsa")]
    changer = Changer(i, i.add_account("carol"))
    i.serve()
    senders = [Sender(i, n, recipients) for n in range(3)]
    reader = Reader(i, recipients[0])
    clients = [*senders, reader, changer]
    rng = random.Random(int(os.environ.get("LETTERLOCK_SEED", "1")))
    for c in clients:
        c.start()
    wait_for_progress([*senders, changer])
    for n in range(ROUNDS):
        time.sleep(rng.random() * 0.5)
        kill_one(i, VICTIMS[n % len(VICTIMS)])
        wait_for_progress([*senders, changer] if n % 5 == 0 else [changer])
    wait_for_progress([*senders, changer])
    for c in clients:
        c.stopping.set()
    for c in clients:
        c.finish()
    assert not reader.wrong
    assert i.run("audit").returncode == 0

    promised = collections.defaultdict(set)
    for s in senders:
        for token, to in s.done.items():
            for r in to:
                promised[r].add(token.encode())
    for r in recipients:
        check_received(i, r, promised[r], reader)
    check_changed(i, changer)
    total = sum(len(p) for p in promised.values())
    print(
        f"\n    {ROUNDS} rounds: {total} deliveries promised and found once; {reader.reads} reads in"
        f" {reader.sessions} sessions; {changer.changes} changes by IMAP, {changer.unsure} of them cut off, looked at"
        f" {changer.looks} times; refusals {dict(sum((s.refused for s in senders), collections.Counter()))}"
    )
    assert total > 3 * ROUNDS and reader.reads > 20 * ROUNDS and changer.changes > 3 * ROUNDS and changer.looks > ROUNDS
