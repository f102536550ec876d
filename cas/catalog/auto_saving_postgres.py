"""What auto-save remembers, in PostgreSQL 14 or newer. Guarantees: cas/catalog/auto_saving.py."""

from collections.abc import Sequence
from datetime import UTC

from cas.catalog import auto_save_rules
from cas.catalog.auto_save_model import Claim, Policy, PolicyKind, Watched
from cas.catalog.connecting import Connections
from cas.catalog.rules import MAX_WORD, check_text
from cas.records.changes import PlatformName

_CLAIM = """
INSERT INTO cas.watches AS w (system_identifier, database, holder, held_until)
VALUES (%(system)s, %(database)s, %(holder)s, clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (system_identifier, database) DO UPDATE
SET holder = excluded.holder, held_until = excluded.held_until
WHERE w.holder = excluded.holder OR w.held_until <= clock_timestamp()
"""

_SET_POLICY = """
INSERT INTO cas.policies (kind, rows, percent, seconds, entities, set_by) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (kind) DO UPDATE
SET rows = excluded.rows, percent = excluded.percent, seconds = excluded.seconds,
    entities = excluded.entities, set_by = excluded.set_by, set_at = clock_timestamp()
"""


class PostgresAutoSaving:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def policies(self) -> Sequence[Policy]:
        with self._connections.transaction() as connection:
            found = connection.execute(
                "SELECT kind, rows, percent, seconds, entities FROM cas.policies"
            ).fetchall()
        return auto_save_rules.in_order(
            [
                Policy(PolicyKind(kind), rows, percent, seconds, tuple(entities))
                for kind, rows, percent, seconds, entities in found
            ]
        )

    def set_policies(self, policies: Sequence[Policy], *, set_by: str) -> None:
        auto_save_rules.check_policies(policies, set_by)
        with self._connections.transaction() as connection:
            for policy in auto_save_rules.in_order(policies):
                given = [policy.kind.value, policy.rows, policy.percent, policy.seconds]
                connection.execute(_SET_POLICY, [*given, list(policy.entities), set_by])

    def drop_policies(self, kinds: Sequence[PolicyKind]) -> Sequence[PolicyKind]:
        with self._connections.transaction() as connection:
            rows = connection.execute(
                "DELETE FROM cas.policies WHERE kind = ANY (%s) RETURNING kind",
                [[kind.value for kind in kinds]],
            ).fetchall()
        gone = {row[0] for row in rows}
        return [kind for kind in PolicyKind if kind in gone]

    def claim(self, platform: PlatformName, holder: str, seconds: float) -> Claim | None:
        check_text("holder", holder, MAX_WORD)
        asked = {**_names(platform), "holder": holder, "seconds": seconds}
        with self._connections.transaction() as connection:
            if connection.execute(_CLAIM, asked).rowcount:
                return None
            row = connection.execute(
                "SELECT holder, held_until FROM cas.watches"
                " WHERE system_identifier = %(system)s AND database = %(database)s",
                asked,
            ).fetchone()
        assert row is not None, "rows of watches stay"
        return Claim(row[0], row[1].astimezone(UTC))

    def release(self, platform: PlatformName, holder: str) -> None:
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE cas.watches SET held_until = clock_timestamp() WHERE holder = %(holder)s"
                " AND system_identifier = %(system)s AND database = %(database)s",
                {**_names(platform), "holder": holder},
            )

    def watched(self, platform: PlatformName) -> Watched | None:
        with self._connections.transaction() as connection:
            row = connection.execute(
                "SELECT position, schema_state FROM cas.watches WHERE system_identifier = %(system)s"
                " AND database = %(database)s AND position IS NOT NULL",
                _names(platform),
            ).fetchone()
        return Watched(*row) if row else None

    def keep(self, platform: PlatformName, holder: str, watched: Watched) -> None:
        with self._connections.transaction() as connection:
            kept = connection.execute(
                """
                UPDATE cas.watches SET position = %(position)s, schema_state = %(state)s,
                       kept_at = clock_timestamp()
                WHERE holder = %(holder)s AND system_identifier = %(system)s AND database = %(database)s
                """,
                {
                    **_names(platform),
                    "holder": holder,
                    "position": watched.position,
                    "state": watched.schema_state,
                },
            )
            if not kept.rowcount:
                raise auto_save_rules.taken_over()


def _names(platform: PlatformName) -> dict[str, object]:
    return {"system": platform.system_identifier, "database": platform.database}
