"""The history of restores in memory. Guarantees: cas/catalog/restores.py."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from cas.catalog import restore_rules, restore_standing
from cas.catalog.model import VersionState
from cas.catalog.restore_model import (
    MeasuredRestore,
    NewRestore,
    Restore,
    RestoreFilter,
    RestorePlanned,
    RestoreResult,
    RestoreState,
    RestoreStep,
)
from cas.catalog.restore_standing import DONE, EXECUTING, HELD, RESOLVED, Standing
from cas.catalog.rules import LEASE, MAX_WORD, check_text, clean

_NO_RESULT: dict[str, Any] = {
    **dict.fromkeys(("records_inserted", "records_updated", "records_deleted", "data_bytes")),
    **dict.fromkeys(("wal_bytes", "lock_seconds", "undo_until")),
    "undo_note": "",
}


class MemoryRestores:
    """Of a `MemoryCatalog`, whose clock and lock it shares: each method is a transaction."""

    def __init__(
        self,
        now: Callable[[], datetime],
        lock: AbstractContextManager[object],
        demand_attached: Callable[[], None],
        version_state: Callable[[int], VersionState | None],
    ) -> None:
        self._now = now
        self._lock = lock
        self._demand_attached = demand_attached
        self._version_state = version_state
        self._rows: dict[int, Restore] = {}
        self._keys: dict[int, list[tuple[str, bytes]]] = {}

    def relies_on(self, version: int) -> bool:
        """Whether it is the safety version of a restore at work."""
        at_work = (RestoreState.SAFETY, RestoreState.RESTORING, RestoreState.VERIFYING)
        return any(one.safety_version == version and one.state in at_work for one in self._rows.values())

    def begin(self, new: NewRestore) -> Restore:
        restore_rules.check_new(new)
        with self._lock:
            self._demand_attached()
            restore_standing.demand_version(new.version, self._version_state(new.version))
            if new.undoes is not None:
                restore_standing.demand_undoable(new.undoes, self._state_of(new.undoes))
            number, now = len(self._rows) + 1, self._now()
            self._rows[number] = Restore(
                number=number,
                state=RestoreState.PENDING,
                kind=new.kind,
                mode=new.mode,
                version=new.version,
                name=new.name,
                description=new.description,
                created_by=new.created_by,
                target_url=new.target_url,
                request=restore_rules.document(new.request),
                metadata=dict(new.metadata),
                undoes=new.undoes,
                **_taken_by_us(),
                created_at=now,
                renewed_at=now,
                lease_until=now + LEASE,
            )
            return self._rows[number]

    def planned(self, number: int, found: RestorePlanned) -> Restore:
        restore_rules.check_planned(found)
        plan = restore_rules.document(found.plan)
        with self._lock:
            standing = self._standing(number)
            restore_standing.demand_move(standing, RestoreState.PLANNED)
            restore_standing.demand_wanted(standing)
            now = self._end_step(number)
            self._change(
                number,
                state=RestoreState.PLANNED,
                planned_at=now,
                renewed_at=None,
                lease_until=None,
                plan=plan,
                plan_hash=found.plan_hash,
                warnings=tuple(clean(warning) for warning in found.warnings),
                target_database=found.target_database,
                target_system_identifier=found.target_system_identifier,
                entities=tuple(restore_rules.clean_entity(entity) for entity in found.entities),
            )
            return self._rows[number]

    def start(self, number: int, plan_hash: str, *, approved_by: str = "") -> Restore:
        check_text("approved_by", approved_by, MAX_WORD)
        with self._lock:
            self._demand_attached()
            standing = self._standing(number)
            restore_standing.demand_move(standing, RestoreState.SAFETY)
            undone = None if standing.undoes is None else self._state_of(standing.undoes)
            restore_standing.demand_plan(standing, plan_hash, undone)
            now = self._now()
            self._change(
                number,
                state=RestoreState.SAFETY,
                started_at=now,
                renewed_at=now,
                lease_until=now + LEASE,
                approved_by=approved_by,
                **_taken_by_us(),
            )
            return self._rows[number]

    def renew(self, number: int) -> None:
        with self._lock:
            restore_standing.demand_renewable(self._standing(number))
            now = self._now()
            self._change(number, renewed_at=now, lease_until=now + LEASE)

    def step(self, number: int, name: str, text: str = "") -> None:
        with self._lock:
            restore_standing.demand_held(self._standing(number), HELD, "steps")
            begun = RestoreStep(clean(name), clean(text), self._end_step(number))
            self._change(number, steps=(*self._rows[number].steps, begun))

    def enter(self, number: int, state: RestoreState) -> None:
        with self._lock:
            standing = self._standing(number)
            restore_standing.demand_entering(standing, state)
            restore_standing.demand_wanted(standing)
            self._change(number, state=state, **{f"{state}_at": self._now()})

    def progress(self, number: int, label: str, done: int) -> None:
        restore_rules.check_counts(done)
        with self._lock:
            restore_standing.demand_held(self._standing(number), EXECUTING, "progress")
            entities = self._rows[number].entities
            if clean(label) not in {entity.label for entity in entities}:
                raise restore_standing.missing_entity(number, label)
            changed = (
                replace(entity, done=done) if entity.label == clean(label) else entity for entity in entities
            )
            self._change(number, entities=tuple(changed))

    def safety(self, number: int, version: int) -> None:
        with self._lock:
            restore_standing.demand_held(self._standing(number), (RestoreState.SAFETY,), "safety version")
            restore_standing.demand_version(version, self._version_state(version))
            self._change(number, safety_version=version, safety_at=self._now())

    def committing(self, number: int, transaction_id: int, result: RestoreResult) -> None:
        restore_rules.check_transaction(transaction_id)
        restore_rules.check_result(result)
        with self._lock:
            if not restore_standing.is_committing(self._standing(number), transaction_id):
                self._change(number, transaction_id=transaction_id, **_kept(result))

    def complete(self, number: int, result: RestoreResult) -> Restore:
        restore_rules.check_result(result)
        with self._lock:
            standing = self._standing(number)
            if restore_standing.has_completed(self._rows[number], result):
                return self._rows[number]
            restore_standing.completing(standing)
            self._change(number, **_kept(result))
            self._complete(number)
            return self._rows[number]

    def fail(self, number: int, code: str, step: str, text: str, *, rolled_back: bool = False) -> None:
        with self._lock:
            restore_standing.demand_failing(self._standing(number), rolled_back=rolled_back)
            self._fail(number, restore_rules.failure(code, step, text))

    def cancelled(self, number: int, text: str) -> None:
        with self._lock:
            restore_standing.demand_stopping(self._standing(number))
            self._end(number, RestoreState.CANCELLED, error_text=clean(text))

    def request_cancel(self, number: int) -> Restore:
        with self._lock:
            standing = self._standing(number)
            restore_standing.demand_stoppable(standing)
            self._change(number, cancel_requested=True)
            if standing.state not in HELD:
                self._end(number, RestoreState.CANCELLED, error_text=restore_standing.PUT_ASIDE)
            return self._rows[number]

    def unresolved(self) -> Sequence[Restore]:
        with self._lock:
            now = self._now()
            silent = [row for row in self._rows.values() if row.lease_until and row.lease_until <= now]
            return [_as_listed(row) for row in silent if row.transaction_id is not None]

    def resolve(self, number: int, committed: bool, text: str = "") -> Restore:
        with self._lock:
            if not restore_standing.is_resolved(self._standing(number), committed):
                told = clean(text) or RESOLVED[committed]
                self._change(number, resolution=told)
                if committed:
                    self._complete(number)
                else:
                    self._fail(number, restore_standing.lost(told))
            return self._rows[number]

    def keep_keys(self, number: int, label: str, parts: Iterable[bytes]) -> None:
        for part in parts:
            with self._lock:
                restore_standing.demand_held(self._standing(number), HELD, "keys")
                self._keys.setdefault(number, []).append((clean(label), part))

    def kept_keys(self, number: int) -> Iterator[tuple[str, bytes]]:
        with self._lock:
            found = tuple(self._keys.get(number, ()))
        yield from found

    def restore(self, number: int) -> Restore:
        with self._lock:
            standing = self._standing(number)
            row = self._rows[number]
            return restore_standing.abandoned(row) if standing.is_abandoned else row

    def restores(self, where: RestoreFilter) -> Sequence[Restore]:
        restore_rules.check_filter(where)
        with self._lock:
            listed = (_as_listed(self.restore(number)) for number in sorted(self._rows, reverse=True))
            return [row for row in listed if _matches(row, where)][: where.limit]

    def measured(self, limit: int = 20) -> Sequence[MeasuredRestore]:
        restore_rules.check_limit(limit)
        with self._lock:
            told = [row for row in self._rows.values() if row.state in DONE and not row.resolution]
            return [_measured(row) for row in sorted(told, key=lambda row: -row.number)[:limit]]

    def _standing(self, number: int) -> Standing:
        if number not in self._rows:
            raise restore_standing.missing(number)
        row = self._rows[number]
        has_lapsed = row.lease_until is not None and row.lease_until <= self._now()
        return Standing(
            number=number,
            state=row.state,
            silent_since=row.renewed_at if has_lapsed else None,
            cancel_requested=row.cancel_requested,
            transaction_id=row.transaction_id,
            plan_hash=row.plan_hash,
            undoes=row.undoes,
        )

    def _state_of(self, number: int) -> RestoreState | None:
        return self._rows[number].state if number in self._rows else None

    def _change(self, number: int, **columns: Any) -> None:
        self._rows[number] = replace(self._rows[number], **columns)

    def _complete(self, number: int) -> None:
        self._end(number, RestoreState.COMPLETED)
        undone = self._rows[number].undoes
        if undone is not None and self._state_of(undone) is RestoreState.COMPLETED:
            self._change(undone, state=RestoreState.UNDONE, undone_by=number)

    def _fail(self, number: int, failure: tuple[str, str, str]) -> None:
        code, step, text = failure
        told = {"error_code": code, "error_step": step, "error_text": text}
        self._end(number, RestoreState.FAILED, **_NO_RESULT, **told)

    def _end(self, number: int, state: RestoreState, **columns: Any) -> None:
        now, started_at = self._end_step(number), self._rows[number].started_at
        self._change(
            number,
            state=state,
            renewed_at=None,
            lease_until=None,
            finished_at=now,
            duration_seconds=None if started_at is None else (now - started_at).total_seconds(),
            **columns,
        )

    def _end_step(self, number: int) -> datetime:
        """The step that runs, if any, ends now."""
        now = self._now()
        steps = (
            replace(step, finished_at=now) if step.finished_at is None else step
            for step in self._rows[number].steps
        )
        self._change(number, steps=tuple(steps))
        return now


def _taken_by_us() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _kept(result: RestoreResult) -> dict[str, Any]:
    until = result.undo_until
    told = {"undo_until": until and until.astimezone(UTC), "undo_note": clean(result.undo_note)}
    return {**asdict(result), **told}


def _as_listed(row: Restore) -> Restore:
    return replace(row, plan={}, entities=(), steps=())


def _matches(row: Restore, where: RestoreFilter) -> bool:
    searched = restore_rules.search_text(row.name, row.description, row.created_by)
    return (
        (not where.states or row.state in where.states)
        and (not where.kinds or row.kind in where.kinds)
        and where.mode in (None, row.mode)
        and where.version in (None, row.version)
        and (where.since is None or row.created_at >= where.since)
        and (where.until is None or row.created_at < where.until)
        and where.text.casefold() in f"{row.number}\x1f{searched}"
        and (where.before is None or row.number < where.before)
    )


def _measured(row: Restore) -> MeasuredRestore:
    changed = (row.records_inserted, row.records_updated, row.records_deleted)
    assert row.duration_seconds is not None
    return MeasuredRestore(
        number=row.number,
        mode=row.mode,
        changed_records=sum(count or 0 for count in changed),
        live_records=sum(entity.live_records for entity in row.entities),
        version_records=sum(entity.version_records for entity in row.entities),
        data_bytes=row.data_bytes or 0,
        wal_bytes=row.wal_bytes,
        duration_seconds=row.duration_seconds,
        lock_seconds=row.lock_seconds,
        steps=tuple(
            (step.name, (step.finished_at - step.started_at).total_seconds())
            for step in row.steps
            if step.finished_at is not None
        ),
    )
