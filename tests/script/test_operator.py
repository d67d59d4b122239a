"""What the operator reads at three in the morning: whatever is wrong with an instance, one line says what it is and
what to do about it, and nothing on the disk is changed by trying."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402

ALICE = f"alice@{harness.DOMAIN}"


@pytest.fixture(scope="module")
def master_copy():
    """An instance with a reader and two messages, from which each test gets a copy."""
    with harness.Instance() as i:
        i.init(ingest_instances=1, access_instances=1, reader_turn_ms=100)
        i.add_account("alice")
        i.serve()
        for n in range(2):
            i.send(ALICE, harness.mail(subject=f"before {n}"))
        i.run("backup", i.place / "backup")
        i.stop()
        yield i


@pytest.fixture
def i(master_copy):
    """A copy, served by nobody."""
    with harness.Instance() as copy:
        shutil.copytree(master_copy.dir, copy.dir)
        copy.dir.chmod(0o711)
        shutil.copy(master_copy.place / "storekey", copy.place / "storekey")
        copy.configure(port_base=copy.base, store_key_file=copy.place / "storekey")
        copy.passwords = dict(master_copy.passwords)
        copy.backup = master_copy.place / "backup"
        yield copy


def tree(i):
    """All that is in DIR: names, kinds, contents. What is made in run/ says nothing."""
    return {str(p.relative_to(i.dir)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder"
            for p in i.dir.rglob("*") if p.parent.name != "run"}


def serve_refused(i, *words, wrapper=(), **env):
    """`serve` ends with status 1, and one line on stderr that has these words. DIR stays as it was."""
    before = tree(i)
    p = subprocess.run([*map(str, wrapper), i.binary, "serve"], env=dict(i.env, **env), capture_output=True, timeout=60)
    said = p.stderr.decode()
    assert p.returncode == 1, (p.returncode, said)
    assert said.count("\n") == 1 and said.startswith("letterlock serve: "), said
    for word in words:
        assert word in said, said
    assert tree(i) == before
    return said


# The store


def missing(i):
    shutil.rmtree(i.dir / "store")


def unmounted(i):
    missing(i)
    (i.dir / "store").mkdir(mode=0o700)


def emptied(i):
    (i.dir / "store/data.mdb").write_bytes(b"")


def cut(i):
    os.truncate(i.dir / "store/data.mdb", 20000)


def garbage(i):
    (i.dir / "store/data.mdb").write_bytes(os.urandom(100000))


def folder(i):
    (i.dir / "store/data.mdb").unlink()
    (i.dir / "store/data.mdb").mkdir()


STORES = {missing: ["the store's folder", "is not there", "mount", "restore"],
          unmounted: ["data.mdb is not there", "mount", "restore"],
          emptied: ["data.mdb is empty", "restore"],
          cut: ["cut short", "20000 bytes", "restore"],
          garbage: ["damaged, or not a store", "restore"],
          folder: ["not a file", "restore"]}


@pytest.mark.parametrize("hurt", STORES, ids=lambda f: f.__name__)
def test_a_store_that_is_not_there_is_never_made(i, hurt):
    hurt(i)
    said = serve_refused(i, str(i.dir / "store"), *STORES[hurt])
    before = tree(i)
    for command in (["account", "list"], ["domain", "add", "x.example"], ["status"], ["audit"]):
        p = i.run(*command, check=False)
        assert p.returncode == 1 and p.stderr.count(b"\n") == 1, p
        assert p.stderr.decode().split(": ", 1)[1] == said.split(": ", 1)[1], p
    assert tree(i) == before


@pytest.mark.parametrize("hurt", [missing, unmounted, emptied], ids=lambda f: f.__name__)
def test_restore_takes_the_place_of_an_empty_one(i, hurt):
    hurt(i)
    i.run("restore", i.backup)
    assert sorted(os.listdir(i.dir / "store"))[0] == "data.mdb" and not (i.dir / "restore").exists()
    i.serve()
    assert len(i.fetch_all(ALICE)) == 2
    i.stop()


@pytest.mark.parametrize("hurt", [cut, garbage], ids=lambda f: f.__name__)
def test_restore_leaves_what_may_be_somebodys_mail(i, hurt):
    hurt(i)
    before = tree(i)
    p = i.run("restore", i.backup, check=False)
    assert p.returncode == 1 and b"holds a store already" in p.stderr
    assert tree(i) == before


def mounts_here():
    mount = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(mount, capture_output=True).returncode == 0


def test_restore_onto_a_disk_of_its_own(i):
    """A new disk is mounted at DIR/store, with what a new file system has in it."""
    if not mounts_here():
        pytest.skip("needs a mount namespace")
    unmounted(i)
    script = f"""set -e
