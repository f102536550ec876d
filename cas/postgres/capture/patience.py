"""Statements that need locks on the platform's tables: brief attempts, and breaks between them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from psycopg import errors

from cas.postgres.connecting import ConnectionOptions
from cas.postgres.faults import faults_of

KEYS_PER_STATEMENT = 100_000
"""Keys of one statement that are noted. Of more it is noted that there were more, and the table is scanned:
the arrays must not become so large that the platform's statement fails."""


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """How capture is installed and removed. lock_timeout and pause: seconds."""

    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    lock_timeout: float = 0.5
    """Of one attempt: so long may the platform's writers wait behind us."""
    attempts: int = 10
    pause: float = 0.5
    keys_per_statement: int = KEYS_PER_STATEMENT


def run_sql(connection: psycopg.Connection, statement: str) -> None:
    """One statement, in the conversation's encoding."""
    connection.execute(statement.encode("utf-8", "surrogateescape"))


def patiently(
    connection: psycopg.Connection, options: CaptureOptions, work: Callable[[], None], *, where: str
) -> bool:
    """Do the work in one transaction; False where a lock could not be had in any attempt. Raises as faults
    do for all else."""
    for attempt in range(options.attempts):
        if attempt:
            time.sleep(options.pause)
        try:
            with faults_of(where), connection.transaction():
                try:
                    run_sql(
                        connection, f"SET LOCAL lock_timeout = {max(round(options.lock_timeout * 1000), 1)}"
                    )
                    work()
                except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
                    raise _Busy from error
            return True
        except _Busy:
            continue
    return False


class _Busy(Exception):
    """A lock was not to be had; the transaction is rolled back."""
