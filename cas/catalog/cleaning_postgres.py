"""What cleaning up has done, in PostgreSQL 14 or newer. Guarantees: cas/catalog/cleaning.py."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from psycopg.rows import TupleRow

from cas.catalog.cleaning import Cleanup, CleanupKind, CleanupOutcome, CleanupResult
from cas.catalog.connecting import Connection, Connections
from cas.catalog.rules import clean

_BEGIN = """
INSERT INTO cas.cleanups (kind, run) VALUES (%s, gen_random_uuid())
ON CONFLICT (kind) DO UPDATE
SET run = excluded.run, started_at = clock_timestamp(), ended_at = NULL
RETURNING run
"""

_END = """
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now)
UPDATE cas.cleanups
SET ended_at = moment.now,
    succeeded_at = CASE WHEN %(outcome)s = 'complete' THEN moment.now ELSE succeeded_at END,
    outcome = %(outcome)s, outcome_text = %(text)s, removed = %(removed)s, waiting = %(waiting)s,
    freed_bytes = %(freed)s
FROM moment WHERE run = %(run)s AND ended_at IS NULL
"""

_LAST = """
SELECT kind, started_at, ended_at, succeeded_at, outcome, outcome_text, removed, waiting, freed_bytes
FROM cas.cleanups
"""


class PostgresCleaning:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(self, connections: Connections, demand_owner: Callable[[Connection], object]) -> None:
        """`demand_owner`: that the catalog still belongs to the repository, until the transaction ends."""
        self._connections = connections
        self._demand_owner = demand_owner

    def begin(self, kind: CleanupKind) -> UUID:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            row = connection.execute(_BEGIN, [kind.value]).fetchone()
        assert row is not None, "it was inserted, or updated"
        run: UUID = row[0]
        return run

    def end(self, run: UUID, result: CleanupResult) -> None:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            connection.execute(
                _END,
                {
                    "run": run,
                    "outcome": result.outcome.value,
                    "text": clean(result.text),
                    "removed": result.removed,
                    "waiting": result.waiting,
                    "freed": result.freed_bytes,
                },
            )

    def rebuilt_at(self) -> datetime | None:
        with self._connections.transaction() as connection:
            row = connection.execute("SELECT rebuilt_at FROM cas.repository").fetchone()
        return None if row is None else _utc(row[0])

    def confirm(self, rebuilt_at: datetime) -> bool:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            done = connection.execute(
                "UPDATE cas.repository SET rebuilt_at = NULL WHERE rebuilt_at = %s", [rebuilt_at]
            )
            return done.rowcount > 0

    def last(self) -> Mapping[CleanupKind, Cleanup]:
        with self._connections.transaction() as connection:
            found = [_cleanup(row) for row in connection.execute(_LAST)]
        return {one.kind: one for one in found}


def _cleanup(row: TupleRow) -> Cleanup:
    kind, started_at, ended_at, succeeded_at, outcome, text, removed, waiting, freed = row
    result = outcome and CleanupResult(CleanupOutcome(outcome), text, removed, waiting, freed)
    return Cleanup(
        CleanupKind(kind), started_at.astimezone(UTC), _utc(ended_at), _utc(succeeded_at), result or None
    )


def _utc(at: datetime | None) -> datetime | None:
    return at and at.astimezone(UTC)
