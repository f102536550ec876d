"""People at work on a platform beside each other: transactions that stay open, are prepared and come back."""

import random
from contextlib import suppress

import psycopg
from psycopg.pq import TransactionStatus

IN_A_HURRY = (
    "SET lock_timeout = '20ms'",
    "SET statement_timeout = '5s'",
    "SET client_min_messages = error",
)
"""Nobody waits for another one: nothing hangs."""

LEVELS = ("READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
ENDS = (
    "COMMIT",
    "COMMIT",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "PREPARE",
)


class People:
    """So many sessions of one database, and one that commits each statement by itself."""

    def __init__(self, url: str, count: int) -> None:
        self._sessions = [connected(url) for _ in range(count)]
        self._quick = connected(url)
        self._prepared: list[str] = []
        self._numbers = 0

    @property
    def quick(self) -> psycopg.Connection:
        return self._quick

    def close(self) -> None:
        for session in self._sessions:
            session.close()
        roll_back_prepared(self._quick)
        self._quick.close()

    def run(self, statement: str) -> bool:
        """Each statement committed at once; whether the platform took it."""
        return _run(self._quick, statement)

    def work(self, rng: random.Random, statement: str) -> str:
        """By somebody, in a transaction that is open or begins. What was done, for people."""
        number = rng.randrange(len(self._sessions))
        session = self._sessions[number]
        began = ""
        if session.info.transaction_status == TransactionStatus.IDLE:
            began = f"BEGIN ISOLATION LEVEL {rng.choice(LEVELS)}"
            session.execute(began.encode())
        if _run(session, statement):
            return f"{number}: {began} {statement}"
        goes_on = rng.random() < 0.5 and _run(session, "ROLLBACK TO s")
        if not goes_on:
            session.execute("ROLLBACK")
        return f"{number}: {began} {statement} -- refused, {'rolled back to s' if goes_on else 'rolled back'}"

    def end(self, rng: random.Random) -> str:
        """A transaction ends, or a part of one. What was done."""
        open_ones = [
            number
            for number, session in enumerate(self._sessions)
            if session.info.transaction_status != TransactionStatus.IDLE
        ]
        if not open_ones:
            return self.end_prepared(rng)
        number, how = rng.choice(open_ones), rng.choice(ENDS)
        session = self._sessions[number]
        if how == "PREPARE":
            self._numbers += 1
            name = f"life {self._numbers}"
            how = f"PREPARE TRANSACTION '{name}'"
            if _run(session, how):
                self._prepared.append(name)
                return f"{number}: {how}"
        elif _run(session, how):
            return f"{number}: {how}"
        session.execute("ROLLBACK")
        return f"{number}: {how} -- refused, rolled back"

    def end_prepared(self, rng: random.Random) -> str:
        if not self._prepared:
            return ""
        name = self._prepared.pop(rng.randrange(len(self._prepared)))
        how = f"{rng.choice(('COMMIT', 'COMMIT', 'ROLLBACK'))} PREPARED '{name}'"
        assert self.run(how)
        return how


def roll_back_prepared(connection: psycopg.Connection) -> None:
    """What earlier people of this database left behind."""
    names = connection.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
    for (name,) in names.fetchall():
        connection.execute(f"ROLLBACK PREPARED '{name}'".encode())


def connected(url: str) -> psycopg.Connection:
    """A session that waits for nobody."""
    connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
    for statement in IN_A_HURRY:
        connection.execute(statement.encode())
    return connection


def _run(connection: psycopg.Connection, statement: str) -> bool:
    try:
        with connection.cursor() as cursor:
            if statement.startswith("COPY"):
                text, _, data = statement.partition("|")
                with cursor.copy(text.encode()) as copy:
                    copy.write(data.encode())
            else:
                cursor.execute(statement.encode())
    except psycopg.Error:
        if connection.autocommit and statement.startswith("BEGIN;"):
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
        return False
    return True
