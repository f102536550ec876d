"""The rows of the catalog as frozen values. The faces print and serialise these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from cas.ids import ChunkId, PackName
from cas.records.marks import Mark


class VersionState(StrEnum):
    """Where a version stands. Only COMPLETE counts as a good one; INCOMPLETE says what it lacks."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    FORGOTTEN = "forgotten"
    """Marked to go; who has pinned it may still read it."""
    GONE = "gone"
    """It was let go: its document is deleted, or soon is. The row stays as history."""


class Trigger(StrEnum):
    """Who asked for a version: a schedule or policy, a person, or the system before a restore."""

    AUTO = "AUTO"
    MANUAL = "MANUAL"
    SYSTEM = "SYSTEM"


class VersionKind(StrEnum):
    """What a version holds."""

    FULL = "full"
    SCHEMA_ONLY = "schema-only"
    DATA_ONLY = "data-only"
    SELECTED = "selected"


class PackState(StrEnum):
    """The life of a pack; it only moves forward, or from CONDEMNED back to LIVE."""

    UPLOADING = "uploading"
    LIVE = "live"
    CONDEMNED = "condemned"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is known of a version when its session begins."""

    trigger: Trigger
    kind: VersionKind
    reason: str = ""
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_by: str = ""
    protected: bool = False
    source_url: str = ""
    source_database: str = ""
    source_server_version: str = ""
    source_system_identifier: str = ""
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    included_schemas: tuple[str, ...] = ()
    parent: int | None = None
    """Number of the version to pin: its chunks may be reused and must not go meanwhile."""
    destinations: tuple[str, ...] | None = ()
    """Replicas that are to hold it, too; None: the enabled mirrors of the moment when its session begins."""


@dataclass(frozen=True, slots=True)
class SessionHandle:
    """An open session of a writer. `view` is what was live when it began, in the same transaction."""

    id: UUID
    number: int
    """The number of the version that this session makes; known before the work begins."""
    epoch: int
    created_at: datetime
    """By the catalog's clock, UTC; the version's time."""
    view: frozenset[PackName]


@dataclass(frozen=True, slots=True)
class NewPack:
    """A pack about to be uploaded."""

    name: PackName
    stored_bytes: int
    chunks: int
    holds_nodes: bool


@dataclass(frozen=True, slots=True)
class EntitySummary:
    """One entity of one version: what was read, how, and what came of it."""

    label: str
    kind: str
    root: ChunkId
    """32 zero bytes where the version holds no data of it."""
    records: int
    payload_bytes: int
    """Sum of the payloads' lengths."""
    checksum: bytes
    read_by: str
    """'scan', 'xmin' or 'capture'; 'none' where only the schema was read."""
    read_reason: str
    rows_read: int
    new_chunks: int
    """Record chunks that were not in the store before."""
    inserted: int | None = None
    """Records that the version `compared_with` does not have. None where that is not known; so for `updated`
    and `deleted`."""
    updated: int | None = None
    deleted: int | None = None
    compared_with: int | None = None
    """None where nothing earlier is known of the entity: then all records are inserted."""


@dataclass(frozen=True, slots=True)
class EntityPast:
    """One entity as an earlier committed version of the same database holds it."""

    version: int
    trigger: Trigger
    root: ChunkId
    records: int
    inserted: int | None
    updated: int | None
    deleted: int | None
    compared_with: int | None


