"""What is remembered of the keys of sealed stores, in PostgreSQL. Guarantees: cas/catalog/sealing.py."""

from collections.abc import Callable

from cas.catalog.connecting import Connection, Connections
from cas.catalog.sealing import SeenKeys

_NOTE = """
INSERT INTO cas.sealing (place, number, object) VALUES (%s, %s, %s)
ON CONFLICT (place) DO UPDATE
SET number = excluded.number, object = excluded.object, seen_at = clock_timestamp()
WHERE sealing.number < excluded.number
"""


class PostgresSealing:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(self, connections: Connections, demand_owner: Callable[[Connection], object]) -> None:
        """`demand_owner`: that the catalog still belongs to the repository, until the transaction ends."""
        self._connections = connections
        self._demand_owner = demand_owner

    def seen(self, place: str) -> SeenKeys | None:
        with self._connections.transaction() as connection:
            row = connection.execute(
                "SELECT number, object FROM cas.sealing WHERE place = %s", [place]
            ).fetchone()
        return None if row is None else SeenKeys(row[0], bytes(row[1]))

    def note(self, place: str, keys: SeenKeys) -> None:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            connection.execute(_NOTE, [place, keys.number, keys.object])

    def forget(self, place: str) -> None:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            connection.execute("DELETE FROM cas.sealing WHERE place = %s", [place])
