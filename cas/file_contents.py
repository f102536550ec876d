"""The files that a version holds: their records, and what is in them, proven."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from blake3 import blake3

from cas.contents import Contents
from cas.errors import CorruptData, InvalidInput, NotFound
from cas.format.entities import EntityEntry
from cas.format.malformed import malformed, mismatch
from cas.ids import ChunkKind
from cas.record_stream import read_payload, read_records
from cas.records.files import (
    CONTENT,
    PREFIX,
    FileRecord,
    FileType,
    content_entity,
    decode_file,
    files_entity,
    offset_of,
    path_key,
    piece_range,
    shown_path,
)
from cas.records.model import OF_THE_DATABASE, EntityKind
from cas.records.values import requiring_types
from cas.tree.reading import entries, lookup

PIECES_AT_ONCE = 8
"""Pieces in memory: some MiB, whatever the file's size."""


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """One tree of files of an open version."""

    name: str
    contents: Contents
    paths: EntityEntry
    pieces: EntityEntry

    def records(self) -> Iterator[FileRecord]:
        """All paths, ascending by key. CorruptData for what is no record."""
        for batch in read_records(self.contents.reader, self.paths):
            for key, payload in zip(batch.keys, batch.payloads, strict=True):
                yield self._record(key, payload)

    def record(self, path: bytes) -> FileRecord:
        """NotFound where the version has no such path."""
        key = path_key(path)
        leaf = lookup(self.contents.reader, self.paths.root, key) if self.paths.root else None
        if leaf is None:
            raise NotFound(
                f"{shown_path(path)[:200]} is not among the files {self.name}",
                where=f"version {self.contents.document.number}",
                hint="Paths begin below the directory, without a slash: 2026/03/photo.jpg",
            )
        return self._record(key, read_payload(self.contents.reader, leaf))

    def content(self, record: FileRecord) -> Iterator[bytes]:
        """What is in a file, piece by piece. CorruptData, at the end, where it is not what was read once.
        InvalidInput for what is no file."""
        if record.type is not FileType.FILE:
            raise InvalidInput(f"{shown_path(record.path)[:200]} is a {record.type.value}", where=self.name)
        where = f"{self.paths.entity.label}/{shown_path(record.path)[:200]}"
        hasher, size = blake3(), 0
        for key, piece in self._pieces(record.path):
            with requiring_types(self.pieces.entity):
                offset = offset_of(record.path, key)
            if offset != size:
                raise malformed(f"no piece at {size}", where)
            hasher.update(piece)
            size += len(piece)
            yield piece
        if size != record.size or hasher.digest() != record.content:
            raise mismatch("its pieces are not the file's content", where)

    def _pieces(self, path: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and bytes of a file's pieces, a few at a time."""
        reader, root = self.contents.reader, self.pieces.root
        found = entries(reader, root, *piece_range(path)) if root else iter(())
        while some := list(islice(found, PIECES_AT_ONCE)):
            if any(leaf.is_large for _, leaf in some):
                yield from ((key, read_payload(reader, leaf)) for key, leaf in some)
                continue
            plains = reader.read(ChunkKind.RECORD, [leaf.id for _, leaf in some])
            yield from zip((key for key, _ in some), plains, strict=True)

    def _record(self, key: bytes, payload: bytes) -> FileRecord:
        try:
            record = decode_file(payload)
        except ValueError as error:
            raise malformed(str(error), self.paths.entity.label) from error
        if record.key != key:
            raise malformed("a path under another path's key", self.paths.entity.label)
        return record


def names_of_files(contents: Contents) -> tuple[str, ...]:
    """The trees that a version holds, by name."""
    return tuple(
        entry.entity.name.removeprefix(PREFIX)
        for entry in contents.entries
        if entry.entity.kind is EntityKind.FILES
    )


def stored_files(contents: Contents, name: str) -> StoredFiles:
    """The tree with this name, which may be written as its entity's. NotFound."""
    short = name.removeprefix(PREFIX).removesuffix(CONTENT)
    found = {
        entry.entity.name: entry for entry in contents.entries if entry.entity.kind not in OF_THE_DATABASE
    }
    paths = found.get(f"{PREFIX}{short}")
    if paths is None:
        there = ", ".join(names_of_files(contents))
        raise NotFound(
            f"version {contents.document.number} holds no files {short[:40]}",
            hint=f"It holds: {there}"
            if there
            else "Versions hold files where `cas snapshot --files` was used",
        )
    pieces = found.get(f"{PREFIX}{short}{CONTENT}")
    if paths.entity != files_entity(short) or pieces is None or pieces.entity != content_entity(short):
        raise CorruptData("its files are not as any writer defines them", kind="malformed", where=short)
    return StoredFiles(short, contents, paths, pieces)
