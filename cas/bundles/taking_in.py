"""Into a repository of the same id key: what it lacks of a bundle's packs becomes packs of its own.

All of the bundle was proven just before, but the file may have changed since. A pack whose bytes are still
those of its name is the one that was proven; whatever is taken of a pack in parts is decoded once more and
its ids recomputed. The order of writing is that of every version (cas/engine/write_session.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cas.bundles.frames import NeededFrames, Taken, WholePack
from cas.bundles.needs import needs_of
from cas.bundles.opening import OpenBundle
from cas.bundles.proving import Examined
from cas.catalog.interface import Catalog
from cas.catalog.model import NewVersion, Trigger, Version, VersionKind
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

_COUNTED = (ChunkKind.RECORD, ChunkKind.LARGE)
"""Chunks that are a record each."""


def take_in(
    repository: Repository,
    catalog: Catalog,
    bundle: OpenBundle,
    contents: Contents,
    before: Contents | None,
    proven: Examined,
    described: Described,
    progress: Progress,
) -> Version:
    """Commit a version that holds what the bundle does. `contents`: of the bundle, with a reader over the
    packs of `proven`, which are those of the bundle and, where it leaves out something, of the repository.
    `before`: the version whose chunks it leaves out, pinned. Whatever goes wrong: a failed version, and
    nothing else."""
    guard = QuotaGuard.of(catalog, repository.store.url)
    guard.require()

    def stored(stored_bytes: int) -> None:
        progress.stored(stored_bytes)
        guard.stored(stored_bytes)

    session = WriteSession(repository, catalog, _new_version(described), on_stored=stored)
    try:
        if before is not None:
            _require_all(session, repository.store.url)
        run = _TakingIn(repository, session, bundle, contents, before, proven, progress)
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
        proven: Examined,
        progress: Progress,
    ) -> None:
        self._session = session
        self._contents = contents
        self._before = before
        self._progress = progress
        self._proven = proven
        self._own = bundle.repository.packs().keys()
        own = replace(proven.packs, view=View(self._own))
        self._frames = NeededFrames(
            bundle.store, bundle.repository.fetchers, repository.config.id_key, own, session.holds
        )
        self._dictionaries: dict[ChunkId, Dictionary] = {}
        self._new: Counter[str] = Counter()

    def run(self) -> Sequence[TakenEntity]:
        self._mark()
        own = [entry.dictionary for entry in self._contents.entries if entry.dictionary]
        usable = frozenset(self._frames.dictionaries())
        dictionaries = list(dict.fromkeys((*usable, *own)))
        fresh = np.flatnonzero(~self._session.holds(dictionaries)).tolist() if dictionaries else []
        for dictionary_id in dictionaries:
            self._frames.mark_dictionary(dictionary_id)
        self._progress.phase("packs")
        for taken in self._frames.taken(usable, self._progress, proven=True):
            if not isinstance(taken, WholePack):
                self._put(taken)
            elif not self._put_whole(taken):
                for part in self._frames.frames(taken.name):
                    self._put(part)
        for at in fresh:
            self._session.put_second_copy(self._dictionary(dictionaries[at]))
        why = f"version {self._contents.document.number} of a bundle"
        entries = {entry.entity.label: entry for entry in self._contents.entries}
        return [
            TakenEntity(entry, EntityRead(label, READ_BY, why, entry.records, self._new[label]))
            for label, entry in entries.items()
        ]

    def _mark(self) -> None:
        """What is needed, as it was found when it was proven. What lies both in the bundle and in the
        repository was found in one of them only, and not everything that lies there may be built upon: where
        the bundle leaves out something, both are walked once more."""
        ground = self._proven.ground
        if self._before is None:
            marks = ground.marks()
            self._frames.mark_all({name: marks[name] for name in sorted(self._own)}, ground.owners)
            return
        self._progress.phase("trees")
        for need in needs_of(self._contents, self._contents.entries, self._before, with_list=True):
            self._frames.mark(need)

    def _put_whole(self, pack: WholePack) -> bool:
        """Where none of it is there yet."""
        holds_nodes = pack.holds_nodes
        if holds_nodes is None or not self._session.put_pack(
            pack.stored, pack.trailer, holds_nodes=holds_nodes
        ):
            return False
        self._count(pack.owners[np.isin(pack.kinds(), _COUNTED)].tolist())
        return True

    def _put(self, taken: Taken) -> None:
        dictionary = self._dictionary(taken.base) if taken.base else None
        if taken.frame is None:
            new = self._session.put_chunks(taken.kind, taken.ids, taken.plains, dictionary)
        else:
            new = self._session.put_frame(taken.frame, taken.stored, taken.ids, taken.plains, dictionary)
        if taken.kind in _COUNTED:
            owners = dict(zip(taken.ids, taken.owners.tolist(), strict=True))
            self._count([owners[chunk_id] for chunk_id in new])

    def _count(self, owners: Sequence[int]) -> None:
        """So many records are new."""
        for owner, count in Counter(owners).items():
            self._new[self._frames.owners[owner - 1]] += count

    def _dictionary(self, dictionary_id: ChunkId) -> Dictionary:
        """The same object for the same id: what is gathered together has one dictionary."""
        known = self._dictionaries.get(dictionary_id)
        if known is None:
            known = self._dictionaries[dictionary_id] = self._frames.reader.dictionary(dictionary_id)
        return known
