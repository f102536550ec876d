"""Readers over packs that a test has made."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from cas.engine.chunk_index import ChunkIndex
from cas.engine.chunk_reader import ChunkReader
from cas.engine.packer import ClosedPack
from cas.engine.places import View
from cas.engine.trailers import Trailers
from cas.ids import IdKey, PackName
from cas.store.interface import Store
from tests.engine.packs import KEY

_THREADS: Executor = ThreadPoolExecutor(4)


def reader_of(
    store: Store,
    packs: Sequence[ClosedPack],
    *,
    view: Iterable[PackName] | None = None,
    key: IdKey = KEY,
) -> ChunkReader:
    """A reader that has learned these packs, as a session or a restore would."""
    index = ChunkIndex(None)
    for pack in packs:
        index.add(pack.name, pack.trailer)
    names = index.packs if view is None else view
    return ChunkReader(store, key, index, Trailers(store, None), View(names), _THREADS)
