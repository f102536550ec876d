"""The versions of one platform that hold all tables, as auto-save asks for them."""

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice

from cas.catalog.interface import Catalog
from cas.catalog.model import Version, VersionFilter, VersionState
from cas.moments import WHOLE
from cas.records.changes import PlatformName

COMMITTED = (VersionState.COMPLETE, VersionState.INCOMPLETE)
PAGE = 50

MOST_LOOKED_AT = 1000
"""Versions among which the last one before something is looked for."""


def whole_versions(catalog: Catalog, platform: PlatformName, *, with_incomplete: bool) -> Iterator[Version]:
    """Newest first, without entities. `with_incomplete`: also those that lack what could not be read, for
    whoever allows them."""
    states = COMMITTED if with_incomplete else (VersionState.COMPLETE,)
    before: int | None = None
    while True:
        page = catalog.versions(VersionFilter(states=states, kinds=WHOLE, limit=PAGE, before=before))
        for version in page:
            if PlatformName(version.source_system_identifier, version.source_database) == platform:
                yield version
        if len(page) < PAGE:
            return
        before = page[-1].number


def last_before(
    catalog: Catalog,
    platform: PlatformName,
    tables: Collection[str],
    numbers: Collection[int],
    until: datetime | None,
) -> int | None:
    """The newest version that holds these tables, by label, and that none of these transactions is in. Where
    transactions or the version's moment are not known, it must have ended at `until`, when nothing of them
    had happened; None: there is none, or it is not known."""
    if not numbers and until is None:
        return None
    versions = whole_versions(catalog, platform, with_incomplete=True)
    for version in islice(versions, MOST_LOOKED_AT):
        if _is_before(catalog, version, numbers, until) and _holds(catalog, version.number, tables):
            return version.number
    return None


def _is_before(catalog: Catalog, version: Version, numbers: Collection[int], until: datetime | None) -> bool:
    base = catalog.base(version.number) if numbers else None
    if base is not None:
        return not any(base.mark.sees(number) for number in numbers)
    ended = version.finished_at
    return ended is not None and until is not None and ended <= until


def _holds(catalog: Catalog, number: int, tables: Collection[str]) -> bool:
    return {entity.label for entity in catalog.version(number).entities}.issuperset(tables)
