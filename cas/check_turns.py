"""A check within a budget: what was looked at the longest ago comes first, and every run goes on where others
have ended.

    damaged   packs and versions that are known to be damaged are looked at again, whatever it costs
    trees     the newest version, then versions by the time of their last walk, for half of the budget
    packs     by the time when they were last read, for what is left
    whom      where damage was found: the versions that are known to need it are walked again

Whose turn it is follows from times alone: of what was never looked at the time when it was made counts, for
its writer had decoded it then. So nothing waits for ever, however much is added; what is added faster than it
is checked shows in the length of a round. One pack, the newest version and the one whose turn it is are
looked at in each run, however small the budget: what was begun is finished.

Runs may overlap: each chooses by itself, and two may look at the same packs. That costs time, nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cas.catalog.checking import CheckLevel, PackCheck, Walked
from cas.catalog.interface import Catalog
from cas.check_keeping import Keeper
from cas.check_objects import Objects
from cas.check_packs import Bodies, Tails
from cas.closure.ground import Ground
from cas.closure.listing import Listing
from cas.closure.needs import Needs
from cas.closure.versions import Reached, VersionWalk
from cas.damage import DamageKind
from cas.engine.repository import Repository
from cas.format.names import pack_key
from cas.ids import PackName
from cas.limits import MIB
from cas.progress import Progress

BATCH_PACKS = 64
BATCH_BYTES = 128 * MIB
"""Of one batch, whichever comes first, and one pack at least: what a run that is interrupted loses."""

BATCH_VERSIONS = 20
"""The same of versions. Most of them share nearly all of their trees, and take less time than to keep it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """`seconds` by a clock that only moves on."""

    seconds: float
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the repository was ever looked at, over all runs, and when the least recent of that.

    packs, pack_bytes: that the catalog knows and the store has; read, read_bytes: of these, as deep as the
    level of this run. versions, walked: complete and incomplete ones, and those whose trees were walked.
    """

    packs: int
    pack_bytes: int
    read: int
    read_bytes: int
    least_recent_read: datetime | None
    versions: int
    walked: int
    least_recent_walk: datetime | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one run did, and where the round stands. `runs_per_round`: how many runs like this one look at
    everything once; None where this one does not tell."""

    budget_seconds: float
    seconds: float
    versions: int
    packs: int
    pack_bytes: int
    runs_per_round: float | None
    coverage: Coverage


def packs_in_turn(
    checks: Iterable[PackCheck], listed: Mapping[PackName, int], level: CheckLevel
) -> list[PackName]:
    """Those that the store has, the least recently read first."""
    there = [check for check in checks if check.name in listed]
    return [check.name for check in sorted(there, key=lambda check: (_turn(check, level), check.name))]


def _turn(check: PackCheck, level: CheckLevel) -> datetime:
    return read_at(check, level) or check.made_at


def read_at(check: PackCheck, level: CheckLevel) -> datetime | None:
    return check.bytes_at if level is CheckLevel.BYTES else check.trailer_at


def versions_in_turn(walked: Mapping[int, Walked]) -> list[int]:
    """The damaged ones, the newest one, then those whose trees were walked the longest ago."""
    newest = max(walked, default=0)

    def turn(number: int) -> tuple[bool, bool, datetime, int]:
        when = walked[number]
        return not when.is_damaged, number != newest, when.structure_at or when.made_at, number

    return sorted(walked, key=turn)


def batches(names: Sequence[PackName], listed: Mapping[PackName, int]) -> Iterator[Sequence[PackName]]:
    """Packs that are looked at, and then kept, together."""
    begin = 0
    while begin < len(names):
        end, size = begin, 0
        while end < len(names) and end - begin < BATCH_PACKS and (size < BATCH_BYTES or end == begin):
            size += listed[names[end]]
            end += 1
        yield names[begin:end]
        begin = end


