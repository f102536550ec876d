"""What checks have found, in PostgreSQL 14 or newer. Guarantees: cas/catalog/checking.py.

Locks are taken in the order of all writers: epoch, versions, packs, each ascending; then what is kept of
them. The epoch is shared, so no pack begins to be deleted while something is said of it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from psycopg.rows import DictRow, dict_row

from cas.catalog import checking_rules
from cas.catalog.checking import CheckLevel, PackCheck, PackFound, VersionCheck, VersionFound, Walked
from cas.catalog.checking_rules import VersionRow
from cas.catalog.connecting import Connection, Connections
from cas.catalog.rules import COMMITTED, MAX_INTEGER
from cas.ids import PackName

_COMMITTED = [state.value for state in COMMITTED]

_LOCK_PACKS = """
SELECT number FROM cas.packs WHERE name = ANY (%s) AND state <> 'deleting' ORDER BY name FOR KEY SHARE
"""

_PACKS = """
SELECT p.number, p.name, p.created_at, k.trailer_at, k.bytes_at, coalesce(k.damage, '') AS damage, k.damage_at
FROM cas.packs p LEFT JOIN cas.pack_checks k ON k.pack = p.number
"""

_KEEP_PACK = """
UPDATE cas.pack_checks SET trailer_at = %s, bytes_at = %s, damage = %s, damage_at = %s WHERE pack = %s
"""

_KEEP_VERSION = """
UPDATE cas.version_checks
SET structure_at = %s, read_back_at = %s, cleared_at = %s, damage = %s, damage_at = %s, damage_level = %s,
    needs = %s, stands = %s
WHERE version = %s
"""

_LOCK_VERSIONS = """
SELECT number FROM cas.versions WHERE number = ANY (%s) AND state = ANY (%s) ORDER BY number FOR KEY SHARE
"""

_WALKED = """
SELECT v.number, v.created_at, c.structure_at, coalesce(c.damage <> '', false)
FROM cas.versions v LEFT JOIN cas.version_checks c ON c.version = v.number
WHERE v.state = ANY (%s)
"""

_VERSIONS = """
SELECT v.number, c.structure_at, c.read_back_at, c.cleared_at, coalesce(c.damage, '') AS damage, c.damage_at,
       coalesce(c.damage_level, '') AS damage_level, c.needs, coalesce(c.stands, '{}') AS stands
FROM cas.versions v LEFT JOIN cas.version_checks c ON c.version = v.number
WHERE v.number = ANY (%s) AND v.state = ANY (%s)
"""

_DAMAGED = "SELECT p.name FROM cas.pack_checks c JOIN cas.packs p ON p.number = c.pack WHERE c.damage <> ''"

_WRITTEN_OFF = """
SELECT p.name FROM cas.packs p JOIN cas.pack_checks k ON k.pack = p.number
WHERE p.state = 'condemned' AND k.damage <> ''
"""

_NEEDING = """
SELECT c.version FROM cas.version_checks c JOIN cas.versions v ON v.number = c.version
WHERE v.state = ANY (%s)
  AND c.needs && (SELECT coalesce(array_agg(number), '{}') FROM cas.packs WHERE name = ANY (%s))
