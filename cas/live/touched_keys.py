"""The keys that a restore wrote, as the catalog keeps them for its undo: compressed, a part at a time.

Beside each key stands what the record became, as eight bytes of a hash, so that an undo can say which records
somebody edited since. Plain: per key a length (4 bytes, little-endian), the key, eight bytes.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import zstandard
from blake3 import blake3

from cas.catalog.restores import Restores
from cas.errors import CorruptData
from cas.limits import MIB
from cas.records.live import Change

PART_BYTES = MIB
"""Plain bytes after which a part ends."""

MARK_BYTES = 8
_LENGTH = struct.Struct("<I")
GONE = bytes(MARK_BYTES)
"""The mark of a record that went."""

Keys = Mapping[bytes, bytes]
"""Key -> mark."""


def mark_of(payload: bytes | None) -> bytes:
    """Eight bytes for what a record holds."""
    return GONE if payload is None else blake3(payload).digest()[:MARK_BYTES]


def packed_keys(changes: Iterable[Change], *, narrow: bool) -> Iterator[bytes]:
    """Parts for these changes, ascending by key. `narrow`: created records give some columns only, so that
    what they become is not known; they get no mark of their own."""
    waiting: list[bytes] = []
    size = 0
    for change in changes:
        is_known = not (narrow and change.before is None and change.after is not None)
        mark = mark_of(change.after) if is_known else b"\xff" * MARK_BYTES
        waiting.append(_LENGTH.pack(len(change.key)) + change.key + mark)
        size += len(waiting[-1])
        if size >= PART_BYTES:
            yield zstandard.compress(b"".join(waiting))
            waiting, size = [], 0
    if waiting:
        yield zstandard.compress(b"".join(waiting))


def unpacked_keys(part: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and marks of a part. CorruptData where it is none."""
    try:
        plain = zstandard.ZstdDecompressor().decompress(part, max_output_size=64 * MIB)
    except zstandard.ZstdError as error:
        raise _malformed() from error
    at = 0
    while at < len(plain):
        if at + _LENGTH.size > len(plain):
            raise _malformed()
        (length,) = _LENGTH.unpack_from(plain, at)
        end = at + _LENGTH.size + length
        if end + MARK_BYTES > len(plain):
            raise _malformed()
        yield plain[at + _LENGTH.size : end], plain[end : end + MARK_BYTES]
        at = end + MARK_BYTES


def is_edited(mark: bytes, payload: bytes | None) -> bool:
    """Whether a record is not what the restore made of it; never where that is not known."""
    return mark != b"\xff" * MARK_BYTES and mark != mark_of(payload)


def written_keys(restores: Restores, number: int) -> dict[str, dict[bytes, bytes]]:
    """By live label: the keys that a restore wrote, each with the mark of what the record became."""
    found: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
    for label, part in restores.kept_keys(number):
        found[label].update(unpacked_keys(part))
    return dict(found)


def _malformed() -> CorruptData:
    return CorruptData(
        "the keys that a restore wrote are malformed",
        kind="malformed",
        where="the catalog",
        hint="Undo it by restoring its safety version",
    )
