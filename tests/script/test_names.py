"""Exported names carry their folder's prefix, so that two parts of one program never meet under one name."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LETTERLOCK_BINARY", ROOT / "build-check" / "letterlock")).parent
SUPPORT = BUILD / "tests/support/libtest_support.a"

PREFIXES = {
    "server/mail/libmail_grammar.a": ("address_", "date_", "encoding_", "header_", "message_id_", "mime_", "part_",
                                       "token_"),
    "server/mail/libmail_address.a": ("address_", "autocrypt_", "links_"),
    "server/mail/libmail.a": ("mail_", "mime_repair_", "summary_", "text_", "transfer_"),
    "server/mailauth/libmailauth.a": (
        "arc_", "arf_", "auth_", "author_", "block_list_", "canon_", "dkim_", "dmarc_", "features_", "helo_", "iprev_",
        "mta_sts_", "packed_", "records_", "spf_", "srs_", "tags_", "tls_report_", "whole_header_"),
    "server/proto/libproto.a": ("imap_", "smtp_", "sasl_", "scram_", "line_", "http_"),
    "server/http/libhttp.a": ("http_",),
    "webmail-api/json/libjson.a": ("json_in_", "json_out_"),
    "webmail-api/session/libsession.a": (
        "cbor_in_", "cookie_", "credentials_", "csrf_", "recovery_", "totp_", "webauthn_"),
    "server/service/libservice.a": ("service_", "acceptor_", "place_", "places_", "budget_"),
    "server/access/libaccess.a": ("imap_", "access_"),  # access_, ingest_: what the role gives to the program
    "server/ingest/libingest.a": (
        "smtp_", "mx_", "submission_", "transaction_", "internal_", "verify_", "answers_", "judge_", "judging_",
        "greylist_", "reserved_", "wks_", "ingest_"),
    "server/relay/librelay.a": (
        "relay_", "attempt_", "changes_", "delivery_", "destination_", "dsn_", "inside_", "listed_", "opened_",
        "outcome_", "mail_fd_", "report_", "route_", "schedule_", "sts_", "suppress_", "table_", "tallies_", "tally_",
        "tls_reports_", "trust_"),
    "server/dns/libdns.a": ("dns_",),
    "server/doctor/libdoctor.a": ("doctor_", "chain_", "spf_", "visit_", "zone_"),
    "server/resolver/libresolver.a": ("resolver_", "answer_", "asker_", "lookups_", "upstream_"),
    "server/fetch/libfetch.a": ("fetch_",),
    "server/fetcher/libfetcher.a": ("fetcher_", "desk_", "guard_", "web_"),
    "server/web/libweb.a": (
        "web_", "httpd_", "exchange_", "reply_", "site_", "settings_", "pages_", "shown_", "uploads_",
        "head_", "bundle_"),
    "webmail-api/signin/libapi.a": ("api_",),
    "server/autoconfig/libautoconfig.a": ("autoconfig_",),
    "server/keys/libkeys.a": ("keys_", "known_"),
    "server/sealer/libsealer.a": ("sealer_", "seal_key", "deposit_", "notice_", "notices_", "told_"),
}


def exported(archive):
    out = subprocess.run(
        ["nm", "-g", "--defined-only", "--format=posix", archive], check=True, capture_output=True, text=True
    ).stdout
    return sorted(line.split()[0] for line in out.splitlines() if len(line.split()) >= 2)


def test_exported_names_carry_their_folders_prefix():
    bare = {}
    for archive, prefixes in PREFIXES.items():
        names = [n for n in exported(BUILD / archive) if not n.startswith("__")]  # a sanitizer's
        assert names, archive
        bare[archive] = [n for n in names if not n.startswith(prefixes)]
    assert bare == {archive: [] for archive in PREFIXES}


@pytest.mark.needs(str(SUPPORT))
def test_support_of_unit_tests_shares_no_name_with_the_program():
    """A linker takes the first of two names that it meets, and a test would try its own function for the program's."""
    support = exported(SUPPORT)
    assert len(support) > 100 and len(support) == len(set(support))
    program = {n for a in BUILD.glob("**/lib*.a") if "tests" not in a.relative_to(BUILD).parts for n in exported(a)}
    assert [n for n in support if n in program and not n.startswith("__")] == []
