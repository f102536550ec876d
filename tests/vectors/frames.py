"""Vectors of frames: stored bytes with their row of the trailer, their bases, and the ids they must prove."""

from collections.abc import Iterator, Sequence

from tests.vectors.declared import (
    CHANGED,
    DELTA_FRAME,
    DELTA_FRAME_ON_TWO,
    DICTIONARY,
    DICTIONARY_FRAME,
    DICTIONARY_FRAME_WITH_ID,
    RECORDS,
    ZSTD_FRAME,
)
from tests.vectors.model import Json, Vector, parts_of, stated
from tests.vectors.packs import DELTA, RAW, WITH_DICTIONARY, ZSTD
from tests.vectors.primitives import ID_KEY, chunk_id, skippable, zstd

MIB = 1024 * 1024
RECORD = 1


def _frame(
    name: str,
    expect: str,
    about: str,
    stored: bytes,
    encoding: int,
    chunks: Sequence[bytes],
    bases: Sequence[bytes] = (),
    *,
    base_ids: Sequence[bytes] | None = None,
) -> Vector:
    kind_of_base = 3 if encoding == WITH_DICTIONARY else RECORD
    ids = [chunk_id(kind_of_base, base) for base in bases] if base_ids is None else base_ids
    given: dict[str, Json] = {
        "bases": {one.hex(): base.hex() for one, base in zip(ids, bases, strict=False)},
        "frame": {
            "bases": [one.hex() for one in ids],
            "chunks": len(chunks),
            "depth": 1 if encoding == DELTA else 0,
            "encoding": encoding,
            "kind": RECORD,
            "plain_length": sum(map(len, chunks)),
            "stored_length": len(stored),
        },
        "id_key": ID_KEY.hex(),
        "ids": [chunk_id(RECORD, chunk).hex() for chunk in chunks],
        "lengths": [len(chunk) for chunk in chunks],
    }
    value = stated([chunk.hex() for chunk in chunks]) if expect == "success" else None
    return Vector("frame", name, expect, about, parts_of(stored), value, given)


def vectors() -> Iterator[Vector]:
    yield from _good()
    yield from _bad()


def _good() -> Iterator[Vector]:
    whole = b"".join(RECORDS)
    yield _frame("raw", "success", "three records as they are", whole, RAW, RECORDS)
    yield _frame("raw-empty", "success", "one record of no bytes", b"", RAW, [b""])
    yield _frame("zstd", "success", "compressed by itself", ZSTD_FRAME, ZSTD, RECORDS * 3)
    yield _frame("zstd-raw-block", "success", "a frame that does not compress", zstd(whole), ZSTD, RECORDS)
    windowed = zstd(whole, declared=len(whole), window_log=20)
    yield _frame("zstd-window", "success", "a window of its own", windowed, ZSTD, RECORDS)
    most = zstd(whole, declared=len(whole), window_log=24)
    yield _frame("zstd-window-max", "success", "a window of 16 MiB", most, ZSTD, RECORDS)
    yield _frame("zstd-1-mib", "success", "the largest record", zstd(bytes(MIB)), ZSTD, [bytes(MIB)])
    for name, frame in (("without-id", DICTIONARY_FRAME), ("with-id", DICTIONARY_FRAME_WITH_ID)):
        about = f"with a dictionary, whose number the frame leaves {'out' if name == 'without-id' else 'in'}"
        yield _frame(f"dictionary-{name}", "success", about, frame, WITH_DICTIONARY, RECORDS, [DICTIONARY])
    yield _frame("delta", "success", "one record on another", DELTA_FRAME, DELTA, [CHANGED], [RECORDS[1]])
    both = (CHANGED, RECORDS[2])
    yield _frame("delta-on-two", "success", "two on two", DELTA_FRAME_ON_TWO, DELTA, both, RECORDS[1:])
    looks = b"\x37\xa4\x30\xec" + RECORDS[1]
    yield _frame(
        "delta-on-magic",
        "success",
        "a base that looks like a dictionary is raw content all the same",
        zstd(CHANGED),
        DELTA,
        [CHANGED],
        [looks],
    )


