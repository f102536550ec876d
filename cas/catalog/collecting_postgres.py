"""Garbage collection in PostgreSQL 14 or newer. Guarantees: cas/catalog/collecting.py.

Locks are taken in the order of all writers: epoch, collector, sessions, packs.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from cas.catalog import collecting_rules
from cas.catalog.collecting import Announced, Awaited
from cas.catalog.connecting import Connection, Connections
from cas.catalog.model import NewPack
from cas.catalog.rules import LEASE, check_pack, known_pack
from cas.errors import Fenced
from cas.ids import PackName

_CONDEMN = """
UPDATE cas.packs p SET state = 'condemned', condemned_epoch = %(epoch)s
WHERE (p.state = 'live' AND p.name = ANY (%(dead)s))
   OR (p.state = 'uploading'
       AND NOT EXISTS (SELECT FROM cas.sessions s WHERE s.id = p.owner AND s.state = 'open')
       AND NOT EXISTS (SELECT FROM cas.collector c WHERE c.id = p.collector))
"""

_AT_WORK = """
SELECT p.name FROM cas.packs p
WHERE p.state = 'uploading'
  AND (EXISTS (SELECT FROM cas.sessions s WHERE s.id = p.owner AND s.state = 'open')
       OR EXISTS (SELECT FROM cas.collector c WHERE c.id = p.collector))
"""

_REPLACE = """
WITH made AS (
    UPDATE cas.packs SET state = 'live'
    WHERE state = 'uploading' AND collector = %(collector)s AND name = ANY (%(fresh)s) RETURNING name)
SELECT name FROM unnest(%(fresh)s::text[]) AS given (name)
WHERE name NOT IN (SELECT name FROM made) ORDER BY name COLLATE "C" LIMIT 1
"""

_CONDEMN_STRANGERS = """
INSERT INTO cas.packs (name, state, condemned_epoch, stored_bytes, chunks, holds_nodes)
SELECT name, 'condemned', %(epoch)s, greatest(bytes, 1), 0, false
FROM unnest(%(names)s::text[], %(sizes)s::bigint[]) AS given (name, bytes)
ON CONFLICT (name) DO NOTHING
"""

_FENCE_LAPSED = """
WITH fenced AS (
    UPDATE cas.sessions SET state = 'fenced', ended_at = clock_timestamp()
    WHERE state = 'open' AND lease_until <= clock_timestamp() RETURNING number)
UPDATE cas.versions v
SET state = 'failed', error_code = %s, error_text = %s, finished_at = clock_timestamp(),
    duration_seconds = greatest(0, extract(epoch FROM clock_timestamp() - created_at))
FROM fenced WHERE v.number = fenced.number
"""

_RIPE = """
SELECT name FROM cas.packs
WHERE state = 'condemned' AND NOT announced
  AND condemned_epoch <= (SELECT coalesce(min(epoch), 9223372036854775807) FROM (
                              SELECT epoch FROM cas.sessions WHERE state = 'open'
                              UNION ALL SELECT epoch FROM cas.pins) AS at_work)
ORDER BY name
"""

_AWAITED = """
WITH until AS (
    SELECT coalesce(max(condemned_epoch), 0) AS epoch FROM cas.packs
    WHERE state = 'condemned' AND NOT announced)
SELECT (SELECT count(*) FROM cas.sessions s WHERE s.state = 'open' AND s.epoch < until.epoch),
       (SELECT count(*) FROM cas.pins p WHERE p.epoch < until.epoch)