class CountKind(StrEnum):
    """What happened to records."""

    INSERTED = "inserted"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A count of changes that is unusual. `of`: records that were there before. `usual`: what nearly all
    earlier versions stayed within; None where there are too few to tell. `why`: all of it in words."""

    label: str
    kind: CountKind
    count: int
    of: int
    usual: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Base:
    """A committed version that another one can be built upon: where the platform stood when it was read.

    `since_scan`: versions since the last one that read every row of everything; 0 for such a one."""

    version: int
    mark: Mark
    since_scan: int


@dataclass(frozen=True, slots=True)
class NewIncident:
    """A reading of changes that a reading of every row has found wrong. `examples`: some keys, in words."""

    label: str
    what: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """What should never have happened, and in which version it was found."""

    number: int
    version: int
    at: datetime
    incident: NewIncident


@dataclass(frozen=True, slots=True)
class VersionResult:
    """What is known of a version when it commits."""

    state: VersionState
    entities: tuple[EntitySummary, ...]
    omissions: tuple[tuple[str, str], ...]
    records: int
    original_bytes: int
    """Sum of all payloads' lengths."""
    added_bytes: int
    """Stored bytes of the packs and the document that this version added."""
    stored_bytes: int
    """Stored bytes of everything that this version needs, shared or not."""
    objects_written: int
    checksum: bytes
    document_hash: bytes
    retries: int = 0
    mark: Mark | None = None
    """Where the platform stood; None where the next version cannot build upon this one."""
    since_scan: int = 0
    incidents: tuple[NewIncident, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """A version as the catalog lists it, whatever its state."""

    number: int
    state: VersionState
    trigger: Trigger
    kind: VersionKind
    reason: str
    name: str
    description: str
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    created_by: str
    protected: bool
    hold: str
    """Reason of a legal hold; empty where there is none."""
    source_url: str
    source_database: str
    source_server_version: str
    source_system_identifier: str
    included: tuple[str, ...]
    excluded: tuple[str, ...]
    included_schemas: tuple[str, ...]
    parent: int | None
    created_at: datetime
    finished_at: datetime | None
    duration_seconds: float | None
    expires_at: datetime | None
    """Set by hand: until then it stays, and no longer."""
    forgotten_at: datetime | None
    forgotten_why: str
    records: int | None
    original_bytes: int | None
    added_bytes: int | None
    stored_bytes: int | None
    objects_written: int | None
    checksum: bytes | None
    document_hash: bytes | None
    retries: int
    error_code: str
    error_text: str
    entities: tuple[EntitySummary, ...]
    """Empty in listings; filled by `version`."""
    omissions: tuple[tuple[str, str], ...]
    anomalies: tuple[Anomaly, ...]
    """The most telling first."""


@dataclass(frozen=True, slots=True)
class EntityRoot:
    """One entity in one version, as far as its records and its shape are told apart."""

    label: str
    root: ChunkId
    """32 zero bytes where the version holds no data of it."""
    records: int
    checksum: bytes
    """Over columns, key, root and count: see `cas.format.entities`."""

    @property
    def has_data(self) -> bool:
        return any(self.root)


@dataclass(frozen=True, slots=True)
class VersionRoots:
    """A complete or incomplete version, and what it holds of the entities that were asked for."""

    number: int
    created_at: datetime
    trigger: Trigger
    reason: str
    name: str
    source_system_identifier: str
    source_database: str
    entities: tuple[EntityRoot, ...]


@dataclass(frozen=True, slots=True)
class VersionFilter:
    """Which versions to list. Every given field must match; tags must all be there."""

    states: tuple[VersionState, ...] = ()
    """Without any: all that are not forgotten."""
    triggers: tuple[Trigger, ...] = ()
    kinds: tuple[VersionKind, ...] = ()
    tags: tuple[str, ...] = ()
    since: datetime | None = None
    """Created at or after."""
    until: datetime | None = None
    """Created before."""
    text: str = ""
    """Found in number, name, reason or description, regardless of case."""
    unusual: bool = False
    """Only those with anomalies."""
    partial: bool = False
    """Only those that a destination lacks."""
    limit: int = 100
    before: int | None = None
    """Only numbers below this one: the cursor of the next page."""


@dataclass(frozen=True, slots=True)
class AdoptedVersion:
    """A version document found in the bucket, as the catalog takes it in."""

    number: int
    created_at: datetime
    begin: NewVersion
    result: VersionResult
    duration_seconds: float
    packs: tuple[NewPack, ...]
    """Packs that the rebuild saw in the store and that are to be live."""


@dataclass(frozen=True, slots=True)
class QuarantinedVersion:
    """A version document in the bucket that cannot be taken in, since it or what it needs is damaged.
    It is listed as failed, so that its number is known and never given again."""

    number: int
    created_at: datetime
    begin: NewVersion
    """What the document says, or as little as is known where it says nothing."""
    code: str
    text: str
