"""Stored bytes of frames, by ranged reads: few requests where frames lie together, some threads side by side.

A thread takes a share of the requests of a group, and not one: handing a request to a thread and waiting for
it costs two to three times what reading a few kilobytes from a local disk does.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import TypeAlias

from cas.engine.frame_ranges import Wanted, ranges
from cas.errors import CorruptData
from cas.format.names import pack_key
from cas.store.interface import ObjectMissing, Store

FETCH_THREADS = 4
"""Ranged reads side by side: hides the latency of a distant store."""

Fetched: TypeAlias = list[tuple[Wanted, bytes]]
"""Frames and their stored bytes."""


def fetched(store: Store, fetchers: Executor, wanted: Sequence[Wanted]) -> Iterator[Fetched]:
    """The stored bytes of these frames in their order, a group at a time, of which each is held in memory.
    Frames of a pack that is missing or too short are left out. StoreFault as the store raises it."""

    def share_of(runs: Sequence[Sequence[Wanted]]) -> Fetched:
        return [pair for run in runs for pair in _run(store, run)]

    for group in ranges(wanted):
        step = -(-len(group) // FETCH_THREADS)
        shares = [group[at : at + step] for at in range(0, len(group), step)]
        results = map(share_of, shares) if len(shares) == 1 else fetchers.map(share_of, shares)
        yield [pair for share in results for pair in share]


def _run(store: Store, run: Sequence[Wanted]) -> Fetched:
    begin, last = run[0].offset, run[-1]
    length = last.offset + last.frame.stored_length - begin
    try:
        stored = store.get_range(pack_key(last.key[0]), begin, length) if length else b""
    except (ObjectMissing, CorruptData):
        return []
    offsets = ((want, want.offset - begin) for want in run)
    return [(want, stored[at : at + want.frame.stored_length]) for want, at in offsets]
