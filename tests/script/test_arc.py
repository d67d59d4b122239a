"""ARC chains as the public suite has them (github.com/ValiMail/arc_test_suite, its list of cases, manifest.txt): made
anew with keys of our own, under its names. What it expects otherwise, since it is of the drafts before RFC 8617, stands
in DIFFERENT with the reason."""
import os
import pathlib
import subprocess

import arc_sealer
import pytest
from arc_sealer import H, Key, Mail

TOOL = pathlib.Path(os.environ["LETTERLOCK_BINARY"]).parent / "tests/interop/verify_tool"

# Of these the suite says another thing.
DIFFERENT = {
    "ams_fields_h_empty": "RFC 6376 section 3.5: h= is not empty, and section 5.4: it has From",
    "ams_fields_h_mis_hdr": "RFC 6376 section 3.5: between colons there is a name",
    "ams_fields_c_ss": "RFC 6376 section 3.4: simple is a form as well",
    "ams_fields_c_sr": "the same",
    "ams_fields_c_rs": "the same",
    "as_fields_a_sha1": "RFC 8301 section 3.1: rsa-sha1 does not verify",
    "ams_fields_a_sha1": "the same",
    "as_fields_b_512": "RFC 8301 section 3.2: a key under 1,024 bits does not verify",
}


@pytest.fixture(scope="module")
def keys():
    return {s: Key(s, bits) for s, bits in (("dummy", 1024), ("s512", 512), ("s2048", 2048))}


def hops(k, n):
    mail = Mail(k["dummy"])
    for _ in range(n):
        mail.seal()
    return mail


def one(**how):
    return lambda k: Mail(k["dummy"]).seal(**how)


def two(**how):
    return lambda k: hops(k, 1).seal(**how)


def seal_key(selector):
    return lambda k: Mail(k["dummy"]).seal(seal_key=k[selector], ams_key=k[selector])


def after(name, old, new, n=1, which=0):
    """Changed when it has been sealed."""
    return lambda k: hops(k, n).change(name, old, new, which)


def with_body(old, new, **how):
    def make(k):
        mail = Mail(k["dummy"]).seal(**how)
        assert old in mail.body
        mail.body = mail.body.replace(old, new)
        return mail
    return make


def twice(name, n=1):
    """A field of the sets once more."""
    def make(k):
        mail = hops(k, n)
        mail.fields.insert(0, next(f for f in mail.fields if f[0] == name))
        return mail
    return make


def whole_set_twice(k):
    mail = hops(k, 1)
    mail.fields = mail.fields[:3] + mail.fields
    return mail


def changed_then_sealed(k):
    """The first message signature is not good any more."""
    return hops(k, 1).change("From", "John", "Gene").seal()


def duplicate_names(order):
    def make(k):
        mail = Mail(k["dummy"], [*arc_sealer.MESSAGE, ("X-Dup", "one"), ("X-Dup", "two")])
        mail.seal(ams={"h": H + ":x-dup:x-dup"})
        if order:
            mail.fields[-2], mail.fields[-1] = mail.fields[-1], mail.fields[-2]
        return mail
    return make


def added_later(k):
    """A field that was signed as missing."""
    mail = Mail(k["dummy"]).seal(ams={"h": H + ":x-none"})
    mail.fields.append(("X-None", " now it is there"))
    return mail


AS, AMS, AAR = "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"
SIMPLE = {"c": "relaxed/simple"}


def plain(k, fields=None, body=arc_sealer.BODY):
    return Mail(k["dummy"], fields, body)


