"""Garbage collection in memory. Guarantees: cas/catalog/collecting.py."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from cas.catalog import collecting_rules
from cas.catalog.collecting import Announced, Awaited
from cas.catalog.memory_rows import MemoryPack, MemoryRows
from cas.catalog.model import NewPack, PackState
from cas.catalog.rules import LEASE, check_pack, known_pack
from cas.errors import Fenced
from cas.ids import PackName


class MemoryCollecting:
    """On the rows of a `MemoryCatalog`."""

    def __init__(self, rows: MemoryRows, demand_attached: Callable[[], None]) -> None:
        self._rows = rows
        self._demand_attached = demand_attached
        self._collector: UUID | None = None
        self._lease_until: datetime | None = None
        self._token = ""

    def begin(self) -> UUID:
        with self._rows.lock:
            self._demand_attached()
            if self._lease_until is not None and self._lease_until > self._rows.now():
                raise collecting_rules.somebody_collects("", 0)
            self._collector = self._rows.new_id()
            self._lease_until = self._rows.now() + LEASE
            return self._collector

    def renew(self, collector: UUID) -> None:
        with self._rows.lock:
            self._demand(collector)
            self._lease_until = self._rows.now() + LEASE

    def end(self, collector: UUID) -> None:
        with self._rows.lock:
            if self._collector == collector:
                self._collector = self._lease_until = None

    def ended_by_adoption(self) -> None:
        """Versions were taken in from the store."""
        self._collector = self._lease_until = None
        self._rows.announced = None
        for pack in self._rows.packs.values():
            pack.announced = False

    def condemn_journaled(self, names: Sequence[PackName]) -> None:
        """Versions are taken in from a store whose journals name these."""
        epoch = self._rows.epoch + 1
        for name in names:
            pack = self._rows.packs.get(name)
            if pack is not None and pack.state is PackState.LIVE:
                pack.state, pack.condemned_epoch, self._rows.epoch = PackState.CONDEMNED, epoch, epoch

    def condemn(self, collector: UUID, dead: Sequence[PackName], strangers: Mapping[PackName, int]) -> int:
        with self._rows.lock:
            self._demand_attached()
            self._demand(collector)
            packs, epoch = self._rows.packs, self._rows.epoch + 1
            gone = {name for name in dead if name in packs and packs[name].state is PackState.LIVE}
            gone |= {name for name, pack in packs.items() if self._is_left_over(pack)}
            unknown = strangers.keys() - packs.keys()
            for name in gone:
                packs[name].state, packs[name].condemned_epoch = PackState.CONDEMNED, epoch
            for name in unknown:
                self._rows.make_pack(
                    name, PackState.CONDEMNED, condemned_epoch=epoch, stored_bytes=max(strangers[name], 1)
                )
            if gone or unknown:
                self._rows.epoch = epoch
            return len(gone) + len(unknown)

    def upload(self, collector: UUID, pack: NewPack) -> None:
        check_pack(pack)
        with self._rows.lock:
            self._demand_attached()
            self._demand(collector)
            if pack.name in self._rows.packs:
                raise known_pack(pack.name)
            self._rows.make_pack(pack.name, PackState.UPLOADING, stored_bytes=pack.stored_bytes)
            self._rows.packs[pack.name].collector = collector

    def replace(self, collector: UUID, fresh: Sequence[PackName], old: Sequence[PackName]) -> int:
        with self._rows.lock:
            self._demand_attached()
            self._demand(collector)
            packs, epoch = self._rows.packs, self._rows.epoch + 1
            for name in sorted(fresh):
                if name not in packs or packs[name].state is not PackState.UPLOADING:
                    raise collecting_rules.no_upload(name)
                if packs[name].collector != collector:
                    raise collecting_rules.no_upload(name)
            for name in fresh:
                packs[name].state = PackState.LIVE
            gone = {name for name in old if name in packs and packs[name].state is PackState.LIVE}
            for name in gone:
                packs[name].state, packs[name].condemned_epoch = PackState.CONDEMNED, epoch
            if gone:
                self._rows.epoch = epoch
            return len(gone)

    def at_work(self) -> frozenset[PackName]:
        with self._rows.lock:
            return frozenset(
                name
                for name in self._in(PackState.UPLOADING)
                if not self._is_left_over(self._rows.packs[name])
            )

    def condemned(self) -> Sequence[PackName]:
        with self._rows.lock:
            found = self._in(PackState.CONDEMNED)
            return [name for name in found if not self._rows.packs[name].announced]

    def spare(self, collector: UUID, packs: Sequence[PackName]) -> None:
        with self._rows.lock:
            self._demand_attached()
            self._demand(collector)
            for name in packs:
                pack = self._rows.packs.get(name)
                if pack is not None and pack.state is PackState.CONDEMNED:
                    pack.state, pack.condemned_epoch, pack.announced = PackState.LIVE, None, False

    def ripe(self, collector: UUID) -> Sequence[PackName]:
        with self._rows.lock:
            self._demand_attached()
            self._demand(collector)
            self._fence_lapsed()
            return self._ripe()

    def _ripe(self) -> list[PackName]:
        epochs = [one.epoch for one in self._rows.sessions.values() if one.state == "open"]
        epochs += [pin.epoch for pin in self._rows.pins.values()]
        found = []
        for name in self._in(PackState.CONDEMNED):
            pack = self._rows.packs[name]
            assert pack.condemned_epoch is not None, "it is condemned"
            if not pack.announced and all(pack.condemned_epoch <= epoch for epoch in epochs):
                found.append(name)
        return found

    def awaited(self) -> Awaited:
        with self._rows.lock:
            packs = [self._rows.packs[name] for name in self._in(PackState.CONDEMNED)]
            until = max((pack.condemned_epoch or 0 for pack in packs if not pack.announced), default=0)
            sessions = [one.epoch for one in self._rows.sessions.values() if one.state == "open"]
            pins = [pin.epoch for pin in self._rows.pins.values()]
            return Awaited(*(sum(epoch < until for epoch in epochs) for epochs in (sessions, pins)))

    def announce(self, collector: UUID, packs: Sequence[PackName], token: str) -> Announced | None:
        with self._rows.lock:
            self._demand_attached()
            self._demand(collector)
            if self._rows.announced is not None:
                raise collecting_rules.announced_already(self._rows.announced)
            self._fence_lapsed()
            chosen = set(self._ripe()).intersection(packs)
            for name in chosen:
                self._rows.packs[name].announced = True
            if not chosen:
                return None
            self._rows.announced, self._token = self._rows.journal + 1, token
            return self.announced()

    def announced(self) -> Announced | None:
        with self._rows.lock:
            if self._rows.announced is None:
                return None
            names = sorted(name for name, pack in self._rows.packs.items() if pack.announced)
            return Announced(self._rows.announced, tuple(names), self._token)

    def doom(self, collector: UUID, journal: int) -> Sequence[PackName]:
        with self._rows.lock:
            self._demand_attached()
            self._demand(collector)
            announced = self.announced()
            if announced is None or announced.journal != journal:
                raise collecting_rules.not_announced(journal)
            for name in announced.packs:
                self._rows.packs[name].state = PackState.DELETING
                self._rows.packs[name].announced = False
            self._rows.journal, self._rows.announced = journal, None
            return announced.packs

    def doomed(self) -> Sequence[PackName]:
        with self._rows.lock:
            return self._in(PackState.DELETING)

    def deleted(self, collector: UUID, packs: Sequence[PackName]) -> None:
        with self._rows.lock:
            self._demand_attached()
            self._demand(collector)
            for name in packs:
                pack = self._rows.packs.get(name)
                if pack is not None and pack.state is PackState.DELETING:
                    del self._rows.packs[name]

    def _demand(self, collector: UUID) -> None:
        is_good = self._lease_until is not None and self._lease_until > self._rows.now()
        if self._collector != collector or not is_good:
            raise collecting_rules.lost()

    def _is_left_over(self, pack: MemoryPack) -> bool:
        """An upload of a session or of a collector that is over."""
        if pack.state is not PackState.UPLOADING:
            return False
        if pack.owner is None:
            return pack.collector != self._collector
        return self._rows.sessions[pack.owner].state != "open"

    def _fence_lapsed(self) -> None:
        now = self._rows.now()
        for session in self._rows.sessions.values():
            if session.state == "open" and session.lease_until <= now:
                self._rows.end(session, "fenced", Fenced.code, collecting_rules.ENDED_FOR_GC)
        for pin in [one for one, found in self._rows.pins.items() if found.lease_until <= now]:
            del self._rows.pins[pin]

    def _in(self, state: PackState) -> list[PackName]:
        return sorted(name for name, pack in self._rows.packs.items() if pack.state is state)
