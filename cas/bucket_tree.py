"""What lies below a prefix of a bucket, as a tree of files to be read.

A bucket has objects and no directories: those are made of the keys. `a` stands before `a.txt`, and that there
is such a directory shows at `a/b` only. So the whole listing is sorted first, in bounded memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from blake3 import blake3

from cas.files.cutting import cut
from cas.files.names import no_path
from cas.records.file_tree import Found, Missed, OpenFile
from cas.records.files import PIECE_BYTES, FileRecord, FileType, require_name
from cas.row_spool import Row, RowSpool
from cas.store.bucket import Bucket, BucketObject, OpenObject
from cas.store.interface import FaultKind, ObjectMissing, StoreFault

_SEEN_BYTES = 16
"""Of a hash that only says whether an object is the one of the version before."""

_MOST_BYTES = 1 << 60
"""More than any provider takes: what a server tells is not trusted."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NEEDED, _MARKED, _OBJECT = b"\0", b"\1", b"\2"
"""Why a path is there: a key leads through it, an empty object marks it as a directory, it is an object."""


class BucketTree:
    """See the port. An empty object is a directory where its key ends in a slash, or where others lie below
    it: so consoles and some servers mark them. Objects have no mode, and as mtime when they were stored."""

    def __init__(self, name: str, bucket: Bucket) -> None:
        self.name = require_name(name)
        self._bucket = bucket
        self._at: BucketObject | None = None

    @property
    def place(self) -> str:
        return self._bucket.url

    def entries(self) -> Iterator[Found | Missed]:
        with RowSpool(is_bag=False) as rows:
            yield from self._list(rows)
            rows.finish()
            for path, same in groupby(rows.rows(), key=_path_of):
                yield from self._entry(path, same)

    @contextmanager
    def open(self, record: FileRecord) -> Iterator[OpenFile]:
        listed = self._at
        assert listed is not None, "entries have not begun"
        assert listed.key.encode() == record.path, "entries stand elsewhere"
        try:
            opened = self._bucket.open(listed.key)
        except (ObjectMissing, StoreFault) as error:
            raise _missed(record.path, error, is_open=False) from error
        try:
            about = opened.about
            is_listed = about.tag and (about.tag, about.size) == (listed.tag, listed.size)
            yield _Open(self._bucket, opened, record if is_listed else self._record(record.path, about))
        finally:
            opened.close()

    def _list(self, rows: RowSpool) -> Iterator[Missed]:
        """Put the paths of all keys into `rows`, and tell the keys that no path can be."""
        above: list[bytes] = []
        for number, row in enumerate(self._bucket.rows()):
            path = row.key.encode("utf-8", "surrogatepass")
            is_mark = path.endswith(b"/") and not row.size
            if is_mark:
                path = path[:-1]
            if not row.key or row.key == "/" * is_mark:
                continue  # what marks the prefix itself
            if reason := _refused(row, path):
                yield Missed(_shown(path + b"/" * is_mark), reason, is_path=False)
                continue
            names = path.split(b"/")[:-1]
            for depth in range(_common(names, above), len(names)):
                rows.add(_row(b"/".join(names[: depth + 1]), _NEEDED, number))
            above = names
            rows.add(_row(path, _MARKED if is_mark else _OBJECT, number, row))

    def _entry(self, path: bytes, same: Iterator[Row]) -> Iterator[Found | Missed]:
        kinds = _Kinds(path)
        for row in same:
            kinds.add(row)
        found = kinds.found
        if found is not None and not kinds.is_directory and not found.size and self._is_mark(found):
            kinds.is_directory, kinds.marked = True, found.modified
        if kinds.is_directory:
            if found is not None and found.size:
                reason = "other objects lie below its name, as if it were a directory"
                yield Missed(path, reason, is_path=False)
            mtime = None if kinds.marked is None else _microseconds(kinds.marked)
            yield Found(FileRecord(path, FileType.DIRECTORY, mtime=mtime, mode=None), self)
        elif found is not None:
            self._at = found
            yield Found(self._record(path, found), self)

    def _is_mark(self, found: BucketObject) -> bool:
        """Whether the slash at the end of a key was lost on the way here."""
        if self._bucket.tells_slashes:
            return False
        try:
            self._bucket.look(found.key)
        except ObjectMissing:
            return True
        return False

    def _record(self, path: bytes, about: BucketObject) -> FileRecord:
        seen = None
        if about.tag:
            place = self.place.partition("?")[0]
            told = "\0".join((place, about.tag, about.modified.isoformat())).encode("utf-8", "surrogatepass")
            seen = blake3(told).digest(length=_SEEN_BYTES).hex()
        mtime = _microseconds(about.modified)
        return FileRecord(path, FileType.FILE, size=about.size, mtime=mtime, mode=None, seen=seen)


