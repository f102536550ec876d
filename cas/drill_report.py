"""What a drill found, as values: the report that is kept, serialised and made a page of."""

from dataclasses import dataclass

from cas.format.entities import EntityEntry


@dataclass(frozen=True, slots=True)
class DrilledEntity:
    """One entity beside itself. `found_*` are None where it was not there, or not reached."""

    label: str
    kind: str
    expected_records: int
    found_records: int | None
    expected_root: bytes
    found_root: bytes | None
    expected_checksum: bytes
    found_checksum: bytes | None
    is_equal: bool
    seconds: float
    note: str


@dataclass(frozen=True, slots=True)
class DrillStep:
    """One step and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What an auditor is given. Times are RFC 3339 in UTC. `reason` says why it failed, in words, and
    `notes` what was left out or is not as on the platform."""

    product: str
    program_version: str
    version: int
    version_name: str
    version_state: str
    version_created_at: str
    repository: str
    store: str
    source_database: str
    source_server: str
    server: str
    who: str
    began_at: str
    ended_at: str
    seconds: float
    result: str
    reason: str
    error_code: str
    records: int
    payload_bytes: int
    expected_checksum: bytes
    found_checksum: bytes | None
    entities: tuple[DrilledEntity, ...]
    steps: tuple[DrillStep, ...]
    notes: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        return self.result == "PASSED"


def laid_beside(entry: EntityEntry, found: EntityEntry | None, note: str, seconds: float) -> DrilledEntity:
    """An entity of the version, and as it was found."""
    return DrilledEntity(
        label=entry.entity.label,
        kind=entry.entity.kind.value,
        expected_records=entry.records,
        found_records=found.records if found else None,
        expected_root=bytes(entry.root or b""),
        found_root=bytes(found.root) if found and found.root else None,
        expected_checksum=entry.checksum,
        found_checksum=found.checksum if found else None,
        is_equal=found is not None and found.checksum == entry.checksum,
        seconds=seconds,
        note=note,
    )
