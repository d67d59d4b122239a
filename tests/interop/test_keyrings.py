"""Who may be sealed to, and with which key: ours beside gpg and sq over the keyrings of Debian and Arch Linux. Each
difference stands in keyrings.tsv with a reason that holds; one that does not, or a row that no longer differs, fails.
LETTERLOCK_FULL=1 takes every certificate; without it, those in the table and a few more."""
import os
import pathlib

import keyrings
import pytest

pytestmark = pytest.mark.needs(
    "sq", "faketime", *(str(keyrings.FOLDER / file) for _, file, _ in keyrings.KEYRINGS.values())
)
VERSIONS, ROWS = keyrings.table()
MORE = 12  # of each keyring, besides those in the table


@pytest.fixture(params=list(keyrings.KEYRINGS))
def name(request):
    return request.param


def sample(name):
    if os.environ.get("LETTERLOCK_FULL"):
        return None
    agreed = [c.fpr for c in keyrings.certificates(keyrings.FOLDER / keyrings.KEYRINGS[name][1])
              if c.fpr not in ROWS[name]]
    return {*agreed[::max(1, len(agreed) // MORE)], *ROWS[name]}


def test_each_difference_is_explained(name):
    package, file, day = keyrings.KEYRINGS[name]
    installed, rows, wrong = keyrings.version(package), ROWS[name], []
    assert installed, f"{package} is not installed"
    same = installed == VERSIONS[package]
    if not same:
        print(f"{package} is {installed}, the table was made from {VERSIONS[package]}: what is in both is compared")
    found = keyrings.compare(name, sample(name))
    for fpr, (c, o) in found.items():
        said, reasons = (o.ours, o.gpg, o.sq, o.native), keyrings.explain(c, o, day)
        row = rows.get(fpr)
        known = row if row and row[0] == c.digest else None
        if any(r.endswith("?") for r in reasons):
            wrong.append(f"{fpr}: {said}: {reasons}, we say: {o.why}")
        elif known and (known[1], known[2]) != (said, reasons):
            wrong.append(f"{fpr}: the table has {known[1:]}, said now: {said} {reasons}")
        elif same and reasons and not known:
            wrong.append(f"{fpr}: {said} {reasons} is not in the table")
    if same:
        wrong += [f"{fpr}: in the table, and not in the keyring" for fpr in rows if fpr not in found]
    assert not wrong, "\n".join(wrong)


# Two encryption keys that expired in the same second: sq takes the older one.
SAME_SECOND = {"8D748061ED1DE36AE49DCE06AEC2DF8E23BE7E38"}


def test_of_expired_keys_the_same_one_seals_as_with_sq(tmp_path):
    """Where sq can be told to use one: it refuses some of these for other reasons too."""
    answered = 0
    for name, (package, file, day) in keyrings.KEYRINGS.items():
        rows = {fpr: row for fpr, row in ROWS[name].items() if "sq:expired" in row[2]}
        certs = [c for c in keyrings.certificates(keyrings.FOLDER / file) if c.fpr in rows
                 and c.digest == rows[c.fpr][0]]
        for fpr, used in keyrings.sq(certs, day, pathlib.Path(tmp_path),
                                     "--use-expired-subkey").items() if certs else ():
            answered += used != "-"
            if used != "-" and (rows[fpr][1][0] in used.split(",")) == (fpr in SAME_SECOND):
                pytest.fail(f"{fpr}: we seal to {rows[fpr][1][0]}, sq to {used}")
    assert answered > 50 or keyrings.version("debian-keyring") != VERSIONS["debian-keyring"]


def test_the_table_has_only_known_reasons():
    used = {r for rows in ROWS.values() for _, _, reasons in rows.values() for r in reasons}
    assert used and used <= set(keyrings.REASONS), used - set(keyrings.REASONS)
    assert set(ROWS) <= set(keyrings.KEYRINGS)
    assert set(VERSIONS) == {package for package, _, _ in keyrings.KEYRINGS.values()}
