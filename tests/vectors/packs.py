"""Vectors of pack headers, and of trailers with their footer."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blake3 import blake3

from tests.vectors.declared import RECORDS
from tests.vectors.model import Json, Vector, parts_of, stated
from tests.vectors.primitives import chunk_id, skippable, zstd

MIB = 1024 * 1024
SALT = bytes(range(0x40, 0x60))
RECORD, NODE, DICTIONARY, DEFINITION, PIECE = 1, 2, 3, 4, 5
RAW, ZSTD, WITH_DICTIONARY, DELTA = 0, 1, 2, 3
MAX_CHUNKS = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A frame as the trailer lists it. `bases` are ids; `depth` and the lengths may be wrong on purpose."""

    kind: int = RECORD
    encoding: int = RAW
    chunks: int = 1
    stored: int = 1
    plain: int = 1
    depth: int = 0
    bases: tuple[bytes, ...] = ()


def vectors() -> Iterator[Vector]:
    yield from _headers()
    yield from _trailers()
    yield from _rows()
    yield from _tables()
    yield from _footers()
    yield from _compressed()


def tables(
    rows: Sequence[Row],
    lengths: Sequence[int],
    *,
    references: Sequence[int] | None = None,
    bases: Sequence[bytes] | None = None,
    counts: tuple[int, int, int, int] | None = None,
    shorts: Sequence[bytes] | None = None,
) -> bytes:
    """The plain trailer. What is given by name replaces what follows from the rows."""
    used = [base for row in rows for base in row.bases]
    listed = list(dict.fromkeys(used)) if bases is None else bases
    numbers = [listed.index(base) for base in used] if references is None else references
    return b"".join(
        (
            struct.pack("<IIII", *(counts or (len(rows), len(lengths), len(listed), len(numbers)))),
            *(
                struct.pack(
                    "<BBBBIII", r.kind, r.encoding, r.depth, len(r.bases), r.chunks, r.stored, r.plain
                )
                for r in rows
            ),
            struct.pack(f"<{len(numbers)}I", *numbers),
            *listed,
            *(short_ids(len(lengths)) if shorts is None else shorts),
            struct.pack(f"<{len(lengths)}I", *lengths),
        )
    )


def short_ids(count: int) -> list[bytes]:
    return [bytes(16)] * count if count > 1000 else [chunk_id(1, b"%d" % n)[:16] for n in range(count)]


def footer(
    stored: bytes,
    plain_length: int,
    *,
    version: int = 1,
    sealing: int = 0,
    flags: int = 0,
    reserved: bytes = bytes(4),
    zeros: bytes = bytes(8),
    magic: bytes = b"CASPEND\n",
) -> bytes:
    fixed = struct.pack("<IIHBB4s", len(stored), plain_length, version, sealing, flags, reserved)
    return fixed + blake3(stored + fixed).digest() + zeros + magic


def end_of(plain: bytes) -> bytes:
    stored = zstd(plain)
    return stored + footer(stored, len(plain))


def value_of(rows: Sequence[Row], lengths: Sequence[int]) -> Json:
    return {
        "frames": [
            {
                "bases": [base.hex() for base in row.bases],
                "chunks": row.chunks,
                "depth": row.depth,
                "encoding": row.encoding,
                "kind": row.kind,
                "plain_length": row.plain,
                "stored_length": row.stored,
            }
            for row in rows
        ],
        "lengths": list(lengths),
        "short_ids": [short.hex() for short in short_ids(len(lengths))],
    }


def _headers() -> Iterator[Vector]:
    def header(version: int = 1, sealing: int = 0, flags: int = 0, zeros: bytes = bytes(4)) -> bytes:
        return struct.pack("<8sHBB4s32s", b"CASPACK\n", version, sealing, flags, zeros, SALT)

    def one(name: str, expect: str, about: str, data: bytes) -> Vector:
        value = stated({"salt": SALT.hex()}) if expect == "success" else None
        return Vector("header", name, expect, about, parts_of(data), value)

    yield one("example", "success", "the first 48 bytes of a pack", header())
    yield one("nothing", "truncated", "no bytes", b"")
    yield one("cut", "truncated", "47 bytes", header()[:-1])
    yield one("magic", "malformed", "another magic", b"CASPACK\r" + header()[8:])
    yield one("version-2", "unsupported", "a later version", header(version=2))
    yield one("version-256", "unsupported", "the version is two bytes wide", header(version=257))
    yield one("sealed", "unsupported", "a sealed pack", header(sealing=1))
    yield one("flags", "unsupported", "a feature that came later", header(flags=0x80))
    yield one("reserved", "malformed", "reserved bytes in use", header(zeros=b"\0\0\0\1"))


