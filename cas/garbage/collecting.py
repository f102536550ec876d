"""One collection, from the mark to the last delete.

    begin      catalog: one collector, with a lease                     (crash: its lease ends)
    mark       what all documents need                                  (crash: nothing)
    condemn    catalog: a new epoch; no later session may use these     (crash: the next run goes on)
    rewrite    what is needed of mostly dead packs, in new ones         (crash: the next run takes them away)
    replace    catalog: the new ones live, the old ones condemned       (crash: the next run goes on)
    ripe       catalog: sessions that may know them are over, or none goes yet
    mark       again: what those sessions have made is seen             (crash: the next run goes on)
    announce   catalog: the next journal, and the packs that it names   (crash: the next run goes on with it)
    journal    put create-only                                          (crash: the same)
    look       documents that came meanwhile; what they need is spared  (crash: the same)
    doom       catalog: the packs are being deleted                     (crash: the next run deletes)
    delete     the objects, then their rows                             (crash: the next run deletes)

The packs that are live are asked for before documents are listed, and these before the packs: so what makes a
pack live is among the documents that are looked at.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from cas.catalog.collecting import Announced
from cas.catalog.interface import Catalog
from cas.catalog.model import NewPack, VersionState
from cas.catalog.paging import every_version
from cas.catalog.rules import COMMITTED
from cas.engine.packer import ClosedPack
from cas.engine.putting import put_once
from cas.engine.repository import Repository
from cas.engine.write_session import require_same_history
from cas.errors import CasError, Conflict, CorruptData, InvalidInput
from cas.format.journal import Journal, encode_journal, parse_journal
from cas.format.malformed import mismatch
from cas.format.names import journal_key, pack_key, version_key
from cas.garbage.choosing import Filling, fillings, worth_rewriting
from cas.garbage.marking import Marked, mark, stopped
from cas.garbage.model import GarbagePlan, GarbageReport, GarbageSummary, Heap
from cas.garbage.rewriting import PACKS, Rewritten, rewrite
from cas.ids import PackName
from cas.limits import SESSION_RENEW_SECONDS
from cas.progress import Progress, Silent
from cas.store.interface import ObjectExists

MOST_SHARE = 0.5
"""Of the stored bytes of all packs: a collection that would take more wants to be told so."""

ANNOUNCED_AT_ONCE = 100_000
"""Packs that one journal names; others are in the next one. An object has 32 MiB at most."""

_LET_GO = (VersionState.FORGOTTEN, VersionState.GONE)

TOKEN_BYTES = 16

DELETED_AT_ONCE = 500
"""Packs whose rows go in one transaction."""


_IN_THE_WAY = (
    "Nothing more is deleted. `cas repair --from` brings the journal back from a copy of the bucket; if there"
    " is none, and no other catalog is used for this store, delete the object by hand and run again"
)


def plan_garbage(repository: Repository, catalog: Catalog, progress: Progress | None = None) -> GarbagePlan:
    """Look, and change nothing. CorruptData where a version lacks something."""
    require_same_history(repository, catalog)
    return _look(repository, catalog, progress or Silent())[0]


def collect_garbage(
    repository: Repository,
    catalog: Catalog,
    *,
    max_share: float = MOST_SHARE,
    progress: Progress | None = None,
    begun: Callable[[], object] = lambda: None,
    planned: Callable[[GarbagePlan], object] = lambda plan: None,
) -> GarbageReport:
    """Collect what can be collected now; what an earlier run has left is done first. Conflict where somebody
    else collects, or where more than `max_share` of all bytes would go; CorruptData where a version lacks
    something. begun: called once nobody else collects. planned: is given the plan before it is carried out
    or refused; what it raises ends the run."""
    if not 0 < max_share <= 1:
        raise InvalidInput(f"{max_share} is no share", hint="Give more than 0, and 1 at most")
    require_same_history(repository, catalog)
    collector = catalog.collecting.begin()
    beat = repository.environment.heartbeat(
        lambda: catalog.collecting.renew(collector), SESSION_RENEW_SECONDS
    )
    try:
        begun()
        run = _Collection(repository, catalog, collector, max_share, progress or Silent())
        return run.run(planned)
    finally:
        beat.stop()
        with suppress(CasError):  # its lease ends by itself
            catalog.collecting.end(collector)


def _look(
    repository: Repository, catalog: Catalog, progress: Progress
) -> tuple[GarbagePlan, Marked, dict[PackName, int]]:
    """The plan, what it rests upon, and all packs with their sizes."""
    progress.phase("list")
    live, at_work = catalog.live_packs(), catalog.collecting.at_work()
    condemned = _condemned(catalog)
    committed = _committed(catalog)
    numbers = repository.numbers()
    sizes = repository.packs()
    progress.phase("trees")
    holding = sizes.keys() - catalog.checking.written_off()
    sound = live - catalog.checking.damaged()
    marked = mark(repository, numbers, committed, holding, sound, progress)
    _require_gone(catalog, (committed - set(numbers)) | (committed & marked.vanished))
    gone = marked.readable - marked.needed
    dead = sorted(live & gone)
    strangers = sorted(sizes.keys() - live - at_work - set(condemned) - marked.needed)
    if not all(_is_let_go(catalog, one) for one in marked.unclear):
        strangers = []  # what a document needs that cannot be understood may be among them
    rewritten = worth_rewriting(fillings(marked, sizes, sound))
    unclaimed = _unclaimed(catalog, marked.numbers - committed)
    summary = _summary(dead, strangers, condemned, rewritten, sizes, unclaimed)
    plan = GarbagePlan(
        tuple(dead),
        tuple(strangers),
        tuple(condemned),
        tuple(rewritten),
        unclaimed,
        summary.bytes,
        summary.all.bytes,
        summary,
    )
    return plan, marked, sizes


def _is_let_go(catalog: Catalog, number: int) -> bool:
    return number in catalog.known_numbers() and catalog.version(number).state in _LET_GO


def _unclaimed(catalog: Catalog, numbers: Iterable[int]) -> tuple[int, ...]:
    """Those whose version is listed as failed, or not at all: then another catalog has just put it."""
    known = catalog.known_numbers()
    return tuple(
        one
        for one in sorted(numbers)
        if one not in known or catalog.version(one).state is VersionState.FAILED
    )


def _condemned(catalog: Catalog) -> list[PackName]:
    """Those of earlier runs, however far they came."""
    announced = catalog.collecting.announced()
    names = {*catalog.collecting.condemned(), *catalog.collecting.doomed()}
    return sorted(names.union(announced.packs if announced else ()))


def _summary(
    dead: Collection[PackName],
    strangers: Collection[PackName],
    condemned: Collection[PackName],
    rewritten: Sequence[Filling],
    sizes: Mapping[PackName, int],
    unclaimed: Sequence[int],
) -> GarbageSummary:
    """Of the packs that are there."""

    def heap(names: Iterable[PackName]) -> Heap:
        there = [sizes[name] for name in names if name in sizes]
        return Heap(len(there), sum(there))

    again = heap(pack.name for pack in rewritten)
    gone, unknown, earlier, everything = heap(dead), heap(strangers), heap(condemned), heap(sizes)
    needed = sum(pack.needed_bytes for pack in rewritten)
    going = gone.bytes + unknown.bytes + earlier.bytes + again.bytes - needed
    share = going / everything.bytes if everything.bytes else 0.0
    return GarbageSummary(gone, unknown, earlier, again, needed, going, share, everything, len(unclaimed))


def _require_gone(catalog: Catalog, numbers: Iterable[int]) -> None:
    """Documents that are not there belong to versions that were let go meanwhile."""
    for number in sorted(numbers):
        if catalog.version(number).state in COMMITTED:
            raise stopped(number, "its document is missing")


def _require_clear(catalog: Catalog, unclear: frozenset[int]) -> None:
    """A document that came since the collection began and cannot be read: it is another catalog's, for which
    its version may count."""
    strangers = unclear - catalog.known_numbers()
    if strangers:
        number = min(strangers)
        raise CorruptData(
            f"version {number} is not in this catalog, and cannot be read",
            kind="missing",
            where=version_key(number),
            hint="Nothing was deleted. Run it again; if that stays, `cas check` tells what is wrong with it"
            " and `cas catalog rebuild` takes it in",
        )


def _committed(catalog: Catalog) -> set[int]:
    return {version.number for version in every_version(catalog, COMMITTED)}


class _Collection:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        collector: UUID,
        max_share: float,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._collecting = catalog.collecting
        self._collector = collector
        self._max_share = max_share
        self._progress = progress
        self._sizes: dict[PackName, int] = {}
        self._spared = self._deleted = self._deleted_bytes = self._fresh_bytes = 0

    def run(self, planned: Callable[[GarbagePlan], object]) -> GarbageReport:
        announced = self._collecting.announced()
        if announced is not None:
            self._sizes = self._repository.packs()
            self._finish(announced, frozenset())
        doomed = self._collecting.doomed()
        if doomed:
            self._sizes = self._repository.packs()
            self._delete(doomed)
        plan, marked, self._sizes = _look(self._repository, self._catalog, self._progress)
        planned(plan)
        if plan.share > self._max_share:
            raise Conflict(
                f"{plan.share:.0%} of all bytes would go ({plan.bytes:,} of {plan.of_bytes:,})",
                where=self._repository.store.url,
                hint="`cas gc --dry-run` tells which; if that is meant, allow it with --max-share",
            )
        self._progress.phase("condemn")
        strangers = {name: self._sizes[name] for name in plan.strangers}
        condemned = self._collecting.condemn(self._collector, plan.dead, strangers)
        written = self._rewrite(plan, marked)
        del marked  # the second mark takes as much memory
        self._sweep()
        waiting = self._collecting.condemned()
        return GarbageReport(
            condemned,
            len(written.old),
            len(written.fresh),
            self._spared,
            len(waiting),
            self._deleted,
            self._deleted_bytes,
            self._fresh_bytes,
            sum(self._sizes.get(name, 0) for name in waiting),
        )

    def _rewrite(self, plan: GarbagePlan, marked: Marked) -> Rewritten:
        if not plan.rewritten:
            return Rewritten((), ())
        self._progress.phase("rewrite")
        old = [pack.name for pack in plan.rewritten]
        staying = self._catalog.live_packs() - self._catalog.checking.damaged()
        written = rewrite(self._repository, marked, old, staying, self._deliver, self._progress)
        self._collecting.replace(self._collector, written.fresh, written.old)
        return written

    def _deliver(self, pack: ClosedPack) -> None:
        """Register, put, read back: what it stands in for is about to go."""
        new = NewPack(pack.name, len(pack.stored), pack.trailer.chunks, pack.holds_nodes)
        self._collecting.upload(self._collector, new)
        store, key = self._repository.store, pack_key(pack.name)
        put_once(store, key, pack.stored)
        if store.get(key) != pack.stored:
            raise mismatch("a pack is not what was put", key)
        self._repository.index.add(pack.name, pack.trailer)
        self._fresh_bytes += len(pack.stored)

    def _sweep(self) -> None:
        """What is ripe, and is still needed by nothing."""
        ripe = self._collecting.ripe(self._collector)
        if not ripe:
            return
        self._progress.phase("mark again")
        live = self._sound()
        marked = self._mark(self._roots(), live)
        self._spare(ripe, marked)
        going = [name for name in ripe if name not in marked.needed]
        token = self._repository.environment.entropy(TOKEN_BYTES).hex()
        announced = self._collecting.announce(self._collector, going[:ANNOUNCED_AT_ONCE], token)
        if announced is not None:
            self._finish(announced, marked.numbers)

    def _finish(self, announced: Announced, seen: frozenset[int]) -> None:
        """From the journal on. `seen`: documents that were marked since the packs were ripe."""
        self._put_journal(announced)
        live = self._sound()
        fresh = [number for number in self._roots() if number not in seen]
        if fresh:
            self._spare(announced.packs, self._mark(fresh, live))
        self._delete(self._collecting.doom(self._collector, announced.journal))

    def _roots(self) -> list[int]:
        """Documents that are listed, and those of versions: a listing may be stale, and a catalog older."""
        return sorted({*self._repository.numbers(), *_committed(self._catalog)})

    def _sound(self) -> frozenset[PackName]:
        """Live packs, less those that are known to be damaged: these are no copies of what they hold."""
        return self._catalog.live_packs() - self._catalog.checking.damaged()

    def _mark(self, numbers: Sequence[int], live: frozenset[PackName]) -> Marked:
        committed = _committed(self._catalog).intersection(numbers)
        holding = self._repository.packs().keys() - self._catalog.checking.written_off()
        marked = mark(self._repository, numbers, committed, holding, live, self._progress)
        _require_gone(self._catalog, committed & marked.vanished)
        _require_clear(self._catalog, marked.unclear)
        return marked

    def _spare(self, packs: Sequence[PackName], marked: Marked) -> None:
        needed = [name for name in packs if name in marked.needed]
        if needed:
            self._collecting.spare(self._collector, needed)
            self._spared += len(needed)

    def _put_journal(self, announced: Announced) -> None:
        """Conflict where somebody else has put a journal of this number."""
        key = journal_key(announced.journal)
        journal = Journal(self._repository.id, announced.journal, announced.token, announced.packs)
        store = self._repository.store
        try:
            store.put(key, encode_journal(journal), create_only=True)
        except ObjectExists as error:
            # Ours, from before: some packs may have been spared since then.
            try:
                found = parse_journal(store.get(key), key)
            except CorruptData as damage:
                raise CorruptData(damage.what, kind=damage.kind, where=key, hint=_IN_THE_WAY) from damage
            if (found.repository_id, found.token) != (journal.repository_id, journal.token):
                raise Conflict(
                    "another catalog collects garbage in this store",
                    where=key,
                    hint="Nothing was deleted. Only one catalog may write to a store",
                ) from error

    def _delete(self, packs: Sequence[PackName]) -> None:
        self._progress.phase("delete")
        self._progress.entity(PACKS, len(packs), sum(self._sizes.get(name, 0) for name in packs))
        for begin in range(0, len(packs), DELETED_AT_ONCE):
            some = packs[begin : begin + DELETED_AT_ONCE]
            for name in some:
                self._repository.store.delete(pack_key(name))
                self._deleted += 1
                size = self._sizes.get(name, 0)
                self._deleted_bytes += size
                self._progress.advance(PACKS, 1, size)
            self._collecting.deleted(self._collector, some)
