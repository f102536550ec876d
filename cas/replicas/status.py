"""How far each replica is behind, from the catalog alone: no store is asked."""

from collections.abc import Sequence

from cas.catalog.interface import Catalog
from cas.catalog.replica_model import Replica, RunOutcome, RunResult
from cas.replicas.model import ReplicaStatus
from cas.replicas.wanting import wanted


def replica_statuses(catalog: Catalog) -> list[ReplicaStatus]:
    """By name."""
    owed = catalog.replicating.owed()
    return [
        _status(catalog, replica, owed.get(replica.name, ())) for replica in catalog.replicating.replicas()
    ]


def _status(catalog: Catalog, replica: Replica, owed: Sequence[int]) -> ReplicaStatus:
    held = catalog.replicating.held(replica.name)
    lacking = wanted(catalog, replica.new.rules, held).lacking
    oldest = min((since for _, since in lacking.values()), default=None)
    known = replica.result or RunResult(RunOutcome.FAILED)
    return ReplicaStatus(
        replica=replica.new,
        versions=sum(since is None for since in held.values()),
        lacking=len(lacking),
        behind_seconds=None if oldest is None else max((catalog.now() - oldest).total_seconds(), 0.0),
        is_running=replica.is_running,
        started_at=replica.started_at,
        ended_at=replica.ended_at,
        succeeded_at=replica.succeeded_at,
        locked_at=replica.locked_at,
        outcome=replica.result.outcome if replica.result else None,
        text=known.text,
        copied_versions=known.copied_versions,
        copied_bytes=known.copied_bytes,
        objects=known.objects,
        stored_bytes=known.stored_bytes,
        verified=replica.verified,
        owed=tuple(owed),
    )
