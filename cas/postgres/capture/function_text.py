"""The body of the function that notes which keys a statement wrote.

What the platform is owed: its statement neither fails nor waits because of us. What versions are owed:
nothing that was written goes unnoticed.

The first write to a log in a transaction is made inside of a block that catches whatever happens: the log may
have been dropped, altered, filled up, or be locked, which NOWAIT turns into an error. What could not be
noted is counted by a sequence, which no rollback takes back, and every version that sees it counted scans.
Such a block is a subtransaction, and more than 64 of them in one transaction slow down all other sessions of
a server; so once one write has succeeded, the transaction holds a lock that keeps the log as it is, says so
in a setting of its own, and writes without the block from then on. Rolling back to a savepoint undoes both.

Measured in a loop of single-row updates of 9 us each: 4 to 7 us for any trigger with transition tables, 12 us
more for the INSERT, 1 us for the block, 2 us for the lock. One INSERT with ARRAY(SELECT ...) was the cheapest
of the ways to write it: with two aggregates it took 8 us more, with variables in PL/pgSQL 7 us more. Between
commits, when caches are cold, all of it takes two to three times as long: tests/bench/capture_cost.py.

The old rows of an update are not kept for us: with them, all of it cost nearly twice as much. (Beside a
commit of 370 us, a trigger that does nothing costs 30, its transition table 20 more, and what is done here
another 20.) So a key that an update leaves is not noted, only the one that it takes; that there
was such a one, the reader sees by the rows that were inserted and deleted, which are counted here. (A trigger
on rows with WHEN (OLD.id <> NEW.id), or on UPDATE OF id, would note it, and then the platform could neither
alter the type of the key's column nor drop it: PostgreSQL refuses both for a column that a trigger names.)

An update of a partitioned table can lose a row on its way to another partition, where a trigger of the
platform does not let it in. There, and only there, the old rows are kept: where there are more of them than
new ones, their keys are noted, and what is missing counts as deleted.
"""

import re
from collections.abc import Sequence

from cas.postgres.capture.keys import LONGEST_KEY, LogKey
from cas.postgres.capture.naming import LOST, log_name, setting_name
from cas.postgres.quoting import shown
from cas.postgres.reading.shapes import CAPTURE_SCHEMA

ROWS = {"insert": "cas_new", "update": "cas_new", "delete": "cas_old"}
"""What the rows that a statement wrote are called in the function."""

_BODY = """
#variable_conflict use_column
-- {limit} keys of a statement
DECLARE
    noted pg_catalog.int8;
    patience pg_catalog.text;
BEGIN
    IF pg_catalog.current_setting('{setting}', true) OPERATOR(pg_catalog.=) 'yes' THEN
{plain}
    ELSE
        BEGIN
            LOCK TABLE {log} IN ROW EXCLUSIVE MODE NOWAIT;
{guarded}
        EXCEPTION WHEN OTHERS THEN
            BEGIN
                patience := pg_catalog.current_setting('lock_timeout');
                PERFORM pg_catalog.set_config('lock_timeout', '100ms', true);
                PERFORM pg_catalog.nextval('{lost}'::pg_catalog.regclass);
                PERFORM pg_catalog.set_config('lock_timeout', patience, true);
            EXCEPTION WHEN OTHERS THEN
                NULL;
            END;
            RETURN NULL;
        END;
        IF noted IS NOT NULL THEN
            PERFORM pg_catalog.set_config('{setting}', 'yes', true);
        END IF;
    END IF;
    RETURN NULL;
END
"""


def noting_body(oid: int, keys: Sequence[LogKey], limit: int, *, filtered: bool, partitioned: bool) -> str:
    """For the table with this oid. `limit`: so many keys of one statement are noted; of more, that there
    were. filtered: it is called for inheritance parents too, whose own rows may have NULL in the columns of
    the key, and are of no interest. partitioned: updates of partitioned tables call it with an argument."""
    writing = _writing(oid, keys, limit, filtered=filtered)
    return _body(oid, f"{writing}\n{_losing(oid, keys, limit)}" if partitioned else writing, limit)


def marking_body(oid: int) -> str:
    """For an inheritance parent that has not all columns of the table's key: it only notes that there was
    something."""
    head = f"INSERT INTO {CAPTURE_SCHEMA}.{log_name(oid)} SELECT pg_catalog.pg_current_xact_id(), TG_RELID"
    lines = []
    for word, operation in (("IF", "UPDATE"), ("ELSE", "DELETE")):
        lines += [
            f"IF TG_OP OPERATOR(pg_catalog.=) '{operation}' THEN" if word == "IF" else "ELSE",
            f"    {head}, '{operation[0]}', 0, pg_catalog.statement_timestamp()",
            f"    WHERE EXISTS (SELECT FROM {ROWS[operation.lower()]}) RETURNING rows INTO noted;",
        ]
    return _body(oid, "\n".join([*lines, "END IF;"]), 0)


