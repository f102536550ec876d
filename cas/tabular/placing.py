"""Where an export goes: written under a temporary name beside its place, made durable, and renamed.

Nothing is ever there under its own name that is not whole. What stood there before is replaced only where
that was asked for, and a directory only where it holds an earlier export.
"""

import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Protocol
from uuid import uuid4

from cas.errors import Conflict, NotFound
from cas.limits import MIB
from cas.tabular.layout import SCHEMA_FILE

ZIP = ".zip"
ZIP_LEVEL = 6
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip can hold: the same version gives the same bytes."""

_READ_BYTES = MIB


class Members(Protocol):
    """Files that are written one after the other."""

    @contextmanager
    def member(self, name: str) -> Iterator[IO[bytes]]: ...


class DirectoryMembers:
    """The files of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def member(self, name: str) -> Iterator[IO[bytes]]:
        with (self._directory / name).open("xb", buffering=_READ_BYTES) as file:
            yield file
            _sync(file)


class ZipMembers:
    """The members of a zip file. Deterministic for one release of zlib."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    @contextmanager
    def member(self, name: str) -> Iterator[IO[bytes]]:
        info = zipfile.ZipInfo(name, _EPOCH)
        info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
        info._compresslevel = ZIP_LEVEL  # type: ignore[attr-defined]  # noqa: SLF001  # no other way before 3.13
        with self._archive.open(info, "w", force_zip64=True) as file:
            yield file


@contextmanager
def new_members(place: Path, *, force: bool) -> Iterator[Members]:
    """A zip where the name says so, else a directory, which is there when the block has ended well."""
    if place.suffix.lower() == ZIP:
        with new_file(place, force=force) as temporary, temporary.open("xb") as file:
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                yield ZipMembers(archive)
            _sync(file)
        return
    _require_room(place, force=force)
    temporary = _beside(place)
    temporary.mkdir()
    try:
        yield DirectoryMembers(temporary)
        _sync_directory(temporary)
        if place.is_dir():
            aside = _beside(place)
            place.rename(aside)
            temporary.rename(place)
            shutil.rmtree(aside)
        else:
            temporary.rename(place)
        _sync_directory(place.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def new_file(place: Path, *, force: bool) -> Iterator[Path]:
    """The temporary name of a file that does not exist yet, to be written and closed within the block."""
    _require_room(place, force=force, is_file=True)
    temporary = _beside(place)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        if force:
            temporary.replace(place)
        else:
            _link(temporary, place)
        _sync_directory(place.parent)
    finally:
        temporary.unlink(missing_ok=True)


def digest_of(place: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file."""
    with place.open("rb") as file:
        digest, size = sha256(), 0
        while data := file.read(_READ_BYTES):
            digest.update(data)
            size += len(data)
    return size, digest.hexdigest()


def size_of(place: Path) -> int:
    """Bytes of a file, or of all files of an export's directory."""
    return sum(file.stat().st_size for file in place.iterdir()) if place.is_dir() else place.stat().st_size


def _link(temporary: Path, place: Path) -> None:
    """Give it its name, and never in place of another file that came meanwhile."""
    try:
        place.hardlink_to(temporary)
    except FileExistsError:
        raise _taken(place) from None
    except OSError:  # a file system without links
        if place.exists():
            raise _taken(place) from None
        temporary.rename(place)


def _require_room(place: Path, *, force: bool, is_file: bool = False) -> None:
    if not place.parent.is_dir():
        raise NotFound("there is no such directory", where=str(place.parent), hint="Make it first")
    if not os.path.lexists(place):
        return
    if not force:
        raise _taken(place)
    if is_file and not place.is_file():
        raise Conflict("it is no file, and is not replaced", where=str(place), hint="Choose another name")
    if not is_file and not (place.is_dir() and (place / SCHEMA_FILE).is_file()):
        hint = "Choose another name, or remove it yourself"
        raise Conflict("it is no export, and is not replaced", where=str(place), hint=hint)


def _taken(place: Path) -> Conflict:
    return Conflict(
        "it is there already", where=str(place), hint="Choose another name, or --force replaces it"
    )


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name[:100]}.{uuid4().hex[:12]}.part")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
