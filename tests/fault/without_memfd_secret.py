"""Runs a command in a kernel that has no memfd_secret, as far as the command can tell: keys are then in memory that a
test may read."""
import ctypes
import os
import struct
import sys

MEMFD_SECRET, ENOSYS = 447, 38  # of every architecture
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
code = b"".join(struct.pack("<HBBI", *line) for line in (
    (0x20, 0, 0, 0),  # load the number of the call
    (0x15, 0, 1, MEMFD_SECRET),  # is it that one?
    (0x06, 0, 0, 0x00050000 | ENOSYS),
    (0x06, 0, 0, 0x7FFF0000),
))
buffer = ctypes.create_string_buffer(code, len(code))
program = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
