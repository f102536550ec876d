"""How a tree of files becomes two entities of a version: its paths, and the pieces of its files.

One walk gives both. What a file holds is read unless the version that this one is built upon has it: a file
of the same size, inode, mtime and ctime was not written since. So the tree of pieces is edited, and that of
paths is made anew, from as many records as there are paths.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from blake3 import blake3

from cas.bases import Bases, EntityBase
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession
from cas.entity_taking import EntityTaking, NotedNodes, Plan, Reading
from cas.errors import Conflict, CorruptData, InvalidInput
from cas.file_edits import Edits, Piece
from cas.format.document import EntityRead
from cas.format.entities import EntityEntry, encode_definition
from cas.ids import ChunkKind
from cas.progress import Progress
from cas.record_stream import read_records
from cas.records.file_tree import FileTree, Found, Missed, OpenFile
from cas.records.files import (
    PREFIX,
    FileRecord,
    FileType,
    content_entity,
    decode_file,
    encode_file,
    files_entity,
    path_key,
    shown_path,
)
from cas.records.marks import Mark
from cas.records.model import Entity, RecordBatch
from cas.records.source import EntityEstimate, Omission
from cas.spool_file import SpoolFile
from cas.tree.build import TreeBuilder
from cas.tree.edit import TreeStore, edit_tree
from cas.tree.nodes import Root
from cas.version_commit import EntityChanges, Taken

TRIES = 3
"""How often a file is read that is written at the same time."""

MOST_OMISSIONS = 1000
"""Paths of a tree that a version names; of more it says how many."""

BATCH_RECORDS = 1024


@dataclass(frozen=True, slots=True)
class TakenFiles:
    """Both entities, and what is missing."""

    taken: tuple[Taken, Taken]
    omissions: tuple[Omission, ...]


class FileTaking:
    """Takes the trees of files of one version."""

    def __init__(
        self,
        repository: Repository,
        session: WriteSession,
        bases: Bases,
        taking: EntityTaking,
        plan: Plan,
        now: Mark,
        progress: Progress,
        *,
        allow_incomplete: bool,
    ) -> None:
        self._repository = repository
        self._session = session
        self._bases = bases
        self._taking = taking
        self._plan = plan
        self._now = now
        self._progress = progress
        self._allow_incomplete = allow_incomplete

    def take(self, tree: FileTree) -> TakenFiles:
        """One tree. Conflict where something of it cannot be taken and that is not allowed."""
        base = self._base(tree.name)
        if not isinstance(base, str):
            try:
                return self._taken(tree, base, "")
            except CorruptData as error:
                base = f"version {base[0].version} is damaged and cannot be built upon: {error.what}"
        return self._taken(tree, None, base)

    def _base(self, name: str) -> tuple[EntityBase, EntityBase] | str:
        """Paths and pieces of one earlier version; or why not, in words."""
        if self._plan.reading is not Reading.CHANGES:
            return self._plan.why
        files = self._bases.of(files_entity(name), self._now)
        content = self._bases.of(content_entity(name), self._now)
        if isinstance(files, str):
            return files
        if isinstance(content, str) or content.version != files.version:
            return f"version {files.version} holds its paths only"
        return files, content

    def _taken(self, tree: FileTree, base: tuple[EntityBase, EntityBase] | None, why: str) -> TakenFiles:
        with SpoolFile() as spool:
            walk = _Walk(tree, self._session, base, spool, self._advance(tree), self._allow_incomplete)
            content = self._content(tree, walk, base, why)
            entity = files_entity(tree.name)
            definition = self._session.put_chunk(ChunkKind.DEFINITION, encode_definition(entity))
            told = walk.told(why)
            batches, estimate = _batches(spool), EntityEstimate(spool.length, 0)
            files = self._taking.whole(entity, definition, batches, estimate, "walk", told)
        taken = (content, files)
        if any(omission.is_failure for omission in walk.omissions):
            taken = (replace(content, changes=None), replace(files, changes=None))
        return TakenFiles(taken, walk.omissions)

    def _advance(self, tree: FileTree) -> Callable[[int, int], None]:
        label = content_entity(tree.name).label
        return lambda records, size: self._progress.advance(label, records, size)

    def _content(
        self, tree: FileTree, walk: "_Walk", base: tuple[EntityBase, EntityBase] | None, why: str
    ) -> Taken:
        session, entity = self._session, content_entity(tree.name)
        definition = session.put_chunk(ChunkKind.DEFINITION, encode_definition(entity))
        self._progress.entity(entity.label, 0, 0)
        session.begin_entity()
        edits = walk.edits
        if base is None:
            changes = None
            root = self._built(walk)
        else:
            root = self._edited(walk, base[1])
            changes = EntityChanges(edits.inserted, edits.updated, edits.deleted, base[1].version)
        if root.records != walk.pieces:
            raise CorruptData(
                f"{root.records:,} pieces are there, {walk.pieces:,} were expected",
                kind="malformed",
                where=entity.label,
            )
        entry = EntityEntry(entity, definition, root.id, root.records, walk.bytes)
        return Taken(entry, EntityRead(entity.label, "walk", walk.told(why), edits.put, edits.new), changes)

    def _built(self, walk: "_Walk") -> Root:
        nodes = self._session.nodes(None)
        builder = TreeBuilder(nodes, self._repository.boundary)
        for key, leaf in walk.run():
            assert leaf is not None, "there is nothing to be removed from"
            builder.add((key,), (leaf.id,), (), (0,) if leaf.is_large else ())
        root = builder.finish()
        nodes.flush()
        return root

    def _edited(self, walk: "_Walk", base: EntityBase) -> Root:
        session, entry = self._session, base.entry
        assert entry.root is not None
        writer = session.nodes(entry.root)
        nodes = NotedNodes(session.tree_nodes, writer)
        root = edit_tree(TreeStore(nodes, nodes, self._repository.boundary), entry.root, walk.run())
        writer.flush()
        dropped = session.reader.stored_bytes(walk.edits.dropped)
        self._taking.built(base.version, dropped + session.reader.stored_bytes(nodes.replaced))
        return root


def require_labels(trees: Sequence[FileTree], entities: Sequence[Entity]) -> None:
    """InvalidInput where two trees, or a tree and a table, would be called the same."""
    labels = [entity.label for entity in entities]
    labels += [entity(tree.name).label for tree in trees for entity in (files_entity, content_entity)]
    for label, count in Counter(labels).items():
        if count > 1 and label.startswith(PREFIX):
            raise InvalidInput(
                f"{label} would mean two things", where="--files", hint="Give the files another name"
            )


class _Walk:
    """One walk over a tree, beside the records of an earlier version: edits of pieces come out, and records
    go into the spool."""

    def __init__(
        self,
        tree: FileTree,
        session: WriteSession,
        base: tuple[EntityBase, EntityBase] | None,
        spool: SpoolFile,
        advance: Callable[[int, int], None],
        allow_incomplete: bool,
    ) -> None:
        self._tree = tree
        self._spool = spool
        self._advance = advance
        self._allow_incomplete = allow_incomplete
        self._base = base
        self._before = _records(session, base[0].entry) if base else iter(())
        self.edits = Edits(session, base[1].entry.root if base else None)
        self._omissions: list[Omission] = []
        self._more = 0
        self.files = self.files_read = self.pieces = self.bytes = 0

    @property
    def omissions(self) -> tuple[Omission, ...]:
        if not self._more:
            return tuple(self._omissions)
        more = Omission(f"{self._label}/", f"{self._more:,} more paths could not be read", is_failure=True)
        return (*self._omissions, more)

    @property
    def _label(self) -> str:
        return files_entity(self._tree.name).label

    def told(self, why: str) -> str:
        """How it was read, in words."""
        told = (
            f"after the rows, from {self._tree.place}; {self.files_read:,} of {self.files:,} files were read"
        )
        if self._base is not None:
            return f"{told}, the others are as in version {self._base[0].version}"
        return f"{told}: {why}" if why else told

    def run(self) -> Iterator[Piece]:
        """The edits of the tree of pieces, ascending."""
        before = next(self._before, None)
        for found in self._tree.entries():
            if isinstance(found, Missed):
                self._missed(found)
                continue
            key = found.record.key
            while before is not None and before.key < key:
                yield from self._gone(before)
                before = next(self._before, None)
            same = before if before is not None and before.key == key else None
            if same is not None:
                before = next(self._before, None)
            yield from self._path(found, same)
        while before is not None:
            yield from self._gone(before)
            before = next(self._before, None)
        yield from self.edits.flush()

    def _gone(self, before: FileRecord) -> Iterator[Piece]:
        return self.edits.removed(before.path) if before.pieces else iter(())

    def _path(self, found: Found, before: FileRecord | None) -> Iterator[Piece]:
        record = found.record
        if record.type is not FileType.FILE:
            self._add(record)
            if before is not None:
                yield from self._gone(before)
            return
        if before is not None and _is_same(before, record):
            self._add(replace(record, content=before.content, pieces=before.pieces))
            return
        had = before.path if before is not None and before.pieces else None
        for attempt in range(1, TRIES + 1):
            try:
                with found.open() as opened:
                    yield from self._content(opened, had)
                return
            except Missed as missed:
                if not missed.again or attempt == TRIES:
                    self._missed(missed)
                    if had is not None:
                        yield from self.edits.removed(had)
                    return

    def _content(self, opened: OpenFile, had: bytes | None) -> Iterator[Piece]:
        """A file that is read: nothing of it counts before all of it was."""
        record, hasher, count = opened.record, blake3(), 0
        file = self.edits.file(record.path, had)
        for piece in opened.pieces():
            hasher.update(piece)
            file.add(piece)
            count += 1
            self._advance(1, len(piece))
        yield from file.finish()
        self.files_read += 1
        self._add(replace(record, size=file.size, content=hasher.digest(), pieces=count))

    def _add(self, record: FileRecord) -> None:
        payload = encode_file(record)
        self._spool.append((len(payload).to_bytes(4, "big"), payload))
        if record.type is FileType.FILE:
            self.files += 1
            self.pieces += record.pieces or 0
            self.bytes += record.size or 0

    def _missed(self, missed: Missed) -> None:
        path = f"{self._label}/{shown_path(missed.path)}"
        if missed.is_failure and not self._allow_incomplete:
            raise Conflict(
                f"{missed.reason}",
                where=path,
                hint="Run again, correct its rights, or take a version without it: --allow-incomplete",
            )
        if len(self._omissions) < MOST_OMISSIONS:
            self._omissions.append(Omission(path, missed.reason, missed.is_failure))
        else:
            self._more += 1


def _is_same(before: FileRecord, now: FileRecord) -> bool:
    """Whether the file was not written since. What is no file has not been seen."""
    return before.seen is not None and before.seen == now.seen and before.size == now.size


def _records(session: WriteSession, entry: EntityEntry) -> Iterator[FileRecord]:
    for batch in read_records(session.reader, entry):
        for payload in batch.payloads:
            try:
                yield decode_file(payload)
            except ValueError as error:
                raise CorruptData(str(error), kind="malformed", where=entry.entity.label) from error


def _batches(spool: SpoolFile) -> Iterator[RecordBatch]:
    reading, left = spool.reading(), spool.length
    while left:
        payloads = [
            reading.take(int.from_bytes(reading.take(4), "big")) for _ in range(min(left, BATCH_RECORDS))
        ]
        left -= len(payloads)
        yield RecordBatch(_keys(payloads), payloads)


def _keys(payloads: Sequence[bytes]) -> list[bytes]:
    return [path_key(decode_file(payload).path) for payload in payloads]
