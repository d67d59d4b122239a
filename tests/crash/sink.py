"""sink.py PORT JOURNAL: the mail server of other people, a process of its own that nobody kills. It does by a mail's
addresses: late-*: 451 at RCPT, twice; never-*: 450, always; bad-*: 550; of the domain drop.test: taken, and the first
time no reply is given; end4.test: 451 for the content, the first time; end5.test: 554 for it. Each mail that it takes
is a line of the journal, written before its reply."""
import collections
import hashlib
import json
import pathlib
import re
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402

seen = collections.Counter()
named = threading.local()  # each connection has a thread: when a recipient was named over it last
lock = threading.Lock()


def first(what, times=1):
    with lock:
        seen[what] += 1
        return seen[what] <= times


def rcpt(address):
    fate = address.partition("-")[0]
    named.at = time.monotonic()
    if fate == "bad":
        return "550 5.1.1 nobody of this name"
    if fate == "never" or (fate == "late" and first(address, 2)):
        return "451 4.2.0 later"
    return "250 2.1.5 ok"


def end(mail):
    domain = mail.recipients[0].partition("@")[2]
    if domain == "end5.test":
        return "554 5.6.0 not this"
    if domain == "end4.test" and first(tuple(mail.recipients)):
        return "451 4.3.0 later"
    reply = not (domain == "drop.test" and first(tuple(mail.recipients)))
    token = re.search(rb"^Message-ID: <([^@>]*)@", mail.octets, re.M | re.I)
    line = {"named": named.at, "at": time.monotonic(), "token": token and token[1].decode(),
            "to": mail.recipients, "replied": reply, "from": mail.sender,
            "body": hashlib.sha256(mail.octets.partition(b"\r\n\r\n")[2]).hexdigest()}
    with lock:
        journal.write(json.dumps(line) + "\n")
        journal.flush()
    return "250 2.0.0 taken" if reply else None


if __name__ == "__main__":
    with open(sys.argv[2], "a") as journal, peers.Peer(int(sys.argv[1]), rcpt=rcpt, end=end):
        print("ready", flush=True)
        sys.stdin.read()
