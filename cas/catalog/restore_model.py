"""Restores into the running platform, as frozen values. The faces print and serialise these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class RestoreState(StrEnum):
    """Where a restore stands. The first five may move on; of the others only COMPLETED, to UNDONE."""

    PENDING = "pending"
    """It is being planned."""
    PLANNED = "planned"
    """There is a plan to be shown and agreed to. Nobody works on it."""
    SAFETY = "safety"
    """Somebody executes the plan, and takes the safety version first."""
    RESTORING = "restoring"
    VERIFYING = "verifying"
    """Reading again what was written, then the platform's COMMIT."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDONE = "undone"
    """It was completed, and so was a later restore that undoes it."""


class RestoreKind(StrEnum):
    """How much was asked for."""

    FULL = "full"
    DATA_ONLY = "data-only"
    SELECTED = "selected"


class RestoreMode(StrEnum):
    """What becomes of records that differ."""

    EXACT = "exact"
    """The platform becomes what the version is."""
    MISSING = "missing"
    """Only what is gone comes back."""
    CHANGED = "changed"
    """Only what is there with other values gets the old ones."""
    MERGE = "merge"
    """What is newer stays."""


@dataclass(frozen=True, slots=True)
class NewRestore:
    """What is known of a restore before anything is looked at."""

    kind: RestoreKind
    mode: RestoreMode
    version: int
    name: str = ""
    description: str = ""
    created_by: str = ""
    target_url: str = ""
    """Without password."""
    request: Mapping[str, object] = field(default_factory=dict)
    """Scope and options as they were asked, as JSON."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    undoes: int | None = None
    """Number of the completed restore that this one takes back."""


@dataclass(frozen=True, slots=True)
class RestoreEntity:
    """One entity of a plan. Records, but for `done`: rows that were applied so far."""

    label: str
    inserted: int
    updated: int
    deleted: int
    conflicts: int
    version_records: int
    live_records: int
    """When it was planned."""
    after_records: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class RestorePlanned:
    """What planning found. `plan` is a JSON object; it is kept as a value, so neither the order of its
    keys nor the spelling of its numbers is: hash a canonical form of it."""

    plan: Mapping[str, object]
    plan_hash: str
    entities: tuple[RestoreEntity, ...] = ()
    warnings: tuple[str, ...] = ()
    target_database: str = ""
    target_system_identifier: str = ""


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was done, as far as it is known. None: not measured, or no limit known."""

    records_inserted: int
    records_updated: int
    records_deleted: int
    data_bytes: int
    """Sum of the lengths of the payloads that were written."""
    wal_bytes: int | None = None
    lock_seconds: float | None = None
    """How long writers were kept out."""
    undo_until: datetime | None = None
    undo_note: str = ""


@dataclass(frozen=True, slots=True)
class RestoreStep:
    """One step, in the order in which they were begun. The one that runs has no `finished_at`."""

    name: str
    text: str
    started_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore as the catalog lists it, whatever its state. Times are the catalog's, in UTC."""

    number: int
    state: RestoreState
    kind: RestoreKind
    mode: RestoreMode
    version: int
    name: str
    description: str
    created_by: str
    target_url: str
    request: Mapping[str, object]
    metadata: Mapping[str, str]
    undoes: int | None
    host: str
    """With `pid`: who planned it, then who executed it."""
    pid: int
    created_at: datetime
    renewed_at: datetime | None = None
    lease_until: datetime | None = None
    """Set while somebody plans or executes it. In the past: nobody knows what became of them."""
    safety_version: int | None = None
    undone_by: int | None = None
    approved_by: str = ""
    target_database: str = ""
    target_system_identifier: str = ""
    plan: Mapping[str, object] = field(default_factory=dict)
    """Empty in listings."""
    plan_hash: str = ""
    warnings: tuple[str, ...] = ()
    cancel_requested: bool = False
    planned_at: datetime | None = None
    started_at: datetime | None = None
    safety_at: datetime | None = None
    """When the safety version was done."""
    restoring_at: datetime | None = None
    verifying_at: datetime | None = None
    finished_at: datetime | None = None
    duration_seconds: float | None = None
    """From `started_at` to `finished_at`."""
    lock_seconds: float | None = None
    wal_bytes: int | None = None
    records_inserted: int | None = None
    """This and the other results: known from `committing` on, and gone again where it failed."""
    records_updated: int | None = None
    records_deleted: int | None = None
    data_bytes: int | None = None
    transaction_id: int | None = None
    """The platform's xid8."""
    error_code: str = ""
    error_step: str = ""
    error_text: str = ""
    """Also why it was cancelled."""
    resolution: str = ""
    """How its outcome was learnt, where its executor could not tell it."""
    undo_until: datetime | None = None
    undo_note: str = ""
    entities: tuple[RestoreEntity, ...] = ()
    """Empty in listings; so are `steps`."""
    steps: tuple[RestoreStep, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoreFilter:
    """Which restores to list. Every given field must match."""

    states: tuple[RestoreState, ...] = ()
    kinds: tuple[RestoreKind, ...] = ()
    mode: RestoreMode | None = None
    version: int | None = None
    since: datetime | None = None
    """Created at or after."""
    until: datetime | None = None
    """Created before."""
    text: str = ""
    """Found in number, name, description or creator, regardless of case."""
    limit: int = 100
    before: int | None = None
    """Only numbers below this one: the cursor of the next page."""


@dataclass(frozen=True, slots=True)
class MeasuredRestore:
    """What a completed restore took, for estimates of the next one."""

    number: int
    mode: RestoreMode
    changed_records: int
    """Inserted, updated and deleted."""
    live_records: int
    """Of all its entities, when it was planned: they were compared with `version_records`."""
    version_records: int
    data_bytes: int
    wal_bytes: int | None
    duration_seconds: float
    lock_seconds: float | None
    steps: tuple[tuple[str, float], ...]
    """Name and seconds, in their order, planning included."""
