"""What a plan will do in the weeks to come: the plan itself, run day after day.

What comes until then is assumed: that versions are taken as in the last week, or that none is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from cas.retention.model import Candidate, RetentionRule
from cas.retention.planning import plan

WEEK = timedelta(days=7)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Week:
    """The state at the end of a week. `going`: numbers of versions of today that go in it. `staying`: how
    many of today's are left, `assumed`: how many of those that were assumed to come."""

    end: datetime
    going: tuple[int, ...]
    staying: int
    assumed: int


def simulate(
    candidates: Sequence[Candidate],
    rules: Sequence[RetentionRule],
    now: datetime,
    weeks: int,
    zone: tzinfo = UTC,
    *,
    as_last_week: bool = True,
) -> Iterator[Week]:
    """Week after week. What goes at once, at `now`, is in the first one."""
    last = max((one.number for one in candidates), default=0)
    pattern = [one for one in candidates if now - WEEK < one.created_at <= now] if as_last_week else []
    pattern.sort(key=lambda one: one.number)
    held = plan(candidates, rules, now, zone).staying
    going = {one.number for one in candidates} - {one.number for one in held}
    coming = _coming(pattern, now, last)
    waiting = next(coming, None)
    for week in range(weeks):
        for day in range(1, 8):
            at = now + week * WEEK + day * _DAY
            while waiting is not None and waiting.created_at <= at:
                held.append(waiting)
                waiting = next(coming, None)
            before = {one.number for one in held if one.number <= last}
            held = plan(held, rules, at, zone).staying
            going |= before - {one.number for one in held}
        assumed = sum(one.number > last for one in held)
        yield Week(now + (week + 1) * WEEK, tuple(sorted(going)), len(held) - assumed, assumed)
        going = set()


def _coming(pattern: Sequence[Candidate], now: datetime, last: int) -> Iterator[Candidate]:
    """The versions of the last week again, each week; without what a person said of them."""
    number = last
    week = 1
    while pattern:
        for one in sorted(pattern, key=lambda each: each.created_at):
            number += 1
            yield replace(
                one,
                number=number,
                created_at=one.created_at + week * WEEK,
                protected=False,
                hold="",
                expires_at=None,
                needed_until=None,
            )
        week += 1
