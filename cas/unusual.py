"""What a version's counts of changes are compared with: the same entities in earlier versions."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cas.anomalies import AnomalyRules, Counts, find_anomalies, ranked
from cas.catalog.interface import Catalog
from cas.catalog.model import Anomaly, EntityPast, Trigger
from cas.catalog.rules import WHOLE
from cas.format.entities import entity_order
from cas.records.model import Entity, EntityKind
from cas.records.source import SourceIdentity
from cas.version_commit import Taken


def earlier_entities(
    catalog: Catalog, version: int, entities: Sequence[Entity], parts: Collection[EntityKind]
) -> Mapping[tuple[str, str, str], EntityPast | None]:
    """The newest earlier version's, by the order of entities; None for an entity that none has. Without those
    that cannot be compared: two of one label, and kinds of which the version may hold a part (`parts`)."""
    labels = Counter((entity.kind, entity.label) for entity in entities)
    compared = [
        entity for entity in entities if labels[entity.kind, entity.label] == 1 and entity.kind not in parts
    ]
    pasts = catalog.entity_pasts(version, [(entity.kind.value, entity.label) for entity in compared], 1)
    return {
        entity_order(entity): past[0] if past else None for entity, past in zip(compared, pasts, strict=True)
    }


@dataclass(frozen=True, slots=True)
class _Moved:
    """An entity of which something changed, or which is gone."""

    kind: str
    label: str
    counts: Counts
    is_gone: bool = False
    remark: str = ""


def find_unusual(
    catalog: Catalog,
    version: int,
    identity: SourceIdentity,
    taken: Sequence[Taken],
    rules: AnomalyRules,
    left_out: Collection[str] | None,
) -> tuple[Anomaly, ...]:
    """The unusual counts of a version that is about to be committed, the most telling first.

    An entity that the last version of everything held and this one does not counts as deleted with all its
    records. `left_out`: labels that are there and not in the version; None where it is not of everything.
    """
    moved = [*_moved(taken)]
    if left_out is not None:
        present = {one.entry.entity.label for one in taken}
        moved += _gone(catalog, version, identity, present.union(left_out))
    pasts: Sequence[Sequence[EntityPast]] = [()] * len(moved)
    if rules.versions and moved:
        pasts = catalog.entity_pasts(version, [(one.kind, one.label) for one in moved], rules.versions)
    return ranked(
        anomaly
        for one, past in zip(moved, pasts, strict=True)
        for anomaly in find_anomalies(
            one.label,
            one.counts,
            list(_history(past)),
            rules,
            is_gone=one.is_gone,
            remark=one.remark,
        )
    )


def _moved(taken: Sequence[Taken]) -> Iterator[_Moved]:
    """What is seen for the first time is no change."""
    for one in taken:
        changes, entity = one.changes, one.entry.entity
        if changes is None or changes.since is None:
            continue
        before = one.entry.records - changes.inserted + changes.deleted
        counts = Counts(changes.inserted, changes.updated, changes.deleted, before)
        if any((changes.inserted, changes.updated, changes.deleted)):
            remark = f"its columns are not those of version {changes.since}" if changes.is_redefined else ""
            yield _Moved(entity.kind.value, entity.label, counts, remark=remark)


def _gone(
    catalog: Catalog, version: int, identity: SourceIdentity, present: Collection[str]
) -> Iterator[_Moved]:
    """By label: a table that was partitioned is another kind of entity, and is there."""
    last = catalog.latest(identity.system_identifier, identity.database, WHOLE)
    if last is None or last.number > version:
        return
    for entity in last.entities:
        if entity.records and entity.label not in present:
            yield _Moved(
                entity.kind, entity.label, Counts(0, 0, entity.records, entity.records), is_gone=True
            )


def _history(pasts: Sequence[EntityPast]) -> Iterator[Counts]:
    """Of versions that somebody wanted: safety versions are compared with whatever is restored."""
    for past in pasts:
        if past.trigger is Trigger.SYSTEM:
            continue
        if past.inserted is None or past.updated is None or past.deleted is None:
            continue
        before = past.records - past.inserted + past.deleted
        if before or past.compared_with is not None:
            yield Counts(past.inserted, past.updated, past.deleted, before)
