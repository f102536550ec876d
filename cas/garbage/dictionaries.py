"""Second copies of dictionaries that stand in for nothing any more.

A second copy is there for the day on which the pack with the dictionary is damaged. It is idle once the
dictionary itself went with its pack, and no pack holds anything that was compressed with it, and no version
names it. Whoever deletes it takes no chunk away.
"""

from collections.abc import Iterable

import numpy as np

from cas.engine.repository import Repository
from cas.engine.segment import halves, short_ids_of
from cas.format.names import DICTIONARIES, dictionary_of_key
from cas.garbage.marking import Marked
from cas.ids import ChunkId

YOUNG_SECONDS = 24 * 60 * 60.0
"""A session puts the copy before the pack: what is younger than a day may belong to one that is at work."""


def idle_copies(marked: Marked, listed: Iterable[ChunkId]) -> list[ChunkId]:
    """Those of the listed copies that are idle, ascending; none where a document or a pack cannot be read,
    since nobody knows what they need. listed: before the packs that were marked."""
    copies = sorted(set(listed) - marked.dictionaries)
    if not copies or marked.unclear or marked.unreadable:
        return []
    held = marked.packs.index.locate(copies, marked.packs.view).pack >= 0
    high, low = halves(short_ids_of(copies))
    for segment in marked.packs.index.segments:
        needs = segment.needs
        for at in np.flatnonzero(~held).tolist():
            held[at] = bool(((needs.high == high[at]) & (needs.low == low[at])).any())
    return [copy for copy, is_held in zip(copies, held.tolist(), strict=True) if not is_held]


def old_copies(repository: Repository) -> list[ChunkId]:
    """Copies that no session at work can have put."""
    now = repository.environment.now().timestamp()
    return [
        dictionary
        for info in repository.store.objects(DICTIONARIES)
        if (dictionary := dictionary_of_key(info.key)) is not None and info.modified < now - YOUNG_SECONDS
    ]