mount -t tmpfs none {i.dir}/store
mkdir {i.dir}/store/lost+found
! {i.binary} serve 2>{i.place}/said
{i.binary} restore {i.backup}
{i.binary} audit
ls {i.dir}/store {i.dir}"""
    p = subprocess.run(["unshare", "-m", "sh", "-c", script], env=i.env, capture_output=True, timeout=60)
    assert p.returncode == 0 and b"0 faults" in p.stdout, p
    assert b"data.mdb" in p.stdout and p.stdout.count(b"restore") == 0, p
    assert "is not there" in (i.place / "said").read_text()


def test_another_stores_key(i):
    with harness.Instance(anew=True) as other:
        other.init()
        shutil.copy(other.dir / "store/data.mdb", i.dir / "store/data.mdb")
    p = subprocess.run([i.binary, "serve"], env=i.env, capture_output=True, timeout=60)
    assert p.returncode == 1
    assert "the server ends: the store is sealed under another key" in p.stderr.decode()
    assert p.stderr.count(b"vault-no-store") == 1  # starting again would not help


@pytest.mark.parametrize("how", ["cut", "deleted", "replaced"])
def test_a_store_that_goes_while_it_is_served(i, how):
    """The server never serves half of it, and never another one: it ends with a word when its vault has to start."""
    i.serve()
    file, vault = i.dir / "store/data.mdb", i.pids("vault")[0]
    if how == "cut":
        os.truncate(file, 20000)
    else:
        file.unlink()
        if how == "replaced":
            shutil.copy(i.backup / "data.mdb", file)
    os.kill(vault, signal.SIGKILL)
    assert i.process.wait(30) == 1
    i.overlook_reports()  # whoever reads behind the end of a file that was cut dies of it
    said = i.log()
    assert re.search("the server ends: the store's file .*" + {
        "cut": "cut short", "deleted": "No such file", "replaced": "another than the one that is served"}[how], said)
    assert how != "deleted" or not file.exists()
    i.process = None


def test_a_deleted_store_takes_no_more_mail_and_can_be_saved(i):
    """The file's name is gone, the server has it open: mail that would be lost with the process is not taken, the log
    says what to do, and doing it loses nothing."""
    i.serve()
    i.send(ALICE, harness.mail(subject="just before"))
    vault = i.pids("vault")
    (i.dir / "store/data.mdb").unlink()
    time.sleep(0.3)  # reader_turn_ms is 100
    with pytest.raises(Exception) as refusal:
        i.send(ALICE, harness.mail(subject="too late"))
    assert "451" in str(refusal.value) or "4.3" in str(refusal.value), refusal
    assert i.logged("letterlock backup still copies what the server has open", wait=60)
    assert i.pids("vault") == vault and any("the store" in m for m in i.status()["mind"])
    i.run("backup", i.place / "saved")
    i.stop()
    serve_refused(i, "data.mdb is not there", "restore")
    i.run("restore", i.place / "saved")
    i.serve()
    assert len(i.fetch_all(ALICE)) == 3
    i.stop()


# The certificate


def day(offset):
    return time.strftime("%Y%m%d000000Z", time.gmtime(time.time() + offset * 86400))


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def certificate(i, name=harness.DOMAIN, start=-10, end=300, chain=True):
    """A chain of two, the issuer's behind the server's, in place of the instance's own."""
    place = i.place / "ca"
    place.mkdir(exist_ok=True)
    (place / "db").write_text("")
    (place / "conf").write_text(f"""[ca]
default_ca = x
[x]
database = {place}/db
new_certs_dir = {place}
rand_serial = yes
policy = any
default_md = sha256
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
""")

    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)
    openssl("req", "-x509", *EC, "-subj", "/CN=ca", "-days", 900, "-keyout", place / "ca.key", "-out", place / "ca.pem")
    openssl("req", *EC, "-subj", "/CN=" + harness.DOMAIN, "-addext", f"subjectAltName=DNS:{name}",
            "-keyout", i.dir / "tls/key.pem", "-out", place / "req")
    openssl("ca", "-config", place / "conf", "-batch", "-notext", "-cert", place / "ca.pem", "-keyfile",
            place / "ca.key", "-startdate", day(start), "-enddate", day(end), "-in", place / "req",
            "-out", place / "crt")
    (i.dir / "tls/key.pem").chmod(0o600)
    own, ca = ((place / n).read_text() for n in ("crt", "ca.pem"))
    (i.dir / "tls/chain.pem").write_text(own + ca if chain else own)


