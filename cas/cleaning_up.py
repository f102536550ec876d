"""Cleaning up: versions that no rule wants go, and then the room that they took. The catalog remembers when.

What dies on the way is gone on with by the next run; what was said meanwhile is heard first.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from uuid import UUID

from cas.catalog.cleaning import CleanupKind, CleanupOutcome, CleanupResult
from cas.catalog.collecting import Awaited
from cas.catalog.interface import Catalog
from cas.catalog.keeping import Heard, NotesMoved
from cas.catalog.restores import Restores
from cas.engine.repository import Repository
from cas.errors import CasError, Conflict
from cas.forgetting import ForgetReport, forget
from cas.garbage.collecting import MOST_SHARE, collect_garbage
from cas.garbage.model import GarbagePlan, GarbageReport
from cas.noting import catch_up
from cas.progress import Progress
from cas.retaining import plan_now, rules_of, why_it_goes
from cas.retention.model import RetentionPlan

ATTEMPTS = 5
"""How often somebody may say something of versions just while it is decided what goes."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, and whom the packs wait for that could not go yet."""

    report: GarbageReport
    awaited: Awaited


def require_confirmed(catalog: Catalog) -> None:
    """Conflict where the catalog was made anew from its store and no person has looked at it since: another
    catalog may be in use, and what nobody brought back yet would go for want of a rule or a version."""
    at = catalog.cleaning.rebuilt_at()
    if at is not None:
        raise Conflict(
            f"the catalog was rebuilt at {at:%Y-%m-%d %H:%M} UTC, and nobody has confirmed it since",
            where=catalog.url,
            hint="Nothing was let go. Where `cas versions` and `cas retention` are as they should be, and no"
            " other catalog is used for this store, say `cas catalog confirm`",
        )


def let_go(
    repository: Repository,
    catalog: Catalog,
    wanted: Mapping[int, str],
    heard: Heard,
    progress: Progress | None = None,
) -> ForgetReport:
    """`forget` by the rules, remembered. Conflict where nobody has confirmed a rebuild of the catalog."""
    with _Run(catalog, CleanupKind.FORGET) as run:
        run.begin()
        require_confirmed(catalog)
        report = forget(repository, catalog, wanted, heard, progress)
        run.end(len(report.gone), waiting=len(report.waiting))
    return report


def let_go_now(
    repository: Repository, catalog: Catalog, restores: Restores, progress: Progress | None = None
) -> tuple[RetentionPlan, ForgetReport]:
    """What no rule wants that is set. What somebody says meanwhile is heard, and then it is decided again."""
    for attempt in range(1, ATTEMPTS + 1):
        heard = catch_up(repository, catalog)
        rules = rules_of(catalog)
        found = plan_now(catalog, restores, rules)
        wanted = {one.number: why_it_goes(rules) for one in found.going}
        try:
            return found, let_go(repository, catalog, wanted, heard, progress)
        except NotesMoved:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def collect(
    repository: Repository,
    catalog: Catalog,
    *,
    max_share: float = MOST_SHARE,
    progress: Progress | None = None,
    planned: Callable[[GarbagePlan], object] = lambda plan: None,
) -> Collected:
    """`collect_garbage`, remembered. Whoever is refused because somebody else collects leaves nothing.
    Conflict where nobody has confirmed a rebuild of the catalog."""
    with _Run(catalog, CleanupKind.GC) as run:

        def begun() -> None:  # from here on a rebuild ends this collector
            run.begin()
            require_confirmed(catalog)

        report = collect_garbage(
            repository, catalog, max_share=max_share, progress=progress, begun=begun, planned=planned
        )
        run.end(report.deleted, waiting=report.waiting, freed_bytes=report.freed_bytes)
    awaited = catalog.collecting.awaited() if report.waiting else Awaited()
    return Collected(report, awaited)


class _Run:
    """One run, as the catalog remembers it: what breaks it off is its failure."""

    def __init__(self, catalog: Catalog, kind: CleanupKind) -> None:
        self._catalog = catalog
        self._kind = kind
        self._id: UUID | None = None

    def __enter__(self) -> "_Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            text = error.what if isinstance(error, CasError) else str(error) or type(error).__name__
            self._end(CleanupResult(CleanupOutcome.FAILED, text))

    def begin(self) -> None:
        self._id = self._catalog.cleaning.begin(self._kind)

    def end(self, removed: int, *, waiting: int, freed_bytes: int = 0) -> None:
        self._end(CleanupResult(CleanupOutcome.COMPLETE, "", removed, waiting, freed_bytes))

    def _end(self, result: CleanupResult) -> None:
        if self._id is not None:
            with suppress(CasError):  # what was done is done; it is listed as not ended
                self._catalog.cleaning.end(self._id, result)
