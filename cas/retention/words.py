"""Rules and origins as people write and read them: `last 50`, `daily 30`, `within 30d of scheduled`."""

import re

from cas.errors import InvalidInput
from cas.retention.model import Candidate, Keep, Origin, RetentionRule

_RULE = re.compile(r"([a-z]+)[ =]([0-9]{1,19})\s*([a-z]*)(?: of ([a-z]+)(?: (.+))?)?", re.IGNORECASE)
_SPANS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZES = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40} | {
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
MOST_COUNTED = 100_000
LONGEST = 100 * 366 * 86400
LARGEST = 1 << 60

_OF_WHOM = {
    Origin.MANUAL: "versions made by hand",
    Origin.AUTOMATIC: "automatic versions",
    Origin.SCHEDULED: "scheduled versions",
    Origin.CONTINUOUS: "continuous versions",
    Origin.SAFETY: "safety versions",
}


def of_whom(one: Candidate) -> str:
    """What is counted with this one: `scheduled versions of nightly`."""
    told = _OF_WHOM[one.origin]
    if one.schedule:
        told += f" of {one.schedule}"
    return told if one.is_good else f"{told} that lack something"


def rule_text(rule: RetentionRule) -> str:
    """What `parse_rule` reads."""
    told = f"{rule.keep.value} {_amount(rule)}"
    if rule.origin is not None:
        told += f" of {rule.origin.value}"
    return f"{told} {rule.schedule}" if rule.schedule else told


def parse_rule(text: str, where: str = "") -> RetentionRule:
    """InvalidInput for what is no rule, or wants nothing or more than can be."""
    found = _RULE.fullmatch(text.strip())
    if found is None or found[1].lower() not in list(Keep):
        raise _wrong(text, where)
    keep, unit, origin = Keep(found[1].lower()), found[3].lower(), (found[4] or "").lower()
    units = _SPANS if keep is Keep.WITHIN else _SIZES if keep is Keep.SIZE else {"": 1}
    most = LONGEST if keep is Keep.WITHIN else LARGEST if keep is Keep.SIZE else MOST_COUNTED
    if unit not in units or (origin and origin not in list(Origin)):
        raise _wrong(text, where)
    amount = int(found[2]) * units[unit]
    if not 0 < amount <= most:
        raise InvalidInput(
            f"{text[:60]!r} keeps {'nothing' if not amount else 'more than can be'}",
            where=where,
            hint="Leave the rule out, or write a number from 1 on",
        )
    if found[5] and origin != Origin.SCHEDULED.value:
        raise _wrong(text, where)
    return RetentionRule(keep, amount, Origin(origin) if origin else None, found[5] or "")


def _wrong(text: str, where: str) -> InvalidInput:
    return InvalidInput(
        f"{text[:60]!r} is no rule",
        where=where,
        hint="Write for example `last 50`, `daily 30`, `within 30d`, `size 100GB` or `last 100 of scheduled`."
        f" Kinds: {', '.join(Keep)}. Origins: {', '.join(Origin)}",
    )


def _amount(rule: RetentionRule) -> str:
    units = {Keep.WITHIN: _SPANS, Keep.SIZE: {**_SIZES, "": 1}}.get(rule.keep, {"": 1})
    best = max((size, unit) for unit, size in units.items() if rule.amount % size == 0)
    names = {"kib": "KiB", "mib": "MiB", "gib": "GiB", "tib": "TiB"}
    unit = names.get(best[1], best[1].upper() if rule.keep is Keep.SIZE else best[1])
    return f"{rule.amount // best[0]}{unit}"
