"""Which records a restore wrote, in SQL: parts that only the program understands."""

from cas.catalog import restore_standing
from cas.catalog.connecting import Connection
from cas.catalog.restore_moves import lock
from cas.catalog.restore_standing import HELD
from cas.catalog.rules import clean


def keep(connection: Connection, number: int, label: str, part: bytes) -> None:
    """One more part, by who holds the restore."""
    restore_standing.demand_held(lock(connection, number), HELD, "keys")
    connection.execute(
        """
        INSERT INTO cas.restore_keys (restore, ordinal, label, keys)
        SELECT %(number)s, coalesce(max(ordinal), 0) + 1, %(label)s, %(part)s
        FROM cas.restore_keys WHERE restore = %(number)s
        """,
        {"number": number, "label": clean(label), "part": part},
    )


def part_after(connection: Connection, number: int, ordinal: int) -> tuple[int, str, bytes] | None:
    """The part behind this one: its ordinal, label and bytes. None behind the last."""
    row = connection.execute(
        """
        SELECT ordinal, label, keys FROM cas.restore_keys WHERE restore = %s AND ordinal > %s
        ORDER BY ordinal LIMIT 1
        """,
        [number, ordinal],
    ).fetchone()
    return None if row is None else (row[0], row[1], bytes(row[2]))
