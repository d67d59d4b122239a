"""Exported names carry their folder's prefix, so that two parts of one program never meet under one name."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LETTERLOCK_BINARY", ROOT / "build-check" / "letterlock")).parent

PREFIXES = {
    "server/proto/libproto.a": ("imap_", "smtp_", "sasl_", "line_"),
    "server/service/libservice.a": ("service_", "acceptor_"),
    "server/access/libaccess.a": ("imap_", "access_"),  # access_, ingest_: what the role gives to the program
    "server/ingest/libingest.a": ("smtp_", "mx_", "ingest_"),
}


def exported(archive):
    out = subprocess.run(
        ["nm", "-g", "--defined-only", "--format=posix", archive], check=True, capture_output=True, text=True
    ).stdout
    return sorted({line.split()[0] for line in out.splitlines() if len(line.split()) >= 2})


def test_exported_names_carry_their_folders_prefix():
    bare = {}
    for archive, prefixes in PREFIXES.items():
        names = [n for n in exported(BUILD / archive) if not n.startswith("__")]  # a sanitizer's
        assert names, archive
        bare[archive] = [n for n in names if not n.startswith(prefixes)]
    assert bare == {archive: [] for archive in PREFIXES}