def _success(name: str, about: str, rows: Sequence[Row], lengths: Sequence[int]) -> Vector:
    data = end_of(tables(rows, lengths))
    return Vector("trailer", name, "success", about, parts_of(data), stated(value_of(rows, lengths)))


def _bad(name: str, expect: str, about: str, data: bytes) -> Vector:
    return Vector("trailer", name, expect, about, parts_of(data))


def example() -> tuple[list[Row], list[int]]:
    """Three frames: records with a dictionary, a raw record, a node as delta on two nodes."""
    lengths = [len(record) for record in RECORDS] + [5, 150]
    rows = [
        Row(RECORD, WITH_DICTIONARY, 3, 93, sum(lengths[:3]), 0, (chunk_id(3, b"dictionary"),)),
        Row(RECORD, RAW, 1, 5, 5),
        Row(NODE, DELTA, 1, 61, 150, 2, (chunk_id(2, b"left"), chunk_id(2, b"right"))),
    ]
    return rows, lengths


def _trailers() -> Iterator[Vector]:
    rows, lengths = example()
    yield _success("example", "three frames, three bases", rows, lengths)
    yield _success("one", "one frame, one chunk, raw", [Row(stored=5, plain=5)], [5])
    yield _success("empty-chunk", "a record of no bytes", [Row(stored=0, plain=0)], [0])
    shared = Row(NODE, DELTA, 1, 9, 8, 1, (chunk_id(2, b"base"),))
    yield _success("base-shared", "two deltas on one base", [shared, shared], [8, 8])
    full = [Row(chunks=4096, stored=0, plain=0)] * 256
    yield _success("max-chunks", "1,048,576 chunks", full, [0] * MAX_CHUNKS)
    more = [*full, Row(stored=0, plain=0)]
    yield _bad("chunks-max-1", "limit", "one chunk more", end_of(tables(more, [0] * (MAX_CHUNKS + 1))))
    yield _bad("no-chunk", "malformed", "a pack of nothing", end_of(tables([], [])))


