"""The end of a restore in SQL: told by its executor, requested by anybody, or asked from the platform.

Each function is one transaction's work on the connection it is given; see restore_moves.
"""

from dataclasses import asdict

from cas.catalog import restore_standing
from cas.catalog.connecting import Connection
from cas.catalog.restore_listing import restore
from cas.catalog.restore_model import Restore, RestoreResult, RestoreState
from cas.catalog.restore_moves import end_step, lock
from cas.catalog.restore_standing import DONE, HELD, RESOLVED, Standing
from cas.catalog.rules import clean


def committing(connection: Connection, number: int, transaction_id: int, result: RestoreResult) -> None:
    if not restore_standing.is_committing(lock(connection, number), transaction_id):
        _record(connection, number, transaction_id, result)


def complete(connection: Connection, number: int, result: RestoreResult) -> Restore:
    standing = lock(connection, number)
    if standing.state in DONE:
        before = restore(connection, number)
        if restore_standing.has_completed(before, result):
            return before
    transaction_id = restore_standing.completing(standing)
    _record(connection, number, transaction_id, result)
    _complete(connection, standing)
    return restore(connection, number)


def fail(connection: Connection, number: int, failure: tuple[str, str, str], *, rolled_back: bool) -> None:
    restore_standing.demand_failing(lock(connection, number), rolled_back=rolled_back)
    _end(connection, number, RestoreState.FAILED, *failure)


def cancelled(connection: Connection, number: int, text: str) -> None:
    restore_standing.demand_stopping(lock(connection, number))
    _end(connection, number, RestoreState.CANCELLED, text=clean(text))


def request_cancel(connection: Connection, number: int) -> Restore:
    standing = lock(connection, number)
    restore_standing.demand_stoppable(standing)
    connection.execute("UPDATE cas.restores SET cancel_requested = true WHERE number = %s", [number])
    if standing.state not in HELD:
        _end(connection, number, RestoreState.CANCELLED, text=restore_standing.PUT_ASIDE)
    return restore(connection, number)


def resolve(connection: Connection, number: int, committed: bool, text: str) -> Restore:
    standing = lock(connection, number)
    if not restore_standing.is_resolved(standing, committed):
        told = clean(text) or RESOLVED[committed]
        connection.execute("UPDATE cas.restores SET resolution = %s WHERE number = %s", [told, number])
        if committed:
            _complete(connection, standing)
        else:
            _end(connection, number, RestoreState.FAILED, *restore_standing.lost(told))
    return restore(connection, number)


def _record(connection: Connection, number: int, transaction_id: int, result: RestoreResult) -> None:
    connection.execute(
        """
        UPDATE cas.restores
        SET transaction_id = %(transaction_id)s,
            records_inserted = %(records_inserted)s, records_updated = %(records_updated)s,
            records_deleted = %(records_deleted)s, data_bytes = %(data_bytes)s, wal_bytes = %(wal_bytes)s,
            lock_seconds = %(lock_seconds)s, undo_until = %(undo_until)s, undo_note = %(undo_note)s
        WHERE number = %(number)s
        """,
        {
            **asdict(result),
            "undo_note": clean(result.undo_note),
            "transaction_id": transaction_id,
            "number": number,
        },
    )


def _complete(connection: Connection, standing: Standing) -> None:
    """Also what it undoes, unless another restore has undone that meanwhile: then both happened."""
    _end(connection, standing.number, RestoreState.COMPLETED)
    connection.execute(
        "UPDATE cas.restores SET state = 'undone', undone_by = %s WHERE number = %s AND state = 'completed'",
        [standing.number, standing.undoes],
    )


def _end(
    connection: Connection, number: int, state: RestoreState, code: str = "", step: str = "", text: str = ""
) -> None:
    """Nobody holds it any more. A failed one has no result: what was recorded did not happen."""
    end_step(connection, number)
    connection.execute(
        """
        UPDATE cas.restores r
        SET state = given.state, error_code = given.code, error_step = given.step, error_text = given.text,
            renewed_at = NULL, lease_until = NULL, finished_at = given.now,
            duration_seconds = CASE WHEN started_at IS NOT NULL
                THEN greatest(0, extract(epoch FROM given.now - started_at)) END,
            records_inserted = CASE WHEN given.has_result THEN records_inserted END,
            records_updated = CASE WHEN given.has_result THEN records_updated END,
            records_deleted = CASE WHEN given.has_result THEN records_deleted END,
            data_bytes = CASE WHEN given.has_result THEN data_bytes END,
            wal_bytes = CASE WHEN given.has_result THEN wal_bytes END,
            lock_seconds = CASE WHEN given.has_result THEN lock_seconds END,
            undo_until = CASE WHEN given.has_result THEN undo_until END,
            undo_note = CASE WHEN given.has_result THEN undo_note ELSE '' END
        FROM (SELECT %s::text AS state, %s::text AS code, %s::text AS step, %s::text AS text,
                     %s::boolean AS has_result, clock_timestamp() AS now) AS given
        WHERE number = %s
        """,
        [state.value, code, step, text, state is not RestoreState.FAILED, number],
    )
