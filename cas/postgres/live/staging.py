"""Writing changes: the keys go into a temporary table, what they hold is deleted, what shall be is copied in.

Deleting first and inserting then is the one order in which two rows may exchange a unique value, and a column
that is GENERATED ALWAYS AS IDENTITY can be given. COPY is how the record was read, takes the values of
identity columns as they are, and no rule rewrites it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg

from cas.errors import Conflict
from cas.limits import MIB
from cas.postgres.filling.faults import refusal
from cas.postgres.filling.loading import copy_statement
from cas.postgres.quoting import column, qualified
from cas.postgres.reading.shapes import Table
from cas.records.keys import decode_stored_key
from cas.records.live import Applied, Change
from cas.records.model import Column, Entity, EntityKind
from cas.records.payload import TAB, escape, pad_with_nulls

SEND_BYTES = MIB // 2

# What equality is, a B-tree tells by the strategy's number. A key WITHOUT OVERLAPS is a GiST index, whose
# numbers are each operator class's own.
_KEY_OPERATORS = """
SELECT format('OPERATOR(%%I.%%s)', n.nspname, o.oprname)
FROM pg_index i, unnest(i.indclass::oid[]) WITH ORDINALITY AS u(class, place)
JOIN pg_opclass k ON k.oid = u.class JOIN pg_am m ON m.oid = k.opcmethod
JOIN pg_amop a ON a.amopfamily = k.opcfamily
              AND a.amoplefttype = k.opcintype AND a.amoprighttype = k.opcintype
JOIN pg_operator o ON o.oid = a.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE i.indrelid = %s AND i.indisprimary AND u.place <= i.indnkeyatts
  AND CASE WHEN m.amname = 'btree' THEN a.amopstrategy = 3 ELSE o.oprname = '=' END ORDER BY u.place
"""


@dataclass(frozen=True, slots=True)
class Staged:
    """A temporary table of touched keys: k1, k2, ..., and `gone` for those whose row was deleted."""

    table: Table
    name: bytes
    operators: tuple[bytes, ...]

    def matches(self, row: bytes, encoding: str) -> bytes:
        """The condition that a row of the entity and a row `s` of the temporary table have one key."""
        parts = [
            b"%b.%b %b s.k%d" % (row, column(key.name, encoding), operator, number)
            for number, (key, operator) in enumerate(zip(self.table.key, self.operators, strict=True), 1)
        ]
        return b" AND ".join(parts)


def _staged_line(entity: Entity, change: Change) -> bytes:
    key = map(escape, decode_stored_key(entity, change.key))
    return TAB.join([*key, b"f" if change.before is None else b"t"]) + b"\n"


def only(table: Table) -> bytes:
    """ONLY, but for a partitioned table."""
    return b"" if table.entity.kind is EntityKind.PARTITIONED else b"ONLY "


def table_name(table: Table, encoding: str) -> bytes:
    """Schema and name, quoted."""
    return qualified(table.entity.schema, table.entity.name, encoding)


def stage_keys(
    connection: psycopg.Connection, table: Table, number: int, changes: Iterable[Change], encoding: str
) -> Staged:
    """Fill the temporary table `number` with the keys of the changes."""
    rows = connection.execute(_KEY_OPERATORS, [table.oid]).fetchall()
    staged = Staged(table, b"pg_temp.cas_touched_%d" % number, tuple(str(o).encode() for (o,) in rows))
    names = b", ".join(b"k%d" % at for at in range(1, len(table.key) + 1))
    columns = b", ".join(column(key.name, encoding) for key in table.key)
    connection.execute(
        b"CREATE TEMPORARY TABLE %b (%b, gone) ON COMMIT DROP AS SELECT %b, false FROM %b WITH NO DATA"
        % (staged.name.removeprefix(b"pg_temp."), names, columns, table_name(table, encoding))
    )
    lines = (_staged_line(table.entity, one) for one in changes)
    with connection.cursor() as cursor:
        statement = b"COPY %b FROM STDIN WITH (ENCODING '%b')" % (staged.name, encoding.encode())
        send(cursor, statement, lines)
    connection.execute(b"ANALYZE " + staged.name)
    return staged


def delete_staged(connection: psycopg.Connection, staged: Staged, encoding: str) -> int:
    """Delete the rows under the keys that are marked as gone; how many there were."""
    statement = b"DELETE FROM %b%b AS r USING %b AS s WHERE s.gone AND %b" % (
        only(staged.table),
        table_name(staged.table, encoding),
        staged.name,
        staged.matches(b"r", encoding),
    )
    return connection.execute(statement).rowcount


def insert_rows(
    connection: psycopg.Connection, entity: Entity, payloads: Iterable[bytes], encoding: str
) -> int:
    """Append records of the entity's columns; the number that the server counted."""
    width = len(entity.columns)
    lines = (pad_with_nulls(payload, width, entity.label) + b"\n" for payload in payloads)
    with connection.cursor() as cursor:
        send(cursor, copy_statement(entity, encoding, freeze=False), lines)
        return cursor.rowcount


def send(cursor: psycopg.Cursor, statement: bytes, lines: Iterable[bytes]) -> None:
    """One COPY of these lines."""
    with cursor.copy(statement) as copy:
        waiting: list[bytes] = []
        size = 0
        for line in lines:
            waiting.append(line)
            size += len(line)
            if size >= SEND_BYTES:
                copy.write(b"".join(waiting))
                waiting, size = [], 0
        copy.write(b"".join(waiting))


def write_keyed(
    connection: psycopg.Connection,
    table: Table,
    number: int,
    changes: Iterable[Change],
    created: Sequence[str],
    encoding: str,
    remember: Callable[[Staged], bytes | None],
) -> tuple[Staged, bytes | None, Applied]:
    """Apply changes of a table with a primary key. `changes` is gone through several times; `remember` is
    called before anything is deleted, and what it returns is given back."""
    entity = table.entity
    try:
        staged = stage_keys(connection, table, number, changes, encoding)
        before = remember(staged)
        gone = delete_staged(connection, staged, encoding)
        expected = sum(1 for one in changes if one.before is not None)
        if gone != expected:
            raise Conflict(
                f"{gone} rows were deleted where the plan has {expected}",
                where=entity.label,
                hint="Nothing was changed. Make a new plan",
            )
        replaced = insert_rows(connection, entity, _replaced(changes), encoding)
        fresh = insert_rows(connection, narrowed(entity, created), _created(changes), encoding)
    except psycopg.Error as error:
        where = (error.diag.context or "").partition("\n")[0] or entity.label
        raise refusal(error, doing=f"writing {entity.label}", where=where) from error
    return staged, before, Applied(fresh, replaced, gone - replaced)


def narrowed(entity: Entity, names: Sequence[str]) -> Entity:
    """The entity with these columns only, in their order."""
    columns: dict[str, Column] = {one.name: one for one in entity.columns}
    return replace(entity, columns=tuple(columns[name] for name in names))


def _replaced(changes: Iterable[Change]) -> Iterator[bytes]:
    return (one.after for one in changes if one.after is not None and one.before is not None)


def _created(changes: Iterable[Change]) -> Iterator[bytes]:
    return (one.after for one in changes if one.after is not None and one.before is None)
