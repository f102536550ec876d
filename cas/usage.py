"""What the repository takes, how that grows, and when it is full: from the catalog, without walking anything.

Bytes of packs are exact. What a version added is what its session put; garbage collection gives some of it
back later, so the sums of what versions added say where it came from, and not what lies there now. Of
entities the catalog knows how many bytes their records have, and not how many their chunks take: these are
shared, and cas/stored_sizes.py finds that out by walking all trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cas.catalog.interface import Catalog
from cas.catalog.model import Version
from cas.catalog.paging import every_version
from cas.catalog.rules import COMMITTED
from cas.quota import WARNED_SHARE, quota_of
from cas.retention.candidates import origin_of
from cas.stored_sizes import StoredSizes

GROWTH_OVER = timedelta(days=30)
"""So far back growth is looked at."""

LEAST_OBSERVED = timedelta(days=1)
LEAST_VERSIONS = 3
"""Less says nothing of growth."""

SOON_DAYS = 30
"""A store that is full by then is worth a word."""

MUCH_CONDEMNED = 0.2
"""Of all bytes, that wait to be collected."""


@dataclass(frozen=True, slots=True)
class Added:
    """By versions of one origin, or with one kind: how many there are and what they have added."""

    name: str
    versions: int
    added_bytes: int


@dataclass(frozen=True, slots=True)
class EntityUsage:
    """One entity in the newest version that holds records. `payload_bytes`: of these, before storing."""

    label: str
    kind: str
    records: int
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """`stored_bytes`: of a replica after its last run, None where there was none; of the primary those of its
    packs. `free_bytes`: None where the store cannot tell, or was not asked."""

    name: str
    url: str
    stored_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes that versions added a day, over the last 30 days or as long as there are versions. `days`: how
    long that was."""

    bytes_per_day: float
    days: float
    versions: int


@dataclass(frozen=True, slots=True)
class Usage:
    """`original_bytes`: of all records of all versions together, as if each were kept for itself.
    `ratio`: of these to what lies there; None without versions. `first_ratio`: the same of the oldest version
    that is there, so of compression alone; the rest is what versions share. `growth`, `days_left`: None where
    too little is known, in `why_unknown` in words; days are None also where nothing limits the store.
    `sizes`: None where the trees were not walked."""

    versions: int
    pack_bytes: int
    condemned_bytes: int
    original_bytes: int
    ratio: float | None
    first_ratio: float | None
    quota: int | None
    by_origin: tuple[Added, ...]
    by_kind: tuple[Added, ...]
    entities: tuple[EntityUsage, ...]
    stores: tuple[StoreUsage, ...]
    growth: Growth | None
    days_left: float | None
    why_unknown: str
    recommendations: tuple[str, ...]
    sizes: StoredSizes | None = None


def usage(catalog: Catalog, url: str, free_bytes: int | None, sizes: StoredSizes | None = None) -> Usage:
    """url, free_bytes: of the primary's store. sizes: what a walk has found, where one was made. As the
    catalog raises."""
    versions = list(every_version(catalog, COMMITTED))
    packs = catalog.replicating.packs()
    pack_bytes = sum(packs.values())
    condemned = sum(packs.get(name, 0) for name in catalog.collecting.condemned())
    original = sum(version.original_bytes or 0 for version in versions)
    quota = quota_of(catalog)
    growth, why_unknown = _growth(versions, catalog.now())
    room = [
        left
        for left in (free_bytes, None if quota is None else max(quota - pack_bytes, 0))
        if left is not None
    ]
    days_left = None
    if growth is not None and not room:
        why_unknown = "nothing limits the store, as far as it can tell"
    elif growth is not None and growth.bytes_per_day > 0:
        days_left = min(room) / growth.bytes_per_day
    first = versions[-1] if versions else None
    replicas = catalog.replicating.replicas()
    stores = [StoreUsage("primary", url, pack_bytes, free_bytes)]
    for one in replicas:
        stored = one.result.stored_bytes if one.result else None
        stores.append(StoreUsage(one.name, one.new.url, stored, None))
    return Usage(
        versions=len(versions),
        pack_bytes=pack_bytes,
        condemned_bytes=condemned,
        original_bytes=original,
        ratio=original / pack_bytes if versions and pack_bytes else None,
        first_ratio=_ratio(first),
        quota=quota,
        by_origin=_added(versions, [origin_of(version).value for version in versions]),
        by_kind=_added(versions, [version.kind.value for version in versions]),
        entities=_entities(catalog, versions),
        stores=tuple(stores),
        growth=growth,
        days_left=days_left,
        why_unknown=why_unknown,
        recommendations=tuple(
            _recommended(pack_bytes, condemned, quota, free_bytes, days_left, has_replicas=bool(replicas))
        ),
        sizes=sizes,
    )


def _ratio(version: Version | None) -> float | None:
    if version is None or not version.stored_bytes:
        return None
    return (version.original_bytes or 0) / version.stored_bytes


def _growth(versions: Sequence[Version], now: datetime) -> tuple[Growth | None, str]:
    """The first version of all is no growth: it holds what was there before."""
    if len(versions) < LEAST_VERSIONS:
        return None, f"fewer than {LEAST_VERSIONS} versions say nothing of growth"
    begin = max(versions[-1].created_at, now - GROWTH_OVER)
    observed = now - begin
    if observed < LEAST_OBSERVED:
        return None, "less than a day says nothing of growth"
    later = [version for version in versions[:-1] if version.created_at >= begin]
    days = observed / timedelta(days=1)
    return Growth(sum(version.added_bytes or 0 for version in later) / days, days, len(later)), ""


def _added(versions: Sequence[Version], names: Sequence[str]) -> tuple[Added, ...]:
    found: dict[str, tuple[int, int]] = {}
    for version, name in zip(versions, names, strict=True):
        count, total = found.get(name, (0, 0))
        found[name] = count + 1, total + (version.added_bytes or 0)
    rows = (Added(name, count, total) for name, (count, total) in found.items())
    return tuple(sorted(rows, key=lambda one: (-one.added_bytes, one.name)))


def _entities(catalog: Catalog, versions: Sequence[Version]) -> tuple[EntityUsage, ...]:
    newest = next((version for version in versions if version.records), None)
    if newest is None:
        return ()
    rows = [
        EntityUsage(one.label, one.kind, one.records, one.payload_bytes)
        for one in catalog.version(newest.number).entities
    ]
    return tuple(sorted(rows, key=lambda one: (-one.payload_bytes, one.label)))


def _recommended(
    stored: int,
    condemned: int,
    quota: int | None,
    free: int | None,
    days_left: float | None,
    *,
    has_replicas: bool,
) -> list[str]:
    """What a person could do, the most urgent first."""
    told = []
    if quota is not None and stored >= WARNED_SHARE * quota:
        told.append(f"{stored / quota:.0%} of the quota are taken: raise it, or keep fewer versions")
    if free is not None and stored and free < (1 - WARNED_SHARE) * (free + stored):
        told.append("the disk is nearly full: free some space, or move to another store")
    if days_left is not None and days_left < SOON_DAYS:
        told.append(
            f"it is full in {days_left:.0f} days as it grows now: look what `cas retention simulate` would do"
        )
    if stored and condemned > MUCH_CONDEMNED * stored:
        told.append(f"{condemned / stored:.0%} of it wait to be collected")
    if stored and not has_replicas:
        told.append("there is no copy anywhere else: `cas replica add`")
    return told
