"""Replication in memory. Guarantees: cas/catalog/replicating.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from cas.catalog import replicating_rules
from cas.catalog.memory_rows import MemoryRows
from cas.catalog.model import PackState
from cas.catalog.replica_model import NewReplica, Placement, Replica, RunOutcome, RunResult, Verified
from cas.catalog.rules import COMMITTED, LEASE, clean
from cas.ids import PackName

_NEEDED = (PackState.LIVE, PackState.CONDEMNED)


@dataclass(slots=True)
class _Row:
    replica: Replica
    run: UUID | None = None
    lease_until: datetime | None = None
    held: dict[int, datetime | None] = field(default_factory=dict)

    def holds(self) -> set[int]:
        return {number for number, since in self.held.items() if since is None}


class MemoryReplicating:
    """On the rows of a `MemoryCatalog`."""

    def __init__(self, rows: MemoryRows, demand_attached: Callable[[], None]) -> None:
        self._rows = rows
        self._demand_attached = demand_attached
        self._replicas: dict[str, _Row] = {}
        self._destinations: dict[int, set[str]] = {}

    def add(self, new: NewReplica) -> None:
        replicating_rules.check_new(new)
        with self._rows.lock:
            self._demand_attached()
            if new.name in self._replicas:
                raise replicating_rules.name_taken(new.name)
            for row in self._replicas.values():
                if row.replica.new.url == new.url:
                    raise replicating_rules.url_taken(row.replica.name, new.url)
            self._replicas[new.name] = _Row(Replica(new, self._rows.now()))

    def change(self, name: str, *, mirror: bool | None = None, enabled: bool | None = None) -> Replica:
        with self._rows.lock:
            self._demand_attached()
            row = self._row(name)
            new = row.replica.new
            new = replace(
                new,
                mirror=new.mirror if mirror is None else mirror,
                enabled=new.enabled if enabled is None else enabled,
            )
            row.replica = replace(row.replica, new=new)
            return self.replica(name)

    def only_copies(self, name: str) -> Sequence[int]:
        with self._rows.lock:
            mine = self._row(name)
            others = [row for row in self._replicas.values() if row is not mine and row.replica.new.enabled]
            return sorted(
                number
                for number in mine.holds()
                if not self._is_committed(number) and not any(number in row.holds() for row in others)
            )

    def remove(self, name: str, *, lost: bool = False) -> Sequence[int]:
        with self._rows.lock:
            self._demand_attached()
            if self._is_running(self._row(name)):
                raise replicating_rules.somebody_replicates(name, "", 0)
            only = self.only_copies(name)
            if only and not lost:
                raise replicating_rules.has_only_copies(name, only)
            del self._replicas[name]
            for names in self._destinations.values():
                names.discard(name)
            return only

    def require_destinations(self, destinations: Sequence[str] | None) -> set[str]:
        """Those that a version that begins now is to have. NotFound."""
        if destinations is None:
            found = [row.replica.new for row in self._replicas.values()]
            return {new.name for new in found if new.mirror and new.enabled}
        for name in sorted(destinations):
            self._row(name)
        return set(destinations)

    def aim(self, number: int, destinations: set[str]) -> None:
        """A version begins. Where it is meant to be."""
        self._destinations[number] = destinations

    def replicas(self) -> Sequence[Replica]:
        with self._rows.lock:
            return [self.replica(name) for name in sorted(self._replicas)]

    def replica(self, name: str) -> Replica:
        with self._rows.lock:
            row = self._row(name)
            return replace(row.replica, is_running=self._is_running(row))

    def begin(self, name: str) -> UUID:
        with self._rows.lock:
            self._demand_attached()
            row = self._row(name)
            if self._is_running(row):
                raise replicating_rules.somebody_replicates(name, "", 0)
            row.run, row.lease_until = self._rows.new_id(), self._rows.now() + LEASE
            row.replica = replace(row.replica, started_at=self._rows.now(), ended_at=None)
            return row.run

    def renew(self, run: UUID) -> None:
        with self._rows.lock:
            self._demand(run).lease_until = self._rows.now() + LEASE

    def end(self, run: UUID, result: RunResult) -> None:
        with self._rows.lock:
            row = self._demand(run)
            self._end(row, replace(result, text=clean(result.text)))

    def abandon(self, run: UUID, text: str) -> None:
        with self._rows.lock:
            for row in self._replicas.values():
                if row.run == run:
                    known = row.replica.result or RunResult(RunOutcome.FAILED)
                    self._end(
                        row,
                        RunResult(
                            RunOutcome.FAILED,
                            clean(text),
                            objects=known.objects,
                            stored_bytes=known.stored_bytes,
                        ),
                    )

    def held(self, name: str) -> Mapping[int, datetime | None]:
        with self._rows.lock:
            return dict(self._row(name).held)

    def copied(self, run: UUID, numbers: Sequence[int]) -> Sequence[int]:
        with self._rows.lock:
            self._demand_attached()
            held = self._demand(run).held
            counted = []
            for number in sorted(numbers):
                if not self._is_committed(number):
                    continue
                if held.setdefault(number, None) is None:
                    counted.append(number)
            return counted

    def forgotten(self, run: UUID, numbers: Sequence[int]) -> None:
        with self._rows.lock:
            self._demand_attached()
            held = self._demand(run).held
            for number in numbers:
                if number in held and held[number] is None:
                    held[number] = self._rows.now()

    def waive(self, run: UUID, numbers: Sequence[int]) -> None:
        with self._rows.lock:
            self._demand_attached()
            name = self._demand(run).replica.name
            for number in numbers:
                self._destinations.get(number, set()).discard(name)

    def placements(self, numbers: Sequence[int]) -> Mapping[int, Placement]:
        with self._rows.lock:
            return {number: self._placement(number) for number in numbers if number in self._rows.versions}

    def owed(self) -> Mapping[str, Sequence[int]]:
        with self._rows.lock:
            found: dict[str, list[int]] = {}
            for number in sorted(self._destinations):
                for name in self._placement(number).lacks:
                    found.setdefault(name, []).append(number)
            return dict(sorted(found.items()))

    def is_partial(self, number: int) -> bool:
        return self._placement(number).is_partial

    def packs(self) -> Mapping[PackName, int]:
        with self._rows.lock:
            found = self._rows.packs.items()
            return {name: pack.stored_bytes for name, pack in found if pack.state in _NEEDED}

    def may_live(self) -> frozenset[PackName]:
        with self._rows.lock:
            found = self._rows.packs.items()
            return frozenset(name for name, pack in found if pack.state is not PackState.DELETING)

    def locked(self, run: UUID, at: datetime) -> None:
        with self._rows.lock:
            row = self._demand(run)
            row.replica = replace(row.replica, locked_at=at)

    def verified(self, name: str, level: str, *, is_clean: bool) -> None:
        with self._rows.lock:
            row = self._row(name)
            row.replica = replace(row.replica, verified=Verified(self._rows.now(), level, is_clean))

    def name_at(self, url: str) -> str | None:
        """The replica at this URL."""
        return next((row.replica.name for row in self._replicas.values() if row.replica.new.url == url), None)

    def _placement(self, number: int) -> Placement:
        destinations = sorted(self._destinations.get(number, ()))
        is_committed = self._is_committed(number)
        lacks = [name for name in destinations if number not in self._replicas[name].held]
        return Placement(
            is_committed,
            tuple(name for name, row in sorted(self._replicas.items()) if number in row.holds()),
            tuple(destinations),
            tuple(lacks) if is_committed else (),
        )

    def _is_committed(self, number: int) -> bool:
        version = self._rows.versions.get(number)
        return version is not None and version.state in COMMITTED

    def _end(self, row: _Row, result: RunResult) -> None:
        row.run = row.lease_until = None
        is_complete = result.outcome is RunOutcome.COMPLETE
        row.replica = replace(
            row.replica,
            ended_at=self._rows.now(),
            succeeded_at=row.replica.started_at if is_complete else row.replica.succeeded_at,
            result=result,
        )

    def _row(self, name: str) -> _Row:
        if name not in self._replicas:
            raise replicating_rules.none_such(name)
        return self._replicas[name]

    def _is_running(self, row: _Row) -> bool:
        return row.lease_until is not None and row.lease_until > self._rows.now()

    def _demand(self, run: UUID) -> _Row:
        for row in self._replicas.values():
            if row.run == run and self._is_running(row):
                return row
        raise replicating_rules.lost()
