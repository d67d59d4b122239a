"""Which folder may include which: the rule of docs/architecture.md, said in words where the build only says "no such file"."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = {"ingest", "access", "relay", "master", "cli"}


def includes():
    for path in sorted([*ROOT.glob("crypto/**/*.[ch]"), *ROOT.glob("server/**/*.[ch]"), *ROOT.glob("store/**/*.[ch]"),
                        *ROOT.glob("keyserver/**/*.[ch]"), *ROOT.glob("webmail-api/**/*.[ch]")]):
        for line in path.read_text().splitlines():
            m = re.match(r'#include "([^"]+)"', line)
            if m:
                yield path.relative_to(ROOT).as_posix(), m.group(1)


def test_includes_are_from_the_root_and_exist():
    assert [(f, i) for f, i in includes() if not (ROOT / i).is_file()] == []


def test_roles_never_include_one_another():
    bad = []
    for file, inc in includes():
        a, b = re.match(r"server/(\w+)/", file), re.match(r"server/(\w+)/", inc)
        if b and b.group(1) in ROLES and not (a and (a.group(1) == b.group(1) or a.group(1) == "cli" and b.group(1) == "master")):
            bad.append((file, inc))
    assert bad == [], "roles talk by messages, never by calls"


def test_crypto_and_base_are_leaves():
    leaf = {"server/core/error.h", "server/core/wire.h", "server/core/buf.h"}
    bad = [(f, i) for f, i in includes() if f.startswith("crypto/") and not i.startswith("crypto/") and i not in leaf]
    bad += [(f, i) for f, i in includes() if f.startswith("server/base/") and not i.startswith("server/base/") and i != "server/core/secmem.h"]
    assert bad == []


def test_the_vault_knows_no_way_to_seal():
    allowed = {"crypto/pgp_packet.h", "crypto/pgp_check.h", "crypto/pgp_cert.h", "crypto/record.h", "server/core/secmem.h"}
    bad = [(f, i) for f, i in includes() if f.startswith("store/vault/")
           and not (i.startswith(("store/", "server/base/")) or i in allowed)]
    bad += [(f, i) for f, i in includes() if f.startswith("store/vault/") and i in ("server/base/tls.h", "server/base/conn.h")]
    assert bad == [], "the vault has no TLS, no MIME, no network and no sealing"


def test_engines_do_no_input_or_output():
    bad = [(f, i) for f, i in includes() if f.startswith("server/proto/") and i.startswith("server/base/")
           and i not in ("server/core/error.h", "server/core/wire.h", "server/core/buf.h", "server/core/arena.h")]
    assert bad == []


def test_libevent_stays_in_base():
    bad = []
    for path in [*ROOT.glob("server/**/*.[ch]"), *ROOT.glob("store/**/*.[ch]"), *ROOT.glob("crypto/**/*.[ch]")]:
        if "event2/" in path.read_text() and "server/base/" not in path.as_posix():
            bad.append(path.as_posix())
    assert bad == []
