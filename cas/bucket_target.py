"""A prefix of a bucket that files are written into: each object whole or not at all, and nothing beside it.

What a file holds goes into a temporary file first, and into the bucket when it is proven: a body that is on
its way cannot be taken back. Directories are there as long as something is in them.
"""

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self

from cas.bucket_tree import BucketTree
from cas.files.names import no_path, segments
from cas.records.file_tree import Found, Missed
from cas.records.files import FileRecord, FileType
from cas.store.bucket import Bucket
from cas.temporary import temporary_faults


class TargetBucket:
    """See the port. What an object has besides its bytes, such as a type of content, is not restored."""

    holds = frozenset({FileType.FILE})
    has_faces = False

    def __init__(self, name: str, bucket: Bucket) -> None:
        self._tree = BucketTree(name, bucket)
        self._bucket = bucket

    @property
    def place(self) -> str:
        return self._tree.place

    def takes(self, path: bytes) -> bool:
        try:
            return self._bucket.takes(path.decode())
        except UnicodeDecodeError:
            return False

    def there(self) -> Iterator[Found | Missed]:
        return self._tree.entries()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Every call is an end in itself."""

    def require_space(self, size: int) -> None:
        """Buckets do not tell."""

    def make_directory(self, record: FileRecord) -> None:
        raise AssertionError("a bucket has no directories")

    def write(self, record: FileRecord, content: Iterable[bytes]) -> None:
        key = b"/".join(segments(record.path)).decode()
        with _gathered(content) as data:
            self._bucket.send(key, data)

    def link(self, record: FileRecord) -> None:
        raise AssertionError("a bucket has no links")

    def adjust(self, record: FileRecord) -> None:
        raise AssertionError("objects have no modes, and times that nobody sets")

    def delete(self, path: bytes, *, is_directory: bool) -> None:
        assert not is_directory, "a bucket has no directories"
        assert not no_path(path), "what no path can be is left alone"
        self._bucket.remove(path.decode())

    def finish(self) -> None:
        """What was sent is durable."""


@contextmanager
def _gathered(content: Iterable[bytes]) -> Iterator[memoryview]:
    """All of it on disk, mapped: it does not have to fit into memory."""
    with temporary_faults():
        spool = tempfile.TemporaryFile(prefix="cas-upload-")  # noqa: SIM115  # closed below
    with spool:
        size = 0
        for piece in content:
            with temporary_faults():
                spool.write(piece)
            size += len(piece)
        with temporary_faults():
            spool.flush()
        if not size:
            yield memoryview(b"")
            return
        with mmap.mmap(spool.fileno(), size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
            yield data
