"""What makes many short schedules possible: small packs, and no byte that is parsed twice.

Packs and frames of a few hundred bytes give small versions several of them. Parsing is a function of bytes
alone, and is remembered across processes and schedules; what is read, checked and compared stays as it is.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from unittest.mock import patch

from cas import entity_taking, noting
from cas.closure import trees, versions
from cas.engine import chunk_index, chunk_reader, packer, repository, trailers
from cas.engine.segment import Segment, segment_of_pack
from cas.engine.trailers import Layout, layout_of
from cas.format.config import parse_config
from cas.format.document import parse_document
from cas.format.entities import encode_definition, parse_definition, parse_entities
from cas.format.node import parse_node
from cas.format.notes import parse_notes
from cas.format.pack import Trailer, parse_end
from cas.format.schema import parse_schema
from cas.garbage import choosing
from cas.ids import PackName
from tests.simulation import watching

REMEMBERED = 20_000


@contextmanager
def tiny() -> Iterator[None]:
    """For a while, and for the whole of this process."""
    with ExitStack() as stack:
        for module, name, value in (
            (packer, "PACK_TARGET_BYTES", 400),
            (packer, "JOB_BYTES", 150),
            (packer, "FRAME_TARGET_BYTES", 100),
            (packer, "NODE_FRAME_TARGET_BYTES", 150),
            (choosing, "MANY_TINY", 6),
            (trailers, "parse_end", lru_cache(REMEMBERED)(parse_end)),
            (trailers, "layout_of", _layout_of),
            (chunk_index, "segment_of_pack", _segment_of_pack),
            (chunk_reader, "parse_node", lru_cache(REMEMBERED)(parse_node)),
            (trees, "parse_node", lru_cache(REMEMBERED)(parse_node)),
            (versions, "parse_definition", lru_cache(REMEMBERED)(parse_definition)),
            (versions, "parse_entities", lru_cache(REMEMBERED)(parse_entities)),
            (versions, "parse_schema", lru_cache(REMEMBERED)(parse_schema)),
            (entity_taking, "encode_definition", lru_cache(REMEMBERED)(encode_definition)),
            (repository, "parse_config", lru_cache(REMEMBERED)(parse_config)),
            (noting, "parse_notes", lru_cache(REMEMBERED)(parse_notes)),
            (watching, "parse_notes", lru_cache(REMEMBERED)(parse_notes)),
            (repository, "parse_document", lru_cache(REMEMBERED)(parse_document)),
            (repository, "parse_entities", lru_cache(REMEMBERED)(parse_entities)),
            (repository, "parse_definition", lru_cache(REMEMBERED)(parse_definition)),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


_layouts: dict[int, Layout] = {}
_segments: dict[int, tuple[Trailer, Segment]] = {}


def _segment_of_pack(name: PackName, trailer: Trailer) -> Segment:
    """By the object, as layouts are; nobody changes the arrays of a segment."""
    found = _segments.get(id(trailer))
    if found is None or found[0] is not trailer or found[1].packs != (name,):
        if len(_segments) > REMEMBERED:
            _segments.clear()
        found = _segments[id(trailer)] = trailer, segment_of_pack(name, trailer)
    return found[1]


def _layout_of(trailer: Trailer) -> Layout:
    """By the object: one that is remembered is always the same."""
    found = _layouts.get(id(trailer))
    if found is None or found.trailer is not trailer:
        if len(_layouts) > REMEMBERED:
            _layouts.clear()
        found = _layouts[id(trailer)] = layout_of(trailer)
    return found
