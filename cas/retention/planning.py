"""The plan: for each version all reasons to keep it. A version stays while there is one.

Rules are a union: adding one never lets a version go. They look at each platform by itself, and count each
origin by itself. Versions that are incomplete or hold only a part are counted apart, so that they never take
the place of a good one. What is newest is told by number, which the catalog gives, and not by a clock.

Four things no rule can outvote: protection, a hold, the last good version of a platform, and a version with
which a restore can still be undone. A date that a person has set outvotes the rules, and not those four.

Planning again what stays lets nothing more go, as long as nothing new is there and no time has passed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from cas.retention.model import Candidate, Keep, Reason, RetentionPlan, RetentionRule, Verdict
from cas.retention.periods import PERIODS, period_of
from cas.retention.words import of_whom

Reasons = dict[int, list[Reason]]


def plan(
    candidates: Iterable[Candidate], rules: Sequence[RetentionRule], now: datetime, zone: tzinfo = UTC
) -> RetentionPlan:
    """What stays and what goes at this moment. Without rules everything stays."""
    newest_first = sorted(candidates, key=lambda one: one.number, reverse=True)
    reasons: Reasons = {one.number: [] for one in newest_first}
    _guard(newest_first, reasons, now)
    ruled = [one for one in newest_first if one.expires_at is None or now < one.expires_at]
    for one in ruled:
        if one.expires_at is not None:
            reasons[one.number].append(Reason("until a date that was set", one.expires_at))
        elif not rules:
            reasons[one.number].append(Reason("no rule lets anything go"))
    for rule in rules:
        _apply(rule, [one for one in ruled if _is_of(one, rule)], reasons, now, zone)
    return RetentionPlan([Verdict(one, tuple(reasons[one.number])) for one in newest_first])


def _guard(newest_first: Sequence[Candidate], reasons: Reasons, now: datetime) -> None:
    """What no rule can outvote."""
    seen: set[tuple[str, str]] = set()
    for one in newest_first:
        found = reasons[one.number]
        if one.protected:
            found.append(Reason("protected"))
        if one.hold:
            found.append(Reason(f"held: {one.hold}"))
        if one.is_good and one.source not in seen:
            seen.add(one.source)
            found.append(Reason("the last good version"))
        if one.needed_until is not None and now < one.needed_until:
            found.append(Reason("a restore can be undone with it", one.needed_until))


def _is_of(one: Candidate, rule: RetentionRule) -> bool:
    return rule.origin in (None, one.origin) and rule.schedule in ("", one.schedule)


def _apply(
    rule: RetentionRule, newest_first: Sequence[Candidate], reasons: Reasons, now: datetime, zone: tzinfo
) -> None:
    match rule.keep:
        case Keep.LAST:
            _last(rule, newest_first, reasons)
        case Keep.WITHIN:
            _within(rule, newest_first, reasons, now)
        case Keep.SIZE:
            _size(rule, newest_first, reasons)
        case _:
            assert rule.keep in PERIODS
            _periods(rule, newest_first, reasons, lambda moment: period_of(rule.keep, moment, zone))


def _last(rule: RetentionRule, newest_first: Sequence[Candidate], reasons: Reasons) -> None:
    """What is protected or held stays for more than a rule, and takes no place."""
    newer: Counter[tuple[object, ...]] = Counter()
    for one in newest_first:
        if one.protected or one.hold:
            continue
        group = (one.source, one.origin, one.schedule, one.is_good)
        if newer[group] < rule.amount:
            words = f"one of the last {rule.amount:,} {of_whom(one)} ({newer[group]:,} newer)"
            reasons[one.number].append(Reason(words))
        newer[group] += 1


def _within(rule: RetentionRule, newest_first: Sequence[Candidate], reasons: Reasons, now: datetime) -> None:
    for one in newest_first:
        end = _later(one.created_at, rule.amount)
        if now < end:
            reasons[one.number].append(Reason("young enough", end))


def _later(moment: datetime, seconds: int) -> datetime:
    """A document may say any time, and time ends."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _size(rule: RetentionRule, newest_first: Sequence[Candidate], reasons: Reasons) -> None:
    """All newer ones take: the whole of the oldest of each platform, and what later ones added. What the
    versions between have shared with nobody may be less by then, never more."""
    oldest: dict[tuple[str, str], Candidate] = {}
    added = 0
    for one in newest_first:
        before = oldest.get(one.source)
        added += before.added_bytes if before is not None else 0
        oldest[one.source] = one
        if added + sum(each.stored_bytes for each in oldest.values()) > rule.amount:
            return
        reasons[one.number].append(Reason("fits into the size that is allowed"))


def _periods(
    rule: RetentionRule,
    newest_first: Sequence[Candidate],
    reasons: Reasons,
    period: Callable[[datetime], str],
) -> None:
    """The newest good version of each period, by the clock at which it was taken."""
    seen: dict[tuple[str, str], set[str]] = {}
    for one in sorted(newest_first, key=lambda each: (each.created_at, each.number), reverse=True):
        if not one.is_good:
            continue
        named, mine = period(one.created_at), seen.setdefault(one.source, set())
        if named in mine or len(mine) == rule.amount:
            continue
        mine.add(named)
        words = f"{rule.keep.value}: the newest of {named} ({len(mine):,} of {rule.amount:,})"
        reasons[one.number].append(Reason(words))
