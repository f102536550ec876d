"""Rows of change logs, summed by transaction, table and relation."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import psycopg

from cas.postgres.capture.naming import SEAL, log_name
from cas.postgres.capture.watched_logs import Log
from cas.postgres.reading.shapes import CAPTURE_SCHEMA
from cas.records.changes import MovedRows

LOGS_AT_ONCE = 100
"""Logs of one statement: each of them is one of the server's locks while it runs."""

_SUMS = """
SELECT {number}, tab, relation, coalesce(sum(rows) FILTER (WHERE operation = 'I'), 0)::int8,
       coalesce(sum(rows) FILTER (WHERE operation = 'U'), 0)::int8,
       coalesce(sum(rows) FILTER (WHERE operation = 'D'), 0)::int8, bool_or(operation = 'T')
FROM ({parts}) AS l WHERE operation <> '{seal}' AND NOT pg_visible_in_snapshot(xid, '{seen}'::pg_snapshot)
  AND pg_visible_in_snapshot(xid, '{now}'::pg_snapshot)
GROUP BY 1, 2, 3 {limit}
"""

_PART = "SELECT {table}::int8 AS tab, relation::int8, xid, operation, rows FROM {schema}.{log}"


class LogRow(NamedTuple):
    """What one transaction did to a table through one relation: the table, a partition, or a parent.
    `number`: the transaction's; None for all together."""

    number: int | None
    table: int
    relation: int
    inserted: int
    updated: int
    deleted: int
    truncated: bool


def log_rows(
    connection: psycopg.Connection, logs: Mapping[int, Log], seen: str, now: str, most: int
) -> Sequence[LogRow]:
    """What was committed between two snapshots, by the numbers of transactions; where these are more than
    `most`, all together. Raises as psycopg does."""
    rows: list[LogRow] = []
    for some in _read(connection, logs, seen, now, "xid::text::int8", f"LIMIT {most + 1}"):
        rows += some
        if len(rows) > most:
            rows = [row for part in _read(connection, logs, seen, now, "NULL::int8") for row in part]
            break
    return sorted(rows, key=lambda row: (row.number or 0, row.table))


def _read(
    connection: psycopg.Connection,
    logs: Mapping[int, Log],
    seen: str,
    now: str,
    number: str,
    limit: str = "",
) -> Iterator[Sequence[LogRow]]:
    tables = sorted(logs)
    for begin in range(0, len(tables), LOGS_AT_ONCE):
        parts = [
            _PART.format(table=table, schema=CAPTURE_SCHEMA, log=log_name(table))
            for table in tables[begin : begin + LOGS_AT_ONCE]
        ]
        query = _SUMS.format(
            number=number, parts=" UNION ALL ".join(parts), seal=SEAL, seen=seen, now=now, limit=limit
        )
        yield [LogRow(*row) for row in connection.execute(query.encode()).fetchall()]


def moved_rows(logs: Mapping[int, Log], rows: Sequence[LogRow]) -> tuple[MovedRows, ...]:
    """Of one transaction, by table. What was written through an inheritance parent stands in the parent's own
    log, with its count."""
    own = [row for row in rows if row.relation not in logs[row.table].parents]
    found = []
    for table, group in groupby(own, lambda row: row.table):
        some = list(group)
        emptied = {row.relation for row in some if row.truncated}
        found.append(
            MovedRows(
                logs[table].schema,
                logs[table].name,
                sum(row.inserted for row in some),
                sum(row.updated for row in some),
                sum(row.deleted for row in some),
                truncated=table in emptied,
                partitions=0 if table in emptied else len(emptied),
            )
        )
    return tuple(found)
