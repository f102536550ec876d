"""Into a repository of the same id key: what it lacks of a bundle's frames becomes packs of its own.

Whatever is taken is decoded once more and its ids recomputed, though all of the bundle was proven just
before: the file may have changed since. The order of writing is that of every version
(cas/engine/write_session.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cas.bundles.frames import NeededFrames, Taken
from cas.bundles.needs import Need, needs_of
from cas.bundles.opening import OpenBundle
from cas.catalog.interface import Catalog
from cas.catalog.model import NewVersion, Trigger, Version, VersionKind
from cas.closure.ground import Packs
from cas.contents import Contents
from cas.engine.compression import Dictionary
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession
from cas.errors import Conflict
from cas.format.document import EntityRead
from cas.ids import ChunkId, ChunkKind
from cas.progress import Progress
from cas.quota import QuotaGuard
from cas.records.source import Omission, Selection
from cas.version_commit import Described, commit_version
from cas.version_commit import Taken as TakenEntity

READ_BY = "bundle"
"""How the records of an imported version were read, as receipts say it."""


def take_in(
    repository: Repository,
    catalog: Catalog,
    bundle: OpenBundle,
    contents: Contents,
    before: Contents | None,
    packs: Packs,
    described: Described,
    progress: Progress,
) -> Version:
    """Commit a version that holds what the bundle does. `contents`: of the bundle, proven, with a reader over
    `packs`, which are those of the bundle and, where it leaves out something, of the repository. `before`:
    the version whose chunks it leaves out, pinned. Whatever goes wrong: a failed version, and nothing
    else."""
    guard = QuotaGuard.of(catalog, repository.store.url)
    guard.require()

    def stored(stored_bytes: int) -> None:
        progress.stored(stored_bytes)
        guard.stored(stored_bytes)

    session = WriteSession(repository, catalog, _new_version(described), on_stored=stored)
    try:
        if before is not None:
            _require_all(session, repository.store.url)
        run = _TakingIn(repository, session, bundle, contents, before, packs, progress)
        taken = run.run()
        if before is not None:
            known = catalog.version(before.document.number).stored_bytes or 0
            described = replace(described, unasked_bytes=max(0, known - session.reused_bytes))
        return commit_version(
            session, repository.id, catalog, described, taken, contents.document.schema, progress
        )
    except BaseException as error:
        session.abandon(error)
        raise


def _require_all(session: WriteSession, where: str) -> None:
    """What a bundle leaves out may lie in any pack."""
    if session.lost_packs:
        raise Conflict(
            f"{len(session.lost_packs)} packs of the repository are missing or damaged, and the bundle leaves"
            " out what lies in them",
            where=where,
            hint="Run `cas repair`, or import a bundle that leaves out nothing",
        )


def described_as(bundle: OpenBundle, reason: str, metadata: Mapping[str, str], created_by: str) -> Described:
    """What the new document says beside what it holds."""
    document = bundle.document
    is_failure = document.state != "complete"
    return Described(
        trigger=Trigger(document.trigger),
        kind=VersionKind(document.kind),
        source=document.source,
        selection=Selection(document.included_schemas, document.included, document.excluded),
        reason=reason,
        description=document.description,
        metadata=metadata,
        created_by=created_by,
        omissions=tuple(Omission(name, why, is_failure) for name, why in document.omissions),
    )


def _new_version(described: Described) -> NewVersion:
    source, selection = described.source, described.selection
    return NewVersion(
        trigger=described.trigger,
        kind=described.kind,
        reason=described.reason,
        description=described.description,
        metadata=described.metadata,
        created_by=described.created_by,
        source_url=source.url,
        source_database=source.database,
        source_server_version=source.server_version,
        source_system_identifier=source.system_identifier,
        included=selection.tables,
        excluded=selection.exclude,
        included_schemas=selection.schemas,
    )


class _TakingIn:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        session: WriteSession,
        bundle: OpenBundle,
        contents: Contents,
        before: Contents | None,
        packs: Packs,
        progress: Progress,
    ) -> None:
        self._session = session
        self._contents = contents
        self._before = before
        self._progress = progress
        own = replace(packs, view=View(bundle.repository.packs()))
        self._frames = NeededFrames(
            bundle.store, bundle.repository.fetchers, repository.config.id_key, own, session.holds
        )
        self._dictionaries: dict[ChunkId, Dictionary] = {}
        self._new: dict[str, int] = {}

    def run(self) -> Sequence[TakenEntity]:
        self._progress.phase("read")
        for need in self._needs():
            self._frames.mark(need)
        entries = {entry.entity.label: entry for entry in self._contents.entries}
        label = ""
        for need in self._needs():
            if need.label and need.label != label:
                label = need.label
                self._session.begin_entity()
                self._progress.entity(label, entries[label].records, entries[label].payload_bytes)
            size = 0
            for taken in self._frames.take(need):
                new = self._put(taken)
                if taken.kind in (ChunkKind.RECORD, ChunkKind.LARGE) and need.label:
                    self._new[need.label] = self._new.get(need.label, 0) + new
                size += sum(map(len, taken.plains)) if taken.kind is ChunkKind.RECORD else 0
            self._progress.advance(need.label, need.records, size)
        for entry in self._contents.entries:
            if entry.dictionary is not None:
                self._dictionary(entry.dictionary)
        why = f"version {self._contents.document.number} of a bundle"
        return [
            TakenEntity(entry, EntityRead(label, READ_BY, why, entry.records, self._new.get(label, 0)))
            for label, entry in entries.items()
        ]

    def _needs(self) -> Iterator[Need]:
        return needs_of(self._contents, self._contents.entries, self._before, with_list=True)

    def _put(self, taken: Taken) -> int:
        dictionary = self._dictionary(taken.base) if taken.base else None
        if taken.frame is None:
            return self._session.put_chunks(taken.kind, taken.ids, taken.plains, dictionary)
        return self._session.put_frame(taken.frame, taken.stored, taken.ids, taken.plains, dictionary)

    def _dictionary(self, dictionary_id: ChunkId) -> Dictionary:
        """One that is there, or comes now: before the first frame that stands on it."""
        known = self._dictionaries.get(dictionary_id)
        if known is None:
            known = self._dictionaries[dictionary_id] = self._frames.reader.dictionary(dictionary_id)
            self._session.put_dictionary(known)
        return known