def open_key(i):
    certificate(i)
    (i.dir / "tls/key.pem").chmod(0o644)


CERTIFICATES = {  # how it is made: words of what is minded; None: nothing
    "good": (certificate, None),
    "expired": (lambda i: certificate(i, start=-90, end=-2), f"expired on {day(-2)[:4]}-"),
    "soon": (lambda i: certificate(i, end=13), "expires on"),
    "not-so-soon": (lambda i: certificate(i, end=16), None),
    "not-yet": (lambda i: certificate(i, start=3), "this machine's clock says"),
    "other-name": (lambda i: certificate(i, "www.example.org"), f"not for {harness.DOMAIN}, the server's own name"),
    "below": (lambda i: certificate(i, "*." + harness.DOMAIN), f"not for {harness.DOMAIN}"),
    "open-key": (open_key, "chmod 600"),
}


def minds(i):
    """What status minds of TLS, with the server running or not."""
    return [m for m in i.status()["mind"] if "TLS" in m or "tls_" in m]


@pytest.mark.parametrize("how", CERTIFICATES)
def test_certificates_are_minded_and_served(i, how):
    """At the start, at a reload, in status with and without a server; nothing of it keeps the server from serving."""
    make, word = CERTIFICATES[how]
    i.serve()
    make(i)
    before = i.log()
    said = i.run("reload").stderr.decode()
    running = minds(i)
    i.stop()
    logged = i.log()[len(before):]
    resting = minds(i)
    start = len(i.log())
    i.serve()
    assert running == minds(i) == resting
    i.stop()
    served = i.log()[start:]
    if word is None:
        assert running == [] and "TLS" not in said + logged + served, (running, said, logged, served)
        return
    assert len(running) == 1 and word in running[0], running
    assert running[0] in said and running[0] in logged and running[0] in served, (said, logged, served)


def test_hints_stay_out_of_the_log(i):
    i.serve()
    assert [m for m in minds(i) if "self-signed" in m] == minds(i) != []  # init's own certificate
    certificate(i, chain=False)
    assert i.run("reload").stderr == b""
    assert len(minds(i)) == 1 and "fullchain" in minds(i)[0]
    i.stop()
    assert "self-signed" not in i.log() and "fullchain" not in i.log()


def test_a_key_of_another_certificate_is_refused(i):
    i.serve()
    kept = (i.dir / "tls/chain.pem").read_text()
    certificate(i)
    (i.dir / "tls/chain.pem").write_text(kept)
    p = i.run("reload", check=False)
    words = "the key does not belong to the first certificate of the chain"
    assert p.returncode == 1 and words.encode() in p.stderr and b"goes on with what it had" in p.stderr, p
    assert any("would be refused" in m and words in m for m in i.status()["mind"])
    i.send(ALICE, harness.mail())
    i.stop()
    assert any("would be refused" in m and words in m for m in i.status()["mind"])
    serve_refused(i, words)


