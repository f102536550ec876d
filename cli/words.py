"""How numbers, sizes, times and foreign texts are written for people."""

import unicodedata
from datetime import datetime, timedelta

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: int | None) -> str:
    """Bytes in the largest unit that leaves at least one: `0 B`, `812 B`, `4.1 MiB`."""
    if count is None:
        return "-"
    if abs(count) < 1024:
        return f"{count} B"
    value = float(count)
    for unit in _UNITS:
        value /= 1024
        if abs(value) < 1023.95 or unit == _UNITS[-1]:
            break
    return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.1f} {unit}"


def number(count: int | None) -> str:
    """Grouped by thousands: `1,234,567`."""
    return "-" if count is None else f"{count:,}"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 record`, `1,200 records`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def moment(time: datetime | None) -> str:
    """In this machine's zone, to the second, with the offset: `2026-03-01 14:05:12 +01:00`."""
    return "-" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M:%S} {offset(time)}"


def minute(time: datetime) -> str:
    """In this machine's zone, to the minute, where the offset stands elsewhere."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def offset(time: datetime) -> str:
    """Of this machine's zone at that time: `+01:00`."""
    minutes = round((time.astimezone().utcoffset() or timedelta()).total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def saved(original: int | None, stored: int | None) -> str:
    """How much smaller: `84.2 %`; empty where that means nothing. Never rounded up to 100."""
    if not original or stored is None or stored >= original:
        return ""
    share = 100 * (1 - stored / original)
    return f"{min(share, 99.9):.1f} %"


def plain(text: str) -> str:
    """Text from elsewhere, fit for a terminal and for one line.

    Control characters could recolour the screen or move the cursor, and overrides of the writing
    direction could make one name look like another: both are shown as escapes.
    """
    return "".join(
        sign if unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _escape(sign)
        for sign in text
    )


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape", "surrogatepass").decode("ascii")


def shortened(text: str, width: int) -> str:
    """At most `width` characters, with an ellipsis where some are missing."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
