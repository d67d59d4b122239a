"""Certificates as they are published: every one of the keyrings of Debian and Arch Linux is made minimal, and is then
to gpg and sq what it was: the same fingerprint, of use for the same things, sealed to with the same key."""
import os
import pathlib
import subprocess

import keyrings
import pytest

pytestmark = pytest.mark.needs("sq", "faketime", *(str(keyrings.FOLDER / file)
                                                   for _, file, _ in keyrings.KEYRINGS.values()))
MORE = 12  # of each keyring, sealed to with gpg and sq; LETTERLOCK_FULL=1: all
OK, LIMIT, REFUSED = "0", "4", "16"
# gpg takes what nobody else need take, and says more of the certificate as it was.
# Here: back-signatures whose numbers state more bits than they have (RFC 9580 section 3.2).
ODD = {"0152DF7147EC5E633E0057FB56034877E1F87C35", "7CB6197E385A02DC15D8E223E4DB6492FDB9B5D5"}
FACTS = ("fpr", "err", "before", "after", "unstable", "user_ids", "one", "refused")


def tool():
    return pathlib.Path(os.environ.get("LETTERLOCK_BINARY", "build/letterlock")).parent / "tests/interop/minimise_tool"


@pytest.fixture(scope="module", params=list(keyrings.KEYRINGS))
def ring(request, tmp_path_factory):
    """Certificates as they were, {fpr: facts}, {fpr: octets as they would be published}, the keyring's day."""
    place = tmp_path_factory.mktemp(request.param)
    _, file, day = keyrings.KEYRINGS[request.param]
    certs = keyrings.certificates(keyrings.FOLDER / file)
    (place / "all").write_bytes(b"".join(c.data for c in certs))
    (place / "made").mkdir()
    p = subprocess.run([tool(), place / "all", str(keyrings.seconds(day)), place / "made"], capture_output=True,
                       text=True, check=True)
    facts = {row[0]: dict(zip(FACTS, row)) for row in map(str.split, p.stdout.splitlines())}
    assert list(facts) == [c.fpr for c in certs]
    return certs, facts, {f.name: f.read_bytes() for f in (place / "made").iterdir()}, day


def listing(certs, day, home):
    """{fpr of the primary key: {"pub": (validity, expiry, capabilities), "uid": {user id}, "sub": {...}}} of gpg."""
    home.mkdir(mode=0o700)
    base = ["gpg", "--homedir", home, "--batch", "--quiet", "--no-tty", "--no-autostart", "--trust-model", "always",
            "--no-auto-check-trustdb", "--faked-system-time", f"{keyrings.seconds(day)}!"]
    (home / "all").write_bytes(b"".join(certs))
    subprocess.run([*base, "--import-options", "self-sigs-only", "--import", home / "all"], capture_output=True)
    text = subprocess.run([*base, "--with-colons", "--list-keys"], capture_output=True, text=True, errors="replace")
    found, key, of = {}, None, None
    for f in (line.split(":") for line in text.stdout.splitlines()):
        if f[0] in ("pub", "sub"):
            of = (f[0], f[1], f[6], f[11])
        elif f[0] == "fpr":
            if of[0] == "pub":
                key = found.setdefault(f[9], {"pub": of[1:], "uid": set(), "sub": {}})
            else:
                key["sub"][f[9]] = of[1:]
        elif f[0] == "uid" and f[1] not in "ren":
            key["uid"].add(f[9])
    return found


def test_each_is_made_and_is_its_own_copy(ring):
    certs, facts, made, _ = ring
    bad = [f for f in facts.values() if f["err"] == OK
           and (int(f["after"]) > int(f["before"]) or f["unstable"] != "0")]
    assert not bad
    refused = {fpr: f["err"] for fpr, f in facts.items() if f["err"] != OK}
    print(f"{len(made)} of {len(certs)}: {sum(len(c.data) for c in certs)} octets became "
          f"{sum(map(len, made.values()))}, the longest {max(map(len, made.values()))}; refused {refused}")
    one = [int(f["one"]) for f in facts.values() if f["err"] == OK]
    print(f"with one user id {sum(one) // len(one)} octets, the longest {max(one)}")
    assert not [f for f in facts.values() if f["refused"] != OK]
    # Nothing of their own vouches for them by a hash that counts anywhere.
    assert set(refused.values()) <= {REFUSED}
    assert len(refused) <= len(certs) // 100


def test_gpg_sees_the_same_in_them(ring, tmp_path):
    certs, facts, made, day = ring
    before = listing([c.data for c in certs if c.fpr in made], day, tmp_path / "before")
    after = listing(made.values(), day, tmp_path / "after")
    assert set(after) == set(before)
    wrong = {}
    for fpr, was in before.items():
        now = after[fpr]
        # Capital letters say what the whole can be used for. Authentication goes.
        uses, used = (set(x["pub"][2]) - set("Aa") for x in (now, was))
        live, lived = ({k: v for k, v in x["sub"].items() if v[0] not in "ern" and set(v[2]) & set("esc")}
                       for x in (now, was))
        if (now["pub"][:2], uses, now["uid"], live) != (was["pub"][:2], used, was["uid"], lived):
            wrong[fpr] = (was["pub"], now["pub"], was["uid"] ^ now["uid"], set(live.items()) ^ set(lived.items()))
    assert set(wrong) == {fpr for fpr in before if fpr in ODD}, wrong


def test_gpg_and_sq_seal_to_the_same_key(ring, tmp_path):
    certs, facts, made, day = ring
    usual = [c for c in certs if c.fpr in made]
    some = usual if os.environ.get("LETTERLOCK_FULL") else usual[::max(1, len(usual) // MORE)]
    answers = []
    for name, octets in ("before", lambda c: c.data), ("after", lambda c: made[c.fpr]):
        place = tmp_path / name
        place.mkdir()
        ring_of = [keyrings.Certificate(octets(c)) for c in some]
        answers.append((keyrings.gpg(ring_of, keyrings.seconds(day), place), keyrings.sq(ring_of, day, place)))
    assert answers[0] == answers[1]
