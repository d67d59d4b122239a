"""A small disk for the store, filled by mail or by somebody else."""
import contextlib
import os
import pathlib
import smtplib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402


def mount(place, store, size, kind):
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", store], check=True)
        return
    image = place / "image"
    subprocess.run(["truncate", "-s", size.upper(), image], check=True)
    subprocess.run([f"mkfs.{kind}", "-q", *(["-m", "0"] if kind == "ext4" else []), image], check=True)
    subprocess.run(["mount", "-o", "loop", image, store], check=True)


@contextlib.contextmanager
def small_disk(instance, size, kind="tmpfs"):
    """The store on a file system of its own."""
    store, saved = instance.dir / "store", instance.place / "saved"
    subprocess.run(["cp", "-a", store, saved], check=True)
    (saved / "reserve").unlink(missing_ok=True)  # it is that of the large disk
    mount(instance.place, store, size, kind)
    try:
        subprocess.run(f"cp -a {saved}/. {store}/ && chown --reference={saved} {store}", shell=True, check=True)
        yield store
    finally:
        instance.stop()
        subprocess.run(["umount", store], check=False)


def fill_up(store, name="another program's"):
    """To the last octet."""
    path = store / name
    with open(path, "wb", buffering=0) as f, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while f.write(b"x" * size) == size:
                    pass
        os.fsync(f.fileno())
    return path


def code_of(instance, to, message=None):
    try:
        instance.send(to, message or harness.mail())
        return 250
    except smtplib.SMTPRecipientsRefused as e:
        return next(iter(e.recipients.values()))[0]
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
