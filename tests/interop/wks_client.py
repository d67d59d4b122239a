"""What somebody does who publishes a key by mail with gpg-wks-client, in a network namespace of the server's:
python3 wks_client.py ADDRESS PASSWORD FPR. One JSON object on stdout."""
import imaplib
import json
import pathlib
import re
import smtplib
import ssl
import subprocess
import sys
import time

CLIENT = "/usr/lib/gnupg/gpg-wks-client"
WAIT = 120


def run(*command, data=None, check=True):
    return subprocess.run(command, input=data, capture_output=True, timeout=WAIT, check=check)


def send(message, address, password):
    """As the client's --send does it by sendmail: whole, by submission."""
    to = re.search(rb"^To: (\S+)", message, re.M).group(1).decode()
    with smtplib.SMTP_SSL("127.0.0.1", 465, context=ssl._create_unverified_context(), timeout=WAIT) as s:
        s.login(address, password)
        s.sendmail(address, [to], re.sub(rb"\r?\n", b"\r\n", message))
    return to


def newest(address, password):
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        m = imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=ssl._create_unverified_context(), timeout=WAIT)
        m.login(address, password)
        m.select("INBOX", readonly=True)
        found = [p[1] for p in m.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(p, tuple)]
        m.logout()
        if found:
            return found[-1]
        time.sleep(0.1)
    raise AssertionError("no mail came")


def expiry(out):
    return int(next(line.split(":")[6] for line in out.decode().splitlines() if line.startswith("pub")))


def published(address):
    """When the key ends that WKD has for it, as somebody else finds it."""
    pathlib.Path("others", "pubring.kbx").unlink(missing_ok=True)
    return expiry(run("gpg", "--homedir", "others", "--batch", "--no-tty", "--with-colons", "--auto-key-locate",
                      "clear,nodefault,wkd", "--locate-external-keys", address).stdout)


def main(address, password, fpr):
    domain = address.partition("@")[2]
    told = {"supported": run(CLIENT, "--supported", domain, check=False).returncode,
            "check": run(CLIENT, "--check", address, check=False).returncode}
    told["before"] = published(address)
    create = run(CLIENT, "--create", fpr, address)
    told["to"] = [send(create.stdout, address, password)]
    receive = run(CLIENT, "--receive", data=newest(address, password))
    told["to"].append(send(receive.stdout, address, password))
    told["own"] = expiry(run("gpg", "--batch", "--with-colons", "--list-keys", fpr).stdout)
    end = time.monotonic() + WAIT
    while (now := published(address)) != told["own"] and time.monotonic() < end:
        time.sleep(0.2)
    told["after"] = now
    print(json.dumps(told))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except subprocess.CalledProcessError as e:
        sys.exit(f"{e.cmd}: {e.returncode}\n{e.stderr.decode()}")
