"""Where versions are and where they are meant to be, in SQL. Guarantees: cas/catalog/replicating.py."""

from collections.abc import Mapping, Sequence
from typing import LiteralString

from cas.catalog import replicating_rules
from cas.catalog.connecting import Connection
from cas.catalog.replica_model import Placement
from cas.catalog.rules import COMMITTED

_COMMITTED = [state.value for state in COMMITTED]

LACKING: LiteralString = """
    NOT EXISTS (SELECT FROM cas.replica_versions r WHERE r.replica = d.replica AND r.version = d.version)
"""
"""Of a destination d: the version never came there. What it let go later it was given."""

_PLACEMENTS: LiteralString = """
SELECT v.number, v.state = ANY (%(committed)s),
    ARRAY (SELECT r.replica FROM cas.replica_versions r
           WHERE r.version = v.number AND r.forgotten_at IS NULL ORDER BY r.replica COLLATE "C"),
    ARRAY (SELECT d.replica FROM cas.destinations d
           WHERE d.version = v.number ORDER BY d.replica COLLATE "C"),
    ARRAY (SELECT d.replica FROM cas.destinations d
           WHERE d.version = v.number AND v.state = ANY (%(committed)s) AND {lacking}
           ORDER BY d.replica COLLATE "C")
FROM cas.versions v WHERE v.number = ANY (%(numbers)s)
""".replace("{lacking}", LACKING)

_OWED: LiteralString = """
SELECT d.replica, array_agg(d.version ORDER BY d.version)
FROM cas.destinations d JOIN cas.versions v ON v.number = d.version
WHERE v.state = ANY (%(committed)s) AND {lacking}
GROUP BY d.replica ORDER BY d.replica COLLATE "C"
""".replace("{lacking}", LACKING)

_ONLY_COPIES = """
SELECT h.version FROM cas.replica_versions h JOIN cas.versions v ON v.number = h.version
WHERE h.replica = %(name)s AND h.forgotten_at IS NULL AND v.state <> ALL (%(committed)s)
    AND NOT EXISTS (
        SELECT FROM cas.replica_versions o JOIN cas.replicas r ON r.name = o.replica
        WHERE o.version = h.version AND o.replica <> h.replica AND o.forgotten_at IS NULL AND r.enabled)
ORDER BY h.version
"""


def aim(connection: Connection, number: int, destinations: Sequence[str] | None) -> None:
    """Keep where a version is meant to be; replicas are removed before or after, since the epoch is shared.
    NotFound."""
    if destinations is None:
        connection.execute(
            """
            INSERT INTO cas.destinations (version, replica)
            SELECT %s, name FROM cas.replicas WHERE mirror AND enabled
            """,
            [number],
        )
    elif destinations:
        asked = sorted(set(destinations))
        known = connection.execute(
            """
            INSERT INTO cas.destinations (version, replica)
            SELECT %s, name FROM cas.replicas WHERE name = ANY (%s)
            RETURNING replica
            """,
            [number, asked],
        )
        missing = set(asked).difference(name for (name,) in known)
        if missing:
            raise replicating_rules.none_such(min(missing))


def placements(connection: Connection, numbers: Sequence[int]) -> Mapping[int, Placement]:
    rows = connection.execute(_PLACEMENTS, {"numbers": list(numbers), "committed": _COMMITTED})
    return {number: Placement(primary, *map(tuple, names)) for number, primary, *names in rows}


def owed(connection: Connection) -> Mapping[str, Sequence[int]]:
    return dict(connection.execute(_OWED, {"committed": _COMMITTED}).fetchall())


def only_copies(connection: Connection, name: str) -> Sequence[int]:
    rows = connection.execute(_ONLY_COPIES, {"name": name, "committed": _COMMITTED})
    return [number for (number,) in rows]
