"""A moment of the running platform, with what a plan asks beside the records."""

from collections.abc import Sequence

from cas.postgres.faults import faults_of
from cas.postgres.live.casting import cast_texts, listed
from cas.postgres.live.foreign_keys import DatabaseKey, database_keys
from cas.postgres.live.marking import mark_of
from cas.postgres.live.obstacles import obstacles_of
from cas.postgres.live.sequences import owned_sequences
from cas.postgres.quoting import column, qualified
from cas.postgres.reading.source import PostgresSnapshot
from cas.records.live import ForeignKey, Mark, OwnedSequence
from cas.records.model import Entity
from cas.records.target import Finding

ASKED_VALUES = 1000
"""Values that one question names."""

_TYPES = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
"""


class PostgresLook(PostgresSnapshot):
    """See `cas.records.live`."""

    def mark(self) -> Mark:
        with self._readers.asking("the moment") as connection:
            return mark_of(connection)

    def foreign_keys(self) -> Sequence[ForeignKey]:
        return [one.key for one in self._database_keys() if one.shows_in_records]

    def _database_keys(self) -> Sequence[DatabaseKey]:
        with self._readers.asking("foreign keys") as connection:
            return database_keys(connection)

    def absent(
        self, table: tuple[str, str], columns: Sequence[str], values: Sequence[Sequence[bytes]]
    ) -> Sequence[int]:
        found: list[int] = []
        with self._readers.asking(".".join(table)) as connection, faults_of(".".join(table)):
            encoding = self.identity.encoding
            types: dict[str, str] = dict(connection.execute(_TYPES, list(table)).fetchall())
            condition = b" AND ".join(
                b"p.%b = u.v%d::%b" % (column(name, encoding), at, types[name].encode())
                for at, name in enumerate(columns)
            )
            for begin in range(0, len(values), ASKED_VALUES):
                rows = connection.execute(
                    b"SELECT u.place FROM %b WHERE NOT EXISTS (SELECT FROM %b AS p WHERE %b) ORDER BY 1"
                    % (
                        listed(values[begin : begin + ASKED_VALUES], len(columns), encoding),
                        qualified(*table, encoding),
                        condition,
                    )
                ).fetchall()
                found += [begin + int(place) - 1 for (place,) in rows]
        return found

    def cast(self, type_name: str, texts: Sequence[bytes]) -> Sequence[bytes]:
        with self._readers.reading(type_name) as connection:
            return cast_texts(connection, type_name, texts, self.identity.encoding)

    def referring(self, key: ForeignKey, values: Sequence[Sequence[bytes]]) -> int:
        label = ".".join(key.child)
        encoding = self.identity.encoding
        count = 0
        with self._readers.asking(label) as connection, faults_of(label):
            types: dict[str, str] = dict(connection.execute(_TYPES, list(key.child)).fetchall())
            condition = b" AND ".join(
                b"c.%b = u.v%d::%b" % (column(name, encoding), at, types[name].encode())
                for at, name in enumerate(key.columns)
            )
            for begin in range(0, len(values), ASKED_VALUES):
                some = values[begin : begin + ASKED_VALUES]
                query = b"SELECT count(*) FROM %b AS c WHERE EXISTS (SELECT FROM %b WHERE %b)" % (
                    qualified(*key.child, encoding),
                    listed(some, len(key.columns), encoding),
                    condition,
                )
                count += int(connection.execute(query).fetchall()[0][0])
        return count

    def owned_sequences(self) -> Sequence[OwnedSequence]:
        relations = [oid for table in self._opened.chosen.tables for oid in table.relations]
        with self._readers.asking("sequences") as connection:
            return owned_sequences(connection, relations)

    def obstacles(self, entities: Sequence[Entity]) -> Sequence[Finding]:
        tables = [self._table(entity) for entity in entities]
        with self._readers.asking("rights") as connection:
            return obstacles_of(connection, tables, database_keys(connection))
