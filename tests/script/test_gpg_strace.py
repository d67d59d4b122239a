"""The role that hands plaintext to gpg writes no file, nor does any gpg it runs: strace is the witness."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LETTERLOCK_BINARY", ROOT / "build-check" / "letterlock")).parent
TEST = pathlib.Path(os.environ.get("LETTERLOCK_TEST_GPG", BUILD / "tests/unit/test_gpg"))
WRITES = re.compile(r"^(open(at)?\(.*O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)|"
                    r"(mkdir|unlink|rename|link|symlink|truncate|chmod|mknod|creat)\w*\()")
NETWORK = re.compile(r"^(socket|connect|bind|sendto)\(")


def calls_of(text):
    """(pid, whole call): calls that strace shows in two halves are joined."""
    begun = {}
    for line in text.splitlines():
        pid, call = line.split(maxsplit=1)
        if call.endswith("<unfinished ...>"):
            begun[pid] = call.removesuffix("<unfinished ...>").rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", call)
        yield pid, (begun.pop(pid, "") + resumed.group(1) if resumed else call).strip()


def family(calls, role="role:gpg-seal"):
    """Processes of a role and below, and their calls, those of the role itself from its sandbox on."""
    roles = {pid for pid, call in calls if call.startswith("execve(") and f'"{role}"' in call and call.endswith("= 0")}
    members, grown = set(roles), True
    while grown:
        made = {m.group(1) for pid, call in calls
                if pid in members and (m := re.match(r"(?:clone3?|v?fork)\b.*= (\d+)$", call))}
        grown = not made <= members
        members |= made
    inside, theirs = members - roles, []
    for pid, call in calls:
        if pid in roles and call.startswith("seccomp(SECCOMP_SET_MODE_FILTER") and call.endswith("= 0"):
            inside.add(pid)
        if pid in inside:
            theirs.append(call)
    return members, theirs


def written(calls):
    return [c for c in calls if WRITES.match(c) and '"/dev/null"' not in c and not re.search(r"= -1 E\w+", c)]


@pytest.mark.needs("strace")
def test_the_seal_role_writes_no_file(tmp_path):
    log = tmp_path / "strace"
    subprocess.run(["strace", "-f", "-qq", "-o", log, "-e", "trace=%file,%process,%network,seccomp", TEST, "seal_*"],
                   check=True, timeout=280, env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"},
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    calls = list(calls_of(log.read_text(errors="replace")))
    members, theirs = family(calls)
    assert len(members) > 20
    gpgs = [c for c in theirs if c.startswith('execve("/usr/bin/gpg"') and c.endswith("= 0")]
    assert len(gpgs) > 20, "strace saw no gpg under the seal role"
    assert written(theirs) == []
    assert [c for c in theirs if NETWORK.match(c) and "AF_" in c and not re.search(r"= -1 E\w+", c)] == []
    assert written(family(calls, "role:gpg-judge")[1]), "the witness is blind: the judge does write, in its own home"
