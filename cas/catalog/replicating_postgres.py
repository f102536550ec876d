"""Replication in PostgreSQL 14 or newer. Guarantees: cas/catalog/replicating.py.

Locks are taken in the order of all writers: epoch, replica, versions.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import TupleRow

from cas.catalog import placing_postgres, replicating_rules
from cas.catalog.connecting import Connection, Connections
from cas.catalog.replica_model import NewReplica, Placement, Replica, RunOutcome, RunResult, Verified
from cas.catalog.rules import COMMITTED, LEASE, clean
from cas.ids import PackName

_REPLICAS = """
SELECT name, url, rules, lock_days, added_by, added_at, started_at, ended_at,
    coalesce(lease_until > clock_timestamp(), false), succeeded_at, locked_at,
    outcome, outcome_text, copied_versions, copied_bytes, objects, stored_bytes, settled,
    verified_at, verified_level, verified_clean, mirror, enabled
FROM cas.replicas
"""

_COPIED = """
WITH known AS MATERIALIZED (
    SELECT number FROM cas.versions
    WHERE number = ANY (%(numbers)s) AND state = ANY (%(committed)s) FOR SHARE),
taken AS (
    INSERT INTO cas.replica_versions (replica, version) SELECT %(name)s, number FROM known
    ON CONFLICT DO NOTHING RETURNING version)
SELECT version FROM taken
UNION
SELECT v.version FROM cas.replica_versions v JOIN known k ON k.number = v.version
WHERE v.replica = %(name)s AND v.forgotten_at IS NULL
ORDER BY 1
"""

_END = """
UPDATE cas.replicas
SET run = NULL, lease_until = NULL, ended_at = clock_timestamp(),
    succeeded_at = CASE WHEN %(outcome)s = 'complete' THEN started_at ELSE succeeded_at END,
    outcome = %(outcome)s, outcome_text = %(text)s, copied_versions = %(versions)s,
    copied_bytes = %(bytes)s, objects = coalesce(%(objects)s, objects),
    stored_bytes = coalesce(%(stored)s, stored_bytes), settled = %(settled)s
