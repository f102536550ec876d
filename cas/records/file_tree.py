"""The ports through which snapshots read trees of files and restores write them, and what they rely on."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, Self

from cas.records.files import FileRecord, FileType


class Missed(Exception):
    """A path that could not be taken as it is: gone, unreadable, or written meanwhile.

    `again`: another try may succeed. `is_failure`: it should have been taken. `is_path`: no for the key of an
    object that no path can be: no version has it, and no restore touches it.
    """

    def __init__(
        self,
        path: bytes,
        reason: str,
        *,
        again: bool = False,
        is_failure: bool = True,
        is_path: bool = True,
    ) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.again = again
        self.is_failure = is_failure
        self.is_path = is_path


class OpenFile(Protocol):
    """A regular file that is open. `record` is as it was then, without `content` and `pieces`."""

    @property
    def record(self) -> FileRecord: ...

    def pieces(self) -> Iterator[bytes]:
        """Its content in pieces of at most PIECE_BYTES, cut by content alone: equal content has equal pieces.
        Bounded memory, whatever its size. Missed, at the end, where it was written meanwhile."""


@dataclass(frozen=True, slots=True)
class Found:
    """A path. `record` is as it was seen, without content."""

    record: FileRecord
    tree: "FileTree"

    def open(self) -> AbstractContextManager[OpenFile]:
        """Of a regular file. Missed where it is no longer that, or cannot be read."""
        return self.tree.open(self.record)


class FileTree(Protocol):
    """A directory or a prefix of a bucket, and all below it. Symbolic links are told of and never followed,
    and what is no regular file is never opened, whoever exchanges one for the other meanwhile."""

    @property
    def name(self) -> str: ...

    @property
    def place(self) -> str:
        """For people."""

    def entries(self) -> Iterator[Found | Missed]:
        """All below it, ascending by key. A path's file may be opened until the next one is asked for.
        NotFound, PermissionDenied where there is no such directory, or it cannot be read."""

    def open(self, record: FileRecord) -> AbstractContextManager[OpenFile]:
        """The file that `entries` has told of last."""


class FileTarget(Protocol):
    """Where files are written: each whole or not at all, and nothing outside of it. A context manager around
    what is written. Paths are checked before anything is done with them: CorruptData for what no version has.
    """

    @property
    def place(self) -> str:
        """For people."""

    @property
    def holds(self) -> frozenset[FileType]:
        """What can be made there. Where directories cannot, they are there while something is in them."""

    @property
    def has_faces(self) -> bool:
        """Whether modes and times can be set."""

    def takes(self, path: bytes) -> bool:
        """Whether something can have this path there."""

    def there(self) -> Iterator[Found | Missed]:
        """What is there now, ascending by key; nothing where the place is not there."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def require_space(self, size: int) -> None:
        """InsufficientSpace where so many bytes are known not to fit beside what is there."""

    def make_directory(self, record: FileRecord) -> None: ...

    def write(self, record: FileRecord, content: Iterable[bytes]) -> None:
        """Put a file in its place. `content` raises at its end where it is not the file's."""

    def link(self, record: FileRecord) -> None:
        """Put a symbolic link in its place."""

    def adjust(self, record: FileRecord) -> None:
        """Mode and time of a file or directory that is there."""

    def delete(self, path: bytes, *, is_directory: bool) -> None:
        """Take away what is there. A directory must be empty by then."""

    def finish(self) -> None:
        """All that was done is durable."""
