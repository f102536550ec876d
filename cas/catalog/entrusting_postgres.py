"""Credentials that were entrusted to a catalog in PostgreSQL. Guarantees: cas/catalog/entrusting.py."""

from collections.abc import Callable, Sequence

from cas.catalog.connecting import Connection, Connections
from cas.catalog.entrusting import MAX_SEALED_BYTES, EntrustedPrimary, check_size, too_large
from cas.catalog.sealing import PRIMARY

_ENTRUST = """
INSERT INTO cas.entrusted (place, sealed) VALUES (%s, %s)
ON CONFLICT (place) DO UPDATE SET sealed = excluded.sealed
"""

_ENTRUSTED = """
SELECT octet_length(sealed), CASE WHEN octet_length(sealed) <= %s THEN sealed END
FROM cas.entrusted WHERE place = %s
"""
"""What is too large never travels: a constraint can be dropped by whoever writes here."""


class PostgresEntrusting:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(self, connections: Connections, demand_owner: Callable[[Connection], object]) -> None:
        """`demand_owner`: that the catalog still belongs to the repository, until the transaction ends."""
        self._connections = connections
        self._demand_owner = demand_owner

    def primary(self) -> EntrustedPrimary | None:
        with self._connections.transaction() as connection:
            if not _is_there(connection):
                return None
            owner = connection.execute("SELECT id FROM cas.repository").fetchone()
            sealed = _entrusted(connection, PRIMARY)
        return EntrustedPrimary(str(owner[0]), sealed) if owner and sealed else None

    def places(self) -> Sequence[str]:
        with self._connections.transaction() as connection:
            if not _is_there(connection):
                return []
            rows = connection.execute('SELECT place FROM cas.entrusted ORDER BY place COLLATE "C"')
            return [str(place) for (place,) in rows]

    def entrusted(self, place: str) -> bytes | None:
        with self._connections.transaction() as connection:
            return _entrusted(connection, place)

    def entrust(self, place: str, sealed: bytes) -> None:
        check_size(sealed)
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            connection.execute(_ENTRUST, [place, sealed])

    def forget(self, place: str) -> bool:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            gone = connection.execute("DELETE FROM cas.entrusted WHERE place = %s", [place])
        return gone.rowcount == 1


def _is_there(connection: Connection) -> bool:
    return connection.execute("SELECT to_regclass('cas.entrusted') IS NOT NULL").fetchone() == (True,)


def _entrusted(connection: Connection, place: str) -> bytes | None:
    row = connection.execute(_ENTRUSTED, [MAX_SEALED_BYTES, place]).fetchone()
    if row is None:
        return None
    size, sealed = row
    if sealed is None:
        raise too_large(place, size)
    return bytes(sealed)
