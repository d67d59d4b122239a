"""Verdicts on signatures of real mail, signed by ours, dkimpy, Mail::DKIM and OpenDKIM, as it was and changed, by us
and by dkimpy, Mail::DKIM, OpenDKIM and rspamd: each difference is one of two kinds that are by construction, or stands
in dkim_verdicts.tsv with its reason. A sample by default; with LETTERLOCK_FULL=1 all 6,046 messages, each as it was and
changed in nine ways."""
import os

import dkim_peers
import pytest

pytestmark = pytest.mark.needs("/usr/share/perl5/Mail/DKIM/Verifier.pm", "/usr/include/opendkim/dkim.h", "openssl",
                               "rspamd", "nsd")

# What no change of these may leave: each octet of theirs is signed.
BREAKS = {"body", "from", "author"}
# What is nothing to a relaxed header, and to how a message is signed here and by dkimpy.
KEEPS = {"none"}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """(cases, what differs, what ours says of each)."""
    cases, keys = dkim_peers.signed(tmp_path_factory.mktemp("dkim"),
                                    None if os.environ.get("LETTERLOCK_FULL") else set(dkim_peers.table()))
    return cases, *dkim_peers.compare(cases, keys)


def test_each_difference_is_explained(compared):
    cases, differs, _ = compared
    rows = dkim_peers.table()
    wrong = [(key, found) for key, found in differs.items() if "?" in found[1]]
    assert wrong == []
    by_mail = {key: found for key, found in differs.items()
               if {d.split(":")[1] for d in found[1].split(",")} - dkim_peers.BY_CONSTRUCTION}
    looked_at = {(c.mail, c.change) for c in cases}
    assert by_mail == {key: row for key, row in rows.items() if key in looked_at}
    assert rows.keys() <= looked_at


def test_what_is_signed_passes_and_what_is_changed_does_not(compared):
    cases, _, mine = compared
    counted = {signer: 0 for signer in dkim_peers.SIGNERS}
    for case, (passed, reasons) in zip(cases, mine, strict=True):
        in_part = reasons == {"the body is signed in part (l=)"}
        if case.change in KEEPS and not in_part:
            assert passed == ({"rsa", "ed"} if case.signer == "ours" else {"peer"}), (case, reasons)
            counted[case.signer] += 1
        if case.change in BREAKS and case.path.read_bytes() != case.path.with_suffix(".none").read_bytes():
            assert passed == set(), case
    assert min(counted.values()) > 10, counted


def test_what_is_signed_in_part_passes_with_others(compared):
    """Else a difference by l= would say nothing."""
    cases, differs, mine = compared
    found = [c for c, (_, reasons) in zip(cases, mine, strict=True)
             if reasons == {"the body is signed in part (l=)"} and c.change == "suffix"]
    assert found
    for c in found:
        # rspamd counts the octets of l= in another way, and takes some
        assert {"dkimpy:length", "perl:length", "opendkim:length"} <= set(differs[c.mail, c.change][1].split(",")), c
