"""What checks have found, in memory. Guarantees: cas/catalog/checking.py."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from cas.catalog import checking_rules
from cas.catalog.checking import PackCheck, PackFound, VersionCheck, VersionFound, Walked
from cas.catalog.checking_rules import VersionRow
from cas.catalog.memory_rows import MemoryPack, MemoryRows
from cas.catalog.model import PackState
from cas.catalog.rules import COMMITTED
from cas.ids import PackName


class MemoryChecking:
    """On the rows of a `MemoryCatalog`."""

    def __init__(self, rows: MemoryRows, demand_attached: Callable[[], None]) -> None:
        self._rows = rows
        self._demand_attached = demand_attached
        self._versions: dict[int, VersionRow] = {}

    def forget(self, number: int) -> None:
        """A version is gone."""
        self._versions.pop(number, None)

    def keep_packs(self, at: datetime, found: Sequence[PackFound]) -> None:
        with self._rows.lock:
            self._demand_attached()
            for one in found:
                pack = self._rows.packs.get(one.name)
                if pack is not None and pack.state is not PackState.DELETING:
                    pack.check = checking_rules.pack_after(_check(one.name, pack), at, one)

    def keep_versions(self, at: datetime, found: Sequence[VersionFound]) -> None:
        with self._rows.lock:
            self._demand_attached()
            for one in found:
                if one.number in self._committed():
                    before = self._versions.get(one.number, VersionRow())
                    self._versions[one.number] = checking_rules.version_after(
                        before, at, one, self._all_of(one.packs), self._some_of(one.stands)
                    )

    def packs(self) -> Sequence[PackCheck]:
        with self._rows.lock:
            return [_check(name, pack) for name, pack in sorted(self._kept().items())]

    def walked(self) -> Mapping[int, Walked]:
        with self._rows.lock:
            rows = {number: self._versions.get(number, VersionRow()) for number in self._committed()}
            return {
                number: Walked(self._rows.versions[number].created_at, row.structure_at, bool(row.damage))
                for number, row in rows.items()
            }

    def versions(self, numbers: Collection[int]) -> Mapping[int, VersionCheck]:
        with self._rows.lock:
            checks = {pack.number: _check(name, pack) for name, pack in self._rows.packs.items()}
            return {
                number: checking_rules.judged(number, self._versions.get(number, VersionRow()), checks)
                for number in self._committed().intersection(numbers)
            }

    def written_off(self) -> frozenset[PackName]:
        with self._rows.lock:
            return frozenset(
                name
                for name, pack in self._rows.packs.items()
                if pack.state is PackState.CONDEMNED and _check(name, pack).damage
            )

    def damaged(self) -> frozenset[PackName]:
        with self._rows.lock:
            return frozenset(name for name, pack in self._rows.packs.items() if _check(name, pack).damage)

    def needing(self, packs: Collection[PackName]) -> Sequence[int]:
        with self._rows.lock:
            wanted = {pack.number for name, pack in self._rows.packs.items() if name in packs}
            return sorted(
                number
                for number in self._committed()
                if wanted.intersection(self._versions.get(number, VersionRow()).needs or ())
            )

    def _committed(self) -> set[int]:
        return {number for number, version in self._rows.versions.items() if version.state in COMMITTED}

    def _kept(self) -> dict[PackName, MemoryPack]:
        return {name: pack for name, pack in self._rows.packs.items() if pack.state is not PackState.DELETING}

    def _all_of(self, packs: frozenset[PackName] | None) -> list[int] | None:
        """Their numbers, where all are known."""
        found = self._some_of(packs)
        return found if found is not None and packs is not None and len(found) == len(packs) else None

    def _some_of(self, packs: frozenset[PackName] | None) -> list[int] | None:
        """The numbers of those that are known."""
        kept = self._kept()
        return None if packs is None else [kept[name].number for name in packs if name in kept]


def _check(name: PackName, pack: MemoryPack) -> PackCheck:
    return pack.check or PackCheck(name, pack.made_at)
