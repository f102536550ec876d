"""A restore from beginning to end, as the faces ask for it: recorded first, then planned, then executed."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from cas.catalog.interface import Catalog
from cas.catalog.model import VersionFilter, VersionKind, VersionState
from cas.catalog.restore_model import NewRestore, Restore, RestoreEntity, RestoreMode, RestorePlanned
from cas.catalog.restores import Restores
from cas.engine.repository import Repository
from cas.errors import Cancelled, CasError
from cas.live.keys_in_scope import Predicate
from cas.live.plan import sequences_of
from cas.live.planning import prepare_plan
from cas.live.prepared import PreparedPlan, Undone
from cas.live.renewing import Renewing
from cas.live.request import LiveRequest, Named
from cas.live.touched_keys import written_keys
from cas.progress import Progress
from cas.records.live import LivePlatform
from cas.records.marks import Mark


def plan_restore(
    repository: Repository,
    catalog: Catalog,
    restores: Restores,
    platform: LivePlatform,
    version: int,
    request: LiveRequest,
    progress: Progress,
    *,
    named: Named | None = None,
    predicate: Predicate | None = None,
) -> PreparedPlan:
    """Record the restore, make its plan, and store that. Raises as `prepare_plan`; the record says why."""
    called = named or Named()
    restore = restores.begin(
        NewRestore(
            kind=request.kind,
            mode=request.mode,
            version=version,
            name=called.name,
            description=called.description,
            created_by=called.created_by,
            target_url=platform.url,
            request=request.as_json(),
            metadata=called.metadata,
        )
    )
    return recorded(
        restores,
        restore.number,
        lambda: prepare_plan(
            repository,
            platform,
            version,
            request,
            progress,
            number=restore.number,
            measured=restores.measured(),
            predicate=predicate,
            base=_base(catalog, version, request),
            read_at=read_at(catalog, version, request),
        ),
    )


def recorded(restores: Restores, number: int, make: Callable[[], PreparedPlan]) -> PreparedPlan:
    """Make the plan of a pending restore and store it; where that fails, the record says why."""
    with ExitStack() as files:
        try:
            with Renewing(lambda: restores.renew(number)) as renewing:
                prepared = files.enter_context(make())
                renewing.require()
            restores.planned(number, _stored(prepared))
        except BaseException as error:
            _say_why(restores, number, error)
            raise
        files.pop_all()
    return prepared


def _say_why(restores: Restores, number: int, error: BaseException) -> None:
    with suppress(CasError):
        if isinstance(error, Cancelled | KeyboardInterrupt):
            restores.cancelled(number, str(error) or "interrupted")
            return
        code = error.code if isinstance(error, CasError) else "ERROR"
        restores.fail(number, code, "plan", str(error) or type(error).__name__)


def prepare_again(
    repository: Repository,
    catalog: Catalog,
    restores: Restores,
    platform: LivePlatform,
    number: int,
    progress: Progress,
    *,
    predicate: Predicate | None = None,
) -> PreparedPlan:
    """The plan of a planned restore, made once more to be executed. Its hash tells whether it is the same:
    `Restores.start` compares it."""
    restore = restores.restore(number)
    request = LiveRequest.of_json(restore.request)
    return prepare_plan(
        repository,
        platform,
        restore.version,
        request,
        progress,
        number=number,
        measured=restores.measured(),
        predicate=predicate,
        base=_base(catalog, restore.version, request),
        undone=_undone(restores, request),
        read_at=read_at(catalog, restore.version, request),
    )


def read_at(catalog: Catalog, version: int, request: LiveRequest) -> Mark | None:
    """Where the platform stood when the version was read; None where every row is to be compared."""
    base = None if request.scan else catalog.base(version)
    return base.mark if base else None


def _undone(restores: Restores, request: LiveRequest) -> Undone | None:
    """What the restore wrote that an undo takes back."""
    if request.undoes is None:
        return None
    plan = restores.restore(request.undoes).plan
    return Undone(written_keys(restores, request.undoes), sequences_of(plan))


def _base(catalog: Catalog, version: int, request: LiveRequest) -> int | None:
    """Of a merge: the version that was named, else the newest whole one after the one that comes back."""
    if request.mode is not RestoreMode.MERGE or request.base is not None:
        return request.base
    whole = (VersionKind.FULL, VersionKind.DATA_ONLY)
    newest = catalog.versions(VersionFilter((VersionState.COMPLETE,), kinds=whole, limit=1))
    return newest[0].number if newest and newest[0].number > version else None


def _stored(prepared: PreparedPlan) -> RestorePlanned:
    plan = prepared.plan
    return RestorePlanned(
        plan=plan.as_json(),
        plan_hash=plan.hash,
        entities=tuple(
            RestoreEntity(
                one.label,
                one.inserts,
                one.updates,
                one.deletes,
                one.conflicts,
                one.version_records,
                one.live_records,
                one.after_records,
            )
            for one in plan.entities
        ),
        warnings=tuple(f"{finding.what}. {finding.hint}".strip() for finding in plan.findings),
        target_database=prepared.identity.database,
        target_system_identifier=prepared.identity.system_identifier,
    )


def resolve_outcomes(restores: Restores, platform: LivePlatform) -> Sequence[Restore]:
    """Ask the platform what became of restores whose executor fell silent while committing."""
    resolved = []
    for restore in restores.unresolved():
        if restore.transaction_id is None or restore.target_url != platform.url:
            continue
        committed = platform.outcome(restore.transaction_id)
        if committed is not None:
            resolved.append(restores.resolve(restore.number, committed, "the platform was asked"))
    return resolved