def _bad() -> Iterator[Vector]:
    whole = b"".join(RECORDS)
    size = len(whole)
    middle = len(zstd(whole)) // 2

    def flipped(data: bytes, at: int) -> bytes:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    def plain(name: str, expect: str, about: str, stored: bytes, chunks: Sequence[bytes] = RECORDS) -> Vector:
        return _frame(f"zstd-{name}", expect, about, stored, ZSTD, chunks)

    yield _frame("raw-flipped", "hash-mismatch", "a bit flipped", flipped(whole, 9), RAW, RECORDS)
    yield plain(
        "flipped-literal",
        "hash-mismatch",
        "a bit flipped that zstd does not notice",
        flipped(zstd(whole), middle),
    )
    yield plain("flipped-magic", "malformed", "a bit flipped in the magic", flipped(zstd(whole), 0))
    yield plain("flipped-size", "malformed", "a bit flipped in the declared size", flipped(zstd(whole), 5))
    yield plain("flipped-block", "malformed", "a bit flipped in a block's header", flipped(zstd(whole), 9))
    yield plain("nothing", "malformed", "no bytes", b"")
    yield plain("cut", "malformed", "the frame ends early", zstd(whole)[:-1])
    yield plain("trailing-byte", "malformed", "a byte behind the frame", zstd(whole) + b"\0")
    yield plain("two-frames", "malformed", "a second frame", zstd(whole) + zstd(whole))
    yield plain("skippable", "malformed", "a skippable frame first", skippable(b"abcd") + zstd(whole))
    yield plain("skippable-alone", "malformed", "a skippable frame of the right size", skippable(whole))
    yield plain("size-unknown", "malformed", "the frame does not say its size", zstd(whole, declared=None))
    yield plain("size-less", "malformed", "the frame declares less than the trailer", zstd(whole[:-1]))
    yield plain("size-more", "malformed", "the frame declares more than the trailer", zstd(whole + b"x"))
    yield plain("bomb-declared", "malformed", "629 MB declared", zstd(bytes(MIB), declared=629_000_000))
    yield plain(
        "bomb-hidden",
        "malformed",
        "16 MiB in a frame that declares less",
        zstd(bytes(16 * MIB), declared=size),
    )
    yield plain("shorter", "malformed", "less than is declared", zstd(whole[:-1], declared=size))
    yield plain("window-32-mib", "malformed", "a window of 32 MiB", zstd(whole, declared=size, window_log=25))
    yield plain("window-2-gib", "malformed", "a window of 2 GiB", zstd(whole, declared=size, window_log=31))
    yield plain("dictionary", "malformed", "a frame that wants a dictionary", zstd(whole, dictionary_id=7))
    yield plain(
        "reserved-bit", "malformed", "the reserved bit of the frame in use", zstd(whole, descriptor_bits=8)
    )
    other = DICTIONARY_FRAME_WITH_ID[:5] + b"\x01\x02\x03\x04" + DICTIONARY_FRAME_WITH_ID[9:]
    yield _frame(
        "dictionary-other-id",
        "malformed",
        "a frame of another dictionary",
        other,
        WITH_DICTIONARY,
        RECORDS,
        [DICTIONARY],
    )
    content = b"no dictionary, though long enough to be one"
    yield _frame(
        "dictionary-of-no-form",
        "malformed",
        "a dictionary without magic",
        DICTIONARY_FRAME,
        WITH_DICTIONARY,
        RECORDS,
        [content],
    )
    torn = DICTIONARY[:40]
    yield _frame(
        "dictionary-torn",
        "malformed",
        "a dictionary that ends early",
        DICTIONARY_FRAME,
        WITH_DICTIONARY,
        RECORDS,
        [torn],
    )
    yield _frame(
        "delta-wrong-base",
        "hash-mismatch",
        "other bytes under the base's id",
        DELTA_FRAME,
        DELTA,
        [CHANGED],
        [RECORDS[1].upper()],
        base_ids=[chunk_id(RECORD, RECORDS[1])],
    )
    yield _frame(
        "delta-no-base",
        "missing",
        "the base is nowhere",
        DELTA_FRAME,
        DELTA,
        [CHANGED],
        [],
        base_ids=[chunk_id(RECORD, RECORDS[1])],
    )
    yield _frame(
        "delta-bases-swapped",
        "hash-mismatch",
        "bases in another order",
        DELTA_FRAME_ON_TWO,
        DELTA,
        (CHANGED, RECORDS[2]),
        RECORDS[:0:-1],
    )