class _Open:
    def __init__(self, bucket: Bucket, opened: OpenObject, record: FileRecord) -> None:
        self.record = record
        self._bucket = bucket
        self._opened = opened

    def pieces(self) -> Iterator[bytes]:
        about = self._opened.about
        try:
            if about.size > PIECE_BYTES:
                yield from cut(_Reading(self._opened.pieces).read_into)
                self._require_same()
            elif content := b"".join(self._opened.pieces):
                yield content
        except (ObjectMissing, StoreFault) as error:
            raise _missed(self.record.path, error, is_open=True) from error

    def _require_same(self) -> None:
        """A server may read an object while it is being replaced: what comes then may be of both."""
        if self._bucket.look(self._opened.about.key) != self._opened.about:
            raise Missed(self.record.path, "it was replaced while it was read", again=True)


class _Reading:
    """A body in pieces of any size, as buffers want it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read_into(self, buffer: memoryview) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


@dataclass(slots=True)
class _Kinds:
    """What the keys say of one path."""

    path: bytes
    is_directory: bool = False
    marked: datetime | None = None
    found: BucketObject | None = None

    def add(self, row: Row) -> None:
        kind = row.key[len(self.path) + 1 :][:1]
        if kind != _OBJECT:
            self.is_directory = True
            if kind == _MARKED:
                self.marked = _time(row.payload)
            return
        now = BucketObject(
            self.path.decode(), _size(row.payload), _time(row.payload), row.payload[16:].decode()
        )
        if self.found is None or now.size or not self.found.size:
            self.found = now


def _refused(row: BucketObject, path: bytes) -> str:
    """Why no path can be this key; empty where one can."""
    try:
        row.key.encode()
        row.tag.encode()
    except UnicodeEncodeError:
        return "its key is not UTF-8"
    if not 0 <= row.size < _MOST_BYTES:
        return "the server tells of a size that no object has"
    if path.endswith(b"/") and row.size:
        return "its key ends in a slash, and it is not empty"
    return no_path(path)


def _shown(key: bytes) -> bytes:
    """A key as an omission can name it."""
    return key.replace(b"\0", b"\\0")


def _common(names: list[bytes], above: list[bytes]) -> int:
    """How many directories of a path the one before it has had."""
    count = 0
    for name, other in zip(names, above, strict=False):
        if name != other:
            break
        count += 1
    return count


def _row(path: bytes, kind: bytes, number: int, about: BucketObject | None = None) -> Row:
    payload = b""
    if about is not None:
        time = _microseconds(about.modified).to_bytes(8, "big", signed=True)
        payload = about.size.to_bytes(8, "big") + time + about.tag.encode()
    return Row(path + b"\0" + kind + number.to_bytes(8, "big"), number, payload)


def _path_of(row: Row) -> bytes:
    return row.key[:-10]


def _size(payload: bytes) -> int:
    return int.from_bytes(payload[:8], "big")


def _time(payload: bytes) -> datetime:
    return _EPOCH + timedelta(microseconds=int.from_bytes(payload[8:16], "big", signed=True))


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _missed(path: bytes, error: ObjectMissing | StoreFault, *, is_open: bool) -> Exception:
    """What a refusal of the server means for one object; the fault itself where it is the bucket's. A body
    that breaks off is asked for again; a request was tried often enough."""
    if isinstance(error, ObjectMissing):
        return Missed(path, "it vanished while the bucket was read")
    if error.fault in (FaultKind.DENIED, FaultKind.REFUSED):
        return Missed(path, f"it cannot be read: {error.what}")
    if is_open and error.fault is FaultKind.TRANSIENT:
        return Missed(path, f"it broke off: {error.what}", again=True)
    return error
