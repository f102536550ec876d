"""The versions of one platform that hold all tables, as auto-save asks for them."""

from collections.abc import Collection, Iterator
from datetime import datetime

from cas.catalog.interface import Catalog
from cas.catalog.model import Version, VersionFilter, VersionState
from cas.moments import WHOLE
from cas.records.changes import PlatformName

COMMITTED = (VersionState.COMPLETE, VersionState.INCOMPLETE)
PAGE = 50


def whole_versions(catalog: Catalog, platform: PlatformName) -> Iterator[Version]:
    """Newest first, without entities; also incomplete ones: whoever allows them has no better."""
    before: int | None = None
    while True:
        page = catalog.versions(VersionFilter(states=COMMITTED, kinds=WHOLE, limit=PAGE, before=before))
        for version in page:
            if PlatformName(version.source_system_identifier, version.source_database) == platform:
                yield version
        if len(page) < PAGE:
            return
        before = page[-1].number


def last_before(
    catalog: Catalog, platform: PlatformName, numbers: Collection[int], until: datetime | None
) -> int | None:
    """The newest version that none of these transactions is in. Where transactions or the version's moment
    are not known, it must have ended at `until`, when nothing of them had happened; None: not even that is
    known, and so there is no answer."""
    for version in whole_versions(catalog, platform):
        base = catalog.base(version.number) if numbers else None
        if base is None:
            ended = version.finished_at
            if ended is not None and until is not None and ended <= until:
                return version.number
        elif not any(base.mark.sees(number) for number in numbers):
            return version.number
    return None
