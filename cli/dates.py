"""Times that a person gives: a date, a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

from cas.errors import InvalidInput

_AGO = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_time(text: str, option: str) -> datetime:
    """`2026-03-01`, `2026-03-01T14:00`, `2026-03-01T14:00+02:00`, or `90m`, `24h`, `7d`, `2w` ago.

    Without an offset it is this machine's zone. InvalidInput for anything else.
    """
    ago = _AGO.fullmatch(text.strip().lower())
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{text[:40]!r} is no time",
            where=option,
            hint="Write 2026-03-01, 2026-03-01T14:00+02:00, or how long ago: 90m, 24h, 7d, 2w",
        ) from error


def has_zone(text: str) -> bool:
    """Whether a time that `parse_time` takes says by itself which moment it is."""
    if _AGO.fullmatch(text.strip().lower()):
        return True
    return datetime.fromisoformat(text.strip()).utcoffset() is not None