def _rows() -> Iterator[Vector]:
    base, other = chunk_id(2, b"base"), chunk_id(2, b"other")
    many = tuple(chunk_id(2, b"%d" % number) for number in range(65))
    good: tuple[tuple[str, str, Row], ...] = (
        ("depth-32", "the deepest delta", Row(NODE, DELTA, 1, 9, 8, 32, (base,))),
        ("bases-64", "as many bases as a delta may have", Row(NODE, DELTA, 1, 9, 8, 1, many[:64])),
        ("frame-16-mib", "the largest frame", Row(NODE, RAW, 1, 16 * MIB, 16 * MIB)),
        ("frame-4096", "as many chunks as a frame holds", Row(RECORD, RAW, 4096, 0, 0)),
        ("record-1-mib", "the largest record", Row(RECORD, ZSTD, 1, 99, MIB)),
        ("stored-longer", "a frame that compression made longer", Row(RECORD, ZSTD, 1, 20, 8)),
    )
    for name, about, row in good:
        yield _success(name, about, [row], [row.plain // row.chunks] * row.chunks)
    bad: tuple[tuple[str, str, str, Row], ...] = (
        ("kind-0", "unsupported", "a kind that never was", Row(0)),
        ("kind-8", "unsupported", "a kind that came later", Row(8)),
        ("encoding-4", "unsupported", "an encoding that came later", Row(RECORD, 4)),
        ("raw-two-lengths", "malformed", "a raw frame with two lengths", Row(stored=2, plain=1)),
        ("raw-with-base", "malformed", "a raw frame with a base", Row(bases=(base,))),
        ("zstd-with-depth", "malformed", "no delta, and a depth", Row(RECORD, ZSTD, 1, 9, 8, 1)),
        ("zstd-with-base", "malformed", "no dictionary, and a base", Row(RECORD, ZSTD, 1, 9, 8, 0, (base,))),
        ("zstd-empty", "malformed", "an empty frame that is not raw", Row(RECORD, ZSTD, 1, 9, 0)),
        ("dictionary-missing", "malformed", "no dictionary", Row(RECORD, WITH_DICTIONARY, 1, 9, 8)),
        ("dictionaries-two", "malformed", "two", Row(RECORD, WITH_DICTIONARY, 1, 9, 8, 0, (base, other))),
        (
            "dictionary-coded",
            "malformed",
            "a dictionary with a base",
            Row(DICTIONARY, DELTA, 1, 9, 8, 1, (base,)),
        ),
        ("delta-without-base", "malformed", "a delta on nothing", Row(NODE, DELTA, 1, 9, 8, 1)),
        ("delta-depth-0", "malformed", "a delta without depth", Row(NODE, DELTA, 1, 9, 8, 0, (base,))),
        ("delta-base-twice", "malformed", "one base twice", Row(NODE, DELTA, 1, 9, 8, 1, (base, base))),
        ("depth-33", "limit", "a delta too deep", Row(NODE, DELTA, 1, 9, 8, 33, (base,))),
        ("bases-65", "limit", "one base too many", Row(NODE, DELTA, 1, 9, 8, 1, many)),
        ("frame-16-mib-1", "limit", "a frame of one byte more", Row(NODE, ZSTD, 1, 99, 16 * MIB + 1)),
        ("stored-16-mib-1", "limit", "stored bytes, one more", Row(NODE, ZSTD, 1, 16 * MIB + 1, 99)),
        ("frame-4-gib", "limit", "a frame of 4 GiB", Row(NODE, ZSTD, 1, 99, 2**32 - 1)),
        ("record-1-mib-1", "limit", "a record that should be large", Row(RECORD, ZSTD, 1, 99, MIB + 1)),
        ("piece-1-mib-1", "limit", "a piece of one byte more", Row(PIECE, ZSTD, 1, 99, MIB + 1)),
    )
    for name, expect, about, row in bad:
        yield _bad(name, expect, about, end_of(tables([row], [row.plain])))
    yield _bad(
        "frame-4097",
        "limit",
        "one chunk too many",
        end_of(tables([Row(chunks=4097, stored=0, plain=0)], [0] * 4097)),
    )
    yield _bad(
        "frame-0",
        "malformed",
        "a frame without chunks",
        end_of(tables([Row(chunks=0, stored=0, plain=0), Row()], [1])),
    )
    whole = [Row(NODE, ZSTD, 1, 16 * MIB, 99)] * 4
    yield _bad("pack-64-mib", "limit", "frames that fill more than a pack", end_of(tables(whole, [99] * 4)))


def _tables() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, plain: bytes) -> Vector:
        return _bad(f"tables-{name}", expect, about, end_of(plain))

    rows, lengths = example()
    whole = tables(rows, lengths)
    left, right = rows[2].bases
    third = rows[0].bases[0]
    yield one("nothing", "truncated", "no tables", b"")
    yield one("cut", "truncated", "the last byte is missing", whole[:-1])
    yield one("trailing-byte", "malformed", "a byte behind the tables", whole + b"\0")
    yield one(
        "bases-in-other-order",
        "malformed",
        "bases not in order of first use",
        tables(rows, lengths, bases=[third, right, left]),
    )
    yield one(
        "base-unused",
        "malformed",
        "a base that no frame uses",
        tables(rows, lengths, bases=[third, left, right, bytes(32)], references=[0, 1, 2]),
    )
    deltas = [Row(NODE, DELTA, 1, 9, 8, 1, (left,))] * 2
    apart = tables(deltas, [8, 8], bases=[left, left], references=[0, 1])
    yield one("base-twice-apart", "malformed", "a base listed once for each frame", apart)
    yield one(
        "base-twice",
        "malformed",
        "a base listed twice",
        tables(rows, lengths, bases=[third, left, left], references=[0, 1, 2]),
    )
    yield one(
        "reference-beyond",
        "malformed",
        "a number that is no base",
        tables(rows, lengths, references=[0, 1, 3]),
    )
    yield one(
        "reference-left",
        "malformed",
        "a reference that no frame takes",
        tables(rows, lengths, references=[0, 1, 2, 0]),
    )
    yield one(
        "reference-lacking",
        "malformed",
        "a frame takes more than there are",
        tables(rows, lengths, references=[0, 1], bases=[third, left]),
    )
    yield one(
        "references-flood",
        "limit",
        "more references than frames could take",
        tables([Row()], [1], references=[0] * 65, bases=[left]),
    )
    yield one(
        "lengths-short", "malformed", "chunks shorter than their frame", tables(rows, [*lengths[:4], 149])
    )
    yield one(
        "lengths-shifted",
        "malformed",
        "the sum is right, the frames' are not",
        tables(rows, [*lengths[:3], 6, 149]),
    )
    yield one("chunk-left", "malformed", "a chunk that no frame holds", tables(rows, [*lengths, 0]))
    yield one(
        "chunk-lacking",
        "malformed",
        "a frame holds more than there are",
        tables([Row(chunks=2, stored=1, plain=1)], [1]),
    )
    yield one("more-frames", "malformed", "more frames than chunks", tables([Row(), Row()], [1]))
    yield one(
        "counts-flood",
        "malformed",
        "2^32 - 1 frames in a few bytes",
        tables([Row()], [1], counts=(2**32 - 1, 1, 0, 0)),
    )
    yield one(
        "bases-flood",
        "truncated",
        "2^32 - 1 bases in a few bytes",
        tables([Row()], [1], counts=(1, 1, 2**32 - 1, 0)),
    )


def _footers() -> Iterator[Vector]:
    plain = tables(*example())
    stored = zstd(plain)
    whole = stored + footer(stored, len(plain))
    begin = len(stored)

    def flipped(at: int) -> bytes:
        """A set bit is cleared where there is one, so that lengths become smaller."""
        return whole[:at] + bytes([whole[at] ^ (whole[at] & -whole[at] or 1)]) + whole[at + 1 :]

    def changed(**fields: int | bytes) -> bytes:
        return stored + footer(stored, len(plain), **fields)  # type: ignore[arg-type]  # each is of its type

    yield _bad("nothing", "truncated", "no bytes", b"")
    yield _bad("cut", "truncated", "the last byte is missing", whole[:-1])
    yield _bad("trailing-byte", "truncated", "a byte behind the end", whole + b"\0")
    yield _bad("footer-alone", "truncated", "the tail does not reach back to the trailer", whole[begin:])
    for name, expect, at in (
        ("trailer", "hash-mismatch", 30),
        ("stored-length", "hash-mismatch", begin),
        ("plain-length", "hash-mismatch", begin + 4),
        ("version", "unsupported", begin + 8),
        ("sealing", "unsupported", begin + 10),
        ("flags", "unsupported", begin + 11),
        ("reserved", "malformed", begin + 12),
        ("hash", "hash-mismatch", begin + 16),
        ("zeros", "malformed", begin + 48),
        ("magic", "truncated", begin + 56),
    ):
        yield _bad(f"flipped-{name}", expect, f"a bit flipped in: {name}", flipped(at))
    yield _bad("version-2", "unsupported", "a later version, whole", changed(version=2))
    yield _bad("sealed", "unsupported", "a sealed pack, whole", changed(sealing=1))
    yield _bad("flags", "unsupported", "a feature that came later, whole", changed(flags=1))
    yield _bad("reserved", "malformed", "reserved bytes in use, whole", changed(reserved=b"\1\0\0\0"))
    yield _bad("zeros", "malformed", "the eight zero bytes in use", changed(zeros=b"\1" + bytes(7)))


def _compressed() -> Iterator[Vector]:
    plain = tables(*example())

    def one(name: str, expect: str, about: str, stored: bytes, declared: int = len(plain)) -> Vector:
        return _bad(f"zstd-{name}", expect, about, stored + footer(stored, declared))

    yield one("size-other", "malformed", "the footer says less than the frame", zstd(plain), len(plain) - 1)
    yield one("size-unknown", "malformed", "the frame does not say its size", zstd(plain, declared=None))
    yield one(
        "bomb-declared", "limit", "40 MiB and one byte, declared", zstd(bytes(40 * MIB + 1)), 40 * MIB + 1
    )
    yield one("bomb-4-gib", "limit", "4 GiB, declared", zstd(b"", declared=2**32 - 1), 2**32 - 1)
    yield one(
        "bomb-hidden",
        "malformed",
        "32 MiB in a frame that declares less",
        zstd(bytes(32 * MIB), declared=len(plain)),
    )
    yield one("shorter", "malformed", "less than is declared", zstd(plain[:-1], declared=len(plain)))
    yield one("window", "malformed", "a window of 2 GiB", zstd(plain, window_log=31))
    yield one("trailing-byte", "malformed", "a byte behind the frame", zstd(plain) + b"\0")
    yield one("two-frames", "malformed", "a second frame", zstd(plain) + zstd(plain))
    yield one("skippable", "malformed", "a skippable frame first", skippable(b"abcd") + zstd(plain))
    yield one("dictionary", "malformed", "a frame that wants a dictionary", zstd(plain, dictionary_id=7))
    yield one(
        "reserved-bit", "malformed", "the reserved bit of the frame in use", zstd(plain, descriptor_bits=8)
    )
    yield one("cut", "malformed", "the frame ends early", zstd(plain)[:-1])
    yield one("none", "malformed", "no frame at all", b"")
    yield one("zeros", "malformed", "40 MiB of zeros, which are no tables", zstd(bytes(40 * MIB)), 40 * MIB)
