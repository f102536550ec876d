"""A store in one file: the objects of a bundle, to be read by everything that reads repositories.

The file is looked through once, when it is opened: headers, sizes, the zeros between and behind. No content
is read then, and no member is ever written anywhere under its name.
"""

import errno
import os
import stat
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from cas.errors import CorruptData, InvalidInput, NotFound
from cas.format.bundle import (
    BLOCK_BYTES,
    END_BYTES,
    MemberOrder,
    check_beginning,
    check_end,
    check_filling,
    is_end,
    parse_header,
)
from cas.format.malformed import truncated
from cas.store.interface import FaultKind, ObjectInfo, ObjectMissing, StoreFault
from cas.store.keys import check_data, check_key, check_prefix, check_range
from cas.store.local_faults import faults

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class BundleStore:
    """The objects of the bundle at `path`. NotFound, InvalidInput for what is no file, CorruptData for what
    is no bundle, or half of one. What is put or deleted is refused."""

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.abspath(path))
        self._file = self._opened()
        try:
            with faults(str(self._path)):
                self._modified = os.fstat(self._file).st_mtime
                self.bytes = os.fstat(self._file).st_size
                self._places = self._read_through()
        except BaseException:
            self.close()
            raise
        self._keys = sorted(self._places)

    @property
    def url(self) -> str:
        return self._path.as_uri()

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        check_key(key)
        check_data(data)
        raise self._refused(key)

    def get(self, key: str) -> bytes:
        check_key(key)
        offset, size = self._place(key)
        return self._read(offset, size, key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        check_key(key)
        check_range(start, length)
        offset, size = self._place(key)
        if start + length > size:
            raise truncated("the object ends before the range", self._where(key))
        return self._read(offset + start, length, key)

    def get_tail(self, key: str, length: int) -> bytes:
        check_key(key)
        check_range(0, length)
        offset, size = self._place(key)
        wanted = min(length, size)
        return self._read(offset + size - wanted, wanted, key)

    def size(self, key: str) -> int:
        check_key(key)
        return self._place(key)[1]

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        keys = self._keys[bisect_right(self._keys, after) :]
        rows = (ObjectInfo(key, self._places[key][1], self._modified) for key in keys)
        return (row for row in rows if row.key.startswith(prefix))

    def delete(self, key: str) -> None:
        check_key(key)
        raise self._refused(key)

    def free_bytes(self) -> int | None:
        return 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _opened(self) -> int:
        where = str(self._path)
        try:
            descriptor = os.open(self._path, _FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound("there is no such file", where=where) from None
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENAMETOOLONG):
                with faults(where):
                    raise
            raise InvalidInput("not a file", where=where) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InvalidInput(
                "not a file", where=where, hint="A bundle is one file, as `cas export` makes it"
            )
        return descriptor

    def _read_through(self) -> dict[str, tuple[int, int]]:
        """Offset and size of every member, by its name."""
        where = str(self._path)
        check_beginning(os.pread(self._file, BLOCK_BYTES, 0), where)
        order = MemberOrder(where)
        places: dict[str, tuple[int, int]] = {}
        at = 0
        while not is_end(block := os.pread(self._file, BLOCK_BYTES, at)):
            member = parse_header(block, where)
            order.take(member)
            begin = at + BLOCK_BYTES
            at = begin + member.filled
            if at > self.bytes:
                raise truncated(f"the bundle ends within {member.name}", where)
            end = begin + member.size
            check_filling(os.pread(self._file, at - end, end), member.name, where)
            places[member.name] = begin, member.size
        check_end(os.pread(self._file, END_BYTES + 1, at), where)
        order.finish()
        return places

    def _place(self, key: str) -> tuple[int, int]:
        place = self._places.get(key)
        if place is None:
            raise ObjectMissing("no such object", where=self._where(key))
        return place

    def _read(self, offset: int, length: int, key: str) -> bytes:
        parts: list[bytes] = []
        with faults(self._where(key)):
            while length:
                part = os.pread(self._file, length, offset)
                if not part:
                    raise CorruptData(
                        "the file became shorter while it was read", kind="truncated", where=self._where(key)
                    )
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _where(self, key: str) -> str:
        return f"{self._path}:{key}"

    def _refused(self, key: str) -> StoreFault:
        return StoreFault(
            "a bundle is only read",
            fault=FaultKind.REFUSED,
            where=self._where(key),
            hint="`cas import` takes it in",
        )
