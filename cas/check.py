"""Proving that a repository holds what its versions say, at three depths, and saying what it does not.

structure   config, notes, journals, documents, lists of entities, definitions, schemas and every tree node
            are read and proven; every record, large value and piece is located in a pack of the listing;
            counts and checksums are recomputed. Trailers come from the local cache where it has them.
packs       also the trailer of every pack is fetched from the store and fits its size.
bytes       also every pack is read whole: it is what its name says, every frame is decoded, every
            chunk's id recomputed and compared in full with what the versions name; so are the second
            copies of dictionaries.

What is found is kept in the catalog, where there is one. Nothing is changed in the store. What it refuses or
fails to answer (StoreFault) is no damage and ends the check.
"""

import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from cas.catalog.checking import CheckLevel
from cas.catalog.interface import Catalog
from cas.catalog.paging import every_version
from cas.catalog.rules import COMMITTED
from cas.check_keeping import Keeper
from cas.check_meanwhile import pardon
from cas.check_objects import Objects
from cas.check_packs import Bodies, ProvenGround, packs_of_store
from cas.check_turns import Budget, Turn, Turns, batches
from cas.closure.bases import Bases, with_bases
from cas.closure.ground import Ground
from cas.closure.listing import Listing, list_store, listed_ground, note_lost, suspicious, without
from cas.closure.needs import Needs
from cas.closure.versions import Reached, VersionWalk
from cas.damage import Finding, Ledger
from cas.engine.repository import Repository
from cas.errors import CasError, InvalidInput
from cas.ids import PackName
from cas.pinning import holding
from cas.progress import Progress, Silent
from cas.temporary import temporary_faults

__all__ = ["CheckLevel", "CheckReport", "Orphans", "check_repository"]