def test_status_tells_what_was_not_taken_over(i):
    i.serve()
    i.configure(smtp_errors=7, bind="127.0.0.2")
    certificate(i)
    mind = "\n".join(i.status()["mind"])
    assert "counts from the next start: bind" in mind
    assert re.search("letterlock reload takes it over: smtp_errors$", mind, re.M)
    assert "tls_chain's file is another than the one that is served" in mind
    i.run("reload")
    mind = "\n".join(i.status()["mind"])
    assert "counts from the next start: bind" in mind and "takes it over" not in mind
    i.configure(tls_chain="tls/none.pem")
    mind = "\n".join(i.status()["mind"])
    assert "would be refused: the TLS certificate chain " + str(i.dir / "tls/none.pem") + ": No such file" in mind
    i.stop()


def test_a_wildcard_is_a_name_one_below(i):
    i.configure(domain="mx." + harness.DOMAIN)
    certificate(i, "*." + harness.DOMAIN)
    i.serve()
    assert minds(i) == []
    i.stop()


# The machine and the files beside the store


def ran(i, *lines):
    """The command of a wrapper that runs these lines of sh first, in a namespace of mounts that nobody else sees."""
    script = "\n".join(["set -e", *lines, 'exec "$@"'])
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]


def set_passphrase(i):
    """Opens by words alone."""
    words = i.place / "words"
    words.write_text("correct horse\n")
    i.run("store-key", "add", "--passphrase-file", words)
    i.run("store-key", "remove", "1")


def taken_port(i):
    s = harness.socket.socket()
    s.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", i.port("imap")))
    s.listen()
    return {"keep": s}


def write(path, data=b"", mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)


def own(i, user):
    """Makes all of the instance that user's."""
    subprocess.run(["chown", "-R", str(user), i.place], check=True)
    i.place.chmod(0o711)


def as_nobody(i):
    """The instance is nobody's, who serves it, and may not enter the store's folder."""
    own(i, "nobody")
    (i.dir / "store").chmod(0o000)
    return {"wrapper": ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]}


def wrong_passphrase(i):
    set_passphrase(i)
    write(i.place / "words", b"wrong horse\n")
    return {"LETTERLOCK_PASSPHRASE_FILE": str(i.place / "words")}


def no_passphrase(i):
    set_passphrase(i)
    return {"LETTERLOCK_PASSPHRASE_FILE": str(i.place / "nowhere")}


def empty_passphrase(i):
    set_passphrase(i)
    write(i.place / "words", b"\n")
    return {"LETTERLOCK_PASSPHRASE_FILE": str(i.place / "words")}


def nothing_to_ask(i):
    set_passphrase(i)
    return {"wrapper": ["setsid", "-w"]}


def full_run_folder(i):
    shutil.rmtree(i.dir / "run")
    (i.dir / "run").mkdir(mode=0o700)
    return {"wrapper": ran(i, f"mount -t tmpfs -o size=4k,nr_inodes=1 none {i.dir}/run")}


def no_room_for_the_socket(i):
    shutil.rmtree(i.dir / "run")
    (i.dir / "run").mkdir(mode=0o700)
    return {"wrapper": ran(i, f"mount -t tmpfs -o size=4k,nr_inodes=2 none {i.dir}/run")}


def read_only(i):
    return {"wrapper": ran(i, f"mount --bind {i.dir} {i.dir}", f"mount -o remount,bind,ro {i.dir}")}


def read_only_store(i):
    return {"wrapper": ran(i, f"mount --bind {i.dir}/store {i.dir}/store",
                           f"mount -o remount,bind,ro {i.dir}/store")}


def short_tls_key(i):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x", "-keyout",
                    i.dir / "tls/key.pem", "-out", i.dir / "tls/chain.pem"], check=True, capture_output=True)


def linked_store(i):
    (i.dir / "store").rename(i.place / "elsewhere")
    (i.dir / "store").symlink_to(i.place / "elsewhere")


def byte_order_mark(i):
    path = i.dir / "letterlock.conf"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


