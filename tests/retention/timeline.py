"""Versions of some platform, made for one test."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cas.retention.model import Candidate, Origin, RetentionPlan

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)
"""A Sunday."""

GIB = 1 << 30


def candidate(number: int, age: timedelta, origin: Origin = Origin.MANUAL) -> Candidate:
    """A good version of one platform; so old."""
    return Candidate(
        number=number,
        created_at=NOW - age,
        origin=origin,
        source=("7001", "shop"),
        is_good=True,
        added_bytes=1000,
        stored_bytes=100_000,
    )


def every(step: timedelta, count: int, origin: Origin = Origin.MANUAL) -> list[Candidate]:
    """So many, the last one now, numbered from 1 on."""
    return [candidate(count - at, at * step, origin) for at in range(count)]


def renumbered(*groups: Iterable[Candidate]) -> list[Candidate]:
    """All of them in the order in which they were taken."""
    merged = sorted((one for group in groups for one in group), key=lambda one: one.created_at)
    return [replace(one, number=at) for at, one in enumerate(merged, start=1)]


def staying(plan: RetentionPlan) -> list[int]:
    return sorted(one.number for one in plan.staying)


def going(plan: RetentionPlan) -> list[int]:
    return sorted(one.number for one in plan.going)
