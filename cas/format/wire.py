"""Little-endian integers and canonical varints: the letters of the binary structures."""

import struct

from cas.format.malformed import malformed, truncated

_MAX_VARINT_BYTES = 10


def varint(value: int) -> bytes:
    """LEB128 of an unsigned 64-bit number in its shortest form."""
    if not 0 <= value < 1 << 64:
        raise ValueError(f"not an unsigned 64-bit number: {value}")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """A cursor over untrusted bytes. Every read is bounded; `finish` demands that nothing is left."""

    __slots__ = ("_data", "_position", "_where")

    def __init__(self, data: bytes, where: str = "") -> None:
        self._data = data
        self._position = 0
        self._where = where

    @property
    def remaining(self) -> int:
        return len(self._data) - self._position

    def take(self, length: int) -> bytes:
        end = self._position + length
        if length < 0 or end > len(self._data):
            raise truncated(f"{length} bytes wanted, {self.remaining} left", self._where)
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        return layout.unpack(self.take(layout.size))

    def varint(self) -> int:
        """A canonical varint: a superfluous last zero byte or more than 64 bits is malformed."""
        value = 0
        for index in range(_MAX_VARINT_BYTES):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if (index and not byte) or value >= 1 << 64:
                    raise malformed("varint is not in its shortest form", self._where)
                return value
        raise malformed("varint is longer than 10 bytes", self._where)

    def finish(self) -> None:
        if self.remaining:
            raise malformed(f"{self.remaining} bytes after the end", self._where)