WRONG = {  # what goes wrong: the words of the one line
    "no-instance": (lambda i: shutil.rmtree(i.dir) or i.dir.mkdir(),
                    ["the configuration", "letterlock.conf: No such file", "letterlock init", "--dir"]),
    "typo": (lambda i: i.configure(smtp_sesions=7), ["letterlock.conf: line ", "smtp_sesions"]),
    "byte-order-mark": (byte_order_mark, ["letterlock.conf: line 1: a byte order mark", "save the file without it"]),
    "linked-store": (linked_store, ["store is a symbolic link", "mount --bind"]),
    "value": (lambda i: i.configure(smtp_errors="many"), ["smtp_errors", "number from 1 to 10000"]),
    "no-certificate": (lambda i: (i.dir / "tls/chain.pem").unlink(),
                       ["the TLS certificate chain", "No such file", "tls_chain"]),
    "no-tls-key": (lambda i: (i.dir / "tls/key.pem").unlink(), ["the TLS key", "No such file", "tls_key"]),
    "garbage-certificate": (lambda i: write(i.dir / "tls/chain.pem", b"x" * 99),
                            ["tls/chain.pem", "no certificate in PEM"]),
    "short-tls-key": (short_tls_key, ["tls/chain.pem", "too short a key", "2048 bits"]),
    "garbage-tls-key": (lambda i: write(i.dir / "tls/key.pem", b"x" * 99),
                        ["tls/key.pem", "not an unencrypted private key"]),
    "no-slots": (lambda i: (i.dir / "store.key").unlink(), ["store.key: not found", "put back the one"]),
    "garbage-slots": (lambda i: write(i.dir / "store.key", b"x" * 99), ["store.key: malformed", "put back the one"]),
    "no-queue-slots": (lambda i: (i.dir / "queue.key").unlink(), ["queue.key: not found", "new-queue"]),
    "garbage-queue-slots": (lambda i: write(i.dir / "queue.key", b"x" * 99), ["queue.key: malformed", "put back"]),
    "no-key-file": (lambda i: (i.place / "storekey").unlink(), ["key file", "No such file", "store_key_file"]),
    "open-key-file": (lambda i: (i.place / "storekey").chmod(0o644), ["others may read it", "chmod o-r"]),
    "other-key-file": (lambda i: write(i.place / "storekey", os.urandom(32)),
                       ["storekey: it opens no slot", "put back"]),
    "wrong-passphrase": (wrong_passphrase, ["the passphrase is wrong"]),
    "no-passphrase": (no_passphrase, ["nowhere, which LETTERLOCK_PASSPHRASE_FILE names: No such file"]),
    "empty-passphrase": (empty_passphrase, ["words, which LETTERLOCK_PASSPHRASE_FILE names: its first line is empty"]),
    "nothing-to-ask": (nothing_to_ask, ["there is no terminal"]),
    "port-taken": (taken_port, ["cannot listen for IMAP", "Address already in use", "ss -ltnp"]),
    "no-such-address": (lambda i: i.configure(bind="192.0.2.1"), ["192.0.2.1", "this machine does not have"]),
    "closed-store": (as_nobody, ["the store's file", "data.mdb: Permission denied", "run this as root"]),
    "full-run-folder": (full_run_folder, ["the instance's lock", "run/lock: No space left", "make room"]),
    "full-run-folder-2": (no_room_for_the_socket, ["the control socket", "run/control", "No space left", "make room"]),
    "read-only": (read_only, ["Read-only file system", "mount it for writing"]),
    "read-only-store": (read_only_store, ["data.mdb: Read-only file system", "mount it for writing"]),
}


@pytest.mark.needs("root", "setpriv")
@pytest.mark.parametrize("what", WRONG)
def test_one_line_says_what_is_wrong_and_what_to_do(i, what):
    hurt, words = WRONG[what]
    if "read-only" in what or "full" in what:
        if not mounts_here():
            pytest.skip("needs a mount namespace")
    given = hurt(i)
    given = dict(given) if isinstance(given, dict) else {}
    keep, wrapper = given.pop("keep", None), given.pop("wrapper", ())
    print(serve_refused(i, *words, wrapper=wrapper, **given).strip())
    if keep:
        keep.close()


