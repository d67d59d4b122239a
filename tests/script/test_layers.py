"""Which folder may include which: the rule of docs/architecture.md, said in words where the build only says "no such
file"."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = {"cli", *re.findall(r'\.name = "(\w+)"', (ROOT / "server/base/roles.c").read_text())}


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
        if (
            b
            and b.group(1) in ROLES
            and not (a and (a.group(1) == b.group(1) or a.group(1) == "cli" and b.group(1) == "master"))
        ):
            bad.append((file, inc))
    assert bad == [], "roles talk by messages, never by calls"


def outside(folder, *allowed):
    return [(f, i) for f, i in includes() if f.startswith(folder + "/") and not i.startswith((folder + "/", *allowed))]


def test_arrows_run_downwards():
    assert outside("server/core") == []
    assert outside("server/mail", "server/core/") == []
    assert outside("crypto", "server/core/") == []
    assert outside("server/base", "crypto/record.h", "server/core/") == [], "record keys go to their roles"
    assert outside("server/format", "server/mail/", "crypto/", "server/core/") == []
    assert outside("server/proto", "server/mail/", "server/core/") == [], "engines do no input or output"
    assert outside("server/http", "server/core/") == [], "knows neither the store nor the library that speaks HTTP"
    assert outside("webmail-api/json", "server/core/") == [], "texts and values alone"
    below = ("webmail-api/json/", "server/http/", "server/proto/sasl.h", "crypto/", "server/core/")
    assert outside("webmail-api/session", *below) == [], "neither the store nor any service"
    assert outside("server/autoconfig", "server/base/", "server/core/") == [], "settings, and nobody's account"
    assert outside("server/keys", "store/", "crypto/", "server/gpg/gpg.h", "server/core/") == [], "prints nothing"
    assert outside("server/dns", "server/base/", "server/core/") == [], "asks for names, and needs nothing else"
    assert outside("server/resolver", "server/dns/", "server/base/", "server/core/") == [], "no store, no keys, no mail"
    assert outside("server/fetch", "server/base/", "server/core/") == [], "asks for pages, and needs nothing else"
    allowed = ("server/fetch/", "server/dns/", "server/base/", "server/core/")
    assert outside("server/fetcher", *allowed) == [], "no store, no keys, no mail"
    below = ("server/mailauth/", "server/fetch/", "server/dns/", "server/mail/", "server/base/", "server/core/")
    assert outside("server/doctor", *below) == [], "no store: it is told what it is to find"
    allowed = ("store/", "server/base/", "server/core/", "server/proto/scram.h")
    assert outside("server/login", *allowed) == [], "of no protocol"


def test_the_vault_knows_no_way_to_seal():
    allowed = {"crypto/pgp_packet.h", "crypto/pgp_check.h", "crypto/pgp_cert.h", "crypto/record.h",
               "crypto/outer_seal.h", "crypto/queue_key.h",  # its public half, to look for
               "server/format/outer.h", "server/format/parcel.h", "server/format/render.h"}
    bad = [(f, i) for f, i in outside("store/vault", "store/", "server/base/", "server/core/") if i not in allowed]
    bad += [
        (f, i)
        for f, i in includes()
        if f.startswith("store/vault/") and i in ("server/base/tls.h", "server/base/conn.h")
    ]
    assert bad == [], "the vault has no TLS, no MIME, no network and no sealing"


def test_libevent_stays_in_base():
    bad = []
    for path in [*ROOT.glob("server/**/*.[ch]"), *ROOT.glob("store/**/*.[ch]"), *ROOT.glob("crypto/**/*.[ch]")]:
        if "event2/" in path.read_text() and "server/base/" not in path.as_posix():
            bad.append(path.as_posix())
    assert bad == []


def test_roles_say_events_and_no_text():
    """Only who runs outside of a role prints: master, which holds the log, and the command line. bug.c and event.c are
    theirs as well."""
    homes = ("server/master/", "server/cli/", "server/core/bug.c", "server/base/event.c")
    bad = []
    for path in [*ROOT.glob("server/**/*.[ch]"), *ROOT.glob("store/**/*.[ch]"), *ROOT.glob("crypto/**/*.[ch]")]:
        file = path.relative_to(ROOT).as_posix()
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        words = re.findall(r"\b(?:f?printf|f?puts|putchar|perror|dprintf|syslog|log_(?:text|line|error|warn|info))\("
                           r"|\b(?:stdout|stderr|STDERR_FILENO)\b", text)
        if words and not file.startswith(homes):
            bad.append((file, words))
    assert sorted(bad) == [("server/base/role.c", ["STDERR_FILENO"]), ("server/gpg/seal.c", ["STDERR_FILENO"])]


def test_mail_goes_to_the_vault_by_deposit_alone():
    """What the vault stores was sealed a moment before: no role seals, or hands on, by itself."""
    homes = ("server/sealer/sealer.c", "server/sealer/deposit.c", "server/format/parcel.c", "server/queue/enqueue.c")
    told = ("server/cli/key_notice.c", "sealer_start")  # by no role, and with the change that it tells of
    bad = []
    for path in ROOT.glob("server/**/*.c"):
        file = path.relative_to(ROOT).as_posix()
        if file not in homes:
            bad += [
                (file, call) for call in re.findall(r"\b(sealer_start|parcel_create|parcel_seal)\(", path.read_text())
            ]
    assert [b for b in bad if b != told] == []


def test_only_the_store_knows_how_it_is_laid_out():
    bad = []
    for path in [
        *ROOT.glob("server/**/*.[ch]"),
        *ROOT.glob("keyserver/**/*.[ch]"),
        *ROOT.glob("webmail-api/**/*.[ch]"),
    ]:
        bad += [
            (path.relative_to(ROOT).as_posix(), call)
            for call in re.findall(
                r"\b(engine_\w+|schema_(?:get|put|unpack|init|check)\w*|key_(?:u32|u64|hash|simple)\w*)\(",
                path.read_text(),
            )
        ]
    assert bad == [], "roles ask view.h whole questions: keys, records and engines are the store's own"


def test_others_see_the_stores_seam_alone():
    seam = {"store/view.h", "store/client.h", "store/request.h", "store/records.h", "store/blob.h", "store/storekey.h",
            "store/look.h", "store/queue.h", "store/dkim.h", "store/sending.h",
            "store/suppression.h", "store/sts_policy.h", "store/complaint.h", "store/correspondent.h",
            "store/tls_tally.h", "store/signin.h"}
    bad = [(f, i) for f, i in includes()
           if f.startswith(("server/", "keyserver/", "webmail-api/")) and i.startswith("store/") and i not in seam]
    known = {("server/keys", "store/key_rules.h"), ("server/cli", "store/approve.h"), ("server/cli", "store/check.h")}
    assert [(f, i) for f, i in bad if (f.rsplit("/", 1)[0], i) not in known] == []