@dataclass(frozen=True, slots=True)
class Orphans:
    """What lies in the store and no version needs: no damage, it costs room until gc takes it.

    `packs` with `pack_bytes`: needed by no version, and in no document's list. `dictionaries`: second
    copies of dictionaries that no frame needs. `strangers`: keys that are none of this format.
    """

    packs: int
    pack_bytes: int
    dictionaries: int
    strangers: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was looked at, and what is wrong. `nodes`, `records` and `chunks` count what several versions
    share once. `pack_bytes`: stored bytes of packs that were read whole. `orphans`: only where all
    versions were checked. `turn`: of a run within a budget. `not_kept`: why not all of it is kept in the
    catalog, in words; empty where it is, or where there is none."""

    level: CheckLevel
    versions: tuple[int, ...]
    entities: int
    nodes: int
    records: int
    packs: int
    pack_bytes: int
    chunks: int
    orphans: Orphans | None
    findings: tuple[Finding, ...]
    findings_left_off: int
    turn: Turn | None = None
    not_kept: str = ""

    @property
    def is_clean(self) -> bool:
        """Nothing is wrong with anything that was looked at."""
        return not self.findings

    @property
    def lost_versions(self) -> tuple[int, ...]:
        """Versions that cannot be brought back in full, ascending."""
        return tuple(sorted({number for finding in self.findings for number in finding.lost_versions}))


def check_repository(
    repository: Repository,
    *,
    catalog: Catalog | None = None,
    version: int | None = None,
    level: CheckLevel = CheckLevel.STRUCTURE,
    budget: Budget | None = None,
    progress: Progress | None = None,
    expected: Collection[int] = (),
    noted: int = 0,
    rewritten: bool = False,
) -> CheckReport:
    """Check one version and all that it needs, or all versions and all packs, or of these what was looked at
    the longest ago, for as long as the budget lasts. NotFound for a version that the store does not have;
    StoreFault where the store does not answer; InvalidInput for a budget without a catalog, or for one
    version.

    catalog: what is found is kept there. It also says which documents and notes there must be: the store
    alone cannot tell a document that was lost from one that was forgotten. Without one, `expected` are the
    numbers of documents that must be there, and `noted` that of the last notes. A version that is checked by
    itself should be pinned by the caller. rewritten: garbage was collected, though no journal in this store
    says so: a replica has none.
    """
    if budget is not None and (catalog is None or version is not None):
        raise InvalidInput(
            "a budget is for all versions, with a catalog that remembers whose turn it is",
            where="--budget",
            hint="Leave out the version, or the budget",
        )
    with ExitStack() as held:
        if catalog is not None and version is None:
            held.enter_context(holding(repository.environment, catalog, "a check"))
        for _ in range(LOOKS):
            with ExitStack() as stack:
                run = _Check(repository, catalog, version, level, progress or Silent(), stack)
                report = run.run(expected, noted, budget, is_rewritten=rewritten)
            if report.is_clean or not run.is_outdated:
                break
        return report


LOOKS = 3
"""How often all is looked at where packs were written again meanwhile, and nobody waited for the reader."""


class _Check:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog | None,
        version: int | None,
        level: CheckLevel,
        progress: Progress,
        stack: ExitStack,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._version = version
        self._level = level
        self._progress = progress
        self._stack = stack
        self._ledger = Ledger()
        self._pack_bytes = self._chunks = self._packs = 0
        self.is_outdated = False
        """Whether packs went meanwhile: what they held may be in new ones, which were not looked at."""

    def run(
        self, expected: Collection[int], noted: int, budget: Budget | None, *, is_rewritten: bool
    ) -> CheckReport:
        started = budget.clock() if budget else 0.0
        self._progress.phase("list")
        catalog = self._catalog
        keeper = Keeper(catalog, self._ledger, must=budget is not None)
        live: frozenset[PackName] = frozenset()
        written_off: frozenset[PackName] = frozenset()
        if catalog is not None:
            # Before the store is listed: whatever is committed by now must be there.
            expected = [version.number for version in every_version(catalog, COMMITTED)]
            noted = catalog.keeping.heard().number
            live = catalog.live_packs()
            written_off = catalog.checking.written_off()
        objects = Objects(self._repository, self._ledger, frozenset(expected), noted)
        objects.config()
        listing = without(self._list(frozenset(expected)), written_off)
        if is_rewritten:
            listing = replace(listing, journal=max(listing.journal, 1))
        if self._version is None:
            objects.notes(listing)
            objects.journals(listing)
            self._lost(live, listing)
        if budget is not None and catalog is not None:
            return self._by_turns(catalog, budget, started, objects, listing, keeper)
        return self._everything(objects, listing, keeper)

    def _everything(self, objects: Objects, listing: Listing, keeper: Keeper) -> CheckReport:
        bases, ground = self._ground(objects, listing, keeper)
        copies = self._dictionaries(objects, listing, bases)
        self._progress.phase("trees")
        needs = None if self._catalog is None else Needs(ground)
        walk = VersionWalk(ground, self._repository.boundary, self._progress, needs)
        reached: dict[int, Reached | None] = {}
        for document in objects.documents(listing.numbers, must_be_there=self._version is not None):
            with_trailers = self._level is not CheckLevel.STRUCTURE
            objects.packs_of(document, listing, ground, with_trailers=with_trailers)
            reached[document.number] = walk.version(document)
        orphans = self._orphans(objects, listing, ground, copies) if self._version is None else None
        self._pardon(objects, listing)
        met = keeper.met()
        lost = dict.fromkeys(self._ledger.losses().keys() - reached.keys())
        stands = met if self._level is CheckLevel.BYTES else None
        keeper.versions({**reached, **lost}.items(), self._level, stands)
        return self._report(tuple(reached), walk, orphans, None, keeper.failure)

    def _by_turns(
        self,
        catalog: Catalog,
        budget: Budget,
        started: float,
        objects: Objects,
        listing: Listing,
        keeper: Keeper,
    ) -> CheckReport:
        ground = listed_ground(self._repository, listing, self._ledger)
        bases = Bases(ground, listing.packs)
        bases.examine()
        self._dictionaries(objects, listing, bases)
        turns = Turns(
            self._repository,
            catalog,
            self._level,
            budget,
            objects,
            listing,
            ground,
            keeper,
            self._progress,
            started,
            lambda: self._pardon(objects, listing),
            bases.follow,
        )
        turn = turns.run()
        self._packs = turn.packs if self._level is not CheckLevel.STRUCTURE else 0
        self._pack_bytes, self._chunks = turns.bodies.bytes, turns.bodies.chunks
        return self._report(tuple(sorted(turns.numbers)), turns.walk, None, turn, None)

    def _report(
        self,
        numbers: tuple[int, ...],
        walk: VersionWalk,
        orphans: Orphans | None,
        turn: Turn | None,
        failure: CasError | None,
    ) -> CheckReport:
        return CheckReport(
            level=self._level,
            versions=numbers,
            entities=walk.entities,
            nodes=walk.trees.nodes,
            records=walk.trees.entries,
            packs=self._packs,
            pack_bytes=self._pack_bytes,
            chunks=self._chunks,
            orphans=orphans,
            findings=self._ledger.findings(),
            findings_left_off=self._ledger.left_off,
            turn=turn,
            not_kept=str(failure) if failure else "",
        )

    def _list(self, expected: frozenset[int]) -> Listing:
        listing = list_store(self._repository)
        numbers = sorted({*listing.numbers, *expected}) if self._version is None else (self._version,)
        return replace(listing, numbers=numbers)

    def _lost(self, live: frozenset[PackName], listing: Listing) -> None:
        """Packs that were live before the listing, are not in it, and are live still: that was not gc."""
        missing = live - listing.packs.keys()
        if missing and self._catalog is not None:
            for name in sorted(missing & self._catalog.live_packs()):
                note_lost(self._ledger, name)

    def _pardon(self, objects: Objects, listing: Listing) -> None:
        if pardon(self._repository, self._catalog, self._ledger, listing, objects.expected):
            self.is_outdated = True

    def _dictionaries(self, objects: Objects, listing: Listing, bases: Bases) -> int:
        is_whole, with_bytes = self._version is None, self._level is CheckLevel.BYTES
        return objects.dictionaries(listing, bases, is_whole=is_whole, with_bytes=with_bytes)

    def _ground(self, objects: Objects, listing: Listing, keeper: Keeper) -> tuple[Bases, Ground]:
        """Everything that can be said of packs, and the ground on which versions are walked."""
        if self._level is CheckLevel.STRUCTURE:
            ground = listed_ground(self._repository, listing, self._ledger)
            bases = Bases(
                ground, listing.packs, None if self._version is None else self._scope(objects, listing)
            )
            bases.examine()
            return bases, ground
        scope = set(listing.packs) if self._version is None else self._scope(objects, listing)
        self._packs = len(scope)
        with temporary_faults():
            directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cas-check-")))
        self._progress.phase("packs")
        packs = packs_of_store(
            self._repository, listing.packs, scope, directory, self._ledger, self._progress
        )
        proven = ProvenGround(packs, self._ledger, self._repository.index, directory)
        suspicious(self._repository, proven, listing)
        bases = Bases(proven, listing.packs, scope)
        bases.examine()
        if self._level is CheckLevel.BYTES:
            self._progress.phase("bytes")
            bodies = Bodies(self._repository, proven, listing.packs, self._progress)
            for some in batches(sorted(scope), listing.packs):
                bodies.examine(some)
                keeper.packs(some, self._level)
            self._pack_bytes, self._chunks = bodies.bytes, bodies.chunks
        else:
            keeper.packs(sorted(scope), self._level)
        return bases, proven

    def _scope(self, objects: Objects, listing: Listing) -> set[PackName]:
        """The packs that the one version needs, as far as they can be told without reading them: those
        that nobody can tell anything of are among them."""
        ledger = Ledger()
        ground = listed_ground(self._repository, listing, ledger)
        walk = VersionWalk(ground, self._repository.boundary, Silent())
        needed: set[PackName] = set()
        for document in objects.documents(listing.numbers, Ledger(), must_be_there=True):
            walk.version(document)
            needed.update(pack.name for pack in document.packs if pack.name in listing.packs)
        readable = (needed | ground.needed_packs()) & ground.packs.view.packs
        unreadable = listing.packs.keys() - ground.packs.view.packs
        return needed | with_bases(ground, readable, must=False) | unreadable

    def _orphans(self, objects: Objects, listing: Listing, ground: Ground, dictionaries: int) -> Orphans:
        candidates = listing.packs.keys() - objects.added - ground.needed_packs()
        if candidates:
            readable = ground.needed_packs() & ground.packs.view.packs
            candidates -= with_bases(ground, readable, must=False)
        size = sum(listing.packs[name] for name in candidates)
        return Orphans(len(candidates), size, dictionaries, listing.strangers)
