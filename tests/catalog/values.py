"""Versions, results and packs for tests of the catalog."""

from datetime import UTC, datetime, timedelta

from cas.catalog.model import (
    AdoptedVersion,
    EntitySummary,
    NewPack,
    NewVersion,
    QuarantinedVersion,
    Trigger,
    VersionKind,
    VersionResult,
    VersionState,
)
from cas.ids import ChunkId, PackName

REPOSITORY = "5f0c8a7e"
STORE = "file:///somewhere"


def new_version(
    reason: str = "nightly",
    *,
    trigger: Trigger = Trigger.AUTO,
    kind: VersionKind = VersionKind.FULL,
    name: str = "",
    description: str = "",
    tags: tuple[str, ...] = (),
    parent: int | None = None,
    destinations: tuple[str, ...] | None = (),
) -> NewVersion:
    return NewVersion(
        trigger=trigger,
        kind=kind,
        reason=reason,
        name=name,
        description=description,
        tags=tags,
        metadata={"asked by": "test"},
        created_by="tester",
        protected=True,
        source_url="postgresql://app@db/shop",
        included=("public.*",),
        excluded=("public.log",),
        included_schemas=("public",),
        parent=parent,
        destinations=destinations,
    )


def entity(label: str = "public.products", seed: int = 1) -> EntitySummary:
    return EntitySummary(
        label=label,
        kind="table",
        root=ChunkId(bytes([seed]) * 32),
        records=10 * seed,
        payload_bytes=1000 * seed,
        checksum=bytes([seed + 100]) * 32,
        read_by="scan",
        read_reason="first version",
        rows_read=10 * seed,
        new_chunks=seed,
    )


def result(seed: int = 1, *, state: VersionState = VersionState.COMPLETE) -> VersionResult:
    return VersionResult(
        state=state,
        entities=(entity(seed=seed), entity("public.suppliers", seed + 1)),
        omissions=(("public.foreign", "a foreign table"), ("public.secret", "no privilege")),
        records=30 * seed,
        original_bytes=3000 * seed,
        added_bytes=400 * seed,
        stored_bytes=900 * seed,
        objects_written=3,
        checksum=bytes([seed]) * 32,
        document_hash=bytes([seed + 50]) * 32,
        retries=seed % 3,
    )


def pack(seed: int) -> NewPack:
    return NewPack(PackName(f"{seed:064x}"), stored_bytes=1000 + seed, chunks=seed, holds_nodes=seed % 2 == 0)


def adopted(number: int, *packs: int, parent: int | None = None) -> AdoptedVersion:
    return AdoptedVersion(
        number=number,
        created_at=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number % 1000),
        begin=new_version(f"adopted {number}", parent=parent),
        result=result(number % 50),
        duration_seconds=12.5,
        packs=tuple(pack(seed) for seed in packs),
    )


def quarantined(number: int, *, parent: int | None = None) -> QuarantinedVersion:
    return QuarantinedVersion(
        number=number,
        created_at=datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=number % 1000),
        begin=new_version(f"quarantined {number}", parent=parent),
        code="FILE_CORRUPTION",
        text="a pack is missing",
    )
