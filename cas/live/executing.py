"""Executing a plan: one transaction that is locked, saved, written, proven and committed, or nothing.

What happens where it dies (the catalog's restore and the platform's transaction are two databases):

  before `committing` is recorded      the platform rolls back; the lease lapses, and it is listed as failed
  after it, before COMMIT arrives      the platform rolls back; the transaction's id is asked for later
  after COMMIT, before `complete`      it is committed; the transaction's id says so to who asks
  the safety version, whenever         is a version like any other, and stays

So the platform's COMMIT is the one moment at which everything becomes true, and its answer is never guessed.
"""

import time
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from cas.catalog.interface import Catalog
from cas.catalog.model import Version
from cas.catalog.restore_model import Restore, RestoreResult, RestoreState
from cas.catalog.restores import Restores
from cas.engine.repository import Repository
from cas.errors import Cancelled, CasError, Conflict, OutcomeUnknown, SourceChanged
from cas.live.planned_table import PlannedTable
from cas.live.prepared import PreparedPlan
from cas.live.proving import prove
from cas.live.rechecking import recheck, refuse
from cas.live.renewing import Renewing
from cas.live.safety import SafetyVersion
from cas.live.tables import Name
from cas.live.touched_keys import packed_keys
from cas.progress import Progress
from cas.record_ids import RecordIds
from cas.records.live import LivePlatform, LiveTransaction, SequenceValue

ASK_ATTEMPTS = 5
ASK_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LiveRestoreReceipt:
    """What a restore did. `safety`: number of the version that brings everything back."""

    restore: Restore
    safety: int | None
    inserted: int
    updated: int
    deleted: int
    lock_seconds: float
    wal_bytes: int
    notes: tuple[str, ...]


def execute_plan(
    repository: Repository,
    catalog: Catalog,
    restores: Restores,
    platform: LivePlatform,
    prepared: PreparedPlan,
    progress: Progress,
    *,
    approved_by: str = "",
) -> LiveRestoreReceipt:
    """Do what the plan says.

    Conflict where the plan blocks, or what it speaks of has moved; TimedOut where writers could not be locked
    out; VerificationFailed where the result is not what it should be; Cancelled; OutcomeUnknown where nobody
    could be asked whether it was committed. In all cases but the last nothing was changed, and the catalog
    says why.
    """
    plan = prepared.plan
    if plan.is_blocked:
        first = next(finding for finding in plan.findings if finding.blocks)
        raise Conflict(first.what, where=f"plan {plan.number}", hint=first.hint)
    restores.start(plan.number, plan.hash, approved_by=approved_by)
    return _Executing(repository, catalog, restores, platform, prepared, progress).run()