class Turns:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        level: CheckLevel,
        budget: Budget,
        objects: Objects,
        listing: Listing,
        ground: Ground,
        keeper: Keeper,
        progress: Progress,
        started: float,
        pardon: Callable[[], None],
        follow: Callable[[], None],
    ) -> None:
        """`pardon`: takes back what is noted of what went meanwhile. `follow`: flags what cannot be decoded
        because of what was flagged."""
        self._repository = repository
        self._catalog = catalog
        self._level = level
        self._budget = budget
        self._objects = objects
        self._listing = listing
        self._ground = ground
        self._keeper = keeper
        self._progress = progress
        self._started = started
        self._pardon = pardon
        self._follow = follow
        self._looked: dict[PackName, None] = {}
        self.walk = self._new_walk()
        self.numbers: list[int] = []
        self._is_withdrawn = False
        self.bodies = Bodies(repository, ground, listing.packs, progress)
        self._tails = Tails(repository, ground, listing.packs, progress)

    def run(self) -> Turn:
        checks = self._catalog.checking.packs()
        damaged = [check.name for check in checks if check.damage and check.name in self._listing.packs]
        if self._level is not CheckLevel.STRUCTURE:
            self._progress.phase("damaged")
            self._examine(damaged, lambda: False)
            self._look_closer()
        self._progress.phase("trees")
        is_half_spent = self._over(self._budget.seconds / 2)
        is_spent = self._over(self._budget.seconds)
        trees_only = self._level is CheckLevel.STRUCTURE
        walked = self._versions()
        least = 2 + sum(when.is_damaged for when in walked.values())
        self._walk(versions_in_turn(walked), is_spent if trees_only else is_half_spent, least)
        if self._keeper.met():
            self._look_closer()
        known = len(self._looked)
        if not trees_only:
            self._progress.phase("bytes" if self._level is CheckLevel.BYTES else "packs")
            turn = packs_in_turn(checks, self._listing.packs, self._level)
            self._examine([name for name in turn if name not in self._looked], is_spent)
        sizes = [self._listing.packs[name] for name in list(self._looked)[known:]]
        self._whom()
        return self._told(len(sizes), sum(sizes))

    def _versions(self) -> Mapping[int, Walked]:
        """Those whose packs are in the listing, if they are anywhere: not one that came after it."""
        walked = self._catalog.checking.walked()
        listed = {*self._listing.numbers, *self._objects.expected}
        return {number: when for number, when in walked.items() if number in listed}

    def _over(self, seconds: float) -> Callable[[], bool]:
        return lambda: self._budget.clock() - self._started >= seconds

    def _new_walk(self) -> VersionWalk:
        needs = Needs(self._ground)
        return VersionWalk(self._ground, self._repository.boundary, self._progress, needs)

    def _examine(self, names: Sequence[PackName], is_over: Callable[[], bool]) -> None:
        """These packs in batches, until it is over; each batch is kept as soon as it was read."""
        examiner = self.bodies if self._level is CheckLevel.BYTES else self._tails
        for some in batches(names, self._listing.packs):
            self._keeper.look()
            examined = some[: examiner.examine(some, is_over)]
            for name in self.bodies.intact.intersection(examined):
                kind = DamageKind.HASH_MISMATCH
                self._is_withdrawn |= self._ground.ledger.withdraw(pack_key(name), kind)
            self._keeper.packs(examined, self._level)
            self._looked.update(dict.fromkeys(examined))
            if is_over():
                return

    def _walk(self, numbers: Sequence[int], is_over: Callable[[], bool], least: int) -> None:
        """The trees of these versions, one after another, until it is over; at least so many."""
        for begin in range(0, len(numbers), BATCH_VERSIONS):
            self._keeper.look()
            reached = []
            for done, number in enumerate(numbers[begin : begin + BATCH_VERSIONS], begin):
                if done >= least and is_over():
                    break
                reached.append((number, self._reached(self.walk, number)))
                self.numbers.append(number)
            self._keeper.versions(reached, CheckLevel.STRUCTURE, self._stands())
            if len(reached) < BATCH_VERSIONS:
                return

    def _reached(self, walk: VersionWalk, number: int) -> Reached | None:
        for document in self._objects.documents((number,)):
            self._objects.packs_of(document, self._listing, self._ground, with_trailers=False)
            return walk.version(document)
        return None

    def _stands(self) -> frozenset[PackName] | None:
        """The damaged packs of which this run knows all that is wrong: those that were read whole, and those
        that are lost."""
        if self._level is not CheckLevel.BYTES:
            return None
        met = self._keeper.met()
        return met - self._listing.packs.keys() | met & self._looked.keys()

    def _look_closer(self) -> None:
        """Packs that others have shown to be damaged are read, too; then it is known what cannot be decoded
        any more, whether somebody has read it or not."""
        if self._level is not CheckLevel.STRUCTURE:
            while closer := sorted(self._keeper.met() & self._listing.packs.keys() - self._looked.keys()):
                self._examine(closer, lambda: False)
        self._follow()

    def _whom(self) -> None:
        """Who needs what is damaged, and whether it can do without: told by a walk that knows of it, of the
        versions that are known to need it and of those of this run. It costs what it costs."""
        self._pardon()
        if not self._keeper.met() and not self._is_withdrawn:
            return
        self._look_closer()
        damaged = self._keeper.met()
        self._progress.phase("trees")
        self._keeper.look()
        walk = self._new_walk()
        numbers = sorted({*self._catalog.checking.needing(damaged), *self.numbers})
        reached = [(number, self._reached(walk, number)) for number in numbers]
        self._keeper.versions(reached, CheckLevel.STRUCTURE, self._stands())

    def _told(self, packs: int, pack_bytes: int) -> Turn:
        coverage = self._coverage()
        # The newest version has a place in every run; the others take turns.
        rounds = [max(coverage.versions - 1, 1) / max(len(self.numbers) - 1, 1)] if self.numbers else []
        if self._level is CheckLevel.BYTES and pack_bytes:
            rounds.append(coverage.pack_bytes / pack_bytes)
        elif self._level is CheckLevel.PACKS and packs:
            rounds.append(coverage.packs / packs)
        return Turn(
            budget_seconds=self._budget.seconds,
            seconds=self._budget.clock() - self._started,
            versions=len(self.numbers),
            packs=packs,
            pack_bytes=pack_bytes,
            runs_per_round=max(rounds, default=None),
            coverage=coverage,
        )

    def _coverage(self) -> Coverage:
        sizes = self._listing.packs
        checks = [check for check in self._catalog.checking.packs() if check.name in sizes]
        depth = CheckLevel.PACKS if self._level is CheckLevel.PACKS else CheckLevel.BYTES
        read = {check.name: at for check in checks if (at := read_at(check, depth)) is not None}
        walked = self._catalog.checking.walked().values()
        walks = [when.structure_at for when in walked if when.structure_at is not None]
        return Coverage(
            packs=len(checks),
            pack_bytes=sum(sizes[check.name] for check in checks),
            read=len(read),
            read_bytes=sum(sizes[name] for name in read),
            least_recent_read=min(read.values(), default=None),
            versions=len(walked),
            walked=len(walks),
            least_recent_walk=min(walks, default=None),
        )
