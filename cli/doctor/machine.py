"""This machine: room on its disks, its time zones, its locale."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cas.limits import MIB
from cli.doctor.model import Health, Observation
from cli.session import Session
from cli.words import size

LEAST_ROOM = 256 * MIB
"""Below this a version of any size may fail: packs in flight, the sorting of bags, the catalog."""

GOOD_ROOM = 2048 * MIB

PROBED_ZONE = "Europe/Zurich"
"""A zone with summer time: where it is known, all are."""


def look_at_machine(session: Session) -> Iterator[Observation]:
    """Disk space, time zones, locale, processors."""
    yield _room("CAS_HOME", session.home)
    yield _room("temporary files", Path(tempfile.gettempdir()))
    yield _zones()
    yield _locale()
    yield Observation(
        "machine", "processors", Health.OK, f"{os.cpu_count()}, {session.settings.threads} are used"
    )


def _room(name: str, place: Path) -> Observation:
    free = shutil.disk_usage(place).free
    found = f"{size(free)} free in {place}"
    if free < LEAST_ROOM:
        return Observation("machine", name, Health.FAIL, found, "Free some space, or use another disk")
    if free < GOOD_ROOM:
        return Observation("machine", name, Health.WARN, found, "A large database may need more")
    return Observation("machine", name, Health.OK, found)


def _zones() -> Observation:
    now = datetime.now().astimezone()
    local = f"this machine is at {now.strftime('%Z %z')}"
    try:
        ZoneInfo(PROBED_ZONE)
    except ZoneInfoNotFoundError:
        advice = "Install it: apt install tzdata, or pip install tzdata"
        return Observation(
            "machine", "time zones", Health.FAIL, f"there is no time-zone data; {local}", advice
        )
    return Observation("machine", "time zones", Health.OK, f"data of all zones; {local}")


def _locale() -> Observation:
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    found = f"output in {sys.stdout.encoding}, file names in {sys.getfilesystemencoding()}"
    if encoding != "utf8":
        advice = "Set LANG=C.UTF-8, or names in other alphabets cannot be shown; data are not touched by it"
        return Observation("machine", "locale", Health.WARN, found, advice)
    return Observation("machine", "locale", Health.OK, found)
