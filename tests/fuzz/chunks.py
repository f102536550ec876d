"""Nodes, lists of pieces, packs' headers and ends, frames: the binary structures."""

import struct
from contextlib import suppress
from random import Random

import zstandard
from blake3 import blake3

from cas.engine.compression import Decompressor, Dictionary
from cas.errors import CorruptData
from cas.format.large import encode_large, parse_large
from cas.format.names import number_of_key, pack_of_key, version_key
from cas.format.node import encode_node, parse_node
from cas.format.node_search import child_for
from cas.format.pack import FOOTER_BYTES, HEADER_BYTES, encode_end, encode_header, parse_end, parse_header
from cas.ids import ChunkId
from cas.limits import MIB
from tests.fuzz.model import Blind, Target
from tests.fuzz.seeds import of_vectors

BASE = bytes(range(256)) * 8
DICTIONARY = Dictionary(
    ChunkId(bytes(32)),
    zstandard.train_dictionary(
        4096, [b"%d\tproduct %d, a chair of wood" % (n, n * 7) for n in range(3000)]
    ).as_bytes(),
)
_LENGTHS = struct.Struct("<II")


def _header(data: bytes) -> bytes:
    return encode_header(parse_header(data)) + data[HEADER_BYTES:]


def _node(data: bytes) -> bytes:
    node = parse_node(data)
    if node.level:
        _find_ways(data, node.keys, node.ids)
    return encode_node(node.level, node.keys, node.ids, node.counts, node.large)


def _find_ways(data: bytes, keys: tuple[bytes, ...], ids: tuple[ChunkId, ...]) -> None:
    """The way that is found in the bytes is that of the parsed node."""
    for at, key in enumerate(keys):
        for wanted, child in ((key, ids[at]), (key + b"\0", ids[at + 1] if at + 1 < len(ids) else None)):
            found = child_for(data, wanted)
            assert found is None or found == (data[1], child), (found, child)


def _child(data: bytes) -> None:
    """Bytes that no parser has seen before: only a level and an id, or the refusal."""
    child_for(data[8:], data[:8])


def _large(data: bytes) -> bytes:
    large = parse_large(data)
    return encode_large(large.length, large.pieces)


def _end(data: bytes) -> None:
    trailer = parse_end(data)
    assert len(list(trailer.frames)) == len(trailer.frames)
    again = parse_end(encode_end(trailer.frames, trailer.short_ids, trailer.lengths))
    assert again == trailer


def changed_end(data: bytes, random: Random, blind: Blind) -> bytes:
    """Other tables, compressed again, or other compressed bytes, under a hash that fits."""
    if len(data) < FOOTER_BYTES or random.random() < 0.1:
        return blind(data)
    stored, footer = data[:-FOOTER_BYTES], data[-FOOTER_BYTES:]
    length, plain_length = _LENGTHS.unpack_from(footer)
    stored = stored[-length:] if length else b""
    plain = b""
    with suppress(CorruptData):
        plain = Decompressor().decompress(stored, plain_length) if plain_length <= MIB else b""
    if plain and random.random() < 0.8:
        plain = blind(plain)
        stored, plain_length = zstandard.ZstdCompressor(level=1).compress(plain), len(plain)
    else:
        stored = blind(stored)
    fixed = _LENGTHS.pack(len(stored), plain_length) + footer[8:16]
    return stored + fixed + blake3(stored + fixed).digest() + footer[48:]


def _frame(data: bytes) -> None:
    """By its first byte whole, on a dictionary or on a base; the declared length is the frame's own."""
    how, stored = data[:1], data[1:]
    try:
        declared = zstandard.get_frame_parameters(stored).content_size
    except zstandard.ZstdError:
        declared = 8
    length = min(declared, MIB)
    decompressor = Decompressor()
    match (how or b"\0")[0] % 5:
        case 0:
            plain = decompressor.decompress(stored, length)
        case 1:
            plain = decompressor.decompress(stored, length, DICTIONARY)
        case 2:
            plain = decompressor.decompress_delta(stored, length, BASE)
        case 3:
            plain = decompressor.decompress_joined([stored, stored], [length, length], DICTIONARY)[:length]
        case _:
            given, rest = stored[: len(stored) // 2], stored[len(stored) // 2 :]
            plain = decompressor.decompress(rest, length, Dictionary(ChunkId(blake3(given).digest()), given))
            return
    assert len(plain) == length


def _frames() -> list[bytes]:
    plain = b"".join(b"%d\tproduct %d, a chair of wood" % (n, n * 7) for n in range(20))
    compress = zstandard.ZstdCompressor(level=3).compress
    with_dictionary = zstandard.ZstdCompressor(dict_data=DICTIONARY.prepared(3), write_dict_id=False).compress
    raw = zstandard.ZstdCompressionDict(BASE, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    on_base = zstandard.ZstdCompressor(dict_data=raw, write_dict_id=False).compress
    made = [b"\0" + compress(plain), b"\1" + with_dictionary(plain), b"\2" + on_base(BASE[5:900])]
    return [*made, b"\3" + with_dictionary(plain), *(b"\0" + one for one in of_vectors("frame"))]


def _key(data: bytes) -> None:
    """An object's key: what it names has just this key."""
    text = data.decode("latin-1")
    name, number = pack_of_key(text), number_of_key("versions/", text)
    assert name is None or text == f"packs/{name[:2]}/{name}"
    assert number is None or text == version_key(number)


TARGETS = (
    Target("header", _header, lambda: of_vectors("header")),
    Target("node", _node, lambda: of_vectors("node")),
    Target("child", _child, lambda: [b"k" * 8 + data for data in of_vectors("node")]),
    Target("large", _large, lambda: of_vectors("large")),
    Target("trailer", _end, lambda: of_vectors("trailer"), change=changed_end),
    Target("frame", _frame, _frames),
    Target("object-key", _key, lambda: [b"versions/0000000001", b"packs/ab/" + b"ab" * 32], most=200),
)
