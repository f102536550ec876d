"""Which counts of changes are unusual, and why, in words. Pure: counts in, findings out.

What is usual is told by earlier versions of the same entity: what all but one of them stayed within, and how
far they lie apart (the median, and the median distance from it). A single day that was unlike the others
moves neither; what happened twice is usual. Limits that a person has set come on top and know no history.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median

from cas.catalog.model import Anomaly, CountKind

WINDOW = 60
"""Earlier versions that are looked at: two months of nightly ones. More would not forget old habits."""

FEWEST_VERSIONS = 7
"""With fewer it is not told what is usual: a week of nightly versions."""

FEWEST_RECORDS = 20
"""So many more than usual are nothing, however quiet the entity was; and shares of fewer say nothing."""

TIMES_USUAL = 2
"""What nearly all versions stayed within may double: an entity that moves much does not move evenly."""

DEVIATIONS = 6
"""Distances from the median that are still usual."""

TO_DEVIATION = 1.4826
"""A median distance of a normal distribution, times this, is its standard deviation."""


@dataclass(frozen=True, slots=True)
class AnomalyRules:
    """What counts as unusual."""

    records: int = 0
    """More records than this in any case; 0: no such limit."""
    percent: float = 0
    """More than this share of the records that were there; 0: no such limit."""
    window: int = WINDOW
    """How many earlier versions tell what is usual; 0: none, only limits count. Others below
    FEWEST_VERSIONS are as that."""

    @property
    def versions(self) -> int:
        """Earlier versions that are looked at."""
        return max(self.window, FEWEST_VERSIONS) if self.window else 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened to one entity in one version. `before`: records that were there."""

    inserted: int
    updated: int
    deleted: int
    before: int

    def of(self, kind: CountKind) -> int:
        return {
            CountKind.INSERTED: self.inserted,
            CountKind.UPDATED: self.updated,
            CountKind.DELETED: self.deleted,
        }[kind]


@dataclass(frozen=True, slots=True)
class Baseline:
    """`usual`: what nearly all values stay within. What is above `limit` is unusual."""

    usual: int
    limit: float


def baseline(values: Sequence[int]) -> Baseline | None:
    """What is usual by these counts of earlier versions; None where they are too few."""
    if len(values) < FEWEST_VERSIONS:
        return None
    usual = sorted(values)[-2]
    middle = median(values)
    distance = median(abs(value - middle) for value in values)
    spread = middle + DEVIATIONS * TO_DEVIATION * distance
    return Baseline(usual, max(spread, TIMES_USUAL * usual, usual + FEWEST_RECORDS))


def find_anomalies(
    label: str,
    now: Counts,
    history: Sequence[Counts],
    rules: AnomalyRules,
    *,
    is_gone: bool = False,
    remark: str = "",
) -> tuple[Anomaly, ...]:
    """The unusual ones among an entity's counts. `history`: the same of earlier versions, newest first.
    `is_gone`: the version no longer holds the entity, which is unusual whatever its size, once it is known.
    `remark`: what else explains them."""
    found = []
    history = history[: rules.versions]
    for kind in (CountKind.DELETED, CountKind.UPDATED, CountKind.INSERTED):
        known = baseline([one.of(kind) for one in history])
        if is_gone and kind is CountKind.DELETED and known is not None:
            why = [f"at least {len(history)} versions had it"]
        else:
            why = _by_history(kind, now, known, rules, is_gone=is_gone)
        why += _by_limits(now.of(kind), now.before, rules)
        if why:
            told = [_what(label, kind, now, is_gone=is_gone), *why, *([remark] if remark else [])]
            usual = known.usual if known else None
            found.append(Anomaly(label, kind, now.of(kind), now.before, usual, "; ".join(told)))
    return tuple(found)


def ranked(anomalies: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """The most telling first: what went before what changed and what came, many before few."""
    order = (CountKind.DELETED, CountKind.UPDATED, CountKind.INSERTED)
    by_count = sorted(anomalies, key=attrgetter("count"), reverse=True)
    return tuple(sorted(by_count, key=lambda one: order.index(one.kind)))


def _by_history(
    kind: CountKind, now: Counts, known: Baseline | None, rules: AnomalyRules, *, is_gone: bool
) -> list[str]:
    """Why the count is unusual by what was before; nothing where it is not. Where too little is known, only
    the loss of half an entity is."""
    count = now.of(kind)
    if known is not None:
        told = f"usually at most {known.usual:,}" if known.usual else "usually none"
        return [told] if count > known.limit else []
    is_half = count >= FEWEST_RECORDS and 2 * count >= now.before
    if kind is not CountKind.DELETED or not is_half or not rules.window:
        return []
    half = "" if is_gone else "half of them or more, and "
    return [f"{half}too few versions tell what is usual"]


def _by_limits(count: int, before: int, rules: AnomalyRules) -> list[str]:
    reasons = []
    if rules.records and count > rules.records:
        reasons.append(f"the limit is {rules.records:,}")
    if rules.percent and count >= FEWEST_RECORDS and 100 * count > rules.percent * before:
        reasons.append(f"the limit is {rules.percent:g} %")
    return reasons


def _what(label: str, kind: CountKind, now: Counts, *, is_gone: bool) -> str:
    count, before = now.of(kind), now.before
    if is_gone:
        return f"{label} is gone with its {before:,} record{'' if before == 1 else 's'}"
    if kind is CountKind.INSERTED:
        return f"{count:,} {label} inserted where {before:,} were"
    return f"{count:,} of {before:,} {label} {kind.value}"
