"""Times in documents: text of one form, so that equal moments have equal bytes.

RFC 3339 in UTC with six digits of a second, as `2026-01-31T23:59:59.000000+00:00`, which is what
`isoformat(timespec="microseconds")` makes of a time in UTC. No leap seconds, since PostgreSQL and
Python know none.
"""

import re

from cas.format.malformed import malformed

_FORM = re.compile(
    r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}\.\d{6}\+00:00",
    re.ASCII,
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def check_time(text: str, where: str = "") -> str:
    """The text itself where it is a time of the one form."""
    match = _FORM.fullmatch(text)
    if match:
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        leap_day = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        if year and day <= _DAYS[month - 1] + leap_day:
            return text
    raise malformed(f"not a time in UTC: {text[:40]}", where)
