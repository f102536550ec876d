"""What the server was told not to look at, proven by queries before COMMIT, for the rows that were written.

Under `session_replication_role = replica` neither foreign keys nor deferrable unique and exclusion
constraints are checked. Writers are locked out of the written tables; a parent row in another table is
locked as the server itself would (FOR KEY SHARE), so that it cannot go before we commit.
"""

from collections.abc import Iterator, Mapping, Sequence

import psycopg

from cas.errors import Conflict
from cas.postgres.filling.faults import refusal
from cas.postgres.live.foreign_keys import DatabaseKey
from cas.postgres.live.written import Written
from cas.postgres.quoting import column, qualified


def check_keys(
    connection: psycopg.Connection,
    written: Mapping[int, Written],
    keys: Sequence[DatabaseKey],
    encoding: str,
) -> None:
    """By the oid of a relation of the written table. Conflict names the first foreign key that would no
    longer hold. Of one that is NOT VALID only what was written now is judged, and not what it was before."""
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
    except psycopg.Error as error:
        raise refusal(error, doing="checking foreign keys", where=connection.info.dbname) from error


def _about(key: DatabaseKey, written: Mapping[int, Written], encoding: str) -> Iterator[tuple[bytes, str]]:
    if not key.is_enforced:
        return
    child = (b"ONLY " if key.child_only else b"") + qualified(*key.child, encoding)
    parent = (b"ONLY " if key.parent_only else b"") + qualified(*key.parent, encoding)
    dangles = b"%b AND NOT %b" % (_referring(key, encoding), _has_parent(key, parent, encoding))
    if key.child_oid in written:
        one = written[key.child_oid]
        rows = one.rows(encoding, key.child_oid if key.of_partition else None)
        if key.parent_oid not in written:
            yield _locking(key, parent, rows, encoding), ""
        old = b"" if key.is_validated else b" AND NOT " + one.had_before(b"c", key.key.columns, encoding)
        yield (
            b"SELECT count(*) FROM %b AS c WHERE %b%b" % (rows, dangles, old),
            "would refer to a row that does not exist",
        )
    if key.parent_oid in written:
        before = written[key.parent_oid].before
        assert before is not None, "referenced tables keep what went"
        # What nobody can refer to any more is mostly nothing, and then no child is looked at.
        yield (
            b"WITH gone AS MATERIALIZED (SELECT b.* FROM %b AS b%b) SELECT count(*) FROM"
            b" (SELECT c.* FROM %b AS c WHERE EXISTS (SELECT FROM gone AS b WHERE %b) OFFSET 0) AS c WHERE %b"
            % (
                before,
                _unless_there(key, parent, encoding),
                child,
                _joined(key, b"b", b"c", encoding),
                dangles,
            ),
            "refer to a row that would go",
        )


def _locking(key: DatabaseKey, parent: bytes, rows: bytes, encoding: str) -> bytes:
    """Keep the parents of written rows, as the server's own check does. Counts nothing, but has to count: who
    reads but one row of it locks but one."""
    return (
        b"WITH kept AS MATERIALIZED (SELECT FROM %b AS p WHERE EXISTS (SELECT FROM %b AS c WHERE %b)"
        b" FOR KEY SHARE OF p) SELECT 0 * count(*) FROM kept"
        % (parent, rows, _joined(key, b"p", b"c", encoding))
    )


def _has_parent(key: DatabaseKey, parent: bytes, encoding: str) -> bytes:
    """The condition that the parent of a row `c` is there; of a temporal key, for its whole time."""
    joined = _joined(key, b"p", b"c", encoding)
    if not key.is_temporal:
        return b"EXISTS (SELECT FROM %b AS p WHERE %b)" % (parent, joined)
    return b"coalesce((SELECT c.%b OPERATOR(pg_catalog.<@) range_agg(p.%b) FROM %b AS p WHERE %b), false)" % (
        column(key.key.columns[-1], encoding),
        column(key.key.referenced[-1], encoding),
        parent,
        joined,
    )


def _unless_there(key: DatabaseKey, parent: bytes, encoding: str) -> bytes:
    """A condition on parents `b` that were there: that none with the same values is there now. Of a temporal
    key that says nothing about its children, which may need several of them."""
    if key.is_temporal:
        return b""
    equal = b" AND ".join(
        b"p.%b %b b.%b" % (column(name, encoding), operator.encode(), column(name, encoding))
        for name, operator in zip(key.key.referenced, key.parent_operators, strict=True)
    )
    return b" WHERE NOT EXISTS (SELECT FROM %b AS p WHERE %b)" % (parent, equal)


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
