"""The history of restores in PostgreSQL 14 or newer. Guarantees: cas/catalog/restores.py."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from cas.catalog import restore_endings, restore_keys, restore_listing, restore_moves, restore_rules
from cas.catalog.connecting import Connection, Connections
from cas.catalog.restore_model import (
    MeasuredRestore,
    NewRestore,
    Restore,
    RestoreFilter,
    RestorePlanned,
    RestoreResult,
    RestoreState,
)
from cas.catalog.rules import MAX_WORD, check_text
from cas.errors import ConnectionFailed


class PostgresRestores:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(self, connections: Connections, demand_owner: Callable[[Connection], object]) -> None:
        """`demand_owner`: that the catalog still belongs to the repository, until the transaction ends."""
        self._connections = connections
        self._demand_owner = demand_owner

    def begin(self, new: NewRestore) -> Restore:
        restore_rules.check_new(new)
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            return restore_moves.begin(connection, new)

    def planned(self, number: int, found: RestorePlanned) -> Restore:
        restore_rules.check_planned(found)
        with self._connections.transaction() as connection:
            return restore_moves.planned(connection, number, found)

    def start(self, number: int, plan_hash: str, *, approved_by: str = "") -> Restore:
        check_text("approved_by", approved_by, MAX_WORD)
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            return restore_moves.start(connection, number, plan_hash, approved_by)

    def renew(self, number: int) -> None:
        with self._connections.transaction() as connection:
            restore_moves.renew(connection, number)

    def step(self, number: int, name: str, text: str = "") -> None:
        with self._connections.transaction() as connection:
            restore_moves.step(connection, number, name, text)

    def enter(self, number: int, state: RestoreState) -> None:
        with self._connections.transaction() as connection:
            restore_moves.enter(connection, number, state)

    def progress(self, number: int, label: str, done: int) -> None:
        restore_rules.check_counts(done)
        with self._connections.transaction() as connection:
            restore_moves.progress(connection, number, label, done)

    def safety(self, number: int, version: int) -> None:
        with self._connections.transaction() as connection:
            restore_moves.safety(connection, number, version)

    def committing(self, number: int, transaction_id: int, result: RestoreResult) -> None:
        restore_rules.check_transaction(transaction_id)
        restore_rules.check_result(result)
        try:
            self._committing(number, transaction_id, result)
        except ConnectionFailed:
            # It may have been recorded all the same; a second time finds out, or does it.
            self._committing(number, transaction_id, result)

    def _committing(self, number: int, transaction_id: int, result: RestoreResult) -> None:
        with self._connections.transaction() as connection:
            restore_endings.committing(connection, number, transaction_id, result)

    def complete(self, number: int, result: RestoreResult) -> Restore:
        restore_rules.check_result(result)
        try:
            return self._complete(number, result)
        except ConnectionFailed:
            return self._complete(number, result)

    def _complete(self, number: int, result: RestoreResult) -> Restore:
        with self._connections.transaction() as connection:
            return restore_endings.complete(connection, number, result)

    def fail(self, number: int, code: str, step: str, text: str, *, rolled_back: bool = False) -> None:
        failure = restore_rules.failure(code, step, text)
        with self._connections.transaction() as connection:
            restore_endings.fail(connection, number, failure, rolled_back=rolled_back)

    def cancelled(self, number: int, text: str) -> None:
        with self._connections.transaction() as connection:
            restore_endings.cancelled(connection, number, text)

    def request_cancel(self, number: int) -> Restore:
        with self._connections.transaction() as connection:
            return restore_endings.request_cancel(connection, number)

    def unresolved(self) -> Sequence[Restore]:
        with self._connections.transaction() as connection:
            return restore_listing.unresolved(connection)

    def resolve(self, number: int, committed: bool, text: str = "") -> Restore:
        with self._connections.transaction() as connection:
            return restore_endings.resolve(connection, number, committed, text)

    def keep_keys(self, number: int, label: str, parts: Iterable[bytes]) -> None:
        for part in parts:
            with self._connections.transaction() as connection:
                restore_keys.keep(connection, number, label, part)

    def kept_keys(self, number: int) -> Iterator[tuple[str, bytes]]:
        ordinal = 0
        while True:
            with self._connections.transaction() as connection:
                found = restore_keys.part_after(connection, number, ordinal)
            if found is None:
                return
            ordinal, label, part = found
            yield label, part

    def restore(self, number: int) -> Restore:
        with self._connections.transaction() as connection:
            # Three statements that must see one moment; nothing is locked, so nothing is waited for.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return restore_listing.restore(connection, number)

    def restores(self, where: RestoreFilter) -> Sequence[Restore]:
        restore_rules.check_filter(where)
        with self._connections.transaction() as connection:
            return restore_listing.restores(connection, where)

    def measured(self, limit: int = 20) -> Sequence[MeasuredRestore]:
        restore_rules.check_limit(limit)
        with self._connections.transaction() as connection:
            return restore_listing.measured(connection, limit)
