"""One run on a replica, from the lease to its outcome.

    begin      catalog: one run at a time, with a lease                   (crash: its lease ends)
    list       what lies in the replica
    config     put create-only, or compared                               (crash: an empty repository)
    decide     which committed versions are wanted and lacking
    packs      all that a committed version may need, asked for after     (crash: packs that nobody needs yet;
               the versions; those that are there are passed over          the next run passes over them)
    copies     of dictionaries; notes                                     (crash: the same)
    documents  ascending                                                  (crash: documents nobody believes)
    copied     catalog: these versions count                              (they are there)
    prune      what is wanted no more: cas/replicas/pruning.py
    lock       what lives: cas/replicas/locks.py
    end        catalog: the outcome                                       (crash: listed as not ended)

Why a version that counts is whole: it was committed when the packs were asked for, and it is committed when
it begins to count. All that it needs lay in the packs that were asked for then, and each of them was in the
replica before its document (where some cannot be had, the versions that need none of these are found by
walking them: cas/replicas/wholeness.py). One that had vanished from the primary by then was needed by nobody
who is still committed; where garbage collection had put its chunks elsewhere, the packs were asked for again.

A document that lies there is believed only after a run had all packs there and `copied` said so: a run that
lost its lease may have put it, and packs may have gone since.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID

from cas.catalog.interface import Catalog
from cas.catalog.replica_model import Replica, RunOutcome, RunResult
from cas.catalog.rules import COMMITTED
from cas.engine.repository import Repository
from cas.errors import CasError, Fenced, NotFound
from cas.format.names import version_key
from cas.limits import SESSION_RENEW_SECONDS
from cas.progress import Progress, Silent
from cas.replicas.copying import FROM_COPY, Copier, SoundPacks
from cas.replicas.listing import list_replica
from cas.replicas.locks import Locks
from cas.replicas.model import Problem, ReplicationReport
from cas.replicas.pruning import Pruner
from cas.replicas.wanting import Wanted, wanted
from cas.replicas.wholeness import whole_versions
from cas.store.interface import Store
from cas.store.locking import LockingStore

DOCUMENTS_AT_ONCE = 500
"""Versions that begin to count in one transaction."""

SPOKEN = 3
"""Problems that the catalog keeps in words."""


def replicate(
    primary: Repository,
    catalog: Catalog,
    name: str,
    store: Store,
    *,
    cache: Path | None = None,
    side_by_side: bool = False,
    progress: Progress | None = None,
) -> ReplicationReport:
    """Bring a replica up to what it wants to hold. `store`: at its URL. `cache`: a directory for what can be
    rebuilt, not the primary's. `side_by_side`: several packs at once, on the primary's threads.

    NotFound for a replica that nobody knows; Conflict where somebody else works on it, or another repository
    lies there; Fenced where the lease was lost; as the stores raise. What was copied until then stays, and
    the next run passes over it. What is damaged or in the way is told in the report, and the rest is done."""
    run = catalog.replicating.begin(name)
    beat = primary.environment.heartbeat(lambda: catalog.replicating.renew(run), SESSION_RENEW_SECONDS)
    try:
        replica = catalog.replicating.replica(name)
        watcher = progress or Silent()
        watcher.phase("list")
        return _Run(primary, catalog, replica, run, store, cache, watcher, side_by_side).run()
    except BaseException as error:
        with suppress(CasError):  # its lease ends by itself
            catalog.replicating.abandon(run, str(error) or "it was stopped")
        raise
    finally:
        beat.stop()


class _Run:
    """One run."""

    def __init__(
        self,
        primary: Repository,
        catalog: Catalog,
        replica: Replica,
        run: UUID,
        store: Store,
        cache: Path | None,
        progress: Progress,
        side_by_side: bool,
    ) -> None:
        self._primary = primary
        self._catalog = catalog
        self._replicating = catalog.replicating
        self._replica = replica
        self._id = run
        self._store = store
        self._cache = cache
        self._progress = progress
        started = catalog.now()
        self._locks = Locks.of(replica, store, started) if isinstance(store, LockingStore) else None
        self._there = list_replica(store)
        self._before = list(self._there.keys()) if self._locks and self._locks.is_due else []
        executor = primary.fetchers if side_by_side else None
        self._copier = Copier(primary, store, self._there, self._is_committed, progress, executor)
        self._pruner: Pruner | None = None
        self._forgotten: set[str] = set()
        self._new: list[int] = []
        self._wanted = Wanted({}, ())
        self._problems: list[Problem] = []
        self._extended = 0

    def run(self) -> ReplicationReport:
        try:
            self._copy()
            if not self._problems:
                self._prune()
        except Fenced:
            raise
        except CasError:
            self._extend()  # what is there stays locked, also where nothing can be copied
            raise
        self._extend()
        return self._end()

    def _copy(self) -> None:
        self._copier.config(is_known=self._replica.succeeded_at is not None)
        held = self._replicating.held(self._replica.name)
        self._forgotten = {version_key(number) for number, since in held.items() if since is not None}
        self._wanted = wanted(self._catalog, self._replica.new.rules, held)
        lacking = {number: digest for number, (digest, _) in self._wanted.lacking.items()}
        lacking |= self._vanished(held)
        packs = self._copier.packs(self._replicating, self._renew)
        if lacking or self._copier.packs_copied:
            self._copier.dictionaries()
        self._copier.notes(self._catalog.keeping.heard().number)
        if lacking and not packs.are_all:
            whole = self._whole(lacking, packs)
            lacking = {number: digest for number, digest in lacking.items() if number in whole}
        self._documents(dict(sorted(lacking.items())))
        self._problems += self._copier.problems

    def _whole(self, numbers: Iterable[int], packs: SoundPacks) -> set[int]:
        """Versions that need none of the packs that cannot be had."""
        replica = self._open()
        try:
            return whole_versions(self._primary, replica, numbers, packs.names, self._progress)
        finally:
            replica.close()

    def _open(self) -> Repository:
        """The replica as a repository of its own."""
        return Repository(self._store, self._cache, self._primary.environment)

    def _vanished(self, held: Mapping[int, datetime | None]) -> dict[int, bytes]:
        """Versions that count as copied, and whose documents are not there: to be put again, where the
        primary still has them."""
        found: dict[int, bytes] = {}
        for number, since in held.items():
            if since is None and number not in self._there.documents and number not in self._wanted.going:
                version = self._catalog.version(number)
                if version.state in COMMITTED and version.document_hash is not None:
                    found[number] = version.document_hash
                else:
                    what = "a version that only the replica held is gone from it"
                    self._problems.append(Problem(version_key(number), what, FROM_COPY))
        return found

    def _documents(self, lacking: Mapping[int, bytes]) -> None:
        self._progress.phase("documents")
        put: list[int] = []
        for number, digest in lacking.items():
            if self._copier.document(number, digest):
                put.append(number)
            if len(put) >= DOCUMENTS_AT_ONCE:
                self._count(put)
                put = []
        if put:
            self._count(put)

    def _count(self, numbers: list[int]) -> None:
        self._new += self._replicating.copied(self._id, numbers)

    def _prune(self) -> None:
        """After everything was copied: else older versions would go before newer ones are there."""
        if self._wanted.going:
            self._replicating.forgotten(self._id, self._wanted.going)
        if self._wanted.passed:
            self._replicating.waive(self._id, self._wanted.passed)
        known = self._replica.result
        pruner = self._pruner = Pruner(
            self._primary,
            self._catalog,
            self._store,
            self._open,
            self._there,
            self._replicating.held(self._replica.name),
            self._renew,
            self._progress,
            self._replica.new.rules is None,
            2 * self._locks.days if self._locks else None,
            known.settled if known else b"",
        )
        chosen = pruner.choose_documents()
        if self._locks is None or self._locks.is_due:
            pruner.documents(chosen)
            pruner.packs()
        self._problems += pruner.problems

    def _extend(self) -> None:
        if self._locks is None or not self._locks.is_due:
            return
        gone = self._pruner.let_go if self._pruner else self._forgotten
        keys = (key for key in self._before if key not in gone)
        self._extended = self._locks.extend(keys, self._renew, self._progress)
        self._replicating.locked(self._id, self._locks.started)

    def _renew(self) -> None:
        self._replicating.renew(self._id)

    def _is_committed(self, number: int) -> bool:
        try:
            return self._catalog.version(number).state in COMMITTED
        except NotFound:
            return False

    def _end(self) -> ReplicationReport:
        pruner, copier = self._pruner, self._copier
        report = ReplicationReport(
            name=self._replica.name,
            versions=tuple(sorted(self._new)),
            packs=copier.packs_copied,
            copied_bytes=copier.bytes_copied,
            forgotten=self._wanted.going if pruner else (),
            deleted_documents=tuple(pruner.deleted_documents) if pruner else (),
            deleted_packs=pruner.deleted_packs if pruner else 0,
            deleted_bytes=pruner.deleted_bytes if pruner else 0,
            still_locked=pruner.still_locked if pruner else 0,
            unknown=tuple(pruner.unknown) if pruner else (),
            extended=self._extended,
            objects=self._there.objects,
            stored_bytes=self._there.stored_bytes,
            problems=tuple(self._problems),
        )
        self._replicating.end(self._id, _result(report, pruner.settled if pruner else b""))
        return report


def _result(report: ReplicationReport, settled: bytes) -> RunResult:
    problems = report.problems
    words = "; ".join(f"{one.what} ({one.object})" for one in problems[:SPOKEN])
    more = f"; and {len(problems) - SPOKEN:,} more" if len(problems) > SPOKEN else ""
    return RunResult(
        RunOutcome.PARTIAL if problems else RunOutcome.COMPLETE,
        words + more,
        len(report.versions),
        report.copied_bytes,
        report.objects,
        report.stored_bytes,
        settled,
    )
