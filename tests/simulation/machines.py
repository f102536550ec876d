"""Machines: each does one job after another, and stops at every call to the outside until it may go on.

A job runs in a greenlet. At a call it switches to whoever plays the schedule; that one draws whose turn it
is, and what becomes of the call. A process that dies raises at this call, and at every other that its
clean-up still tries. The next job of the machine is a new process, with nothing in memory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from cas.errors import CasError, ConnectionFailed
from cas.store.interface import FaultKind, StoreFault
from tests.simulation.fates import Fate

ELSEWHERE = "elsewhere/"
"""How traces tell the store of the replica from the other one."""

_FOLDERS = ("packs", "versions", "notes")

TELLING = frozenset(
    (
        *(f"{call} {folder}" for call in ("put", "delete", "objects") for folder in _FOLDERS),
        *("put gc", "objects gc", "begin", "bases", "prepare", "commit", "pin"),
        *("live_packs", "condemn", "replace", "ripe", "announce", "doom"),
        *("forget", "let_go", "note", "adopt", "copied", "forgotten"),
    )
)
"""Kinds of calls by which a process tells others something, or learns what it then relies on: where it stops
matters most there."""


class Died(BaseException):
    """The process was killed here."""


@dataclass(slots=True)
class Call:
    """A call that waits: of the store or of the catalog, its name, and on what."""

    of_store: bool
    name: str
    what: str

    @property
    def kind(self) -> str:
        """Its name; of a store, with the folder of the object: "put packs"."""
        return (
            f"{self.name} {self.what.removeprefix(ELSEWHERE).split('/')[0]}" if self.of_store else self.name
        )


class Machine:
    """One at a time of its processes runs. `trace` is told of each call and what became of it."""

    def __init__(self, name: str, trace: Callable[[str], None]) -> None:
        self.name = name
        self.waiting: Call | None = None
        self.job = ""
        """What it does, or did last."""
        self.failed = ""
        """What the last job ended with, where that was an error."""
        self.was_deceived = False
        """Whether the process was told of what is not so, or is so no more."""
        self.beats: list[Callable[[], None]] = []
        """Renewals of the leases that the process holds."""
        self._trace = trace
        self._process: greenlet | None = None
        self._is_dead = False

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self, job: Callable[[], None], title: str) -> None:
        """Begin a job; it runs to its first call."""
        self._trace(f"{self.name}: begins to {title}")
        self._is_dead = False
        self.job, self.failed = title, ""
        self.was_deceived = False
        self.beats.clear()
        self._process = greenlet(lambda: self._run(job, title))
        self._process.switch()

    def go_on(self, fate: Fate) -> None:
        """Let the call that waits become what fate says, and run to the next one."""
        assert self._process is not None, "only a running machine goes on"
        self._process.switch(fate)

    def stop(self) -> None:
        """At the end of a schedule."""
        if self._process is not None:
            self._is_dead = True
            self._process.throw(GreenletExit)
            self._process = None

    def _run(self, job: Callable[[], None], title: str) -> None:
        try:
            job()
            self._trace(f"{self.name}: done with {title}")
        except CasError as error:
            self.failed = f"{title} failed: {type(error).__name__}: {error.what}"
            self._trace(f"{self.name}: {self.failed}")
        except Died:
            self._trace(f"{self.name}: died in {title}")
        finally:
            self._process = self.waiting = None
            self.beats.clear()

    def call(
        self,
        of_store: bool,
        name: str,
        what: str,
        act: Callable[[], Any],
        later: Callable[[Callable[[], Any], str], None],
        instead: Mapping[Fate, Callable[[], Any]] = MappingProxyType({}),
    ) -> Any:
        """One call to the outside. `later`: takes what is done at some time after. `instead`: what is done
        where the call has one of these fates."""
        if getcurrent() is not self._process:  # a heartbeat, which has a thread of its own
            return act()
        if self._is_dead:
            raise Died
        self.waiting = Call(of_store, name, what)
        player = getcurrent().parent
        assert player is not None, "whoever plays the schedule"
        fate: Fate = player.switch()
        self.waiting = None
        if fate is Fate.DONE:
            self._trace(f"{self.name}: {name} {what}")
            return act()
        self._trace(f"{self.name}: {name} {what} {fate.name.lower()}")
        if fate in (Fate.LATE, Fate.KILLED_LATE, Fate.TWICE):
            later(act, f"{self.name}: {name} {what}")
        self.was_deceived |= fate in (Fate.STALE, Fate.GARBLED)
        if fate.is_deadly:
            self._is_dead = True
        try:
            answer = instead.get(fate, act)() if fate in _DONE_NOW else None
        finally:
            if fate.is_deadly:
                raise Died
        if fate in _FAILING:
            if of_store:
                raise StoreFault("it failed", fault=FaultKind.TRANSIENT, where=what)
            raise ConnectionFailed("it failed", where=name)
        return answer


_DONE_NOW = (
    *(Fate.UNANSWERED, Fate.TWICE, Fate.STALE, Fate.GARBLED),
    *(Fate.KILLED_AFTER, Fate.KILLED_TORN),
)
_FAILING = (Fate.REFUSED, Fate.UNANSWERED, Fate.LATE)
