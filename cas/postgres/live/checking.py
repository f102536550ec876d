"""What the server was told not to look at, proven by queries before COMMIT, for the rows that were written.

Under `session_replication_role = replica` neither foreign keys nor deferrable unique and exclusion
constraints are checked. Writers are locked out of the written tables; a parent row in another table is
locked as the server itself would (FOR KEY SHARE), so that it cannot go before we commit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from cas.errors import Conflict
from cas.postgres.filling.faults import refusal
from cas.postgres.live.bags import GONE, StagedRows
from cas.postgres.live.foreign_keys import DatabaseKey
from cas.postgres.live.staging import Staged, only, table_name
from cas.postgres.quoting import column, qualified

_DEFERRABLE = """
SELECT k.conname::text, i.indexrelid::int8, i.indnkeyatts::int4,
       coalesce((to_json(i)->>'indnullsnotdistinct')::bool, false), k.contype::text,
       pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) AS n),
       CASE WHEN k.conexclop IS NOT NULL THEN
         ARRAY(SELECT format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
               FROM unnest(k.conexclop) WITH ORDINALITY AS u(operator, place)
               JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace s ON s.oid = o.oprnamespace
               ORDER BY place) END
FROM pg_constraint k JOIN pg_index i ON i.indexrelid = k.conindid
WHERE k.conrelid = %s AND k.contype IN ('p', 'u', 'x') AND NOT i.indimmediate
ORDER BY k.conname
"""


@dataclass(frozen=True, slots=True)
class Written:
    """One written table: which rows, and the temporary table of referenced values that went, if any."""

    staged: Staged | StagedRows
    before: bytes | None

    def rows(self, encoding: str) -> bytes:
        """A subquery of the rows that were written and are there."""
        staged = self.staged
        if isinstance(staged, StagedRows):
            return b'(SELECT * FROM %b AS s WHERE NOT s."%b")' % (staged.name, GONE.encode())
        table = only(staged.table) + table_name(staged.table, encoding)
        return b"(SELECT r.* FROM %b AS r JOIN %b AS s ON %b)" % (
            table,
            staged.name,
            staged.matches(b"r", encoding),
        )

    def gone(self) -> bytes:
        """A table or subquery of the referenced values that were there before."""
        if isinstance(self.staged, StagedRows):
            return b'(SELECT * FROM %b AS s WHERE s."%b")' % (self.staged.name, GONE.encode())
        assert self.before is not None, "referenced tables keep what went"
        return self.before


def remember_referenced(
    connection: psycopg.Connection,
    staged: Staged,
    number: int,
    keys: Sequence[DatabaseKey],
    encoding: str,
) -> bytes | None:
    """Before the deletion: the values, of rows that go, that others may refer to. The temporary table's name,
    or None where nothing refers to this table."""
    names = sorted({name for key in keys for name in key.key.referenced})
    if not names:
        return None
    table = only(staged.table) + table_name(staged.table, encoding)
    connection.execute(
        b"CREATE TEMPORARY TABLE cas_before_%d ON COMMIT DROP AS SELECT %b FROM %b AS r JOIN %b AS s ON %b"
        b" WHERE s.gone"
        % (
            number,
            b", ".join(b"r." + column(name, encoding) for name in names),
            table,
            staged.name,
            staged.matches(b"r", encoding),
        )
    )
    connection.execute(b"ANALYZE pg_temp.cas_before_%d" % number)
    return b"pg_temp.cas_before_%d" % number


def check_written(
    connection: psycopg.Connection,
    written: Mapping[int, Written],
    keys: Sequence[DatabaseKey],
    encoding: str,
) -> None:
    """By table oid. Conflict names the first constraint that does not hold; nothing was checked before that
    the server checks itself."""
    try:
        for key in keys:
            for statement, says in _about(key, written, encoding):
                row = connection.execute(statement).fetchone()
                if row is not None and row[0]:
                    raise Conflict(
                        f"{row[0]} rows {says}: {key.key.name}",
                        where=".".join(key.key.child),
                        hint="Nothing was changed. Bring parents or children back too: --with-parents,"
                        " --with-children",
                    )
        for oid, one in written.items():
            _check_unique(connection, oid, one, encoding)
    except psycopg.Error as error:
        raise refusal(error, doing="checking constraints", where=connection.info.dbname) from error


def _about(key: DatabaseKey, written: Mapping[int, Written], encoding: str) -> Iterator[tuple[bytes, str]]:
    if not key.is_checked or key.is_temporal:
        return
    child = (b"ONLY " if key.child_only else b"") + qualified(*key.key.child, encoding)
    parent = (b"ONLY " if key.parent_only else b"") + qualified(*key.key.parent, encoding)
    parent_exists = b"EXISTS (SELECT FROM %b AS p WHERE %b)" % (parent, _joined(key, b"p", b"c", encoding))
    if key.child_oid in written:
        rows = written[key.child_oid].rows(encoding)
        if key.parent_oid not in written:
            yield _locking(key, parent, rows, encoding), ""
        yield (
            b"SELECT count(*) FROM %b AS c WHERE %b AND NOT %b"
            % (rows, _referring(key, encoding), parent_exists),
            "would refer to a row that does not exist",
        )
    if key.parent_oid in written:
        before = written[key.parent_oid].gone()
        yield (
            b"SELECT count(*) FROM %b AS c JOIN %b AS b ON %b WHERE %b AND NOT %b"
            % (child, before, _joined(key, b"b", b"c", encoding), _referring(key, encoding), parent_exists),
            "refer to a row that would go",
        )


def _locking(key: DatabaseKey, parent: bytes, rows: bytes, encoding: str) -> bytes:
    """Keep the parents of written rows, as the server's own check does. Counts nothing."""
    return (
        b"WITH kept AS MATERIALIZED (SELECT FROM %b AS p WHERE EXISTS (SELECT FROM %b AS c WHERE %b)"
        b" FOR KEY SHARE OF p) SELECT 0 FROM kept LIMIT 1"
        % (parent, rows, _joined(key, b"p", b"c", encoding))
    )


