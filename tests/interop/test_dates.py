"""Dates of header fields are read as Python's email and GMime read them, where those two agree: over dates that are put
together from the parts that real mail has, and over the corpus."""
import datetime
import email.utils
import itertools
import os
import pathlib
import re
import subprocess

import corpus
import pytest

TOOL = pathlib.Path(os.environ["LETTERLOCK_BINARY"]).parent / "tests/interop/date_tool"

WEEKDAYS = ["", "Tue, ", "Tue,", "tue, ", "Tuesday, ", "Tues, ", "Di, ", "mar., ", "Tue "]
DAYS = ["24 Jul 2007", "24 July 2007", "24 JUL 07", "24-Jul-2007", "24-Jul-07", "4 Jul 1999", "04 Jul 1969",
        "024 Jul 2007", "24 Jul 2007,", "6 October 2007", "29 Feb 2000", "29 Feb 2001", "24 Sep 69", "24 Sep 49"]
# Years 50 to 68 are the last century's (RFC 5322 section 4.3); both of the others take them for 2050 to 2068.
# What stands in the order of asctime(3): the time comes between day and year.
SPLIT = [("Jul 24", "2007"), ("Jul  4", "2007"), ("July 24", "1999"), ("Jul 24", "07")]
TIMES = ["18:55:07", "18:55", "13:2:1", "3:02:01", "018:55:07", "00:00:00", "23:59:59", "24:00:00", "18:55:07,"]
ZONES = ["", " +0200", " -0700", " +0000", " -0000", " +1400", " GMT", " UT", " UTC", " Z", " EST", " EDT", " PST",
         " PDT", " CEST", " MEZ", " JST", " gmt", " (CEST)", " +0200 (CEST)", " +0200 (open", " +0200 GMT", " +0200 x",
         " GMT+0200", " GMT-0700 (PDT)", " UTC+2", " +02:00", " --0400", " -04-00", " \"GMT\"",
         " Pacific Daylight Time", " + 0200", " GMT Standard Time"]


def generated():
    for weekday, day, time, zone in itertools.product(WEEKDAYS, DAYS, TIMES, ZONES):
        yield f"{weekday}{day} {time}{zone}"
    for weekday, (day, year), time, zone in itertools.product(WEEKDAYS, SPLIT, TIMES, ZONES):
        yield f"{weekday}{day} {time}{zone} {year}"
        yield f"{weekday}{day} {time} {year}{zone}"
        yield f"{weekday}{day}, {year} {time}{zone}"


def python(text):
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    return int((when - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).total_seconds())


def ask(dates):
    """(ours, GMime's) for each; None: it cannot be read."""
    out = subprocess.run([TOOL], input="".join(d + "\n" for d in dates).encode("utf-8", "surrogateescape"),
                         capture_output=True, check=True).stdout.decode()
    answers = [tuple(None if v == "-" else int(v) for v in line.split()) for line in out.splitlines()]
    assert len(answers) == len(dates)
    return answers


def compare(dates):
    alike, wrong = 0, []
    for date, (ours, gmime) in zip(dates, ask(dates)):
        theirs = python(date)
        if theirs is None or theirs != gmime:
            continue
        alike += 1
        if ours != theirs:
            wrong.append((date, ours, theirs))
    return alike, wrong


def test_dates_that_others_read_alike():
    dates = list(generated())
    alike, wrong = compare(dates)
    print(f"\n    {len(dates)} dates, {alike} of them read alike by Python and GMime")
    assert not wrong, wrong[:20]
    assert alike > 15000


@pytest.mark.needs("the corpus of real mail (npm)")
def test_dates_of_real_mail():
    dates = []
    for _, data in corpus.messages():
        head = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
        field = re.search(rb"(?im)^date[ \t]*:((?:.*(?:\n[ \t].*)*))", head)
        if field:
            text = re.sub(rb"\s+", b" ", field[1]).strip()
            dates.append(text.decode("utf-8", "surrogateescape"))
    unlike = [(d, ours, gmime) for d, (ours, gmime) in zip(dates, ask(dates)) if ours != gmime]
    print(f"\n    {len(dates)} dates of real mail, all as GMime reads them")
    assert len(dates) > 6000 and not unlike, unlike