FROM until
"""


class PostgresCollecting:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(
        self,
        connections: Connections,
        share_epoch: Callable[[Connection], tuple[int, int]],
        take_epoch: Callable[[Connection], tuple[int, int]],
    ) -> None:
        """Both check that the catalog still belongs to the repository, and give the epoch and the journal;
        the second one keeps writers out of their transactions until ours ends."""
        self._connections = connections
        self._share_epoch = share_epoch
        self._take_epoch = take_epoch

    def begin(self) -> UUID:
        with self._connections.transaction() as connection:
            self._share_epoch(connection)
            row = connection.execute(
                """
                UPDATE cas.collector
                SET id = gen_random_uuid(), host = %s, pid = %s, lease_until = clock_timestamp() + %s
                WHERE id IS NULL OR lease_until <= clock_timestamp() RETURNING id
                """,
                [socket.gethostname(), os.getpid(), LEASE],
            ).fetchone()
            if row is None:
                other = connection.execute("SELECT host, pid FROM cas.collector").fetchone()
                assert other is not None
                raise collecting_rules.somebody_collects(*other)
        collector: UUID = row[0]
        return collector

    def renew(self, collector: UUID) -> None:
        with self._connections.transaction() as connection:
            _demand(connection, collector)
            connection.execute("UPDATE cas.collector SET lease_until = clock_timestamp() + %s", [LEASE])

    def end(self, collector: UUID) -> None:
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE cas.collector SET id = NULL, lease_until = NULL WHERE id = %s", [collector]
            )

    def condemn(self, collector: UUID, dead: Sequence[PackName], strangers: Mapping[PackName, int]) -> int:
        with self._connections.transaction() as connection:
            epoch, _ = self._take_epoch(connection)
            _demand(connection, collector)
            asked = {
                "epoch": epoch + 1,
                "dead": list(dead),
                "names": list(strangers),
                "sizes": list(strangers.values()),
            }
            count = connection.execute(_CONDEMN, asked).rowcount
            count += connection.execute(_CONDEMN_STRANGERS, asked).rowcount
            if count:
                connection.execute("UPDATE cas.epoch SET number = number + 1")
            return count

    def upload(self, collector: UUID, pack: NewPack) -> None:
        check_pack(pack)
        with self._connections.transaction() as connection:
            self._share_epoch(connection)
            _demand(connection, collector)
            made = connection.execute(
                "INSERT INTO cas.packs (name, state, stored_bytes, chunks, holds_nodes, collector)"
                " VALUES (%s, 'uploading', %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING",
                [pack.name, pack.stored_bytes, pack.chunks, pack.holds_nodes, collector],
            )
            if not made.rowcount:
                raise known_pack(pack.name)

    def replace(self, collector: UUID, fresh: Sequence[PackName], old: Sequence[PackName]) -> int:
        with self._connections.transaction() as connection:
            epoch, _ = self._take_epoch(connection)
            _demand(connection, collector)
            asked = {"collector": collector, "fresh": list(fresh), "old": list(old), "epoch": epoch + 1}
            strange = connection.execute(_REPLACE, asked).fetchone()
            if strange is not None:
                raise collecting_rules.no_upload(strange[0])
            count = connection.execute(
                "UPDATE cas.packs SET state = 'condemned', condemned_epoch = %(epoch)s"
                " WHERE state = 'live' AND name = ANY (%(old)s)",
                asked,
            ).rowcount
            if count:
                connection.execute("UPDATE cas.epoch SET number = number + 1")
            return count

    def at_work(self) -> frozenset[PackName]:
        return frozenset(self._names(_AT_WORK))

    def condemned(self) -> Sequence[PackName]:
        return self._names("SELECT name FROM cas.packs WHERE state = 'condemned' AND NOT announced")

    def awaited(self) -> Awaited:
        with self._connections.transaction() as connection:
            row = connection.execute(_AWAITED).fetchone()
        assert row is not None, "it counts"
        return Awaited(*row)

    def spare(self, collector: UUID, packs: Sequence[PackName]) -> None:
        with self._connections.transaction() as connection:
            self._share_epoch(connection)
            _demand(connection, collector)
            connection.execute(
                "UPDATE cas.packs SET state = 'live', condemned_epoch = NULL, announced = false"
                " WHERE state = 'condemned' AND name = ANY (%s)",
                [list(packs)],
            )

    def ripe(self, collector: UUID) -> Sequence[PackName]:
        with self._connections.transaction() as connection:
            self._take_epoch(connection)
            _demand(connection, collector)
            _fence_lapsed(connection)
            return [PackName(name) for (name,) in connection.execute(_RIPE)]

    def announce(self, collector: UUID, packs: Sequence[PackName], token: str) -> Announced | None:
        with self._connections.transaction() as connection:
            _, journal = self._take_epoch(connection)
            _demand(connection, collector)
            already = _announced(connection)
            if already is not None:
                raise collecting_rules.announced_already(already.journal)
            _fence_lapsed(connection)
            ripe = [name for (name,) in connection.execute(_RIPE)]
            chosen = list(set(packs).intersection(ripe))
            query = "UPDATE cas.packs SET announced = true WHERE name = ANY (%s)"
            if not connection.execute(query, [chosen]).rowcount:
                return None
            connection.execute("UPDATE cas.epoch SET announced = %s, token = %s", [journal + 1, token])
            return _announced(connection)

    def announced(self) -> Announced | None:
        with self._connections.transaction() as connection:
            return _announced(connection)

    def doom(self, collector: UUID, journal: int) -> Sequence[PackName]:
        with self._connections.transaction() as connection:
            self._take_epoch(connection)
            _demand(connection, collector)
            announced = _announced(connection)
            if announced is None or announced.journal != journal:
                raise collecting_rules.not_announced(journal)
            connection.execute("UPDATE cas.packs SET state = 'deleting', announced = false WHERE announced")
            connection.execute("UPDATE cas.epoch SET journal = announced, announced = NULL, token = ''")
            return announced.packs

    def doomed(self) -> Sequence[PackName]:
        return self._names("SELECT name FROM cas.packs WHERE state = 'deleting'")

    def deleted(self, collector: UUID, packs: Sequence[PackName]) -> None:
        with self._connections.transaction() as connection:
            self._share_epoch(connection)
            _demand(connection, collector)
            connection.execute(
                "DELETE FROM cas.packs WHERE state = 'deleting' AND name = ANY (%s)", [list(packs)]
            )

    def _names(self, query: str) -> list[PackName]:
        with self._connections.transaction() as connection:
            return [PackName(name) for (name,) in connection.execute(f"{query} ORDER BY name".encode())]


def _demand(connection: Connection, collector: UUID) -> None:
    """The lease is good, and stays ours until the transaction ends."""
    row = connection.execute(
        """
        WITH locked AS MATERIALIZED (SELECT id, lease_until FROM cas.collector FOR UPDATE)
        SELECT coalesce(id = %s AND lease_until > clock_timestamp(), false) FROM locked
        """,
        [collector],
    ).fetchone()
    if row is None or not row[0]:
        raise collecting_rules.lost()


def _fence_lapsed(connection: Connection) -> None:
    """Writers and readers that have fallen silent are waited for no longer."""
    connection.execute(_FENCE_LAPSED, [Fenced.code, collecting_rules.ENDED_FOR_GC])
    connection.execute("DELETE FROM cas.pins WHERE lease_until <= clock_timestamp()")


def _announced(connection: Connection) -> Announced | None:
    row = connection.execute("SELECT announced, token FROM cas.epoch").fetchone()
    if row is None or row[0] is None:
        return None
    names = connection.execute("SELECT name FROM cas.packs WHERE announced ORDER BY name")
    return Announced(row[0], tuple(PackName(name) for (name,) in names), row[1])