CASES = {
    "none": {
        "cv_no_body": lambda k: plain(k, body=""),
        "cv_base1": plain,
        "cv_base2": lambda k: plain(k, [*arc_sealer.MESSAGE, ("X-Received", "by x")]),
    },
    "pass": {
        **{f"cv_pass_i{n}_1": lambda k, n=n: hops(k, n) for n in (1, 2, 3, 4, 5)},
        "cv_pass_i2_1_ams1_invalid": changed_then_sealed,
        "as_format_sc_wsp": one(seal_shape=lambda t: t.replace("; ", " ; \t")),
        "as_format_eq_wsp": one(seal_shape=lambda t: t.replace("d=", "d = ").replace("cv=", "cv\t=\r\n ")),
        "as_format_tags_trail_sc": one(seal_shape=lambda t: t + ";"),
        "as_format_tags_unknown": one(seal={"xyz": "abc"}),
        "as_fields_b_ignores_wsp": after(AS, r"b=(....)", "b= \\1\r\n "),
        "as_fields_b_1024": seal_key("dummy"),
        "as_fields_b_2048": seal_key("s2048"),
        "as_fields_b_head_unfold": after(AAR, "\r\n", ""),
        "as_fields_b_eol_wsp": after(AAR, "\r\n", " \t\r\n"),
        "as_fields_b_inl_wsp": after(AAR, "spf=pass ", "spf=pass    "),
        "as_fields_b_col_wsp": after(AAR, "^ ", "   \t"),
        "as_fields_t_na": one(seal={"t": None}),
        "ams_format_sc_wsp": one(shape=lambda t: t.replace("; ", " ; \t")),
        "ams_format_eq_wsp": one(shape=lambda t: t.replace("d=", "d = ").replace("a=", "a\t=\r\n ")),
        "ams_format_tags_trail_sc": one(shape=lambda t: t + "; "),
        "ams_format_tags_unknown": one(ams={"xyz": "abc"}),
        "ams_fields_b_head_unfold": one(),
        "ams_fields_b_eol_wsp": after("Subject", "$", " \t"),
        "ams_fields_b_inl_wsp": after("Subject", "Example 1", "Example   1"),
        "ams_fields_b_col_wsp": after("Subject", "^ ", "  "),
        "ams_fields_bh_sim_base": one(ams=SIMPLE),
        "ams_fields_bh_sim_end_lines": with_body("--J.\r\n", "--J.\r\n\r\n\r\n", ams=SIMPLE),
        "ams_fields_bh_rel_eol_wsp": with_body("gang,\r\n", "gang, \t\r\n"),
        "ams_fields_bh_rel_inl_wsp": with_body("Hey gang", "Hey  gang"),
        "ams_fields_bh_rel_end_lines": with_body("--J.\r\n", "--J.\r\n\r\n \r\n"),
        "ams_fields_bh_rel_trail_crlf": with_body("--J.\r\n", "--J."),
        "ams_fields_h_cws1": one(ams={"h": H.replace(":", " : ")}),
        "ams_fields_h_cws2": one(ams={"h": H.replace(":", "\r\n :")}),
        "ams_fields_h_case": one(ams={"h": H.upper()}),
        "ams_fields_h_dup1": duplicate_names(False),
        "ams_fields_h_non_existant": one(ams={"h": H + ":x-none"}),
        "ams_fields_h_non_existant_dup": one(ams={"h": H + ":x-none:x-none"}),
        "ams_fields_h_includes_ams": two(ams={"h": H + ":arc-message-signature"}),
        "ams_fields_t_na": one(ams={"t": None}),
        "ams_fields_c_ss": one(ams={"c": "simple/simple"}),
        "ams_fields_c_sr": one(ams={"c": "simple/relaxed"}),
        "ams_fields_c_rs": one(ams={"c": "relaxed/simple"}),
    },
    "fail": {
        "cv_fail_i1_ams_na": one(leave=("ams",)),
        "cv_fail_i1_ams_invalid": after("From", "John", "Gene"),
        "cv_fail_i1_as_na": one(leave=("seal",)),
        "cv_fail_i1_as_pass": one(seal={"cv": "pass"}),
        "cv_fail_i1_as_fail": one(seal={"cv": "fail"}),
        "cv_fail_i1_as_invalid": after(AS, "t=12345", "t=12346"),
        "cv_fail_i2_ams_na": two(leave=("ams",)),
        "cv_fail_i2_ams_invalid": after("From", "John", "Gene", 2),
        "cv_fail_i2_as1_na": lambda k: Mail(k["dummy"]).seal(leave=("seal",)).seal(),
        "cv_fail_i2_as1_invalid": after(AS, "t=12345", "t=12346", 2, 1),
        "cv_fail_i2_as1_pass": lambda k: Mail(k["dummy"]).seal(seal={"cv": "pass"}).seal(),
        "cv_fail_i2_as1_fail": lambda k: Mail(k["dummy"]).seal(seal={"cv": "fail"}).seal(),
        "cv_fail_i2_as2_na": two(leave=("seal",)),
        "cv_fail_i2_as2_invalid": after(AS, "t=12345", "t=12346", 2),
        "cv_fail_i2_as2_none": two(seal={"cv": "none"}),
        "cv_fail_i2_as2_fail": two(seal={"cv": "fail"}),
        "as_format_inv_tag_key": one(seal={"_": "abc"}),
        "as_format_tags_dup": one(seal={"s": ["dummy", "dummy"]}),
        "as_format_tags_key_case": one(seal={"s": None, "S": "dummy"}),
        "as_format_tags_val_case": after(AS, "d=example", "d=Example"),
        "as_format_tags_wsp": after(AS, "t=12345", "t=12 345"),
        "as_format_tags_sc": after(AS, "; d=", ";; d="),
        "as_fields_i_dup": twice(AS),
        "as_fields_i_dup2": twice(AS, 2),
        "as_fields_i_missing": one(seal={"i": None}),
        "as_fields_i_malformed1": one(seal={"i": 0}),
        "as_fields_i_malformed2": one(seal={"i": "a"}),
        "as_fields_a_sha1": one(seal={"a": "rsa-sha1"}),
        "as_fields_a_na": one(seal={"a": None}),
        "as_fields_a_empty": one(seal={"a": ""}),
        "as_fields_a_unknown": one(seal={"a": "rsa-sha257"}),
        "as_fields_b_512": seal_key("s512"),
        "as_fields_b_head_case": after(AAR, "lists", "Lists"),
        "as_fields_b_na": after(AS, "; b=.*", ""),
        "as_fields_b_empty": after(AS, "; b=.*", "; b="),
        "as_fields_b_base64": after(AS, "; b=.", "; b=-"),
        "as_fields_b_mod_sig": after(AS, "; b=...", "; b=AAA"),
        "as_fields_b_aar1": after(AAR, "spf=pass", "spf=fail", 2, 1),
        "as_fields_b_ams1": after(AMS, "t=12345", "t=12346", 2, 1),
        "as_fields_b_asb1": after(AS, "b=...", "b=AAA", 2, 1),
        "as_fields_cv_na": one(seal={"cv": None}),
        "as_fields_cv_empty": one(seal={"cv": ""}),
        "as_fields_cv_invalid": one(seal={"cv": "invalid"}),
        "as_fields_d_na": one(seal={"d": None}),
        "as_fields_d_empty": one(seal={"d": ""}),
        "as_fields_d_invalid": one(seal={"d": "not a domain"}),
        "as_fields_h_present": one(seal={"h": "from"}),  # RFC 8617 section 4.1.3
        "as_fields_s_na": one(seal={"s": None}),
        "as_fields_s_empty": one(seal={"s": ""}),
        "as_fields_t_empty": one(seal={"t": ""}),
        "as_fields_t_invalid": one(seal={"t": "abc"}),
        "ams_format_inv_tag_key": one(ams={"_": "abc"}),
        "ams_format_tags_dup": one(ams={"s": ["dummy", "dummy"]}),
        "ams_format_tags_key_case": one(ams={"s": None, "S": "dummy"}),
        "ams_format_tags_val_case": after(AMS, "d=example", "d=Example"),
        "ams_format_tags_wsp": after(AMS, "t=12345", "t=12 345"),
        "ams_format_tags_sc": after(AMS, "; d=", ";; d="),
        "ams_fields_i_dup": twice(AMS),
        "ams_fields_i_dup2": twice(AMS, 2),
        "ams_fields_a_sha1": one(ams={"a": "rsa-sha1"}),
        "ams_fields_a_na": one(ams={"a": None}),
        "ams_fields_a_empty": one(ams={"a": ""}),
        "ams_fields_a_unknown": one(ams={"a": "rsa-sha257"}),
        "ams_fields_b_na": after(AMS, "; b=.*", ""),
        "ams_fields_b_empty": after(AMS, "; b=.*", "; b="),
        "ams_fields_b_base64": after(AMS, "; b=.", "; b=-"),
        "ams_fields_b_mod_sig": after(AMS, "; b=...", "; b=AAA"),
        "ams_fields_b_mod_headers": after("Subject", "Example 1", "Example 2"),
        "ams_fields_bh_na": one(ams={"bh": None}),
        "ams_fields_bh_empty": one(ams={"bh": ""}),
        "ams_fields_bh_base64": one(ams={"bh": "not-base64"}),
        "ams_fields_bh_mod_sig": one(ams={"bh": "A" * 43 + "="}),
        "ams_fields_bh_mod_bod": with_body("gang", "gung"),
        "ams_fields_bh_sim_inl_wsp": with_body("Hey gang", "Hey  gang", ams=SIMPLE),
        "ams_fields_c_na": one(ams={"c": None}),
        "ams_fields_c_empty": one(ams={"c": ""}),
        "ams_fields_c_invalid": one(ams={"c": "other/other"}),
        "ams_fields_d_na": one(ams={"d": None}),
        "ams_fields_d_empty": one(ams={"d": ""}),
        "ams_fields_d_invalid": one(ams={"d": "not a domain"}),
        "ams_fields_h_na": one(ams={"h": None}),
        "ams_fields_h_empty": one(ams={"h": ""}),
        "ams_fields_h_mis_hdr": one(ams={"h": H.replace(":to:", "::")}),
        "ams_fields_h_inv_hdr": one(ams={"h": H + ":not a name"}),
        "ams_fields_h_dup2": duplicate_names(True),
        "ams_fields_h_order": after(AMS, "from:to:", "to:from:"),
        "ams_fields_h_empty_added": added_later,
        "ams_fields_h_includes_as": two(ams={"h": H + ":arc-seal"}),
        "ams_fields_s_na": one(ams={"s": None}),
        "ams_fields_s_empty": one(ams={"s": ""}),
        "ams_fields_t_empty": one(ams={"t": ""}),
        "ams_fields_t_invalid": one(ams={"t": "abc"}),
        "aar_missing": one(leave=("aar",)),
        "aar_i_missing": one(aar=" lists.example.org; spf=pass"),
        "aar_i_wrong": one(aar=" i=2; lists.example.org; spf=pass"),
        "aar_i_not_prefix": one(aar=" lists.example.org; i=1; spf=pass"),
        "aar_i_no_semi": one(aar=" i=1 lists.example.org; spf=pass"),
        "aar2_missing": two(leave=("aar",)),
        "public_key_na": one(ams={"s": "none"}, seal={"s": "none"}),
        "public_key_invalid": one(ams={"s": "invalid"}, seal={"s": "invalid"}),
        "arc_set_duplicate": whole_set_twice,
    },
}


