"""Proving a replica: the same check as of the primary, on the replica alone, and remembered."""

from pathlib import Path

from cas.catalog.interface import Catalog
from cas.check import CheckLevel, CheckReport, check_repository
from cas.engine.repository import Repository
from cas.errors import Conflict
from cas.progress import Progress
from cas.store.interface import Store


def verify_replica(
    primary: Repository,
    catalog: Catalog,
    name: str,
    store: Store,
    *,
    level: CheckLevel,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """NotFound; Conflict where another repository lies there, or a run has deleted something while something
    was found wrong: then it says nothing. As the store raises."""
    before = catalog.replicating.replica(name)
    held = catalog.replicating.held(name)
    opened = Repository(store, cache, primary.environment)
    try:
        if opened.config != primary.config:
            raise Conflict("another repository lies there", where=store.url, hint="Look who put it there")
        expected = [number for number, since in held.items() if since is None]
        report = check_repository(
            opened,
            level=level,
            progress=progress,
            expected=expected,
            rewritten=catalog.journal() > 0,
        )
    finally:
        opened.close()
    after = catalog.replicating.replica(name)
    if not report.is_clean and (after.is_running or after.started_at != before.started_at):
        raise Conflict(
            "something looked wrong, and a replication was at work meanwhile",
            where=name,
            hint="Verify it again when none is",
        )
    catalog.replicating.verified(name, level.value, is_clean=report.is_clean)
    return report
