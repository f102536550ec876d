"""All versions of a catalog, page by page."""

from collections.abc import Iterator, Sequence

from cas.catalog.interface import Catalog
from cas.catalog.model import Version, VersionFilter, VersionState

PAGE = 1000


def every_version(catalog: Catalog, states: Sequence[VersionState]) -> Iterator[Version]:
    """Those in one of these states, newest first, as in listings."""
    before: int | None = None
    while True:
        page = catalog.versions(VersionFilter(states=tuple(states), limit=PAGE, before=before))
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].number