@pytest.mark.needs("root")
def test_a_slot_on_a_read_only_disk(i):
    if not mounts_here():
        pytest.skip("needs a mount namespace")
    (i.place / "words").write_text("correct horse\n")
    before = tree(i)
    wrapper = ran(i, f"mount --bind {i.dir} {i.dir}", f"mount -o remount,bind,ro {i.dir}")
    p = subprocess.run([*wrapper, i.binary, "store-key", "add", "--passphrase-file", str(i.place / "words")],
                       env=i.env, capture_output=True, timeout=60)
    assert p.returncode == 1 and b"could not be added: Read-only file system" in p.stderr, p
    assert tree(i) == before


@pytest.mark.needs("root", "setpriv", "prlimit")
def test_too_few_processes(i):
    """What the kernel refuses a role is said in its words, not as a want of memory."""
    own(i, 61950)
    p = subprocess.run(["setpriv", "--reuid=61950", "--regid=61950", "--clear-groups", "prlimit", "--nproc=0:0",
                        i.binary, "serve"], env=i.env, capture_output=True, timeout=60)
    assert p.returncode == 1 and b"vault 0 cannot be started: Resource temporarily unavailable" in p.stderr, p


def test_two_servers_on_one_instance(i):
    i.serve()
    serve_refused(i, "a server or another command is at work on", "run/lock is locked", "end it first")
    i.send(ALICE, harness.mail())
    i.stop()


def test_the_run_folder_is_cleared_away(i):
    """The lock is that of DIR too: nobody writes beside the server, which status does not take for ended."""
    i.serve()
    shutil.rmtree(i.dir / "run")
    for command in (["app-password", "add", ALICE, "--label", "x"], ["restore", i.backup]):
        p = i.run(*command, check=False)
        assert p.returncode == 1 and b"a server or another command is at work on" in p.stderr, p
    assert any("at work here, and run/control does not lead to it" in m for m in i.status()["mind"])
    i.send(ALICE, harness.mail())
    assert i.stop() == 0
    assert not any("at work here" in m for m in i.status()["mind"])
    i.serve()
    assert len(i.fetch_all(ALICE)) == 3
    i.stop()


def test_signals_that_other_servers_take(i):
    """Those by which logs are opened anew, and that of a limit on the size of files, which the log may be at."""
    i.serve()
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXFSZ, signal.SIGPIPE):
        i.process.send_signal(number)
    i.send(ALICE, harness.mail())
    assert i.stop() == 0


@pytest.mark.needs("root")
def test_a_roles_uid_that_is_somebodys(i):
    """nobody is 65534: it serves, and says so."""
    i.configure(role_uid_base=65533)
    i.serve()
    i.stop()
    assert "uid 65534, which is nobody's too: set role_uid_base" in i.log()
    assert any("nobody's too" in m for m in i.status()["mind"])


@pytest.mark.needs("prlimit")
def test_few_descriptors(i):
    i.serve(wrapper=["prlimit", "--nofile=256:256"])
    i.send(ALICE, harness.mail())
    i.stop()
    assert "is 256; raise LimitNOFILE, or lower imap_sessions, smtp_sessions and web_sessions" in i.log()


@pytest.mark.needs("prlimit")
def test_no_locked_memory(i):
    """It serves; only where there is swap it says what that means."""
    i.serve(wrapper=["prlimit", "--memlock=0:0", "setpriv", "--bounding-set=-sys_resource,-ipc_lock"])
    i.send(ALICE, harness.mail())
    i.stop()
    swap = pathlib.Path("/proc/swaps").read_text().count("\n") > 1
    assert ("raise LimitMEMLOCK" in i.log()) == swap


@pytest.mark.needs("faketime", "the released build")
def test_a_clock_that_stands_at_1990(i):
    p = subprocess.run(["faketime", "1990-01-01", harness.released(), "status", "--json"], env=i.env,
                       capture_output=True, timeout=60)
    assert b"this machine's clock says 1990-01-01: is it right?" in p.stdout, p


def test_a_role_that_dies_again_and_again_is_said_with_a_count(i):
    """Three lines, then one a minute; another way to die is said at once."""
    i.serve()
    for _ in range(8):
        while not (pids := i.pids("gpg-seal")):
            time.sleep(0.05)
        os.kill(pids[0], signal.SIGKILL)
    i.stop()
    ends = re.findall("gpg-seal.* ended, signal 9.*", i.log())
    assert 3 <= len(ends) <= 4, ends