def _joined(key: DatabaseKey, parent: bytes, child: bytes, encoding: str) -> bytes:
    pairs = zip(key.key.referenced, key.operators, key.key.columns, strict=True)
    return b" AND ".join(
        b"%b.%b %b %b.%b"
        % (parent, column(referenced, encoding), operator.encode(), child, column(name, encoding))
        for referenced, operator, name in pairs
    )


def _referring(key: DatabaseKey, encoding: str) -> bytes:
    """The condition that a child row refers to anything."""
    word = b" OR " if key.key.matches_full else b" AND "
    parts = word.join(b"c.%b IS NOT NULL" % column(name, encoding) for name in key.key.columns)
    return b"(%b)" % parts


def _check_unique(connection: psycopg.Connection, oid: int, one: Written, encoding: str) -> None:
    """Deferrable unique and exclusion constraints: no written row may collide with another."""
    for name, _, _, nulls_equal, kind, predicate, expressions, operators in connection.execute(
        _DEFERRABLE, [oid]
    ).fetchall():
        table = only(one.staged.table) + table_name(one.staged.table, encoding)
        values = b", ".join(
            b"(%b) AS e%d" % (text.encode("utf-8", "surrogateescape"), at)
            for at, text in enumerate(expressions)
        )
        condition = b" WHERE " + predicate.encode("utf-8", "surrogateescape") if predicate else b""
        side = b"(SELECT ctid AS place, tableoid AS part, %b FROM %b%b)" % (values, table, condition)
        equal = b" AND ".join(
            b"a.e%d %b b.e%d" % (at, _operator(operators, at, nulls_equal=nulls_equal), at)
            for at in range(len(expressions))
        )
        touched = _places(one, table, encoding)
        found = connection.execute(
            b"SELECT count(*) FROM %b AS a JOIN %b AS b ON (a.place, a.part) <> (b.place, b.part) AND %b"
            b" WHERE (a.place, a.part) IN (%b)" % (side, side, equal, touched)
        ).fetchone()
        if found is not None and found[0]:
            what = "have a key that another row has too" if kind != "x" else "collide with another row"
            raise Conflict(
                f"{found[0]} rows would {what}: {name}",
                where=one.staged.table.entity.label,
                hint="Nothing was changed. The other row is outside of what is restored: see the plan",
            )


def _operator(operators: Sequence[str] | None, at: int, *, nulls_equal: bool) -> bytes:
    if operators is not None:
        return operators[at].encode()
    return b"IS NOT DISTINCT FROM" if nulls_equal else b"="


def _places(one: Written, table: bytes, encoding: str) -> bytes:
    """Where the written rows lie."""
    staged = one.staged
    if isinstance(staged, StagedRows):
        return b"SELECT r.ctid, r.tableoid FROM %b AS r JOIN %b AS s ON %b = %b" % (
            table,
            staged.name,
            staged.text(b"r", encoding),
            staged.text(b"s", encoding),
        )
    return b"SELECT r.ctid, r.tableoid FROM %b AS r JOIN %b AS s ON %b" % (
        table,
        staged.name,
        staged.matches(b"r", encoding),
    )
