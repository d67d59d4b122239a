"""What mail readers make of a mail: the Subject, and (type, name, text) of each part that is no container. GMime,
Python's email package and, where npm brings it, postal-mime."""
import email
import email.policy
import json
import pathlib
import subprocess

import gi

gi.require_version("GMime", "3.0")
from gi.repository import GMime  # noqa: E402

GMime.init()
INTEROP = pathlib.Path(__file__).resolve().parent / "interop"


def words(text):
    """Texts are alike whatever their blanks: readers differ in what they make of a last line end."""
    return " ".join((text or "").split())


def gmime(mail):
    stream = GMime.StreamMem.new_with_buffer(mail)
    message = GMime.Parser.new_with_stream(stream).construct_message(None)
    if not message:  # the first line is no field
        return "", []
    parts = []

    def walk(o):
        if isinstance(o, GMime.Multipart):
            for i in range(o.get_count()):
                walk(o.get_part(i))
        elif isinstance(o, GMime.Part):
            content = o.get_content()
            out = GMime.StreamMem.new()
            if content:
                content.write_to_stream(out)
            raw = bytes(out.get_byte_array() or b"")
            parts.append((o.get_content_type().get_mime_type().lower(), o.get_filename() or "",
                          words(raw.decode("utf-8", "replace"))))

    if message.get_mime_part():
        walk(message.get_mime_part())
    return message.get_subject() or "", parts


def gmime_type(mail):
    """type/subtype of the whole, or None where there is none."""
    message = GMime.Parser.new_with_stream(GMime.StreamMem.new_with_buffer(mail)).construct_message(None)
    part = message.get_mime_part() if message else None
    return part.get_content_type().get_mime_type().lower() if part else None


def python(mail):
    message = email.message_from_bytes(mail, policy=email.policy.compat32)
    parts = []
    for part in message.walk():
        if not part.is_multipart():
            raw = part.get_payload(decode=True) or b""
            parts.append((part.get_content_type(), part.get_filename() or "", words(raw.decode("utf-8", "replace"))))
    return message["Subject"] or "", parts


def fetch_postal_mime():
    """Its folder, or None: no npm, or none that answers."""
    try:
        p = subprocess.run([INTEROP / "fetch_npm", "postal-mime", "2.7.4"], capture_output=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return p.stdout.decode().strip() if p.returncode == 0 else None


def postal_mime(folder, mails):
    """The Subject, and the text or HTML that is shown, of many mails at once."""
    script = """
        const {default: PostalMime} = await import(process.argv[1] + '/src/postal-mime.js');
        let all = ''; for await (const c of process.stdin) all += c;
        const out = [];
        for (const m of JSON.parse(all)) {
            const p = await PostalMime.parse(Buffer.from(m, 'base64'));
            out.push([p.subject || '', p.text || '', p.html || '', p.attachments.map(a => a.filename || '')]);
        }
        console.log(JSON.stringify(out));"""
    import base64
    p = subprocess.run(["node", "--input-type=module", "-e", script, folder], check=True, capture_output=True,
                       input=json.dumps([base64.b64encode(m).decode() for m in mails]).encode(), timeout=120)
    return [(s, words(t), words(h), names) for s, t, h, names in json.loads(p.stdout)]