def limit_in(body: str) -> int | None:
    """The limit that a noting body was made with; None where it is no such body."""
    found = re.match(r"\s*#variable_conflict use_column\n-- (\d{1,9}) keys", body)
    return None if found is None else int(found.group(1))


def _body(oid: int, writing: str, limit: int) -> str:
    return _BODY.format(
        limit=limit,
        setting=setting_name(oid),
        log=f"{CAPTURE_SCHEMA}.{log_name(oid)}",
        lost=LOST,
        plain=_indented(writing, 8),
        guarded=_indented(writing, 12),
    )


def _losing(oid: int, keys: Sequence[LogKey], limit: int) -> str:
    """What an update of a partitioned table has lost: all its old keys, and how many rows are fewer."""
    kept = ", ".join(
        f"CASE WHEN o.rows OPERATOR(pg_catalog.<=) {limit} THEN x.k{key.number} END" for key in keys
    )
    arrays = ", ".join(_arrays(oid, keys, limit, "cas_old r"))
    return "\n".join(
        (
            "IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND TG_NARGS OPERATOR(pg_catalog.>) 0 THEN",
            f"    INSERT INTO {CAPTURE_SCHEMA}.{log_name(oid)}",
            "    SELECT pg_catalog.pg_current_xact_id(), TG_RELID, 'D',",
            f"        o.rows OPERATOR(pg_catalog.-) n.rows, pg_catalog.statement_timestamp(), {kept}",
            "    FROM (SELECT pg_catalog.count(*) AS rows FROM cas_old) o,",
            "        (SELECT pg_catalog.count(*) AS rows FROM cas_new) n,",
            f"        LATERAL (SELECT {arrays} OFFSET 0) x",
            "    WHERE o.rows OPERATOR(pg_catalog.>) n.rows;",
            "END IF;",
        )
    )


def _writing(oid: int, keys: Sequence[LogKey], limit: int, *, filtered: bool) -> str:
    log = f"{CAPTURE_SCHEMA}.{log_name(oid)}"
    head = f"INSERT INTO {log} SELECT pg_catalog.pg_current_xact_id(), TG_RELID"
    at = "pg_catalog.statement_timestamp()"
    there = " AND ".join(f"r.{shown(key.column.name)} IS NOT NULL" for key in keys) if filtered else ""
    count = "pg_catalog.cardinality(x.k1)"
    few = f"{count} OPERATOR(pg_catalog.<=) {limit}"
    kept = ", ".join(f"CASE WHEN {few} THEN x.k{key.number} END" for key in keys)
    lines: list[str] = []
    for operation, rows in ROWS.items():
        arrays = _arrays(oid, keys, limit, f"{rows} r{' WHERE ' if there else ''}{there}")
        letter = operation[0].upper()
        lines += [
            f"{'ELSIF' if lines else 'IF'} TG_OP OPERATOR(pg_catalog.=) '{operation.upper()}' THEN",
            f"    {head}, '{letter}', {count}, {at}, {kept}",
            f"    FROM (SELECT {', '.join(arrays)} OFFSET 0) x",
            f"    WHERE {count} OPERATOR(pg_catalog.>) 0 RETURNING rows INTO noted;",
            f"    IF noted OPERATOR(pg_catalog.>) {limit} THEN",
            f"        {head}, '{letter}',",
            f"            pg_catalog.count(*) OPERATOR(pg_catalog.-) noted, {at} FROM {rows};",
            "    END IF;",
        ]
    lines += ["ELSE", f"    {head}, 'T', 0, {at};", "    noted := 0;", "END IF;"]
    return "\n".join(lines)


def _arrays(oid: int, keys: Sequence[LogKey], limit: int, rows: str) -> list[str]:
    """One array a column, all in the order in which the rows lie. What is too long is NULL in them, which no
    key is."""
    arrays = []
    for key in keys:
        value = f"r.{shown(key.column.name)}"
        boxed = f"ROW({value})::{key.box_sql(oid)}" if key.is_boxed else value
        length = key.length_sql(value)
        if length:
            boxed = f"CASE WHEN {length} OPERATOR(pg_catalog.<=) {LONGEST_KEY} THEN {boxed} END"
        arrays.append(f"ARRAY(SELECT {boxed} FROM {rows} LIMIT {limit + 1}) AS k{key.number}")
    return arrays


def _indented(text: str, spaces: int) -> str:
    return "\n".join(" " * spaces + line for line in text.split("\n"))
