"""COPY ... TO STDOUT by libpq itself, without a call per row through psycopg's machinery.

`for row in cursor.copy(...)` costs 0.8 us a row, this loop 0.45 us, half of which is the network
(200,000 rows of 390 bytes). Rows come as memoryviews on libpq's own memory.

libpq's input buffer starts at 16 KiB, and every refill is a poll that gives up the GIL; in a process
with other busy threads each of those may wait 5 ms to get it back. The buffer only grows when one
message needs it, and never shrinks, so one long answer at the beginning makes refills 40 times rarer.
"""

import select
from collections.abc import Generator, Iterator

from psycopg import pq
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from cas.errors import CasError, ConnectionFailed
from cas.postgres.faults import fault_of_result, faults_of

BATCH_ROWS = 2000
"""Rows of a batch: enough that what a batch costs does not show, few enough to stay in the cache. A million
products took 15.9 s with 1,000, 15.3 s with 2,000 and 16.8 s with 500 (medians, on a slow machine)."""

BATCH_BYTES = 1 << 20
"""Bytes after which a batch ends. It is looked at when libpq's buffer runs dry, so a batch holds at most
this, one buffer, and one row."""

READ_AHEAD_BYTES = 1_000_000
"""Length of the answer that makes libpq's buffer grow."""


def run(pgconn: PGconn, statement: bytes, *, where: str) -> PGresult:
    """Execute one statement, or several; their last result.

    It is not psycopg's `execute`, since bytes must go out as they are whatever the client encoding;
    and not libpq's PQexec, which would not let Ctrl-C through while it waits for a lock.
    """
    poll = _poll(pgconn)
    failed = last = None
    with faults_of(where):
        pgconn.send_query(statement)
        while (result := _next_result(pgconn, poll)) is not None:
            last = result
            if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                failed = result
    if failed is not None or last is None:
        raise _failure(failed, where)
    return last


def read_ahead(pgconn: PGconn, *, where: str) -> None:
    """Make libpq's input buffer large, once per connection."""
    run(pgconn, b"SELECT pg_catalog.repeat(' ', %d)" % READ_AHEAD_BYTES, where=where)


def copied(pgconn: PGconn, statement: bytes, *, where: str) -> Generator[list[memoryview], None, None]:
    """The rows of a COPY, whole lines with line ends, in lists that are never empty.

    A generator that is closed early cancels the COPY; the transaction, or savepoint, must then be
    rolled back. Raises what the server reports; where it counts other rows than came, CasError.
    """
    poll = _poll(pgconn)
    with faults_of(where):
        pgconn.send_query(statement)
        result = _next_result(pgconn, poll)
    if result is None or result.status != ExecStatus.COPY_OUT:
        _drain(pgconn, poll)
        raise _failure(result, where)
    count = 0
    ended = False
    try:
        for rows in _row_lists(pgconn, poll, where):
            count += len(rows)
            yield rows
        ended = True
    finally:
        if not ended:
            _cancel(pgconn, poll)
    with faults_of(where):
        result = _next_result(pgconn, poll)
        _drain(pgconn, poll)
    if result is None or result.status != ExecStatus.COMMAND_OK:
        raise _failure(result, where)
    if result.command_tuples != count:
        raise CasError(f"the server sent {result.command_tuples} rows, and {count} arrived", where=where)


def _row_lists(pgconn: PGconn, poll: select.poll, where: str) -> Iterator[list[memoryview]]:
    get, refill = pgconn.get_copy_data, pgconn.consume_input
    rows: list[memoryview] = []
    size = total = 0
    while size >= 0:
        add = rows.append
        with faults_of(where):
            while len(rows) < BATCH_ROWS:
                size, row = get(1)
                if size > 0:
                    add(row)
                    total += size
                elif size < 0 or total >= BATCH_BYTES:
                    break
                else:
                    poll.poll()
                    refill()
        if rows:
            yield rows
            rows, total = [], 0


def _poll(pgconn: PGconn) -> select.poll:
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    return poll


def _next_result(pgconn: PGconn, poll: select.poll) -> PGresult | None:
    while pgconn.is_busy():
        poll.poll()
        pgconn.consume_input()
    return pgconn.get_result()


def _drain(pgconn: PGconn, poll: select.poll) -> None:
    """Take all that is left of a query, so that the next one can be sent."""
    while (result := _next_result(pgconn, poll)) is not None:
        if result.status == ExecStatus.COPY_OUT:
            while pgconn.get_copy_data(0)[0] > 0:
                pass


def _cancel(pgconn: PGconn, poll: select.poll) -> None:
    """End a COPY that nobody wants any more. A connection that cannot be told so is closed."""
    if pgconn.status != pq.ConnStatus.OK:
        return
    with faults_of("cancelling a read"):
        pgconn.get_cancel().cancel()
        _drain(pgconn, poll)


def _failure(result: PGresult | None, where: str) -> CasError:
    if result is None:
        return ConnectionFailed("the server ended the connection during a read", where=where)
    return fault_of_result(result, where=where)
