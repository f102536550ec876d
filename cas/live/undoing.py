"""Taking a restore back: its safety version comes back, for the records that it wrote and no others.

It is a plan like any other, and says which of these records somebody edited since.
"""

from cas.catalog.interface import Catalog
from cas.catalog.restore_model import NewRestore, Restore, RestoreState
from cas.catalog.restores import Restores
from cas.engine.repository import Repository
from cas.errors import Conflict, NotFound
from cas.live.plan import sequences_of
from cas.live.prepared import PreparedPlan
from cas.live.request import LiveRequest, Named
from cas.live.restoring import prepare_again, recorded
from cas.progress import Progress
from cas.records.live import LivePlatform


def plan_undo(
    repository: Repository,
    catalog: Catalog,
    restores: Restores,
    platform: LivePlatform,
    number: int,
    progress: Progress,
    *,
    named: Named | None = None,
) -> PreparedPlan:
    """Record the undo of a restore, and make its plan. NotFound; Conflict where it is not completed, was
    undone, or has no safety version."""
    restore = restores.restore(number)
    request = undo_request(restore)
    called = named or Named()
    assert restore.safety_version is not None, "an undo request has one"
    begun = restores.begin(
        NewRestore(
            kind=request.kind,
            mode=request.mode,
            version=restore.safety_version,
            name=called.name,
            description=called.description or f"undo of restore {number}",
            created_by=called.created_by,
            target_url=platform.url,
            request=request.as_json(),
            metadata=called.metadata,
            undoes=number,
        )
    )
    return recorded(
        restores,
        begun.number,
        lambda: prepare_again(repository, catalog, restores, platform, begun.number, progress),
    )


def undo_request(restore: Restore) -> LiveRequest:
    """What an undo asks for."""
    where = f"restore {restore.number}"
    if restore.state is RestoreState.UNDONE:
        raise Conflict(f"it was undone by restore {restore.undone_by}", where=where)
    if restore.state is not RestoreState.COMPLETED:
        raise Conflict(f"it is {restore.state.value}: it changed nothing that could be undone", where=where)
    changed = any(one.inserted or one.updated or one.deleted for one in restore.entities)
    if not changed and not sequences_of(restore.plan):
        raise NotFound("it changed nothing", where=where)
    if restore.safety_version is None:
        raise Conflict(
            "no safety version was taken, so nobody knows what there was before",
            where=where,
            hint="Restore an older version that holds the records",
        )
    return LiveRequest(undoes=restore.number)  # its safety version holds what it touched, and no more
