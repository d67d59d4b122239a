"""Postfix and Dovecot from Debian, private instances on loopback, to measure beside. They need root."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

DOMAIN = "letterlock.test"


def cpu_seconds(pids):
    """User and system time so far, of the processes and of children they reaped."""
    tick = os.sysconf("SC_CLK_TCK")
    total = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(int(x) for x in fields[11:15])
        except OSError:
            pass
    return total / tick


def descendants(pid):
    out = [pid]
    for p in out:
        try:
            for task in pathlib.Path(f"/proc/{p}/task").iterdir():
                out += [int(x) for x in (task / "children").read_text().split()]
        except OSError:
            pass
    return out


def memory_kb(pids, kind="Pss"):
    """Proportional set size: shared pages counted once. kind Pss_File: of those, what a file has (a mapped store's
    pages too, which the system takes back when it needs them)."""
    total = 0
    for pid in pids:
        try:
            total += int(
                re.search(rf"^{kind}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1)
            )
        except (OSError, AttributeError):
            pass
    return total


class Dovecot:
    def __init__(self, imaps_port, chain=None, key=None, imap_port=0):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="bench-dovecot-", dir="/var/tmp"))
        self.place.chmod(0o755)
        (self.place / "mail").mkdir()
        user = pwd.getpwnam("nobody")
        os.chown(self.place / "mail", user.pw_uid, user.pw_gid)
        conf = self.place / "dovecot.conf"
        ssl = f"ssl = yes\nssl_cert = <{chain}\nssl_key = <{key}\n" if chain else "ssl = no\n"
        conf.write_text(f"""
base_dir = {self.place}/run
state_dir = {self.place}/state
log_path = {self.place}/log
protocols = imap lmtp
listen = 127.0.0.1
mail_location = maildir:{self.place}/mail/%u
first_valid_uid = 1
first_valid_gid = 1
default_client_limit = 20000
mail_max_userip_connections = 20000
auth_mechanisms = plain
disable_plaintext_auth = no
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={user.pw_uid} gid={user.pw_gid} home={self.place}/mail/%u
}}
{ssl}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service imap-login {{
  process_limit = 20000
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port if chain else 0}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 20000
}}
""")
        self.socket = self.place / "run" / "lmtp"
        self.process = subprocess.Popen(
            ["dovecot", "-F", "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            if self.socket.exists():
                return
            time.sleep(0.1)
        raise RuntimeError(
            (self.place / "log").read_text() if (self.place / "log").exists() else "dovecot does not start"
        )

    def delivered(self):
        return sum(len(list(p.iterdir())) for p in self.place.glob("mail/*/new"))

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.place, ignore_errors=True)


class PostfixBase:
    """A private instance in folders of its own."""

    SERVICES = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

    def __init__(self, port, settings):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="bench-postfix-", dir="/var/tmp"))
        self.place.chmod(0o755)
        self.etc, self.spool, data = (self.place / n for n in ("etc", "spool", "data"))
        for d in (self.etc, self.spool, data):
            d.mkdir()
        owner = pwd.getpwnam("postfix")
        os.chown(data, owner.pw_uid, owner.pw_gid)
        (self.etc / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {self.spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.{DOMAIN}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
maillog_file = /var/log/bench-postfix.log
default_process_limit = 100
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
smtpd_banner = bench
{settings}""")
        (self.etc / "master.cf").write_text(f"127.0.0.1:{port} inet n - n - - smtpd{self.SERVICES}")
        self.start()

    def start(self):
        subprocess.run(
            ["postfix", "-c", str(self.etc), "start"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.pid = int((self.spool / "pid" / "master.pid").read_text().split()[0])

    def running(self):
        return not subprocess.run(["postfix", "-c", str(self.etc), "status"], capture_output=True).returncode

    def queued(self):
        return sum(len(names) for queue in ("incoming", "active", "deferred")
                   for _, _, names in os.walk(self.spool / queue))

    def stop(self):
        subprocess.run(
            ["postfix", "-c", str(self.etc), "stop"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self):
        self.stop()
        time.sleep(0.5)
        shutil.rmtree(self.place, ignore_errors=True)
        pathlib.Path("/var/log/bench-postfix.log").unlink(missing_ok=True)


class Postfix(PostfixBase):
    """Takes mail on a loopback port and hands it to Dovecot's LMTP."""

    def __init__(self, port, lmtp_socket):
        super().__init__(port, f"""virtual_mailbox_domains = {DOMAIN}
virtual_transport = lmtp:unix:{lmtp_socket}
lmtp_destination_concurrency_limit = 20
""")


class PostfixSender(PostfixBase):
    """Has a full queue of mail for others, and sends it when it is started. routes: by domain, HOST:PORT."""

    def __init__(self, port, routes):
        self.port = port
        super().__init__(port, "smtpd_relay_restrictions = check_client_access static:HOLD, permit_mynetworks, reject\n"
                               "transport_maps = texthash:$config_directory/routes\n")
        (self.etc / "routes").write_text("".join(
            "{} smtp:[{}]:{}\n".format(domain, *to.split(":")) for domain, to in routes.items()))

    def fill(self, messages, size, sender, address):
        """To address(n) the n-th. One mail is taken in and held; the others are its queue file with other recipients
        of the same length."""
        model = address(0)
        subprocess.run(["/usr/sbin/smtp-source", "-l", str(size), "-f", sender, "-t", model,
                        f"127.0.0.1:{self.port}"], check=True, capture_output=True, timeout=60)
        self.stop()
        [held] = (self.spool / "hold").iterdir()
        octets, owner = held.read_bytes(), held.stat()
        held.unlink()
        for n in range(messages):
            assert len(address(n)) == len(model)
            file = self.spool / "incoming" / "new"
            file.write_bytes(octets.replace(model.encode(), address(n).encode()))
            os.chown(file, owner.st_uid, owner.st_gid)
            file.chmod(0o700)
            file.rename(file.with_name(f"{n & 0xfffff:05X}{file.stat().st_ino:X}"))  # what postsuper wants at the start


class SmtpSink:
    def __init__(self, port, host="127.0.0.1", options=("-c",)):
        # A session of its own, as what is measured has: Linux shares the processors among sessions first.
        self.process = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", *options, f"{host}:{port}", "1000"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(0.5)
        self.pid = self.process.pid

    def close(self):
        self.process.kill()
        self.process.wait()