class _Executing:
    """One execution, step by step."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        restores: Restores,
        platform: LivePlatform,
        prepared: PreparedPlan,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._restores = restores
        self._platform = platform
        self._prepared = prepared
        self._progress = progress
        self._number = prepared.plan.number
        self._step_name = ""
        self._is_taken_back = True
        """Whether an error means that nothing was changed."""
        self._ids = RecordIds(repository.config.id_key)
        self._reader = prepared.contents.reader

    def _step(self, name: str, text: str = "") -> None:
        self._step_name = name
        self._restores.step(self._number, name, text)
        self._progress.phase(name)

    def run(self) -> LiveRestoreReceipt:
        tables = self._prepared.tables.values()
        touched = [table for table in tables if table.is_touched]
        beside = [table for table in tables if table.is_meant and not table.is_touched]
        safety: SafetyVersion | None = None
        try:
            with Renewing(lambda: self._restores.renew(self._number)) as renewing:
                self._remember_keys(touched)
                safety = self._safety(touched)
                renewing.require()
                self._step("lock")
                names = ([table.name for table in some] for some in (touched, beside))
                with self._platform.change(*names) as transaction:
                    renewing.on_loss(transaction.cancel)
                    locked_at = time.monotonic()
                    self._step("compare again")
                    moved = self._moved(transaction, [*touched, *beside])
                    receipt = self._within(transaction, touched, safety, moved, renewing, locked_at)
        except OutcomeUnknown:
            raise
        except BaseException as error:
            if safety is not None:
                safety.abandon(error)
            self._failed(error)
            raise
        return replace(receipt, notes=(*receipt.notes, *self._tell_kept(safety, touched)))

    def _tell_kept(self, safety: SafetyVersion | None, touched: Sequence[PlannedTable]) -> Sequence[str]:
        """The next version builds upon the safety version, where it can. All is done, whatever the platform
        says to that."""
        if safety is None or safety.mark is None:
            return ()
        try:
            self._platform.kept(self._repository.id, safety.mark, [table.pair.live for table in touched])
        except CasError as error:
            return (f"the platform keeps what it noted of changes, and that grows: {error}",)
        return ()

    def _remember_keys(self, touched: Sequence[PlannedTable]) -> None:
        """What an undo will have to look at, before anything is locked."""
        for table in touched:
            narrow = len(table.created_columns) < len(table.pair.live.columns)
            parts = packed_keys(table.changes, narrow=narrow)
            self._restores.keep_keys(self._number, table.pair.live.label, parts)

    def _within(
        self,
        transaction: LiveTransaction,
        touched: Sequence[PlannedTable],
        taking: SafetyVersion | None,
        moved: Container[Name],
        renewing: Renewing,
        locked_at: float,
    ) -> LiveRestoreReceipt:
        plan, number = self._prepared.plan, self._number
        safety: Version | None = None
        if taking is not None:
            self._step("commit safety version")
            safety = taking.commit(transaction, moved)
            self._restores.safety(number, safety.number)
        renewing.require()
        self._restores.enter(number, RestoreState.RESTORING)
        self._step("write")
        counts = self._write(transaction, touched, renewing)
        self._step("check constraints")
        transaction.check()
        renewing.require()
        self._restores.enter(number, RestoreState.VERIFYING)
        self._step("verify")
        for table in touched:
            prove(transaction, table)
        self._step("commit")
        wal = transaction.wal_bytes()
        result = RestoreResult(
            *counts,
            data_bytes=sum(one.changed_bytes for one in plan.entities),
            wal_bytes=wal,
            lock_seconds=time.monotonic() - locked_at,
            undo_note=self._undo_note(safety),
        )
        renewing.require()
        self._restores.committing(number, transaction.transaction_id(), result)
        notes = self._commit(transaction)
        restore = self._restores.complete(number, result)
        return LiveRestoreReceipt(
            restore,
            safety.number if safety else None,
            *counts,
            lock_seconds=result.lock_seconds or 0.0,
            wal_bytes=wal,
            notes=tuple(notes),
        )

    def _moved(self, transaction: LiveTransaction, tables: Sequence[PlannedTable]) -> set[Name]:
        """The tables in which something moved that the plan does not speak of. Conflict where it does: also
        where a table was to stay as it is, and is not as it was."""
        there = {(entity.schema, entity.name): entity for entity in transaction.entities}
        moved: set[Name] = set()
        for table in tables:
            if there[table.name] != table.pair.live:
                raise SourceChanged(
                    "the table was altered since the plan was made",
                    where=table.pair.live.label,
                    hint="Nothing was changed. Make a new plan",
                )
            before = table.plan()
            if recheck(
                table, transaction, self._prepared.mark, self._reader, self._ids, self._prepared.noted
            ):
                table.decide(self._reader, self._prepared.rules(table))
                if table.plan().digest != before.digest:
                    raise refuse(table.pair.live.label)
                moved.add(table.name)
        return moved

    def _safety(self, touched: Sequence[PlannedTable]) -> SafetyVersion | None:
        """Begun and prepared; None where none is wanted."""
        if not (self._prepared.request.safety and touched):
            return None
        self._step("safety version")
        created_by = self._restores.restore(self._number).created_by
        taking = SafetyVersion(
            self._repository, self._catalog, self._prepared, touched, created_by, self._progress
        )
        try:
            taking.prepare()
        except BaseException as error:
            taking.abandon(error)
            raise
        return taking

    def _write(
        self, transaction: LiveTransaction, touched: Sequence[PlannedTable], renewing: Renewing
    ) -> tuple[int, int, int]:
        inserted = updated = deleted = 0
        for table in touched:
            renewing.require()
            planned = table.plan()
            if not planned.changes:
                continue
            label = planned.label
            self._progress.entity(label, planned.changes, planned.changed_bytes)
            applied = transaction.apply(table.pair.live, table.changes, table.created_columns)
            if (applied.inserted, applied.updated, applied.deleted) != (
                planned.inserts,
                planned.updates,
                planned.deletes,
            ):
                raise Conflict(
                    f"{label}: {applied.inserted} records were inserted, {applied.updated} updated and"
                    f" {applied.deleted} deleted, and the plan has {planned.inserts}, {planned.updates} and"
                    f" {planned.deletes}",
                    hint="Nothing was changed. Make a new plan",
                )
            self._restores.progress(self._number, label, planned.changes)
            self._progress.advance(label, planned.changes, planned.changed_bytes)
            inserted, updated = inserted + applied.inserted, updated + applied.updated
            deleted += applied.deleted
        self._set_sequences(transaction)
        return inserted, updated, deleted

    def _set_sequences(self, transaction: LiveTransaction) -> None:
        planned = self._prepared.plan.sequences
        if planned:
            names = [one.name.encode("utf-8", "surrogateescape") for one in planned]
            transaction.set_sequences(
                [
                    (SequenceValue(name, *one.before), SequenceValue(name, *one.after))
                    for name, one in zip(names, planned, strict=True)
                ]
            )

    def _undo_note(self, safety: Version | None) -> str:
        if safety is None:
            return "no safety version was taken: it cannot be undone"
        return f"possible as long as version {safety.number} is kept: cas undo {self._number}"

    def _commit(self, transaction: LiveTransaction) -> Sequence[str]:
        """COMMIT; where the connection is lost meanwhile, ask what became of it."""
        identity = transaction.transaction_id()
        self._is_taken_back = False  # from here on, until the platform says so
        try:
            return transaction.commit()
        except OutcomeUnknown as error:
            committed = self._outcome(identity)
            if committed is None:
                raise
            if not committed:
                self._is_taken_back = True
                raise Conflict(
                    "the connection was lost before COMMIT arrived, and the server took everything back",
                    where=self._platform.url,
                    hint="Nothing was changed. Start again",
                ) from error
            return ()
        except CasError:
            self._is_taken_back = True  # the platform answered, and refused
            raise

    def _outcome(self, transaction_id: int) -> bool | None:
        for attempt in range(ASK_ATTEMPTS):
            if attempt:
                time.sleep(ASK_PAUSE_SECONDS)
            with suppress(CasError):
                committed = self._platform.outcome(transaction_id)
                if committed is not None:
                    return committed
        return None

    def _failed(self, error: BaseException) -> None:
        """Everything was taken back; the catalog shall say why. What it cannot be told, its lease tells.
        After COMMIT was sent only the platform knows: the restore stays open until it is asked."""
        if not self._is_taken_back:
            return
        with suppress(CasError):
            if isinstance(error, Cancelled | KeyboardInterrupt):
                self._restores.cancelled(self._number, str(error) or "interrupted")
                return
            code = error.code if isinstance(error, CasError) else "ERROR"
            text = str(error) or type(error).__name__
            self._restores.fail(self._number, code, self._step_name, text, rolled_back=True)
