"""A moment of the running platform, with what a plan asks beside the records."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from cas.errors import PermissionDenied, SourceChanged
from cas.postgres.faults import faults_of
from cas.postgres.live.casting import cast_texts, listed
from cas.postgres.live.foreign_keys import DatabaseKey, database_keys
from cas.postgres.live.obstacles import obstacles_of
from cas.postgres.live.sequences import owned_sequences
from cas.postgres.quoting import column, qualified, shown
from cas.postgres.reading.source import PostgresSnapshot
from cas.records.live import ForeignKey, OwnedSequence
from cas.records.model import Entity
from cas.records.target import Finding

ASKED_VALUES = 1000
"""Values that one question names."""

_TYPES = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
"""


class PostgresLook(PostgresSnapshot):
    """See `cas.records.live`."""

    _keys: Sequence[DatabaseKey] | None = None

    def foreign_keys(self) -> Sequence[ForeignKey]:
        with self._readers.asking("foreign keys") as connection:
            return [one.key for one in self._database_keys(connection) if one.shows_in_records]

    def _database_keys(self, connection: psycopg.Connection) -> Sequence[DatabaseKey]:
        """Those of this moment, asked for once."""
        if self._keys is None:
            self._keys = database_keys(connection)
        return self._keys

    def absent(self, key: ForeignKey, values: Sequence[Sequence[bytes]]) -> Sequence[int]:
        encoding = self.identity.encoding
        found: list[int] = []
        with self._asking(key.parent) as connection:
            one = self._database_key(connection, key)
            condition = _compared(connection, one, encoding, parent=b"p.%b", child=b"u.v%d::%b")
            for begin in range(0, len(values), ASKED_VALUES):
                some = listed(values[begin : begin + ASKED_VALUES], len(key.columns), encoding)
                rows = connection.execute(
                    b"SELECT u.place FROM %b WHERE NOT EXISTS (SELECT FROM %b AS p WHERE %b) ORDER BY 1"
                    % (some, qualified(*key.parent, encoding), condition)
                ).fetchall()
                found += [begin + int(place) - 1 for (place,) in rows]
        return found

    def cast(self, type_name: str, texts: Sequence[bytes]) -> Sequence[bytes]:
        with self._readers.reading(type_name) as connection:
            return cast_texts(connection, type_name, texts, self.identity.encoding)

    def referring(self, key: ForeignKey, values: Sequence[Sequence[bytes]]) -> int:
        encoding = self.identity.encoding
        count = 0
        with self._asking(key.child) as connection:
            one = self._database_key(connection, key)
            condition = _compared(connection, one, encoding, parent=b"u.v%d::%b", child=b"c.%b")
            for begin in range(0, len(values), ASKED_VALUES):
                some = listed(values[begin : begin + ASKED_VALUES], len(key.columns), encoding)
                query = b"SELECT count(*) FROM %b AS c WHERE EXISTS (SELECT FROM %b WHERE %b)" % (
                    qualified(*key.child, encoding),
                    some,
                    condition,
                )
                count += int(connection.execute(query).fetchall()[0][0])
        return count

    @contextmanager
    def _asking(self, table: tuple[str, str]) -> Iterator[psycopg.Connection]:
        """Of a table that need not be one of this snapshot's. PermissionDenied says what helps."""
        label = ".".join(table)
        with self._readers.asking(label) as connection:
            try:
                with faults_of(label):
                    yield connection
            except PermissionDenied as error:
                role = shown(connection.info.user)
                raise PermissionDenied(
                    f"its rows have to be looked at for foreign keys: {error.what}",
                    where=label,
                    hint=f"GRANT SELECT ON TABLE {shown(*table)} TO {role};",
                ) from error

    def _database_key(self, connection: psycopg.Connection, key: ForeignKey) -> DatabaseKey:
        found = next((one for one in self._database_keys(connection) if one.key == key), None)
        if found is None:
            raise SourceChanged("the foreign key is gone", where=key.label, hint="Start again")
        return found

    def owned_sequences(self) -> Sequence[OwnedSequence]:
        relations = [oid for table in self._opened.chosen.tables for oid in table.relations]
        with self._readers.asking("sequences") as connection:
            return owned_sequences(connection, relations)

    def obstacles(self, entities: Sequence[Entity]) -> Sequence[Finding]:
        tables = [self._table(entity) for entity in entities]
        with self._readers.asking("rights") as connection:
            return obstacles_of(connection, tables, self._database_keys(connection))


def _compared(
    connection: psycopg.Connection, key: DatabaseKey, encoding: str, *, parent: bytes, child: bytes
) -> bytes:
    """The condition that a parent and a child agree, by the key's own operators. Either side is a column
    (`p.%b`), or a text (`u.v%d::%b`), which is read as that column's type: so it always is one."""
    types = [
        dict[str, str](connection.execute(_TYPES, [oid]).fetchall())
        for oid in (key.parent_oid, key.child_oid)
    ]

    def side(template: bytes, names: Sequence[str], at: int, types: dict[str, str]) -> bytes:
        if b"%d" in template:
            return template % (at, types[names[at]].encode("utf-8", "surrogateescape"))
        return template % column(names[at], encoding)

    return b" AND ".join(
        b"%b %b %b"
        % (
            side(parent, key.key.referenced, at, types[0]),
            operator.encode("utf-8", "surrogateescape"),
            side(child, key.key.columns, at, types[1]),
        )
        for at, operator in enumerate(key.operators)
    )
