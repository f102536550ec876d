"""Which version a person means: by its number, by the word latest, or by a moment."""

from datetime import timedelta
from typing import Annotated

import typer

from cas.errors import InvalidInput
from cas.moments import VersionAt, version_at
from cli.dates import has_zone, parse_time
from cli.session import Session
from cli.words import duration, moment, number, offset

JUST_THEN_SECONDS = 0.05

VersionOrNone = Annotated[
    str | None, typer.Argument(metavar="V", help="Number of the version, or latest.", show_default=False)
]


def chosen_version(cas: Session, version: str | None, at: str | None, source_url: str = "") -> int:
    """The one that is meant; a moment's is said, and is of the database with this address where it has one.
    InvalidInput unless exactly one of both was given."""
    if (version is None) == (at is None):
        raise InvalidInput(
            "one version comes back",
            where="V, --at",
            hint="Give a number of `cas versions`, or latest, or --at MOMENT",
        )
    if version is not None:
        return cas.reading(version).number
    assert at is not None, "one of both was given"
    found = version_at(cas.catalog, parse_time(at, "--at"), source_url)
    cas.terminal.note(_told(found, is_zoned=has_zone(at)))
    if source_url and found.version.source_url != source_url:
        cas.terminal.warn(
            f"version {found.version.number} was taken of another database: {found.version.source_url}"
        )
    return cas.reading(str(found.version.number)).number


def _told(found: VersionAt, *, is_zoned: bool) -> str:
    zone = "" if is_zoned else f" (no zone was given: this machine's, {offset(found.asked)})"
    return (
        f"Version {found.version.number} is the last complete one at {moment(found.asked)}{zone}: taken "
        f"{_distance(found.before)}, {moment(found.version.created_at)}"
    )


def _distance(before: timedelta) -> str:
    if before.days > 1:
        return f"{number(before.days)} days before"
    seconds = before.total_seconds()
    return f"{duration(seconds)} before" if seconds >= JUST_THEN_SECONDS else "just then"
