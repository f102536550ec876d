"""Times that a person gives: a date, a time, how long ago, or how often."""

import re
from datetime import UTC, datetime, timedelta

from cas.errors import InvalidInput

_AGO = re.compile(r"(\d{1,6})\s*([mhdw])")
_SPAN = re.compile(r"(\d{1,6})\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_SPAN = 3650 * 86400
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


def parse_span(text: str, option: str) -> float:
    """`60s`, `15m`, `6h`, `1d` in seconds. InvalidInput for anything else, for none at all, and for more than
    ten years."""
    found = _SPAN.fullmatch(text.strip().lower())
    seconds = float(int(found[1]) * _SECONDS[found[2]]) if found else 0.0
    if not 0 < seconds <= _LONGEST_SPAN:
        raise InvalidInput(
            f"{text[:40]!r} is no span of time" if not seconds else f"{text[:40]} is longer than ten years",
            where=option,
            hint="Write for example 60s, 15m, 6h or 1d",
        )
    return seconds
