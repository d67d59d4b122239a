"""The log: what docs/log.md says of it."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_each_event_is_described():
    table = re.sub(r"\s*\\\n\s+(?=NUM|RAW)", " ", (ROOT / "server/base/event_table.h").read_text())
    rows = re.findall(r"^    EVENT\((\w+), (\w+), (?:[\w |]+), ?(.*?)\)?\s*\\?$", table, re.M)
    events = [(name.replace("_", "-"), level.lower(), ", ".join(re.findall(r"(?:NUM|RAW)\((\w+), \w+\)", fields)))
              for name, level, fields in rows]
    assert len(events) > 30
    page = (ROOT / "docs/log.md").read_text()
    assert re.findall(r"^\| `([\w-]+)` \| (\w+) \| ([^|]*?) ?\| .+ \|$", page, re.M) == events
