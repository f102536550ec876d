"""Vectors of tree nodes and of LARGE chunks."""

import struct
from collections.abc import Iterator, Sequence

from tests.vectors.model import Json, Parts, Vector, parts_of, stated
from tests.vectors.primitives import chunk_id, varint

MIB = 1024 * 1024
COUNTS, LARGE = 1, 2


def vectors() -> Iterator[Vector]:
    yield from _good_nodes()
    yield from _bad_nodes()
    yield from _large()


def _vector(of: str, name: str, expect: str, about: str, data: bytes | Parts, value: Json = None) -> Vector:
    return Vector(of, name, expect, about, parts_of(data), None if value is None else stated(value))


def record_ids(count: int) -> list[bytes]:
    return [chunk_id(1, b"%d" % number) for number in range(count)]


def integer_keys(count: int) -> list[bytes]:
    return [(number ^ 1 << 63).to_bytes(8, "big") for number in range(count)]


def head(level: int = 0, flags: int = 0, version: int = 1, reserved: int = 0) -> bytes:
    return struct.pack("<BBBB", version, level, flags, reserved)


def node(
    level: int,
    keys: Sequence[bytes],
    ids: Sequence[bytes],
    counts: Sequence[int] = (),
    large: Sequence[int] = (),
) -> bytes:
    widths = {len(key) for key in keys}
    width = widths.pop() if len(widths) == 1 else 0
    return b"".join(
        (
            head(level, (COUNTS if counts else 0) | (LARGE if large else 0)),
            varint(len(keys)),
            varint(width),
            b"" if width else b"".join(varint(len(key)) for key in keys),
            *keys,
            *ids,
            *(varint(count) for count in counts),
            varint(len(large)) if large else b"",
            *(varint(position) for position in large),
        )
    )


def value_of(
    level: int,
    keys: Sequence[bytes],
    ids: Sequence[bytes],
    counts: Sequence[int] = (),
    large: Sequence[int] = (),
) -> Json:
    return {
        "counts": list(counts),
        "ids": [one.hex() for one in ids],
        "keys": [key.hex() for key in keys],
        "large": list(large),
        "level": level,
    }


def _good_nodes() -> Iterator[Vector]:
    def one(
        name: str,
        about: str,
        level: int,
        keys: Sequence[bytes],
        ids: Sequence[bytes],
        counts: Sequence[int] = (),
        large: Sequence[int] = (),
    ) -> Vector:
        data = node(level, keys, ids, counts, large)
        return _vector("node", name, "success", about, data, value_of(level, keys, ids, counts, large))

    three = record_ids(3)
    yield one("empty", "the tree of no records", 0, [], [])
    yield one("one", "a leaf of one record, as the last of its level", 0, integer_keys(1), three[:1])
    yield one(
        "example",
        "a leaf with integer keys, the second record being large",
        0,
        integer_keys(3),
        three,
        (),
        [1],
    )
    yield one("text-keys", "keys of different lengths", 0, [b"a\0", b"ab\0", b"b\0"], three)
    yield one("empty-key", "the shortest key of all", 0, [b""], three[:1])
    yield one("empty-key-first", "keys of no and of one byte", 0, [b"", b"\0"], three[:2])
    bag = sorted(three)
    yield one("bag", "a leaf of a bag: keys are ids, and counts", 0, bag, bag, [1, 300, 2])
    yield one("upper", "an upper node", 1, integer_keys(2), three[:2], [64, 2**62])
    yield one("level-64", "the highest level", 64, integer_keys(2), three[:2], [1, 1])
    yield one("max-entries", "256 entries", 0, integer_keys(256), record_ids(256))
    yield one("all-large", "every entry large", 0, integer_keys(3), three, (), [0, 1, 2])
    yield one("max-key", "a key of 1 MiB", 0, [b"k" * MIB], three[:1])
    yield one("max-records", "2^63 - 1 records", 1, integer_keys(2), three[:2], [2**63 - 2, 1])