ORDER BY c.version
"""


class PostgresChecking:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(self, connections: Connections, share_epoch: Callable[[Connection], object]) -> None:
        """`share_epoch`: that the catalog still belongs to the repository, and that nothing is doomed, until
        the transaction ends."""
        self._connections = connections
        self._share_epoch = share_epoch

    def keep_packs(self, at: datetime, found: Sequence[PackFound]) -> None:
        given = {one.name: one for one in found}
        with self._connections.transaction() as connection:
            self._share_epoch(connection)
            numbers = [number for (number,) in connection.execute(_LOCK_PACKS, [list(given)])]
            connection.execute(
                "INSERT INTO cas.pack_checks (pack) SELECT unnest(%s::bigint[]) ON CONFLICT DO NOTHING",
                [sorted(numbers)],
            )
            # Locked before it is read: another run may have said something since.
            connection.execute(
                "SELECT FROM cas.pack_checks WHERE pack = ANY (%s) ORDER BY pack FOR UPDATE", [numbers]
            )
            rows = _dicts(connection, _PACKS + " WHERE p.number = ANY (%s)", [numbers])
            with connection.pipeline():
                for row in rows:
                    after = checking_rules.pack_after(_pack(row), at, given[PackName(row["name"])])
                    connection.execute(
                        _KEEP_PACK,
                        [after.trailer_at, after.bytes_at, after.damage, after.damage_at, row["number"]],
                    )

    def keep_versions(self, at: datetime, found: Sequence[VersionFound]) -> None:
        given = {one.number: one for one in found}
        with self._connections.transaction() as connection:
            self._share_epoch(connection)
            locked = connection.execute(_LOCK_VERSIONS, [list(given), _COMMITTED])
            numbers = [number for (number,) in locked]
            connection.execute(
                "INSERT INTO cas.version_checks (version) SELECT unnest(%s::bigint[]) ON CONFLICT DO NOTHING",
                [numbers],
            )
            connection.execute(
                "SELECT FROM cas.version_checks WHERE version = ANY (%s) ORDER BY version FOR UPDATE",
                [numbers],
            )
            known = _numbers(connection, found)
            for row in _dicts(connection, _VERSIONS, [numbers, _COMMITTED]):
                one = given[row["number"]]
                is_known = one.packs is not None and one.packs <= known.keys()
                needs = [known[name] for name in one.packs] if one.packs is not None and is_known else None
                stood = None if one.stands is None else [known[name] for name in one.stands & known.keys()]
                after = checking_rules.version_after(_version(row), at, one, needs, stood)
                connection.execute(
                    _KEEP_VERSION,
                    [
                        *(after.structure_at, after.read_back_at, after.cleared_at),
                        *(after.damage, after.damage_at, after.damage_level or ""),
                        None if after.needs is None else list(after.needs),
                        *(list(after.stands), row["number"]),
                    ],
                )

    def packs(self) -> Sequence[PackCheck]:
        with self._connections.transaction() as connection:
            rows = _dicts(connection, _PACKS + " WHERE p.state <> 'deleting' ORDER BY p.name", [])
            return [_pack(row) for row in rows]

    def walked(self) -> Mapping[int, Walked]:
        with self._connections.transaction() as connection:
            rows = connection.execute(_WALKED, [_COMMITTED]).fetchall()
        return {
            number: Walked(made_at.astimezone(UTC), _utc(at), is_damaged)
            for number, made_at, at, is_damaged in rows
        }

    def versions(self, numbers: Collection[int]) -> Mapping[int, VersionCheck]:
        asked = [number for number in numbers if 0 < number <= MAX_INTEGER]
        with self._connections.transaction() as connection:
            rows = {
                row["number"]: _version(row) for row in _dicts(connection, _VERSIONS, [asked, _COMMITTED])
            }
            wanted = sorted({number for row in rows.values() for number in row.needs or ()})
            packs = {
                row["number"]: _pack(row)
                for row in _dicts(connection, _PACKS + " WHERE p.number = ANY (%s)", [wanted])
            }
        return {number: checking_rules.judged(number, row, packs) for number, row in rows.items()}

    def written_off(self) -> frozenset[PackName]:
        with self._connections.transaction() as connection:
            return frozenset(PackName(name) for (name,) in connection.execute(_WRITTEN_OFF))

    def damaged(self) -> frozenset[PackName]:
        with self._connections.transaction() as connection:
            return frozenset(PackName(name) for (name,) in connection.execute(_DAMAGED))

    def needing(self, packs: Collection[PackName]) -> Sequence[int]:
        with self._connections.transaction() as connection:
            rows = connection.execute(_NEEDING, [_COMMITTED, list(packs)]).fetchall()
        return [number for (number,) in rows]


def _numbers(connection: Connection, found: Sequence[VersionFound]) -> dict[PackName, int]:
    """The numbers of all packs that are named, as far as the catalog knows them: asked for once, since
    versions need nearly the same."""
    names = frozenset[PackName]().union(
        *((one.packs or frozenset()) | (one.stands or frozenset()) for one in found)
    )
    query = "SELECT name, number FROM cas.packs WHERE name = ANY (%s) AND state <> 'deleting'"
    return {PackName(name): number for name, number in connection.execute(query, [list(names)])}


def _dicts(connection: Connection, query: str, given: Sequence[object]) -> list[DictRow]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), given).fetchall()


def _pack(row: DictRow) -> PackCheck:
    made_at = _utc(row["created_at"])
    assert made_at is not None
    return PackCheck(
        name=PackName(row["name"]),
        made_at=made_at,
        trailer_at=_utc(row["trailer_at"]),
        bytes_at=_utc(row["bytes_at"]),
        damage=row["damage"],
        damage_at=_utc(row["damage_at"]),
    )


def _version(row: DictRow) -> VersionRow:
    return VersionRow(
        structure_at=_utc(row["structure_at"]),
        read_back_at=_utc(row["read_back_at"]),
        cleared_at=_utc(row["cleared_at"]),
        damage=row["damage"],
        damage_at=_utc(row["damage_at"]),
        damage_level=CheckLevel(row["damage_level"]) if row["damage_level"] else None,
        needs=None if row["needs"] is None else tuple(row["needs"]),
        stands=tuple(row["stands"]),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
