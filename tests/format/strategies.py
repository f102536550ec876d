"""Hypothesis strategies for the values of the stored format: every value that a writer may make."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from cas.format.config import Config
from cas.format.document import (
    KINDS,
    STATES,
    TRIGGERS,
    EntityRead,
    PackRef,
    SourceFacts,
    ValueRef,
    VersionDocument,
)
from cas.format.entities import EntityEntry, entity_order
from cas.format.frame import Encoding, Frame
from cas.format.frame_table import FrameTable
from cas.format.large import Large
from cas.format.node import Node
from cas.format.notes import Note, NoteField, Notes, Setting
from cas.format.pack import Trailer
from cas.ids import ChunkId, ChunkKind, IdKey, PackName
from cas.limits import LARGE_VALUE_BYTES, MAX_PACK_BYTES, MAX_PACK_CHUNKS, MAX_VERSION_NUMBER
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.source import SchemaItem

_characters = st.one_of(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    st.integers(0xDC80, 0xDCFF).map(chr),
)
texts = st.text(_characters, max_size=12)
naturals = st.one_of(st.integers(0, 3), st.integers(0, 2**63 - 1))
ids = st.binary(min_size=32, max_size=32).map(ChunkId)
hashes = st.binary(min_size=32, max_size=32)
hex16 = st.binary(min_size=16, max_size=16).map(bytes.hex)
times = st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  # timezones adds it
    lambda moment: moment.isoformat(timespec="microseconds")
)


def tuples(elements: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[Any]:
    return st.lists(elements, max_size=most).map(tuple)


configs = st.builds(
    Config,
    repository_id=hex16,
    created_at=times,
    id_key=st.binary(min_size=32, max_size=32).map(IdKey),
    node_bits=st.integers(1, 7),
    generation=st.integers(1, 2**63 - 1),
)

references = st.builds(ValueRef, ids, st.booleans())
pack_references = st.builds(
    PackRef,
    hashes.map(lambda one: PackName(one.hex())),
    st.integers(0, MAX_PACK_BYTES),
    st.integers(1, MAX_PACK_CHUNKS),
    st.booleans(),
)


def _by_name(packs: Sequence[PackRef]) -> tuple[PackRef, ...]:
    return tuple(sorted({pack.name: pack for pack in packs}.values(), key=lambda pack: pack.name))


@st.composite
def documents(draw: st.DrawFn) -> VersionDocument:
    number = draw(st.integers(1, MAX_VERSION_NUMBER))
    parent = draw(st.none() | st.integers(1, number - 1)) if number > 1 else None
    return draw(
        st.builds(
            VersionDocument,
            repository_id=hex16,
            number=st.just(number),
            parent=st.just(parent),
            previous=st.none() if parent is None else st.none() | hashes,
            created_at=times,
            finished_at=times,
            state=st.sampled_from(sorted(STATES)),
            trigger=st.sampled_from(sorted(TRIGGERS)),
            kind=st.sampled_from(sorted(KINDS)),
            reason=texts,
            name=texts,
            description=texts,
            tags=tuples(texts),
            metadata=st.dictionaries(texts, texts, max_size=4),
            created_by=texts,
            protected=st.booleans(),
            source=st.builds(
                SourceFacts, *[texts] * 6, extensions=tuples(st.tuples(texts, texts)), roles=tuples(texts)
            ),
            included=tuples(texts),
            excluded=tuples(texts),
            included_schemas=tuples(texts),
            omissions=tuples(st.tuples(texts, texts)),
            entities=references,
            schema=st.none() | references,
            records=naturals,
            original_bytes=naturals,
            added_bytes=naturals,
            checksum=hashes,
            read=tuples(st.builds(EntityRead, texts, texts, texts, naturals, naturals)),
            packs=st.lists(pack_references, max_size=3).map(_by_name),
        )
    )


_numbers = st.integers(1, MAX_VERSION_NUMBER)
notes = st.builds(
    Notes,
    repository_id=hex16,
    number=_numbers,
    at=times,
    by=texts,
    notes=st.lists(
        st.builds(Note, _numbers, st.just(NoteField.PROTECTED), st.booleans())
        | st.builds(Note, _numbers, st.just(NoteField.HOLD), texts)
        | st.builds(Note, _numbers, st.just(NoteField.FORGOTTEN), texts.filter(bool))
        | st.builds(Note, _numbers, st.just(NoteField.EXPIRES_AT), st.none() | times)
        | st.builds(Setting, texts.filter(bool), st.none() | tuples(texts)),
        min_size=1,
        max_size=4,
    ).map(tuple),
)

columns = st.builds(
    Column,
    name=texts,
    type=texts,
    not_null=st.booleans(),
    collation=st.none() | texts,
    identity=st.sampled_from([None, "always", "by default"]),
    default=st.none() | texts,
)
definitions = st.builds(
    Entity,
    kind=st.sampled_from(EntityKind),
    schema=texts,
    name=texts,
    columns=st.lists(columns, max_size=4, unique_by=lambda column: column.name).map(tuple),
    key=st.lists(st.tuples(texts, st.sampled_from(KeyPart)), max_size=3, unique_by=lambda part: part[0]).map(
        tuple
    ),
    fingerprint=texts,
)


@st.composite
def entity_lists(draw: st.DrawFn) -> tuple[EntityEntry, ...]:
    entities = draw(st.lists(definitions, max_size=4, unique_by=entity_order))
    own = draw(st.lists(ids, min_size=len(entities), max_size=len(entities), unique=True))
    entries = []
    for entity, definition in zip(sorted(entities, key=entity_order), own, strict=True):
        root = draw(st.none() | ids)
        counts = (0, 0) if root is None else draw(st.tuples(naturals, naturals))
        entries.append(EntityEntry(entity, definition, root, *counts, draw(st.none() | ids)))
    return tuple(entries)


schemas = tuples(
    st.builds(SchemaItem, st.sampled_from(["pre-data", "post-data"]), texts, texts, texts, texts), most=5
)

_keys = st.one_of(st.binary(max_size=5), st.binary(min_size=8, max_size=8))


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    level = draw(st.sampled_from([0, 0, 1, 2, 64]))
    keys = sorted(draw(st.sets(_keys, min_size=1 if level else 0, max_size=12)))
    own = tuple(draw(st.lists(ids, min_size=len(keys), max_size=len(keys))))
    counted = level > 0 or draw(st.booleans())
    counts = draw(st.lists(st.integers(1, 2**59), min_size=len(keys), max_size=len(keys))) if counted else ()
    large = () if level else sorted(draw(st.sets(st.integers(0, len(keys) - 1)))) if keys else ()
    return Node(level, tuple(keys), own, tuple(counts), tuple(large))


@st.composite
def large_lists(draw: st.DrawFn) -> Large:
    count = draw(st.integers(2, 5))
    length = (count - 1) * LARGE_VALUE_BYTES + draw(st.integers(1, LARGE_VALUE_BYTES))
    return Large(length, tuple(draw(st.lists(ids, min_size=count, max_size=count))))


@st.composite
def _frames(draw: st.DrawFn) -> tuple[Frame, tuple[int, ...]]:
    """A frame and the lengths of its chunks."""
    kind, encoding = draw(st.sampled_from(ChunkKind)), draw(st.sampled_from(Encoding))
    lengths = tuple(draw(st.lists(st.integers(0, 900), min_size=1, max_size=4)))
    plain = sum(lengths)
    if plain == 0:
        encoding = Encoding.RAW
    if kind is ChunkKind.DICTIONARY and encoding > Encoding.ZSTD:
        encoding = Encoding.ZSTD
    stored = plain if encoding is Encoding.RAW else draw(st.integers(0, 2000))
    depth = draw(st.integers(1, 32)) if encoding is Encoding.ZSTD_DELTA else 0
    fewest, most = {Encoding.ZSTD_DICTIONARY: (1, 1), Encoding.ZSTD_DELTA: (1, 3)}.get(encoding, (0, 0))
    bases = tuple(draw(st.lists(_bases, min_size=fewest, max_size=most, unique=True)))
    return Frame(kind, encoding, depth, len(lengths), stored, plain, bases), lengths


_bases = st.integers(0, 5).map(lambda number: ChunkId(bytes(31) + bytes((number,))))
"""Few, so that frames share them."""


@st.composite
def trailers(draw: st.DrawFn) -> Trailer:
    rows = draw(st.lists(_frames(), min_size=1, max_size=6))
    numbers = [length for _, lengths in rows for length in lengths]
    short_ids = draw(st.binary(min_size=16 * len(numbers), max_size=16 * len(numbers)))
    packed = b"".join(number.to_bytes(4, "little") for number in numbers)
    return Trailer(FrameTable.of([frame for frame, _ in rows]), short_ids, packed)