def _bad_nodes() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, data: bytes) -> Vector:
        return _vector("node", name, expect, about, data)

    keys, ids = integer_keys(3), record_ids(3)
    good = node(0, keys, ids, (), [1])
    upper = node(1, keys, ids, [1, 2, 3])
    pair = b"".join(ids[:2])
    yield one("nothing", "truncated", "no bytes", b"")
    for name, end in (("head", 3), ("size", 4), ("keys", 20), ("ids", 40), ("positions", len(good) - 1)):
        yield one(f"cut-in-{name}", "truncated", f"cut within the {name}", good[:end])
    yield one("cut-in-counts", "truncated", "cut within the counts", upper[:-1])
    yield one("trailing-byte", "malformed", "a byte behind the end", good + b"\0")
    yield one("version-2", "unsupported", "a later version", head(version=2) + good[4:])
    yield one("unknown-flag", "unsupported", "a flag that came later", head(flags=4) + good[4:])
    yield one("reserved", "malformed", "the reserved byte in use", head(reserved=1) + b"\0\0")
    yield one("level-65", "limit", "a level too high", head(65, COUNTS) + upper[4:])
    yield one("entries-257", "limit", "one entry too many", node(0, integer_keys(257), record_ids(257)))
    yield one(
        "entries-2-to-64", "limit", "2^64 - 1 entries in a few bytes", head() + varint(2**64 - 1) + b"\x08"
    )
    yield one("key-max-1", "limit", "a key of 1 MiB and one byte", node(0, [b"k" * (MIB + 1)], ids[:1]))
    lengths = varint(2) + varint(0) + varint(1) + varint(2**40)
    yield one("key-2-to-40", "limit", "a key length that no node can hold", head() + lengths + b"ab" + pair)
    widthless = head() + varint(2) + varint(0) + varint(8) * 2 + b"".join(keys[:2]) + pair
    yield one("width-not-used", "malformed", "keys of one length, each with its length", widthless)
    yield one("width-of-nothing", "malformed", "a key width in an empty node", head() + b"\x00\x08")
    yield one(
        "long-size",
        "malformed",
        "number of entries in more bytes than needed",
        head() + varint(3, 2) + good[5:-2],
    )
    yield one(
        "long-width",
        "malformed",
        "width in more bytes than needed",
        head() + varint(3) + varint(8, 2) + good[6:-2],
    )
    overlong = head(1, COUNTS) + upper[4:-1] + varint(3, 2)
    yield one("long-count", "malformed", "a count in more bytes than needed", overlong)
    yield one("varint-2-to-64", "malformed", "a number of 65 bits", upper[:-1] + b"\xff" * 9 + b"\x02")
    yield one("varint-11-bytes", "malformed", "a number of eleven bytes", upper[:-1] + b"\x80" * 10 + b"\x01")
    yield one("keys-equal", "malformed", "a key twice", node(0, [keys[0]] * 2, ids[:2]))
    yield one("keys-descend", "malformed", "keys not ascending", node(0, keys[1::-1], ids[:2]))
    yield one("count-0", "malformed", "a record that is there zero times", node(0, keys[:2], ids[:2], [1, 0]))
    yield one("records-2-to-63", "limit", "2^63 records", node(1, keys[:2], ids[:2], [2**63 - 1, 1]))
    yield one("upper-without-counts", "malformed", "an upper node without counts", node(1, keys, ids))
    yield one("upper-empty", "malformed", "an upper node of nothing", node(1, [], []))
    yield one(
        "upper-large", "malformed", "an upper node with large entries", node(1, keys, ids, [1, 1, 1], [0])
    )
    yield one("counts-of-nothing", "malformed", "an empty leaf with counts", head(0, COUNTS) + b"\0\0")
    yield one("large-none", "malformed", "a list of no positions", head(0, LARGE) + good[4:-2] + b"\0")
    yield one(
        "large-out-of-range", "malformed", "a position behind the last entry", node(0, keys, ids, (), [3])
    )
    yield one("large-descend", "malformed", "positions not ascending", node(0, keys, ids, (), [1, 0]))
    yield one("large-twice", "malformed", "a position twice", node(0, keys, ids, (), [1, 1]))
    yield one(
        "large-too-many", "malformed", "more positions than entries", node(0, keys, ids, (), [0, 1, 2, 3])
    )


def _large() -> Iterator[Vector]:
    piece = chunk_id(5, bytes(MIB))

    def listed(count: int, length: int, pieces: int | None = None) -> Parts:
        number = count if pieces is None else pieces
        return (
            [(struct.pack("<IQ", count, length), 1), (piece, number)]
            if number > 8
            else [(struct.pack("<IQ", count, length) + piece * number, 1)]
        )

    def good(name: str, about: str, count: int, length: int) -> Vector:
        value: Json = {"length": length, "pieces": [piece.hex()] * count}
        return _vector("large", name, "success", about, listed(count, length), value)

    def bad(name: str, expect: str, about: str, data: bytes | Parts) -> Vector:
        return _vector("large", name, expect, about, data)

    yield good("example", "the shortest large value: 1 MiB and one byte", 2, MIB + 1)
    yield good("two-whole", "two whole pieces", 2, 2 * MIB)
    yield good("max", "65,536 pieces", 65_536, 65_536 * MIB)
    yield bad("nothing", "truncated", "no bytes", b"")
    yield bad("pieces-65537", "limit", "one piece too many", listed(65_537, 65_537 * MIB))
    yield bad("pieces-2-to-32", "limit", "2^32 - 1 pieces in a few bytes", listed(2**32 - 1, 2**52, 1))
    yield bad("one-piece", "malformed", "a value that one chunk can hold", listed(1, MIB))
    yield bad("no-piece", "malformed", "an empty value", listed(0, 0))
    yield bad("length-short", "malformed", "a length that needs fewer pieces", listed(3, 2 * MIB))
    yield bad("length-long", "malformed", "a length that needs more pieces", listed(2, 2 * MIB + 1))
    yield bad("length-2-to-64", "malformed", "the longest length", listed(2, 2**64 - 1))
    yield bad("cut", "truncated", "half an id is missing", listed(2, 2 * MIB)[0][0][:-16])
    yield bad("trailing-byte", "malformed", "a byte behind the end", listed(2, 2 * MIB)[0][0] + b"\0")
