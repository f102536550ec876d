"""The port through which a snapshot reads a tree of files, and what it relies on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from cas.records.files import FileRecord


class Missed(Exception):
    """A path that could not be taken as it is: gone, unreadable, or written meanwhile.

    `again`: another try may succeed. `is_failure`: it should have been taken.
    """

    def __init__(self, path: bytes, reason: str, *, again: bool = False, is_failure: bool = True) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.again = again
        self.is_failure = is_failure


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
    """A directory, and all below it. Symbolic links are told of and never followed, and what is no regular
    file is never opened, whoever exchanges one for the other meanwhile."""

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
