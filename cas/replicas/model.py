"""What replication finds and does, as frozen values."""

from dataclasses import dataclass
from datetime import datetime

from cas.catalog.replica_model import NewReplica, RunOutcome, Verified


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a run could not do. `object`: the key that it is about; `hint`: what to do."""

    object: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class ReplicationReport:
    """What a run did. `versions`: that count as copied since this run, ascending. `forgotten`: that the
    replica wants no more. `deleted_documents`, `deleted_packs`, `deleted_bytes`: what was let go there;
    `still_locked`: objects that go once their lock is over. `unknown`: documents there of which this catalog
    says nothing, or only that the primary has forgotten them; they are left alone. `extended`: objects whose
    lock was extended. `objects` and `stored_bytes`: of the whole replica afterwards."""

    name: str
    versions: tuple[int, ...]
    packs: int
    copied_bytes: int
    forgotten: tuple[int, ...]
    deleted_documents: tuple[int, ...]
    deleted_packs: int
    deleted_bytes: int
    still_locked: int
    unknown: tuple[int, ...]
    extended: int
    objects: int
    stored_bytes: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica and how far it is behind. `versions`: that it holds. `lacking`: that it wants and does not
    hold; `behind_seconds`: for how long the oldest of these is there, None where none is lacking. `owed`: of
    which it is a destination and does not hold them, ascending: these are partial. Times,
    `outcome`, `text` and counts are those of the last run, `objects` and `stored_bytes` those of the whole
    replica; see cas/catalog/replica_model.py."""

    replica: NewReplica
    versions: int
    lacking: int
    behind_seconds: float | None
    is_running: bool
    started_at: datetime | None
    ended_at: datetime | None
    succeeded_at: datetime | None
    locked_at: datetime | None
    outcome: RunOutcome | None
    text: str
    copied_versions: int
    copied_bytes: int
    objects: int
    stored_bytes: int
    verified: Verified | None
    owed: tuple[int, ...] = ()
