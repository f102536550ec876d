"""What is encoded parses to the same value, and whatever parses encodes to the same bytes."""

from dataclasses import replace
from datetime import datetime

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from cas.errors import CasError, CorruptData
from cas.format.canonical import encode_json, parse_json
from cas.format.config import Config, encode_config, parse_config
from cas.format.document import VersionDocument, encode_document, parse_document
from cas.format.entities import (
    EntityEntry,
    check_order,
    encode_definition,
    encode_entities,
    parse_definition,
    parse_entities,
    version_checksum,
)
from cas.format.large import Large, encode_large, parse_large
from cas.format.names import (
    JOURNALS,
    NOTES,
    VERSIONS,
    dictionary_key,
    dictionary_of_key,
    journal_key,
    notes_key,
    number_of_key,
    pack_key,
    pack_of_key,
    version_key,
)
from cas.format.node import Node, encode_node, parse_node
from cas.format.notes import Notes, encode_notes, parse_notes
from cas.format.pack import Trailer, encode_end, parse_end
from cas.format.schema import encode_schema, parse_schema
from cas.format.times import check_time
from cas.format.wire import Reader, varint
from cas.ids import ChunkId, PackName
from cas.limits import MAX_VERSION_NUMBER
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.source import SchemaItem
from tests.format import strategies as our

