"""The version that a moment means: the last whole one that was taken at or before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cas.catalog.interface import Catalog
from cas.catalog.model import Version, VersionFilter, VersionKind, VersionState
from cas.errors import InvalidInput, NotFound

WHOLE = (VersionKind.FULL, VersionKind.DATA_ONLY)
"""Kinds that hold the records of every table. Those of some tables, as safety versions are, stand for no
moment of the platform: who wants one names its number."""

PAGE = 200

_LAST = datetime.max.replace(tzinfo=UTC)
_STEP = timedelta(microseconds=1)
"""As finely as PostgreSQL tells times apart."""


@dataclass(frozen=True, slots=True)
class VersionAt:
    """`version` was taken `before` the moment `asked` for, or just then. Listed: without entities."""

    version: Version
    asked: datetime
    before: timedelta


def version_at(catalog: Catalog, moment: datetime, source_url: str = "") -> VersionAt:
    """A version's time is when it was begun: what was committed until then is in it. Of the database with
    this address where it has one, else of any. NotFound where there is none; InvalidInput for a moment
    without a zone, or beyond the calendar."""
    if moment.utcoffset() is None:
        raise InvalidInput(f"{moment} has no time zone")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput(f"{moment} is beyond the calendar") from error
    until = moment + _STEP if moment < _LAST - _STEP else None
    newest: Version | None = None
    for version in _whole(catalog, until):
        if not source_url or version.source_url == source_url:
            return VersionAt(version, moment, moment - version.created_at)
        newest = newest or version
    if newest is None:
        raise _none(catalog, moment)
    return VersionAt(newest, moment, moment - newest.created_at)


def _whole(catalog: Catalog, until: datetime | None) -> Iterator[Version]:
    """Newest first."""
    before: int | None = None
    while True:
        where = VersionFilter(
            states=(VersionState.COMPLETE,), kinds=WHOLE, until=until, limit=PAGE, before=before
        )
        page = catalog.versions(where)
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].number


def _none(catalog: Catalog, moment: datetime) -> NotFound:
    """What there is instead."""
    newest = next(_whole(catalog, None), None)
    hint = "Take one with `cas snapshot`"
    if newest is not None:
        hint = f"Version {newest.number} is whole, and younger; `cas versions` lists all"
    return NotFound(
        "no complete version of all tables was taken at or before that moment",
        where=f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        hint=hint,
    )
