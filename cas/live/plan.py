"""A plan, as values: what a restore will do, counted and by example, and the hash that stands for it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from blake3 import blake3

from cas.diff import RecordChange
from cas.format.canonical import Json, encode_json
from cas.live.column_map import Retyped
from cas.records.source import SourceIdentity
from cas.records.target import Finding


@dataclass(frozen=True, slots=True)
class Drift:
    """How an entity's columns differ. Empty where they do not."""

    dropped: tuple[str, ...] = ()
    """Columns of the version that the live table lacks: their values are lost."""
    added: tuple[str, ...] = ()
    """Columns that only the live table has: they stay, or take their defaults."""
    retyped: tuple[Retyped, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """What happens to one live table. `label` is the live one, `from_label` the version's.

    `differing`: keys that are not as in the version, in scope or not. `digest`: hex, over every change.
    `read_by`: 'capture' or 'xmin' where only what was written since the version was read is compared, else
    'scan'; `read_reason`: why so, in words; `rows_read`: of the live table.
    """

    label: str
    from_label: str
    version_records: int
    live_records: int
    after_records: int
    inserts: int
    updates: int
    deletes: int
    conflicts: int
    differing: int
    changed_bytes: int
    digest: str
    read_by: str
    read_reason: str
    rows_read: int
    drift: Drift = Drift()
    examples: tuple[RecordChange, ...] = ()

    @property
    def changes(self) -> int:
        return self.inserts + self.updates + self.deletes


@dataclass(frozen=True, slots=True)
class SequencePlan:
    """A sequence that is set: by its quoted name, from and to (value, whether it was drawn)."""

    name: str
    before: tuple[int, bool]
    after: tuple[int, bool]


@dataclass(frozen=True, slots=True)
class Reference:
    """Records that refer to what is not there, or would not be: through which foreign key, how many."""

    constraint: str
    child: str
    parent: str
    on_delete: str
    records: int
    what: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, from measured restores; None where there is none to go by."""

    seconds: float | None
    lock_seconds: float | None
    undo_seconds: float | None
    basis: str


@dataclass(frozen=True, slots=True)
class Risk:
    """low, medium or high, and why."""

    level: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """A whole plan. `findings` that block come first; with one of them it is never executed.

    `hash` covers the version, what is asked, and every single change.
    """

    number: int
    version: int
    version_time: str
    target: str
    request: Mapping[str, Any]
    entities: tuple[EntityPlan, ...]
    sequences: tuple[SequencePlan, ...]
    references: tuple[Reference, ...]
    findings: tuple[Finding, ...]
    estimate: Estimate
    risk: Risk
    impact: str
    hash: str

    @property
    def is_blocked(self) -> bool:
        return any(finding.blocks for finding in self.findings)

    @property
    def inserts(self) -> int:
        return sum(one.inserts for one in self.entities)

    @property
    def updates(self) -> int:
        return sum(one.updates for one in self.entities)

    @property
    def deletes(self) -> int:
        return sum(one.deletes for one in self.entities)

    @property
    def changes(self) -> int:
        return self.inserts + self.updates + self.deletes

    def as_json(self) -> Mapping[str, Any]:
        """The document that the catalog keeps."""
        return asdict(self)


def sequences_of(stored: Mapping[str, Any]) -> tuple[SequencePlan, ...]:
    """The sequences of a plan that the catalog kept."""
    return tuple(
        SequencePlan(one["name"], _state(one["before"]), _state(one["after"]))
        for one in stored.get("sequences", ())
    )


def _state(stored: Sequence[Any]) -> tuple[int, bool]:
    value, is_called = stored
    return int(value), bool(is_called)


def plan_hash(
    version: int,
    checksum: bytes,
    target: SourceIdentity,
    request: Mapping[str, Any],
    entities: tuple[EntityPlan, ...],
    sequences: tuple[SequencePlan, ...],
) -> str:
    """Hex. Equal exactly when the same changes are made to the same database for the same request."""
    document: Json = {
        "checksum": checksum.hex(),
        "entities": [[one.label, one.inserts, one.updates, one.deletes, one.digest] for one in entities],
        "request": request,
        "sequences": [[one.name, *map(str, (*one.before, *one.after))] for one in sequences],
        "target": [target.system_identifier, str(target.database_oid)],
        "version": version,
    }
    return blake3(encode_json(document)).hexdigest()