@pytest.fixture(scope="module")
def verdicts(keys, tmp_path_factory):
    """{name: what the tool says}, all of them by one process."""
    folder = tmp_path_factory.mktemp("arc")
    records = {**{f"{s}._domainkey.example.org": key.record for s, key in keys.items()},
               "invalid._domainkey.example.org": "v=DKIM1; p=not a key"}
    (folder / "keys").write_text("".join(f"{name}\t{txt}\n" for name, txt in records.items()))
    names = [name for cases in CASES.values() for name in cases]
    for cases in CASES.values():
        for name, make in cases.items():
            (folder / name).write_bytes(make(keys).octets())
    out = subprocess.run([TOOL, folder / "keys"], input="".join(f"{folder / n}\n" for n in names), capture_output=True,
                         text=True, check=True, timeout=120).stdout.splitlines()
    return {name: line.split("\t")[1] for name, line in zip(names, out, strict=True)}


@pytest.mark.parametrize("verdict", list(CASES))
def test_cases(verdicts, verdict):
    assert {n: verdicts[n] for n in CASES[verdict] if verdicts[n].split("/")[0] != verdict} == {}


def test_who_changed_it_last(verdicts):
    """oldest-pass (RFC 8617 section 5.2): behind the last slash."""
    assert verdicts["cv_pass_i3_1"].split("/")[-1] == "1"
    assert verdicts["cv_pass_i2_1_ams1_invalid"].split("/")[-1] == "2"


def test_differences_are_of_cases():
    assert DIFFERENT.keys() <= {name for cases in CASES.values() for name in cases}