WHERE run = %(run)s
"""


class PostgresReplicating:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(
        self,
        connections: Connections,
        demand_owner: Callable[[Connection], object],
        keep_out: Callable[[Connection], object],
    ) -> None:
        """`demand_owner`: that the catalog still belongs to the repository, until the transaction ends.
        `keep_out`: the same, and that nobody else who demands it is at work meanwhile."""
        self._connections = connections
        self._demand_owner = demand_owner
        self._keep_out = keep_out

    def add(self, new: NewReplica) -> None:
        replicating_rules.check_new(new)
        rules = None if new.rules is None else list(new.rules)
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            other = connection.execute(
                "SELECT name FROM cas.replicas WHERE name = %s OR url = %s ORDER BY name <> %s",
                [new.name, new.url, new.name],
            ).fetchone()
            if other is None:
                try:
                    connection.execute(
                        "INSERT INTO cas.replicas (name, url, rules, lock_days, added_by, mirror, enabled)"
                        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                        [new.name, new.url, rules, new.lock_days, new.added_by, new.mirror, new.enabled],
                    )
                except UniqueViolation as error:
                    raise replicating_rules.name_taken(new.name) from error
            elif other[0] == new.name:
                raise replicating_rules.name_taken(new.name)
            else:
                raise replicating_rules.url_taken(other[0], new.url)

    def change(self, name: str, *, mirror: bool | None = None, enabled: bool | None = None) -> Replica:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            connection.execute(
                "UPDATE cas.replicas SET mirror = coalesce(%s, mirror), enabled = coalesce(%s, enabled)"
                " WHERE name = %s",
                [mirror, enabled, name],
            )
            return _found(connection, name)

    def only_copies(self, name: str) -> Sequence[int]:
        with self._connections.transaction() as connection:
            _found(connection, name)
            return placing_postgres.only_copies(connection, name)

    def remove(self, name: str, *, lost: bool = False) -> Sequence[int]:
        with self._connections.transaction() as connection:
            # Whoever forgets a version, here or on another replica, removes or switches off demands the
            # owner: so none of them is between our look and our decision.
            self._keep_out(connection)
            _refuse_running(connection, name)
            only = placing_postgres.only_copies(connection, name)
            if only and not lost:
                raise replicating_rules.has_only_copies(name, only)
            connection.execute("DELETE FROM cas.replicas WHERE name = %s", [name])
            return only

    def replicas(self) -> Sequence[Replica]:
        with self._connections.transaction() as connection:
            rows = connection.execute(f'{_REPLICAS} ORDER BY name COLLATE "C"'.encode())
            return [_replica(row) for row in rows]

    def replica(self, name: str) -> Replica:
        with self._connections.transaction() as connection:
            return _found(connection, name)

    def begin(self, name: str) -> UUID:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            _refuse_running(connection, name)
            row = connection.execute(
                """
                UPDATE cas.replicas
                SET run = gen_random_uuid(), host = %s, pid = %s, lease_until = clock_timestamp() + %s,
                    started_at = clock_timestamp(), ended_at = NULL
                WHERE name = %s RETURNING run
                """,
                [socket.gethostname(), os.getpid(), LEASE, name],
            ).fetchone()
        assert row is not None, "it is locked"
        run: UUID = row[0]
        return run

    def renew(self, run: UUID) -> None:
        with self._connections.transaction() as connection:
            name = _demand(connection, run)
            connection.execute(
                "UPDATE cas.replicas SET lease_until = clock_timestamp() + %s WHERE name = %s", [LEASE, name]
            )

    def end(self, run: UUID, result: RunResult) -> None:
        with self._connections.transaction() as connection:
            _demand(connection, run)
            connection.execute(
                _END,
                {
                    "run": run,
                    "outcome": result.outcome.value,
                    "text": clean(result.text),
                    "versions": result.copied_versions,
                    "bytes": result.copied_bytes,
                    "objects": result.objects,
                    "stored": result.stored_bytes,
                    "settled": result.settled,
                },
            )

    def abandon(self, run: UUID, text: str) -> None:
        failed = RunOutcome.FAILED.value
        asked = {"run": run, "outcome": failed, "text": clean(text), "versions": 0, "bytes": 0}
        with self._connections.transaction() as connection:
            connection.execute(_END, {**asked, "objects": None, "stored": None, "settled": b""})

    def held(self, name: str) -> Mapping[int, datetime | None]:
        with self._connections.transaction() as connection:
            if connection.execute("SELECT FROM cas.replicas WHERE name = %s", [name]).fetchone() is None:
                raise replicating_rules.none_such(name)
            rows = connection.execute(
                "SELECT version, forgotten_at FROM cas.replica_versions WHERE replica = %s", [name]
            )
            return dict(rows.fetchall())

    def copied(self, run: UUID, numbers: Sequence[int]) -> Sequence[int]:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            asked = {
                "name": _demand(connection, run),
                "numbers": list(numbers),
                "committed": [state.value for state in COMMITTED],
            }
            return [number for (number,) in connection.execute(_COPIED, asked)]

    def forgotten(self, run: UUID, numbers: Sequence[int]) -> None:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            name = _demand(connection, run)
            connection.execute(
                """
                UPDATE cas.replica_versions SET forgotten_at = clock_timestamp()
                WHERE replica = %s AND version = ANY (%s) AND forgotten_at IS NULL
                """,
                [name, list(numbers)],
            )

    def waive(self, run: UUID, numbers: Sequence[int]) -> None:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            name = _demand(connection, run)
            connection.execute(
                "DELETE FROM cas.destinations WHERE replica = %s AND version = ANY (%s)",
                [name, list(numbers)],
            )

    def placements(self, numbers: Sequence[int]) -> Mapping[int, Placement]:
        with self._connections.transaction() as connection:
            return placing_postgres.placements(connection, numbers)

    def owed(self) -> Mapping[str, Sequence[int]]:
        with self._connections.transaction() as connection:
            return placing_postgres.owed(connection)

    def packs(self) -> Mapping[PackName, int]:
        with self._connections.transaction() as connection:
            rows = connection.execute(
                "SELECT name, stored_bytes FROM cas.packs WHERE state IN ('live', 'condemned')"
            )
            return {PackName(name): size for name, size in rows}

    def may_live(self) -> frozenset[PackName]:
        with self._connections.transaction() as connection:
            rows = connection.execute("SELECT name FROM cas.packs WHERE state <> 'deleting'")
            return frozenset(PackName(name) for (name,) in rows)

    def locked(self, run: UUID, at: datetime) -> None:
        with self._connections.transaction() as connection:
            name = _demand(connection, run)
            connection.execute("UPDATE cas.replicas SET locked_at = %s WHERE name = %s", [at, name])

    def verified(self, name: str, level: str, *, is_clean: bool) -> None:
        with self._connections.transaction() as connection:
            changed = connection.execute(
                """
                UPDATE cas.replicas
                SET verified_at = clock_timestamp(), verified_level = %s, verified_clean = %s WHERE name = %s
                """,
                [level, is_clean, name],
            )
            if not changed.rowcount:
                raise replicating_rules.none_such(name)


def name_at(connection: Connection, url: str) -> str | None:
    """The replica at this URL."""
    row = connection.execute("SELECT name FROM cas.replicas WHERE url = %s", [url]).fetchone()
    return None if row is None else str(row[0])


def _found(connection: Connection, name: str) -> Replica:
    row = connection.execute(f"{_REPLICAS} WHERE name = %s".encode(), [name]).fetchone()
    if row is None:
        raise replicating_rules.none_such(name)
    return _replica(row)


def _refuse_running(connection: Connection, name: str) -> None:
    """The row is locked until the transaction ends, and no run is at work."""
    row = connection.execute(
        """
        WITH locked AS MATERIALIZED (SELECT * FROM cas.replicas WHERE name = %s FOR UPDATE)
        SELECT coalesce(lease_until > clock_timestamp(), false), host, pid FROM locked
        """,
        [name],
    ).fetchone()
    if row is None:
        raise replicating_rules.none_such(name)
    if row[0]:
        raise replicating_rules.somebody_replicates(name, row[1], row[2])


def _demand(connection: Connection, run: UUID) -> str:
    """The lease is good, and stays the run's until the transaction ends. Returns the replica's name."""
    row = connection.execute(
        """
        WITH locked AS MATERIALIZED (
            SELECT name, run, lease_until FROM cas.replicas WHERE run = %s FOR UPDATE)
        SELECT name FROM locked WHERE lease_until > clock_timestamp()
        """,
        [run],
    ).fetchone()
    if row is None:
        raise replicating_rules.lost()
    return str(row[0])


def _replica(row: TupleRow) -> Replica:
    (
        name, url, rules, lock_days, added_by, added_at, started_at, ended_at,
        is_running, succeeded_at, locked_at,
        outcome, text, versions, copied_bytes, objects, stored_bytes, settled,
        verified_at, level, is_clean, mirror, enabled,
    ) = row  # fmt: skip
    given = None if rules is None else tuple(rules)
    result = None
    if outcome is not None:
        result = RunResult(
            RunOutcome(outcome), text, versions, copied_bytes, objects, stored_bytes, bytes(settled)
        )
    return Replica(
        NewReplica(name, url, given, lock_days, added_by, mirror, enabled),
        added_at,
        started_at,
        ended_at,
        is_running,
        succeeded_at,
        locked_at,
        result,
        None if verified_at is None else Verified(verified_at, level, is_clean),
    )
