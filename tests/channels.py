"""A process's own channel to a server of another role, for a program in its place: what it may ask, and is answered."""
import array
import contextlib
import ctypes
import fcntl
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
SEED = 20261201
PIDFD_OPEN, PIDFD_GETFD = 434, 438


def requests():
    """Name and number of every request, as docs/ipc.md has them."""
    rows = re.findall(r"^\| (VAULT_\w+) \| (\d+) \|", (ROOT / "docs/ipc.md").read_text(), re.M)
    return {name: int(number) for name, number in rows if int(number) < 200}


def error(name):
    return int(re.search(rf"ERR_{name} = -(\d+)", (ROOT / "server/core/error.h").read_text()).group(1))


class Channel:
    """The channel of a process to a server of another role, while the process itself stands still."""

    def __init__(self, i, pid, server="vault"):
        self.pid, self.ids = pid, random.Random(SEED)
        libc = ctypes.CDLL(None, use_errno=True)
        os.kill(pid, signal.SIGSTOP)
        pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
        fd = libc.syscall(PIDFD_GETFD, pidfd, self.number_of(pid, i.pids(server)), 0)
        os.close(pidfd)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        self.socket = socket.socket(fileno=fd)
        self.socket.setblocking(True)
        self.socket.settimeout(60)

    def number_of(self, pid, servers):
        """The descriptor of the pair whose other end one of the servers has."""
        ends = {}
        for line in subprocess.run(["ss", "-xpnHO"], capture_output=True, text=True, check=True).stdout.splitlines():
            fields = line.split()
            if fields[0] == "u_seq":
                ends[fields[5]] = (fields[7], line)
        for peer, line in ends.values():
            own = re.search(rf"pid={pid},fd=(\d+)", line)
            if own and peer in ends and any(f"pid={s}," in ends[peer][1] for s in servers):
                return int(own.group(1))
        raise AssertionError("it has no such channel")

    def send(self, kind, payload, fds=()):
        number = self.ids.getrandbits(63) | 1 << 62
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([struct.pack(">IQ", kind, number) + payload], ancillary)
        return number

    def ask(self, kind, payload=b"", fds=()):
        """(status, sentence, body); notices meanwhile are left out."""
        number = self.send(kind, payload, fds)
        while True:
            data = self.socket.recv(70000)
            if not data:
                raise EOFError
            kind, of = struct.unpack(">IQ", data[:12])
            if of == number:
                status, length = struct.unpack(">II", data[12:20])
                return status, data[20:20 + length].decode(), data[20 + length:]

    def ended(self):
        """Whether the vault has closed it."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while self.socket.recv(70000):
                pass
        return True

    def close(self):
        self.socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)


def sealed_parcel(outer, capsule, packets):
    head = b"LLP1" + struct.pack(">IIQ", len(outer), len(capsule), len(packets))
    return sealed_file(head + outer + capsule + packets)


def sealed_file(octets, seals=True):
    fd = os.memfd_create("parcel", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, octets)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW |
                    fcntl.F_SEAL_WRITE)
    return fd


def as_web(i):
    """What asks the vault as `web` does."""
    def ask(name, payload, octets):
        c, fds = Channel(i, i.pids("web")[0]), [sealed_file(octets)] if octets else []
        try:
            assert c.ask(requests()[name], payload, fds)[0] == 0
        finally:
            c.close()
            for fd in fds:
                os.close(fd)
    return ask
