"""Ports of a restore with a trap behind one of their calls: an error, a kill, or somebody who looks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from cas.postgres.live.platform import PostgresPlatform
from cas.records.live import LivePlatform, LiveTransaction
from cas.records.marks import Mark
from cas.records.model import Entity
from cas.records.source import Selection


class Sprung(Exception):  # an error that nobody expects
    """Something failed that has no word among the errors."""


@dataclass
class Trap:
    """At call number `at` of the named port: `act`, before or after it. `only`: of calls of this name.
    `sprung` names the call."""

    port: str
    at: int
    after: bool
    act: Callable[[], None]
    only: str = ""
    armed: bool = False
    calls: int = 0
    sprung: str = ""

    def around(self, port: str, name: str, call: Callable[[], Any]) -> Any:
        is_meant = self.armed and not self.sprung and port == self.port and name == (self.only or name)
        if not is_meant or name in ("cancel", "renew"):
            return call()
        self.calls += 1
        if self.calls != self.at:
            return call()
        self.sprung = name
        if not self.after:
            self.act()
            return call()
        answer = call()
        self.act()
        return answer


class Trapped:
    """Any port, every call of which goes by the trap."""

    def __init__(self, port: str, inner: Any, trap: Trap) -> None:
        self._port = port
        self._inner = inner
        self._trap = trap

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            return self._trap.around(self._port, name, lambda: found(*arguments, **named))

        return call


class TrappedPlatform:
    """The platform; `on_lock` is called when all is locked and compared, before anything is written."""

    def __init__(self, inner: PostgresPlatform, trap: Trap, on_lock: Callable[[], None]) -> None:
        self._inner = inner
        self._trap = trap
        self._on_lock = on_lock
        self.backend = 0
        """Process id of the transaction's backend."""

    @property
    def url(self) -> str:
        return self._inner.url

    @contextmanager
    def look(self, selection: Selection) -> Iterator[Any]:
        with self._inner.look(selection) as snapshot:
            yield Trapped("look", snapshot, self._trap)

    @contextmanager
    def change(
        self, tables: Sequence[tuple[str, str]], beside: Sequence[tuple[str, str]] = ()
    ) -> Iterator[LiveTransaction]:
        with self._inner.change(tables, beside) as transaction:
            self.backend = transaction._connection.info.backend_pid
            self._on_lock()
            yield cast(LiveTransaction, Trapped("transaction", transaction, self._trap))

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        self._trap.around("kept", "kept", lambda: self._inner.kept(reader, mark, entities))

    def outcome(self, transaction_id: int) -> bool | None:
        return self._inner.outcome(transaction_id)

    def as_port(self) -> LivePlatform:
        return cast(LivePlatform, self)
