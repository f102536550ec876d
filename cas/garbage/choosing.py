"""Which live packs are worth writing again: those that are mostly dead, and those that are tiny."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cas.engine.holders import among, highs_of
from cas.engine.places import View
from cas.engine.segment import U64
from cas.garbage.bases import with_bases
from cas.garbage.marking import Marked
from cas.ids import PackName
from cas.limits import MIB, PACK_TARGET_BYTES

MOSTLY_DEAD = 0.5
"""A pack of which less than this is needed is written again. Half of it or more stays: writing it again would
cost more than it gives back soon."""

TINY_BYTES = MIB
"""Smaller packs wait until there are many of them, then they become one."""

MANY_TINY = 1000
TINY_TOGETHER_BYTES = PACK_TARGET_BYTES
"""Whichever comes first. So a record is written again once, and not at every collection."""

CHUNKS_AT_ONCE = 500_000
"""Needed chunks that one collection writes again; the next one goes on. Each takes some 130 bytes of
memory."""


@dataclass(frozen=True, slots=True)
class Filling:
    """What a pack holds: its stored bytes, those that are needed of them, and chunks that are needed."""

    name: PackName
    stored_bytes: int
    needed_bytes: int
    needed_chunks: int


def fillings(marked: Marked, sizes: Mapping[PackName, int], live: Collection[PackName]) -> list[Filling]:
    """Of the live packs that hold something needed. Any copy of a needed chunk counts; of packs that are
    mostly dead otherwise, also what others stand upon."""
    there = marked.readable.intersection(live).intersection(sizes)
    reached = highs_of(marked.packs.index, marked.rows)
    found = _counted(marked, sizes, there, reached)
    doubtful = [pack.name for pack in found if _is_mostly_dead(pack)]
    while doubtful:
        wanted = with_bases(marked.packs, reached, doubtful, View(there.difference(doubtful)))
        found = _counted(marked, sizes, there, wanted)
        dead = {pack.name for pack in found if _is_mostly_dead(pack)}
        still = [name for name in doubtful if name in dead]
        if still == doubtful:
            break
        # One that stays after all counts as a whole, and more may be needed of the others for it.
        doubtful = still
    return [pack for pack in found if pack.needed_chunks]


def _counted(
    marked: Marked, sizes: Mapping[PackName, int], there: frozenset[PackName], wanted: U64
) -> list[Filling]:
    """What these packs hold of these chunks; by name."""
    found: dict[PackName, Filling] = {}
    for segment in marked.packs.index.segments:
        flags = among(segment.rows.high, wanted)
        count = len(segment.packs)
        whole = np.bincount(segment.rows.pack, segment.rows.share, count)
        needed = np.bincount(segment.rows.pack[flags], segment.rows.share[flags], count)
        chunks = np.bincount(segment.rows.pack[flags], minlength=count)
        parts = (needed / np.maximum(whole, 1)).tolist()
        for name, part, some in zip(segment.packs, parts, chunks.tolist(), strict=True):
            if name in there and name in marked.needed:
                found[name] = Filling(name, sizes[name], int(sizes[name] * part), some)
    return [found[name] for name in sorted(found)]


def _is_mostly_dead(pack: Filling) -> bool:
    return pack.needed_bytes < MOSTLY_DEAD * pack.stored_bytes


def worth_rewriting(packs: Sequence[Filling]) -> list[Filling]:
    """By name. Mostly dead ones come first where there is more to do than one collection does; one alone that
    is tiny, or a few, wait for others."""
    dead = [pack for pack in packs if _is_mostly_dead(pack)]
    chosen = {pack.name for pack in dead}
    tiny = [pack for pack in packs if pack.stored_bytes < TINY_BYTES and pack.name not in chosen]
    if len(tiny) >= MANY_TINY or sum(pack.stored_bytes for pack in tiny) >= TINY_TOGETHER_BYTES:
        dead += tiny
    left = CHUNKS_AT_ONCE
    some: list[Filling] = []
    for pack in dead:
        if pack.needed_chunks <= left or not some:
            some.append(pack)
            left -= pack.needed_chunks
    return sorted(some, key=lambda pack: pack.name)
