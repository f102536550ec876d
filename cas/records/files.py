"""A tree of files beside the rows of a version: one entity of its paths, and one of what files hold.

`files.NAME` has a record for each path below the directory or the prefix of a bucket, which itself has none.
Payload, as COPY text fields in the order of COLUMNS, trailing NULLs stripped; paths and targets are the file
system's bytes.

`files.NAME.content` has a record for each piece of a file: its key is path and offset, its payload the piece
itself, at most PIECE_BYTES. It has no columns, so nothing of the key is in the payload: equal pieces are one
chunk, wherever they lie.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cas.errors import InvalidInput
from cas.records.keys import encode_integer
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.payload import TAB, escape, fields, strip_trailing_nulls

PIECE_BYTES = 1024 * 1024
"""A file up to this size is one piece. The largest payload that is one chunk."""

FILE_ENCODING = "UTF8"
"""As which paths are shown, and typed by people."""

PREFIX = "files."
CONTENT = ".content"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LAST_OFFSET = (1 << 63) - 1

COLUMNS = (
    Column("path", "text", not_null=True),
    Column("type", "text", not_null=True),
    Column("size", "bigint", not_null=False),
    Column("mtime", "text", not_null=False),
    Column("mode", "text", not_null=False),
    Column("target", "text", not_null=False),
    Column("content", "text", not_null=False),
    Column("pieces", "bigint", not_null=False),
    Column("seen", "text", not_null=False),
)

SEEN = "seen"
"""The column that says nothing of the file itself: where only it differs, the file is the same."""


class FileType(StrEnum):
    """What a path is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SPECIAL = "special"
    """A socket, a FIFO, a device: listed, never opened, never made again."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One path. Of a file `size`, `content` and `pieces` are there, of a symbolic link `target`."""

    path: bytes
    type: FileType
    size: int | None = None
    mtime: int | None = None
    """Microseconds since 1970; None for a time that no calendar has."""
    mode: int | None = 0
    """Permission bits with setuid, setgid and sticky; None for what has none, in a bucket."""
    target: bytes | None = None
    content: bytes | None = None
    """BLAKE3-256 of the whole content."""
    pieces: int | None = None
    seen: str | None = None
    """Inode, mtime and ctime in nanoseconds, or a hash of an object's ETag and time: a file of this size for
    which they are the same was not written since. None where it could have been, in the moment in which it
    was read."""

    @property
    def key(self) -> bytes:
        return path_key(self.path)


def require_name(name: str) -> str:
    """InvalidInput for what is no name of a tree of files."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:40]!r} is no name for files",
            where="--files",
            hint="Write it in small letters, digits, - and _, like uploads",
        )
    return name


def files_entity(name: str) -> Entity:
    """The paths of the tree with this name."""
    return Entity(EntityKind.FILES, "", f"{PREFIX}{name}", COLUMNS, (("path", KeyPart.TEXT),))


def content_entity(name: str) -> Entity:
    """The pieces of its files."""
    key = (("path", KeyPart.TEXT), ("offset", KeyPart.INTEGER))
    return Entity(EntityKind.FILE_CONTENT, "", f"{PREFIX}{name}{CONTENT}", (), key)


def path_key(path: bytes) -> bytes:
    """The key of a path's record."""
    return path + b"\0"


def piece_key(path: bytes, offset: int) -> bytes:
    """The key of a piece."""
    return path + b"\0" + encode_integer(offset)


def offset_of(path: bytes, key: bytes) -> int:
    """Where a piece of this file begins. ValueError for another key."""
    if len(key) != len(path) + 9 or not key.startswith(path_key(path)):
        raise ValueError("not the key of a piece")
    return int.from_bytes(key[-8:], "big") - (1 << 63)


def piece_range(path: bytes) -> tuple[bytes, bytes]:
    """From the first key that a piece of this file may have to behind the last one."""
    return piece_key(path, 0), piece_key(path, _LAST_OFFSET) + b"\0"


def shown_path(path: bytes) -> str:
    """For people and for documents. Bytes that are no UTF-8 become lone surrogates."""
    return path.decode("utf-8", "surrogateescape")


def encode_file(record: FileRecord) -> bytes:
    """The payload of one path."""
    texts = (
        record.path,
        record.type.value.encode("ascii"),
        _number(record.size),
        None if record.mtime is None else time_text(record.mtime).encode("ascii"),
        None if record.mode is None else b"%04o" % record.mode,
        record.target,
        None if record.content is None else record.content.hex().encode("ascii"),
        _number(record.pieces),
        None if record.seen is None else record.seen.encode("ascii"),
    )
    return strip_trailing_nulls(TAB.join(map(escape, texts)))


def decode_file(payload: bytes) -> FileRecord:
    """The record in a payload. ValueError where it is none."""
    path, kind, size, mtime, mode, target, content, pieces, seen = fields(payload, len(COLUMNS))
    if path is None or kind is None:
        raise ValueError("not a file's payload")
    record = FileRecord(
        path=path,
        type=FileType(kind.decode("ascii")),
        size=None if size is None else int(size),
        mtime=None if mtime is None else _microseconds(mtime.decode("ascii")),
        mode=None if mode is None else int(mode, 8),
        target=target,
        content=None if content is None else bytes.fromhex(content.decode("ascii")),
        pieces=None if pieces is None else int(pieces),
        seen=None if seen is None else seen.decode("ascii"),
    )
    if encode_file(record) != payload or not 0 <= (record.mode or 0) <= 0o7777:
        raise ValueError("not the one encoding of a file")
    has_content = record.size is not None and record.content is not None and record.pieces is not None
    if (record.type is FileType.FILE) != has_content or (record.type is FileType.SYMLINK) != bool(target):
        raise ValueError(f"a {record.type} with what it cannot have")
    if record.content is not None and len(record.content) != 32:
        raise ValueError("not a hash of content")
    if min(record.size or 0, record.pieces or 0) < 0:
        raise ValueError("a size below zero")
    return record


def time_text(microseconds: int) -> str:
    """`2026-01-31T12:00:00.000000+00:00`. OverflowError outside of the years 1 to 9999."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def _microseconds(text: str) -> int:
    time = datetime.fromisoformat(text)
    if time.utcoffset() != timedelta():
        raise ValueError("a time that is not in UTC")
    return (time - _EPOCH) // timedelta(microseconds=1)


def _number(value: int | None) -> bytes | None:
    return None if value is None else b"%d" % value
