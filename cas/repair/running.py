"""One repair, from the survey to the last look.

    survey    what is missing or damaged                    (crash: nothing, but what checks keep)
    bring     notes, journals, dictionaries, config: proven, one after another
    begin     catalog: the collector's lease                (crash: its lease ends)
    bring     packs that live or are condemned, and then documents
    salvage   what is left of packs that nobody has whole: cas/repair/salvaging.py
    end       catalog: the lease is given back
    name      what nobody has
    look      at what was touched, and keep it: cas/repair/proving_again.py

Whoever dies anywhere has made nothing worse; the next run goes on with what it finds then.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from cas.catalog.checking import CheckLevel
from cas.catalog.interface import Catalog
from cas.catalog.rules import COMMITTED
from cas.engine.repository import Repository
from cas.errors import CasError, CorruptData, NotFound, Unsupported
from cas.format.names import PACKS, pack_key, version_key
from cas.ids import ChunkId, PackName
from cas.limits import SESSION_RENEW_SECONDS
from cas.progress import Progress, Silent
from cas.records.source import Source
from cas.repair.bringing import NO_HOLDER, Bringer
from cas.repair.lacking import Lacking, documents, sound_ground, usable
from cas.repair.model import EntityLoss, Holder, RepairPlan, RepairProblem, RepairReport, VersionLoss, Wanted
from cas.repair.naming import EntityRemains, entries_of
from cas.repair.proving_again import prove_again
from cas.repair.salvaging import Salvaged, salvage
from cas.repair.sources import ChunkSource, LiveChunks, StoredChunks
from cas.repair.surveying import Survey, damaged_packs, survey
from cas.store.interface import ObjectMissing, StoreFault

OWN = "what is left here"
"""How the report calls the packs of the repository itself."""


@dataclass(frozen=True, slots=True)
class Repairable:
    """What was found, and what is to be done about it."""

    survey: Survey
    plan: RepairPlan


def plan_repair(
    repository: Repository,
    catalog: Catalog,
    holders: Sequence[Holder],
    *,
    level: CheckLevel = CheckLevel.STRUCTURE,
    progress: Progress | None = None,
) -> Repairable:
    """Look, and bring nothing. What is found is kept, as of every check. As `check_repository` raises."""
    watcher = progress or Silent()
    found = survey(repository, catalog, level, watcher)
    bringer = Bringer(repository, catalog, holders, watcher)
    wanted = tuple(Wanted(key, what, bringer.having(key)) for key, what in found.wanted().items())
    return Repairable(found, RepairPlan(wanted, tuple(sorted(found.lacking))))


def repair(
    repository: Repository,
    catalog: Catalog,
    holders: Sequence[Holder],
    found: Repairable,
    *,
    live: Source | None = None,
    progress: Progress | None = None,
) -> RepairReport:
    """Do what a plan is about. live: the platform, whose rows are looked through for what no store has.

    Conflict where somebody collects garbage or repairs; Fenced where the lease was lost; as stores, catalog
    and platform raise. A holder that does not answer is a problem in the report."""
    return _Repair(repository, catalog, holders, found, live, progress or Silent()).run()


class _Repair:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        holders: Sequence[Holder],
        found: Repairable,
        live: Source | None,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._holders = holders
        self._found = found
        self._live = live
        self._progress = progress
        self._bringer = Bringer(repository, catalog, holders, progress)
        self._problems: list[RepairProblem] = []

    def run(self) -> RepairReport:
        found = self._found.survey
        self._progress.phase("bring")
        for key, what in found.others.items():
            self._bring(key, what)
        salvaged = None
        if found.packs or found.documents or found.lacking:
            salvaged = self._under_lease()
        lost = self._lost(salvaged.lacking) if salvaged else ()
        numbers = found.versions | found.lacking | found.documents.keys()
        numbers |= salvaged.touched if salvaged else frozenset()
        touched = {number for number in numbers if self._is_committed(number)}
        whole: frozenset[int] = frozenset()
        if touched:
            packs = {*found.packs, *(salvaged.fresh if salvaged else ())}
            whole = prove_again(self._repository, self._catalog, touched, packs, self._progress)
        return RepairReport(
            plan=self._found.plan,
            brought=tuple(self._bringer.brought),
            chunks=dict(salvaged.chunks) if salvaged else {},
            fresh=len(salvaged.fresh) if salvaged else 0,
            replaced=len(salvaged.replaced) if salvaged else 0,
            whole=tuple(sorted(whole)),
            lost=lost,
            problems=(*self._bringer.problems, *self._problems),
        )

    def _bring(self, key: str, what: str, digest: bytes | None = None) -> None:
        if not self._bringer.bring(key, digest):
            self._problems.append(RepairProblem(key, f"{what}, and nobody who was asked has it", NO_HOLDER))

    def _under_lease(self) -> Salvaged | None:
        collecting = self._catalog.collecting
        collector = collecting.begin()
        beat = self._repository.environment.heartbeat(
            lambda: collecting.renew(collector), SESSION_RENEW_SECONDS
        )
        try:
            return self._mend(collector)
        finally:
            beat.stop()
            with suppress(CasError):  # its lease ends by itself
                collecting.end(collector)

    def _mend(self, collector: UUID) -> Salvaged | None:
        found = self._found.survey
        # Somebody may have collected or repaired since they were found.
        damaged = damaged_packs(self._repository, self._catalog, found.packs, self._progress)
        self._progress.phase("bring")
        self._progress.entity(PACKS, len(damaged), 0)
        left: dict[PackName, str] = {}
        for name, what in sorted(damaged.items()):
            self._catalog.collecting.renew(collector)
            if not self._bringer.bring(pack_key(name)):
                left[name] = what
            self._progress.advance(PACKS, 1, 0)
        for number, (digest, what) in sorted(found.documents.items()):
            if self._bringer.was_version(number) and not self._is_committed(number):
                continue  # it was let go since it was found
            self._bring(version_key(number), what, digest)
        if not (left or found.lacking):
            return None
        return salvage(self._repository, self._catalog, collector, left, self._sources(), self._progress)

    def _sources(self) -> list[ChunkSource]:
        sources: list[ChunkSource] = [StoredChunks(OWN, self._repository.reader())]
        for holder in self._holders:
            try:
                opened = Repository(holder.store, None, self._repository.environment)
                if opened.config.id_key != self._repository.config.id_key:
                    what, hint = "another repository lies there", "Name a place that holds this one"
                    self._problems.append(RepairProblem(holder.name, what, hint))
                    continue
                sources.append(StoredChunks(holder.name, opened.reader()))
            except (NotFound, CorruptData, Unsupported, ObjectMissing):
                continue  # no repository that can be opened; its objects were asked for one by one
            except StoreFault as error:
                what, hint = f"it does not answer: {error.what}", error.hint or "Run it again when it does"
                self._problems.append(RepairProblem(holder.name, what, hint))
        if self._live is not None:
            sources.append(LiveChunks(self._repository, self._live, self._progress))
        return sources

    def _lost(self, left: Lacking) -> tuple[VersionLoss, ...]:
        """Of committed versions, newest first."""
        if not left.versions:
            return ()
        self._progress.phase("name what is lost")
        ground = sound_ground(self._repository, usable(self._repository, self._catalog, ()))
        told: dict[tuple[ChunkId, ChunkId | None], EntityLoss | None] = {}
        losses = []
        for document in documents(self._repository, left.versions):
            if not self._is_committed(document.number):
                continue
            entries, what = entries_of(ground, document)
            entities = []
            for entry in entries:
                key = entry.definition, entry.root
                if key not in told:
                    remains = EntityRemains(ground, entry, left.chunks, document.source.encoding)
                    for _ in remains.runs():
                        pass
                    told[key] = remains.loss()
                if (loss := told[key]) is not None:
                    entities.append(loss)
            losses.append(VersionLoss(document.number, what, tuple(entities)))
        return tuple(reversed(losses))

    def _is_committed(self, number: int) -> bool:
        try:
            return self._catalog.version(number).state in COMMITTED
        except NotFound:
            return False
