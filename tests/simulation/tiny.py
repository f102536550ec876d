"""What makes many short schedules possible: small packs, and no byte that is parsed twice.

Packs and frames of a few hundred bytes give small versions several of them. Parsing is a function of bytes
alone, and is remembered across processes and schedules; what is read, checked and compared stays as it is.
"""

from functools import lru_cache

from cas.engine import packer, repository, trailers
from cas.engine.trailers import Layout
from cas.format.pack import Trailer
from cas.garbage import choosing

REMEMBERED = 20_000


def tiny() -> None:
    """For the whole of this process."""
    packer.PACK_TARGET_BYTES = 400
    choosing.MANY_TINY = 6
    packer.JOB_BYTES = 150
    packer.FRAME_TARGET_BYTES = 100
    packer.NODE_FRAME_TARGET_BYTES = 150
    trailers.parse_end = lru_cache(REMEMBERED)(trailers.parse_end)
    trailers.layout_of = _layout_of
    repository.parse_document = lru_cache(REMEMBERED)(repository.parse_document)
    repository.parse_entities = lru_cache(REMEMBERED)(repository.parse_entities)
    repository.parse_definition = lru_cache(REMEMBERED)(repository.parse_definition)


_plain_layout_of = trailers.layout_of
_layouts: dict[int, Layout] = {}


def _layout_of(trailer: Trailer) -> Layout:
    """By the object: one that is remembered is always the same."""
    found = _layouts.get(id(trailer))
    if found is None or found.trailer is not trailer:
        if len(_layouts) > REMEMBERED:
            _layouts.clear()
        found = _layouts[id(trailer)] = _plain_layout_of(trailer)
    return found
