"""Collections as frozen values: what one would do, and what it has done."""

from dataclasses import dataclass

from cas.garbage.choosing import Filling
from cas.ids import PackName


@dataclass(frozen=True, slots=True)
class Heap:
    """So many packs, and their stored bytes."""

    packs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class GarbageSummary:
    """A plan in figures. `needed_bytes`: of those that are written again, what comes again. `bytes`: that
    go, of `all`; `share`: the part of it, from 0 to 1. `unclaimed`: documents that no version claims."""

    dead: Heap
    strangers: Heap
    condemned: Heap
    rewritten: Heap
    needed_bytes: int
    bytes: int
    share: float
    all: Heap
    unclaimed: int


@dataclass(frozen=True, slots=True)
class GarbagePlan:
    """What a collection would condemn now. `dead`: live packs that nothing needs. `strangers`: objects that
    no row of the catalog knows, or whose session is over. `condemned`: those that earlier runs condemned, as
    far as they are there yet. `rewritten`: live packs of which what is needed is written again. `unclaimed`:
    documents whose session did not come to its end; they keep what they need until somebody takes them in, by
    a rebuild of the catalog."""

    dead: tuple[PackName, ...]
    strangers: tuple[PackName, ...]
    condemned: tuple[PackName, ...]
    rewritten: tuple[Filling, ...]
    unclaimed: tuple[int, ...]
    bytes: int
    """That go: of all these, less what is written again."""
    of_bytes: int
    """Of all packs in the store."""
    summary: GarbageSummary

    @property
    def share(self) -> float:
        return self.summary.share


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """What was done. `waiting`: packs that are condemned and go in a later run, since somebody at work may
    know them. `spared`: condemned before, and needed after all. `rewritten`: packs for which `fresh` others
    were written."""

    condemned: int
    rewritten: int
    fresh: int
    spared: int
    waiting: int
    deleted: int
    deleted_bytes: int
    fresh_bytes: int = 0
    waiting_bytes: int = 0

    @property
    def freed_bytes(self) -> int:
        """Negative where something was written again and the old goes later."""
        return self.deleted_bytes - self.fresh_bytes
