"""The files of an export, read from a directory or a zip, which may be somebody else's work.

Only files that `schema.json` names are read, and nothing is unpacked. A zip is refused where it says that it
could be more than it seems: members that stand twice, lie in directories, overlap, are compressed beyond
reason or in ways that we do not write.
"""

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Protocol

from cas.errors import InvalidInput, NotFound
from cas.limits import MAX_JSON_BYTES, MIB
from cas.tabular.layout import SCHEMA_FILE, Layout, parse_layout
from cas.tabular.names import is_safe

MAX_RATIO = 200
RATIO_FROM_BYTES = 64 * MIB
"""A member that is larger, and so many times its compressed size, is refused: real tables shrink to a
twentieth, what was made to fill a disk to a thousandth."""

_ENCRYPTED = 1


class Package(Protocol):
    """Files by name."""

    @property
    def where(self) -> str: ...

    def read(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """InvalidInput where there is none."""


class DirectoryPackage:
    """The files of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.where = str(directory)

    @contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        place = self._directory / name
        # A link could lead anywhere, and a pipe never end.
        if place.is_symlink() or not place.is_file():
            raise _missing(name, self.where)
        with place.open("rb", buffering=MIB) as file:
            yield file


class ZipPackage:
    """The members of a zip."""

    def __init__(self, archive: zipfile.ZipFile, place: Path) -> None:
        self._archive = archive
        self.where = str(place)
        self._members = {info.filename: info for info in archive.infolist()}
        self._require_honest(archive.infolist(), place.stat().st_size)

    def _require_honest(self, members: list[zipfile.ZipInfo], size: int) -> None:
        for name, count in Counter(info.orig_filename.lower() for info in members).items():
            if count > 1:
                raise self._refused(f"{name[:80]} is in it {count} times")
        for info in members:
            name = info.orig_filename
            if not is_safe(name) or name != info.filename:
                raise self._refused(f"a file in it has the name {name[:80]!r}")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise self._refused(f"{name} is compressed in a way that is not read")
            if info.flag_bits & _ENCRYPTED:
                raise self._refused(f"{name} is encrypted")
            if info.file_size > max(RATIO_FROM_BYTES, MAX_RATIO * info.compress_size):
                raise self._refused(f"{name} is said to be {info.file_size} bytes of {info.compress_size}")
        if sum(info.compress_size for info in members) > size:
            raise self._refused("its members overlap")

    def _refused(self, what: str) -> InvalidInput:
        hint = "Where you trust it, unpack it and import the directory"
        return InvalidInput(f"not a zip that is read: {what}", where=self.where, hint=hint)

    @contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        info = self._members.get(name)
        if info is None:
            raise _missing(name, self.where)
        try:
            with self._opened(info) as file:
                yield file
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            what = f"the zip is damaged: {str(error)[:200]}"
            raise InvalidInput(what, where=f"{self.where}, {name}") from error

    def _opened(self, info: zipfile.ZipInfo) -> IO[bytes]:
        """Where it says to begin before the file, or beyond what numbers reach, or has a name there that
        is no text, zipfile itself stumbles."""
        try:
            return self._archive.open(info)
        except (OSError, OverflowError, UnicodeDecodeError) as error:
            raise zipfile.BadZipFile(str(error)) from error


@contextmanager
def open_package(place: Path) -> Iterator[Package]:
    """What lies there. NotFound, InvalidInput."""
    if place.is_dir():
        yield DirectoryPackage(place)
        return
    if not os.path.lexists(place):
        raise NotFound("there is no such directory or zip", where=str(place))
    if not place.is_file():
        raise InvalidInput("neither a directory nor a zip", where=str(place))
    try:
        archive = zipfile.ZipFile(place)  # closed below
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        hint = "Name a directory or a zip that `cas export --format jsonl` or csv made"
        raise InvalidInput("not a zip", where=str(place), hint=hint) from error
    with archive:
        yield ZipPackage(archive, place)


def read_layout(package: Package) -> Layout:
    """What `schema.json` says."""
    with package.read(SCHEMA_FILE) as file:
        # Piece by piece: a file that is asked for so many bytes at once takes room for all of them.
        pieces = iter(partial(file.read, MIB), b"")
        data = b"".join(islice(pieces, 2 * MAX_JSON_BYTES // MIB + 1))
    if len(data) > 2 * MAX_JSON_BYTES:
        raise InvalidInput("schema.json is too large", where=package.where)
    return parse_layout(data, f"{package.where}, {SCHEMA_FILE}")


def _missing(name: str, where: str) -> InvalidInput:
    hint = "All files that schema.json names belong together, without a directory between"
    return InvalidInput(f"{name} is not in it", where=where, hint=hint)
