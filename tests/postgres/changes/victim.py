"""Takes versions of a platform in processes of their own, each of which ends itself by SIGKILL at a point.

    python -m tests.postgres.changes.victim STORE CATALOG CACHE PLATFORM

Each line of its input is a point, `OCCURRENCE NAME`: a child takes a version and dies when it comes to the
point for that time; occurrence 0 is never reached. The child says every point that it comes to, and "end"
when it has taken its version. When it is gone, "gone STATUS" is said, as `os.waitpid` has it.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from cas.catalog.postgres import PostgresCatalog
from cas.engine.repository import Repository
from cas.postgres.capture import pruning
from cas.postgres.reading.source import PostgresSnapshot, PostgresSource
from cas.records.marks import Mark
from cas.records.model import Entity
from cas.records.source import Selection
from cas.snapshot import SnapshotRequest, take_version
from cas.store.local import LocalStore
from tests.engine.recording import Gate, GatedCatalog, GatedStore

REQUEST = SnapshotRequest(with_schema=False)


class Deadly(Gate):
    """Says every point, and dies at one."""

    def __init__(self, name: str, occurrence: int) -> None:
        super().__init__()
        self._name = name
        self._occurrence = occurrence
        self._seen: Counter[str] = Counter()
        self._saying = Lock()

    def before(self, call: str, what: str = "") -> None:
        self._come_to(f"before {call} {_kind(what)}".strip())

    def after(self, call: str, what: str = "") -> None:
        self._come_to(f"after {call} {_kind(what)}".strip())

    def _come_to(self, name: str) -> None:
        with self._saying:
            self._seen[name] += 1
            say(name)
            if (name, self._seen[name]) == (self._name, self._occurrence):
                os.kill(os.getpid(), signal.SIGKILL)


def _kind(what: str) -> str:
    """Of an object's key, where it lies; of a pack's name, nothing."""
    return what.partition("/")[0] if "/" in what else ""


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


class GatedSource:
    """A platform, through a gate: its snapshots, and how it is told what is kept."""

    def __init__(self, url: str, gate: Gate) -> None:
        self._inner = PostgresSource(url)
        self._gate = gate

    @property
    def url(self) -> str:
        return self._inner.url

    @contextmanager
    def snapshot(self, selection: Selection, *, allow_incomplete: bool = False) -> Iterator[Any]:
        self._gate.before("snapshot")
        with self._inner.snapshot(selection, allow_incomplete=allow_incomplete) as snapshot:
            self._gate.after("snapshot")
            yield GatedSnapshot(snapshot, self._gate)

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        self._gate.before("kept")
        self._inner.kept(reader, mark, entities)
        self._gate.after("kept")


class GatedSnapshot:
    """One moment, through a gate."""

    def __init__(self, inner: PostgresSnapshot, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._gate.before(name)
            answer = found(*arguments, **named)
            self._gate.after(name)
            return answer

        return call

    def roles(self) -> Sequence[str]:
        """Without pg_dump, which takes longer than all the rest."""
        return ()


def gate_pruning(gate: Gate) -> None:
    """What the platform is told table by table: each transaction, and what is done in it."""
    work: Any = vars(pruning)["_Work"]
    for name, called in (("seal", "sealing"), ("run", "noting"), ("_delete", "deleting")):
        setattr(work, name, _gated(gate, called, getattr(work, name)))
    real = vars(pruning)["patiently"]

    def patiently(connection: Any, options: Any, step: Callable[[], None], *, where: str) -> bool:
        of: Any = step
        what = f"{of.__name__} of {of.__self__._table.entity.name}"
        gate.before(what)
        is_done: bool = real(connection, options, step, where=where)
        gate.after(what)
        return is_done

    vars(pruning)["patiently"] = patiently


def _gated(gate: Gate, called: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def step(work: Any, *arguments: Any) -> Any:
        what = f"{called} {work._table.entity.name}"
        gate.before(what)
        answer = real(work, *arguments)
        gate.after(what)
        return answer

    step.__name__ = real.__name__
    return step


def take(store_path: str, catalog_url: str, cache: str, platform: str, gate: Gate) -> None:
    bare = LocalStore(Path(store_path))
    repository = Repository(GatedStore(bare, gate), Path(cache))
    postgres = PostgresCatalog(catalog_url)
    postgres.attach(repository.id, bare.url)
    source: Any = GatedSource(platform, gate)
    take_version(repository, GatedCatalog(postgres, gate), source, REQUEST)
    say("end")


def main(*arguments: str) -> None:
    store, catalog, cache, platform = arguments
    say("ready")
    for line in sys.stdin:
        occurrence, _, name = line.strip().partition(" ")
        child = os.fork()
        if child == 0:
            gate = Deadly(name, int(occurrence))
            gate_pruning(gate)
            take(store, catalog, cache, platform, gate)
            os._exit(0)
        say(f"gone {os.waitpid(child, 0)[1]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
