"""The beginning of a change: writers kept out, then the snapshot.

`LOCK TABLE ... IN EXCLUSIVE MODE` lets plain readers pass and nobody else: a weaker lock let a child row in
beside the deletion of its parent. All tables are locked by one statement in one order that everybody
keeps. Whoever waits for this lock makes all later writers wait behind it, so each attempt is short.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from cas.errors import TimedOut
from cas.postgres.connecting import server_encoding
from cas.postgres.quoting import qualified
from cas.postgres.reading.copying import run

BEGIN = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE"


@dataclass(frozen=True, slots=True)
class LockPatience:
    """How long one attempt waits (seconds), how many there are, and the pause between two. `later`: how long
    the transaction waits for any lock that it needs afterwards, while writers wait for it."""

    timeout: float = 2.0
    attempts: int = 10
    pause: float = 0.5
    later: float = 10.0


def begin_locked(
    connection: psycopg.Connection,
    tables: Sequence[tuple[str, str, bool]],
    beside: Sequence[tuple[str, str, bool]],
    patience: LockPatience,
    *,
    where: str,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Begin a transaction that holds the locks and has no snapshot yet. `tables`: schema, name, and whether
    it is locked alone (a partitioned one with its partitions); none at all is right too. Those `beside` are
    only kept from being altered. TimedOut where somebody holds one of them."""
    encoding = server_encoding(connection)
    locks = [
        b"LOCK TABLE %b IN %b MODE" % (_names(some, encoding), mode)
        for some, mode in ((tables, b"EXCLUSIVE"), (beside, b"ACCESS SHARE"))
        if some
    ]
    for attempt in range(1, patience.attempts + 1):
        run(connection.pgconn, BEGIN, where=where)
        try:
            run(
                connection.pgconn,
                b"SET LOCAL lock_timeout = %d" % round(patience.timeout * 1000),
                where=where,
            )
            for statement in locks:
                run(connection.pgconn, statement, where=where)
            run(
                connection.pgconn,
                b"SET LOCAL lock_timeout = %d" % round(patience.later * 1000),
                where=where,
            )
            return
        except TimedOut as error:
            run(connection.pgconn, b"ROLLBACK", where=where)
            if attempt == patience.attempts:
                raise TimedOut(
                    f"writers could not be locked out in {patience.attempts} attempts: {error.what}",
                    where=where,
                    hint="Long transactions hold the tables: see pg_stat_activity; nothing was changed",
                ) from error
            sleep(patience.pause)


def _names(tables: Sequence[tuple[str, str, bool]], encoding: str) -> bytes:
    return b", ".join(
        (b"ONLY " if alone else b"") + qualified(schema, name, encoding)
        for schema, name, alone in sorted(tables)
    )
