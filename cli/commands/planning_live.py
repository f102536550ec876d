"""Plans of restores into the running platform: new ones, and stored ones made once more."""

from collections.abc import Mapping

from cas.catalog.restore_model import Restore, RestoreState
from cas.contents import open_contents
from cas.errors import Conflict, Unsupported
from cas.live.absent_records import absent_records
from cas.live.keys_in_scope import named_keys
from cas.live.prepared import PreparedPlan
from cas.live.request import LiveRequest, Named
from cas.live.restoring import plan_restore, prepare_again
from cas.live.tables import in_scope, live_label, renames_of
from cas.postgres.live.platform import PostgresPlatform
from cas.records.source import EntityEstimate
from cli.scratch import predicates
from cli.session import Session
from cli.watching_faces import watching

IF_STOPPED = "Nothing was changed; the plan is listed as cancelled"

SHOWN_ABSENT = 20
"""Named records that are nowhere; more are no typing error."""


def new_plan(
    cas: Session, platform: PostgresPlatform, version: int, request: LiveRequest, named: Named
) -> PreparedPlan:
    """Make a plan and store it."""
    expected = _expected(cas, version, request)
    cas.if_stopped = IF_STOPPED
    with watching(cas.terminal, "plan") as counters:
        counters.expect(expected)
        with predicates(cas, counters) as predicate:
            prepared = plan_restore(
                cas.repository,
                cas.catalog,
                cas.restores,
                platform,
                version,
                request,
                counters,
                named=named,
                predicate=predicate,
            )
    for label, key in absent_records(prepared)[:SHOWN_ABSENT]:
        cas.terminal.warn(
            f"neither version {version} nor the platform has a record {'/'.join(key)} in {label}"
        )
    return prepared


def stored_plan(cas: Session, platform: PostgresPlatform, restore: Restore) -> PreparedPlan:
    """Make a stored plan once more. Conflict where it is not the same, or not to be executed any more."""
    if restore.state is not RestoreState.PLANNED:
        raise Conflict(
            f"restore {restore.number} is {restore.state.value}, and no plan that waits",
            where=f"--plan {restore.number}",
            hint="Make a new one with `cas plan`",
        )
    if restore.target_url != platform.url:
        raise Conflict(
            f"the plan was made for {restore.target_url}",
            where=platform.url,
            hint="Name that database in CAS_SOURCE, or make a new plan",
        )
    _require_known(restore)
    cas.reading(str(restore.version))
    cas.if_stopped = f"Nothing was changed; the plan is still there: cas restore --plan {restore.number}"
    with watching(cas.terminal, "plan again") as counters:
        counters.expect(expected_again(restore))
        with predicates(cas, counters) as predicate:
            prepared = prepare_again(
                cas.repository,
                cas.catalog,
                cas.restores,
                platform,
                restore.number,
                counters,
                predicate=predicate,
            )
    if prepared.plan.hash != restore.plan_hash:
        with prepared:
            raise Conflict(
                "records that the plan speaks of were changed since it was made",
                where=f"plan {restore.number}",
                hint="Nothing was changed. Make a new plan with `cas plan` and look at it",
            )
    return prepared


def _require_known(restore: Restore) -> None:
    """Unsupported where a newer program kept wishes that this one does not know."""
    try:
        LiveRequest.of_json(restore.request)
    except (ValueError, KeyError, TypeError) as error:
        raise Unsupported(
            f"the plan asks for what this program does not know: {error}",
            where=f"plan {restore.number}",
            hint="Execute it with the program that made it, or make a new one",
        ) from error


def _expected(cas: Session, version: int, request: LiveRequest) -> Mapping[str, EntityEstimate]:
    """What is to be compared, by the version. NotFound and InvalidInput before anything is recorded."""
    contents = open_contents(cas.repository, version)
    named_keys(contents, (*request.keys, *request.subtrees))
    renames = renames_of(contents, request)
    return {
        live_label(entry, renames): EntityEstimate(entry.records, entry.payload_bytes)
        for entry in in_scope(contents, request)
    }


def expected_again(restore: Restore) -> Mapping[str, EntityEstimate]:
    """What was to be compared when it was planned."""
    return {one.label: EntityEstimate(one.version_records, 0) for one in restore.entities}
