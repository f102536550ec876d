"""Versions as the catalog in memory holds them: made, moved on, and found again. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from cas.catalog import rules
from cas.catalog.model import (
    EntityPast,
    EntityRoot,
    NewVersion,
    QuarantinedVersion,
    Version,
    VersionFilter,
    VersionResult,
    VersionRoots,
    VersionState,
)
from cas.errors import CasError


def begun(number: int, new: NewVersion, created_at: datetime) -> Version:
    return Version(
        number=number,
        state=VersionState.RUNNING,
        trigger=new.trigger,
        kind=new.kind,
        reason=new.reason,
        name=new.name,
        description=new.description,
        tags=tuple(new.tags),
        metadata=dict(new.metadata),
        created_by=new.created_by,
        protected=new.protected,
        hold="",
        source_url=new.source_url,
        source_database=new.source_database,
        source_server_version=new.source_server_version,
        source_system_identifier=new.source_system_identifier,
        included=tuple(new.included),
        excluded=tuple(new.excluded),
        included_schemas=tuple(new.included_schemas),
        parent=new.parent,
        created_at=created_at.astimezone(UTC),
        finished_at=None,
        duration_seconds=None,
        expires_at=None,
        forgotten_at=None,
        forgotten_why="",
        records=None,
        original_bytes=None,
        added_bytes=None,
        stored_bytes=None,
        objects_written=None,
        checksum=None,
        document_hash=None,
        retries=0,
        error_code="",
        error_text="",
        entities=(),
        omissions=(),
        anomalies=(),
    )


def quarantined_version(version: QuarantinedVersion) -> Version:
    return replace(
        begun(version.number, version.begin, version.created_at),
        state=VersionState.FAILED,
        error_code=rules.clean(version.code) or CasError.code,
        error_text=rules.clean(version.text),
        finished_at=version.created_at.astimezone(UTC),
        duration_seconds=0.0,
    )


def completed(version: Version, result: VersionResult, *, finished_at: datetime) -> Version:
    return replace(
        version,
        state=result.state,
        finished_at=finished_at.astimezone(UTC),
        duration_seconds=(finished_at - version.created_at).total_seconds(),
        records=result.records,
        original_bytes=result.original_bytes,
        added_bytes=result.added_bytes,
        stored_bytes=result.stored_bytes,
        objects_written=result.objects_written,
        checksum=result.checksum,
        document_hash=result.document_hash,
        retries=result.retries,
        entities=tuple(rules.clean_entity(entity) for entity in result.entities),
        omissions=tuple((rules.clean(name), rules.clean(reason)) for name, reason in result.omissions),
        anomalies=tuple(map(rules.clean_anomaly, result.anomalies)),
    )


def source_of(version: Version) -> tuple[str, str]:
    return version.source_system_identifier, version.source_database


def pasts_in(version: Version, kind: str, label: str) -> Iterator[EntityPast]:
    """How a version holds the entity: once, or not at all."""
    for entity in version.entities:
        is_asked = (entity.kind, entity.label) == (kind, label)
        if is_asked and rules.is_comparable(version.kind, version.state, entity):
            yield EntityPast(
                version.number,
                version.trigger,
                entity.root,
                entity.records,
                entity.inserted,
                entity.updated,
                entity.deleted,
                entity.compared_with,
            )


def roots_of(version: Version, name: str) -> VersionRoots:
    return VersionRoots(
        number=version.number,
        created_at=version.created_at,
        trigger=version.trigger,
        reason=version.reason,
        name=version.name,
        source_system_identifier=version.source_system_identifier,
        source_database=version.source_database,
        entities=tuple(
            EntityRoot(entity.label, entity.root, entity.records, entity.checksum)
            for entity in version.entities
            if entity.label == name or entity.label.endswith(f".{name}")
        ),
    )


def matches(version: Version, where: VersionFilter) -> bool:
    searched = rules.search_text(version.number, version.name, version.reason, version.description)
    return (
        version.state in (where.states or rules.NOT_FORGOTTEN)
        and (not where.triggers or version.trigger in where.triggers)
        and (not where.kinds or version.kind in where.kinds)
        and set(where.tags) <= set(version.tags)
        and (where.since is None or version.created_at >= where.since)
        and (where.until is None or version.created_at < where.until)
        and where.text.casefold() in searched
        and (not where.unusual or bool(version.anomalies))
        and (where.before is None or version.number < where.before)
    )
