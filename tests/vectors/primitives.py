"""The letters of the format, written a second time and independently of the product."""

import json
import struct

from blake3 import blake3

from tests.vectors.model import Json

ID_KEY = bytes(range(32))
KINDS = ("record", "node", "dictionary", "definition", "piece", "large", "entities")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK = 128 * 1024


def chunk_id(kind: int, plain: bytes) -> bytes:
    key = blake3(ID_KEY, derive_key_context=f"cas 1 chunk {KINDS[kind - 1]}").digest()
    return blake3(plain, key=key).digest()


def varint(value: int, length: int = 0) -> bytes:
    """LEB128; `length` makes it longer than it need be."""
    out: list[int] = []
    while value >= 0x80 or len(out) + 1 < length:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def canonical(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def envelope(body: bytes) -> bytes:
    return body + b"\n" + blake3(body).hexdigest().encode() + b"\n"


def zstd(
    plain: bytes,
    *,
    declared: int | None = -1,
    window_log: int | None = None,
    dictionary_id: int | None = None,
    descriptor_bits: int = 0,
) -> bytes:
    """A zstd frame of raw and run-length blocks (RFC 8878), the same from every hand.

    declared: the content size in the header, by default the true one; None leaves it out. window_log: a
    window of its own instead of a single segment.
    """
    single = window_log is None and declared is not None
    size = len(plain) if declared == -1 else declared
    descriptor = descriptor_bits | (0 if size is None else 2 << 6) | single << 5
    header = b""
    if not single:
        header += bytes([((window_log or 20) - 10) << 3])
    if dictionary_id is not None:
        descriptor |= 3
        header += struct.pack("<I", dictionary_id)
    if size is not None:
        header += struct.pack("<I", size)
    blocks = [plain[at : at + _BLOCK] for at in range(0, len(plain), _BLOCK)] or [b""]
    body = b""
    for index, block in enumerate(blocks):
        is_run = len(block) > 3 and block == block[:1] * len(block)
        head = len(block) << 3 | is_run << 1 | (index == len(blocks) - 1)
        body += struct.pack("<I", head)[:3] + (block[:1] if is_run else block)
    return ZSTD_MAGIC + bytes([descriptor]) + header + body


def skippable(content: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A50, len(content)) + content
