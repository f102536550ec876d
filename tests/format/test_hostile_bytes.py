"""Whatever bytes come, a parser gives a value of one encoding or one of our refusals, in bounded memory."""

import json
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.engine.compression import Decompressor
from cas.errors import CasError, CorruptData, Unsupported
from cas.format.canonical import encode_json, parse_json
from cas.format.config import encode_config, parse_config
from cas.format.document import encode_document, parse_document
from cas.format.entities import EntityRow, encode_definition, parse_definition, parse_entities
from cas.format.journal import encode_journal, parse_journal
from cas.format.large import encode_large, parse_large
from cas.format.node import encode_node, parse_node
from cas.format.notes import encode_notes, parse_notes
from cas.format.pack import encode_end, encode_header, parse_end, parse_header
from cas.format.schema import encode_schema, parse_schema
from cas.format.sealing import (
    encode_contents,
    encode_keys,
    encode_sealed_config,
    parse_contents,
    parse_keys,
    parse_sealed_config,
)
from cas.limits import MAX_JSON_VALUES, MIB
from tests.format.reading_vectors import plain_value, read_vector
from tests.vectors.keys import CONTENTS
from tests.vectors.model import Vector, all_vectors
from tests.vectors.packs import end_of
from tests.vectors.primitives import canonical, envelope

VECTORS = all_vectors()
SMALL = {
    of: [
        vector.data
        for vector in VECTORS
        if vector.of == of and vector.expect == "success" and len(vector.data) < 4000
    ]
    for of in sorted({vector.of for vector in VECTORS})
} | {"contents": [canonical(CONTENTS)]}
"""Valid bytes of each kind, to be mutated."""


def _entities_again(rows: tuple[EntityRow, ...]) -> bytes:
    return canonical([plain_value(row) for row in rows])


ENVELOPED = ("config", "document", "journal", "keys", "notes", "sealed-config")

AGAIN: Mapping[str, Callable[[bytes], bytes]] = {
    "config": lambda data: encode_config(parse_config(data)),
    "definition": lambda data: encode_definition(parse_definition(data)),
    "document": lambda data: encode_document(parse_document(data)),
    "entities": lambda data: _entities_again(parse_entities(data)),
    "header": lambda data: encode_header(parse_header(data)) + data[48:],
    "large": lambda data: encode_large(*_large(data)),
    "node": lambda data: encode_node(*_node(data)),
    "journal": lambda data: encode_journal(parse_journal(data)),
    "keys": lambda data: encode_keys(parse_keys(data)),
    "contents": lambda data: encode_contents(parse_contents(data)),
    "notes": lambda data: encode_notes(parse_notes(data)),
    "schema": lambda data: encode_schema(parse_schema(data)),
    "sealed-config": lambda data: _sealed_config_again(data),
}
"""Parse and encode again, for what has exactly one encoding."""


def _sealed_config_again(data: bytes) -> bytes:
    repository_id = parse_sealed_config(data)
    return data if repository_id is None else encode_sealed_config(repository_id)


def _large(data: bytes) -> tuple[Any, ...]:
    large = parse_large(data)
    return large.length, large.pieces


def _node(data: bytes) -> tuple[Any, ...]:
    node = parse_node(data)
    return node.level, node.keys, node.ids, node.counts, node.large


@st.composite
def mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A valid text with a few bytes changed, cut out, put in, or doubled."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at : at + draw(st.integers(1, 40))]
            case 2:
                data[at:at] = draw(st.binary(min_size=1, max_size=12))
            case 3:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case _:
                data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, bytes(4), b"\x80" * 4, b"9999"]))
    return bytes(data)


def require_one_encoding_or_refusal(of: str, data: bytes) -> None:
    try:
        again = AGAIN[of](data)
    except (CorruptData, Unsupported):
        return
    assert again == data


@pytest.mark.parametrize("of", ["header", "large", "node", "definition", "entities", "schema", "contents"])
@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_mutated_chunks(of: str, data: st.DataObject) -> None:
    require_one_encoding_or_refusal(of, data.draw(mutated(SMALL[of])))


@pytest.mark.parametrize("of", ENVELOPED)
@given(data=st.data(), keep_hash=st.booleans())
@settings(max_examples=400, deadline=None)
def test_mutated_documents_with_and_without_a_fitting_hash(
    of: str, data: st.DataObject, keep_hash: bool
) -> None:
    changed = data.draw(mutated([one if keep_hash else one[:-66] for one in SMALL[of]]))
    require_one_encoding_or_refusal(of, changed if keep_hash else envelope(changed))


@st.composite
def changed_json(draw: st.DrawFn, samples: list[Any]) -> Any:
    """A valid value with one part of it replaced by something odd."""
    value = json.loads(json.dumps(draw(st.sampled_from(samples))))
    holder: Any = None
    key: Any = None
    place = value
    while isinstance(place, dict | list) and place and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        holder, place = place, place[key]
    odd: Any = draw(
        st.sampled_from(
            [None, True, False, 0, 1, 2**63 - 1, "", "1", "a" * 64, [], {}, [[]], [1], {"id": "a"}]
        )
    )
    if holder is None:
        return odd
    if isinstance(holder, dict) and draw(st.booleans()):
        holder[draw(st.sampled_from(["zzz", "name", "id"]))] = odd
    else:
        holder[key] = odd
    return value