json_values = st.recursive(
    st.none() | st.booleans() | our.naturals | our.texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(our.texts, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json(value: object) -> None:
    data = encode_json(value)  # type: ignore[arg-type]  # the strategy makes nothing else
    assert parse_json(data) == value
    assert encode_json(parse_json(data)) == data


@given(our.configs)
def test_config(config: Config) -> None:
    assert parse_config(encode_config(config)) == config


@given(our.documents())
def test_document(document: VersionDocument) -> None:
    assert parse_document(encode_document(document)) == document


@given(our.notes)
def test_notes(notes: Notes) -> None:
    assert parse_notes(encode_notes(notes)) == notes


@given(our.definitions)
def test_definition(entity: Entity) -> None:
    assert parse_definition(encode_definition(entity)) == entity


@given(our.entity_lists())
def test_entities(entries: tuple[EntityEntry, ...]) -> None:
    rows = parse_entities(encode_entities(entries))
    expected = [(e.definition, e.root, e.records, e.payload_bytes, e.dictionary) for e in entries]
    assert [(r.definition, r.root, r.records, r.payload_bytes, r.dictionary) for r in rows] == expected


@given(our.schemas)
def test_schema(items: tuple[SchemaItem, ...]) -> None:
    assert parse_schema(encode_schema(items)) == items


@given(our.nodes())
def test_node(node: Node) -> None:
    assert parse_node(encode_node(node.level, node.keys, node.ids, node.counts, node.large)) == node


@given(our.large_lists())
def test_large(large: Large) -> None:
    assert parse_large(encode_large(large.length, large.pieces)) == large


@given(our.trailers(), st.binary(max_size=40))
def test_trailer(trailer: Trailer, before: bytes) -> None:
    """Whatever of the frames the tail holds besides."""
    end = encode_end(trailer.frames, trailer.short_ids, trailer.lengths)
    assert parse_end(before + end) == trailer
    assert parse_end(end, size=48 + trailer.frames_length + len(end)) == trailer
    with pytest.raises(CorruptData, match="parts fill"):
        parse_end(end, size=48 + trailer.frames_length + len(end) + 1)


@given(st.integers(0, 2**64 - 1))
def test_varint(number: int) -> None:
    reader = Reader(varint(number))
    assert reader.varint() == number
    reader.finish()


@given(st.integers(1, MAX_VERSION_NUMBER), our.hashes)
def test_object_keys(number: int, digest: bytes) -> None:
    name, chunk_id = PackName(digest.hex()), ChunkId(digest)
    assert number_of_key(VERSIONS, version_key(number)) == number
    assert number_of_key(JOURNALS, journal_key(number)) == number
    assert number_of_key(NOTES, notes_key(number)) == number
    assert pack_of_key(pack_key(name)) == name
    assert dictionary_of_key(dictionary_key(chunk_id)) == chunk_id


@pytest.mark.parametrize(
    "key",
    [
        "versions/0000000000",
        "versions/1",
        "versions/00000000001",
        "versions/000000000x",
        "versions/٠٠٠٠٠٠٠٠٠١",  # noqa: RUF001  # digits of another script, on purpose
        "packs/00/" + "1" * 64,
        "packs/11/" + "1" * 63,
        "packs/AA/" + "A" * 64,
        "dictionaries/" + "0" * 63,
        "dictionaries/" + "G" * 64,
        "gc/0000000000",
        "config",
        "",
    ],
)
def test_strangers_keys_are_nobodys(key: str) -> None:
    assert number_of_key(VERSIONS, key) is None
    assert number_of_key(JOURNALS, key) is None
    assert pack_of_key(key) is None
    assert dictionary_of_key(key) is None


@given(st.datetimes())
def test_times_are_checked_as_the_calendar_has_them(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds") + "+00:00"
    assert check_time(text) == text


@given(
    st.from_regex(
        r"[0-9]{4}-[0-3][0-9]-[0-9]{2}T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\.[0-9]{6}\+00:00", fullmatch=True
    )
)
def test_no_time_is_accepted_that_the_calendar_does_not_have(text: str) -> None:
    try:
        check_time(text)
    except CasError:
        with pytest.raises(ValueError, match=r".*"):
            datetime.fromisoformat(text)
    else:
        datetime.fromisoformat(text)


@pytest.mark.parametrize("code_point", [0, 0xD800, 0xDFFF, 0xDC7F, 0xDD00])
def test_text_that_could_not_be_read_back_is_not_written(code_point: int) -> None:
    text = f"x{chr(code_point)}x"
    with pytest.raises(CorruptData):
        encode_json({"a": [text]})
    with pytest.raises(CorruptData):
        encode_json({text: 1})


@given(our.entity_lists())
def test_entities_out_of_order_are_refused(entries: tuple[EntityEntry, ...]) -> None:
    entities = [entry.entity for entry in entries]
    check_order(entities)
    if entities:
        with pytest.raises(CorruptData):
            check_order([*entities, entities[-1]])
    if len(entities) > 1:
        with pytest.raises(CorruptData):
            check_order(entities[::-1])


ENTRY = EntityEntry(
    Entity(
        EntityKind.TABLE,
        "public",
        "product",
        (Column("id", "integer", not_null=True), Column("name", "text", not_null=False)),
        (("id", KeyPart.INTEGER),),
    ),
    ChunkId(bytes(32)),
    ChunkId(bytes(32)),
    7,
    99,
)


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        (replace(ENTRY, root=ChunkId(b"\1" * 32)), True),
        (replace(ENTRY, root=None), True),
        (replace(ENTRY, records=8), True),
        (replace(ENTRY, entity=replace(ENTRY.entity, name="products")), True),
        (replace(ENTRY, entity=replace(ENTRY.entity, schema="p")), True),
        (replace(ENTRY, entity=replace(ENTRY.entity, kind=EntityKind.PARTITIONED)), True),
        (replace(ENTRY, entity=replace(ENTRY.entity, key=())), True),
        (replace(ENTRY, entity=replace(ENTRY.entity, key=(("id", KeyPart.TEXT),))), True),
        (replace(ENTRY, entity=replace(ENTRY.entity, columns=ENTRY.entity.columns[::-1])), True),
        (replace(ENTRY, entity=replace(ENTRY.entity, columns=ENTRY.entity.columns[:1])), True),
        (replace(ENTRY, entity=replace(ENTRY.entity, fingerprint="f")), False),
        (replace(ENTRY, dictionary=ChunkId(b"\1" * 32)), False),
        (replace(ENTRY, definition=ChunkId(b"\1" * 32)), False),
        (replace(ENTRY, payload_bytes=100), False),
    ],
)
def test_the_checksum_covers_names_types_key_and_records_and_not_how_they_are_stored(
    changed: EntityEntry, counts: bool
) -> None:
    assert (version_checksum([changed]) != version_checksum([ENTRY])) == counts


def test_the_checksum_of_two_entities_is_not_that_of_one() -> None:
    assert version_checksum([ENTRY, ENTRY]) != version_checksum([ENTRY])
    assert version_checksum([]) == blake3(b"").digest()