@pytest.mark.parametrize("of", [*ENVELOPED, "definition", "entities", "schema", "contents"])
@given(data=st.data())
@settings(max_examples=600, deadline=None)
def test_canonical_json_of_another_form(of: str, data: st.DataObject) -> None:
    has_envelope = of in ENVELOPED
    samples = [json.loads(one[:-66] if has_envelope else one) for one in SMALL[of]]
    body = canonical(data.draw(changed_json(samples)))
    require_one_encoding_or_refusal(of, envelope(body) if has_envelope else body)


@given(
    st.binary(max_size=60)
    | st.text(st.sampled_from('[]{}",:0123456789.eE+-\\u dtrfalsn'), max_size=40).map(str.encode)
)
@settings(max_examples=800, deadline=None)
def test_json_of_any_bytes(data: bytes) -> None:
    try:
        value = parse_json(data)
    except CorruptData:
        return
    assert encode_json(value) == data


SEALED = [vector for vector in VECTORS if vector.of == "sealed" and vector.data in SMALL["sealed"]]


@given(mutated(SMALL["sealed"]), st.sampled_from(SEALED))
@settings(max_examples=400, deadline=None)
def test_mutated_sealed_objects(data: bytes, other: Vector) -> None:
    """No bytes open but those that were sealed, for the object and with the keys that `other` tells."""
    try:
        read_vector(replace(other, parts=((data, 1),)))
    except CorruptData:
        return
    assert data in SMALL["sealed"]


@given(mutated(SMALL["trailer"]))
@settings(max_examples=600, deadline=None)
def test_mutated_trailers(data: bytes) -> None:
    try:
        trailer = parse_end(data)
    except (CorruptData, Unsupported):
        return
    assert parse_end(encode_end(trailer.frames, trailer.short_ids, trailer.lengths)) == trailer


TABLES = [
    Decompressor().decompress(data[:-64][-length:], plain)
    for data in SMALL["trailer"]
    for length, plain in [(int.from_bytes(data[-64:-60], "little"), int.from_bytes(data[-60:-56], "little"))]
    if plain < 4000
]
"""The plain tables of the valid trailers."""


@given(mutated(TABLES))
@settings(max_examples=1000, deadline=None)
def test_mutated_tables_under_a_fitting_hash(plain: bytes) -> None:
    try:
        trailer = parse_end(end_of(plain))
    except (CorruptData, Unsupported):
        return
    again = encode_end(trailer.frames, trailer.short_ids, trailer.lengths)
    length = int.from_bytes(again[-64:-60], "little")
    assert Decompressor().decompress(again[:length], len(plain)) == plain


PLAINS = [b"many words, many many words. " * 20, bytes(3000), bytes(range(256)), b"x" * 300_000]
FRAMES = [
    zstandard.ZstdCompressor(level=3, write_checksum=with_sum).compress(plain)
    for plain in PLAINS
    for with_sum in (False, True)
]
MORE = [b"", b"\0", b"more", bytes.fromhex("502a4d18020000006162"), FRAMES[0], FRAMES[4][:-1]]
"""What may follow a frame, and must not."""


@given(st.integers(0, len(FRAMES) - 1), mutated(FRAMES[:6]) | st.none(), st.sampled_from(MORE), st.booleans())
@settings(max_examples=1000, deadline=None)
def test_frames_are_decoded_together_as_each_is_alone(
    number: int, other: bytes | None, more: bytes, is_first: bool
) -> None:
    frame = FRAMES[number] if other is None else other
    length = len(PLAINS[number // 2])
    with suppress(zstandard.ZstdError):
        length = zstandard.get_frame_parameters(frame).content_size
    if length > MIB:
        return
    data, good = frame + more, FRAMES[0]
    pair = ([data, good], [length, len(PLAINS[0])]) if is_first else ([good, data], [len(PLAINS[0]), length])
    try:
        alone = Decompressor().decompress(data, length)
    except CorruptData:
        with pytest.raises(CorruptData):
            Decompressor().decompress_many(*pair)
    else:
        assert Decompressor().decompress_many(*pair)[0 if is_first else 1] == alone


BOUNDED = [vector for vector in VECTORS if vector.expect != "success" and len(vector.data) < 100_000]
ALLOWED = {"zstd-zeros": 41 * MIB}
"""A trailer that really is as large as it declares, and within the limit."""
ALLOWED_OF = {"bundle": 4 * MIB}
"""All of a bundle is proven, with an index and readers beside it, whatever its size."""


@pytest.mark.parametrize("vector", BOUNDED, ids=lambda vector: f"{vector.of}-{vector.name}")
def test_a_refusal_costs_no_memory_that_the_bytes_only_declare(vector: Vector) -> None:
    vector.data  # noqa: B018  # made before the measurement
    data = vector.data
    tracemalloc.start()
    try:
        with pytest.raises(CasError):
            read_vector(vector)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < ALLOWED.get(vector.name, ALLOWED_OF.get(vector.of, MIB)) + 12 * len(data)


@pytest.mark.parametrize("unit", [b"[],", b'{"":0},', b'"aa",'])
def test_values_are_counted_before_they_are_made(unit: bytes) -> None:
    """They compress to nothing, and take thirty times their bytes."""
    data = b"[" + unit * (6 * MAX_JSON_VALUES // len(unit)) + b"0]"
    tracemalloc.start()
    try:
        with pytest.raises(CorruptData) as caught:
            parse_json(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.kind == "limit"
    assert peak < 2 * len(data)


def test_signs_within_texts_are_no_values() -> None:
    text = ',:[{\\"\\\\' * (MAX_JSON_VALUES // 4)
    assert parse_json(canonical([text, text])) == [text, text]
