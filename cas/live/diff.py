"""Comparing a version with the running platform, entity by entity, at one moment.

As in `cas.diff`, columns are compared by name, and where the keys differ records cannot be matched: all of
one side went, all of the other came.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain

from cas.contents import Contents, open_contents
from cas.differences import Difference, DifferenceSpool
from cas.engine.repository import Repository
from cas.errors import InvalidInput, NotFound
from cas.format.entities import EntityEntry
from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.live.column_map import column_map
from cas.live.comparing import Counts, compare
from cas.live.differing import ComparedEntity, LiveDiff, Side
from cas.live.tables import TABLES
from cas.progress import Progress
from cas.read_ahead import read_ahead
from cas.record_ids import RecordIds
from cas.records.live import LivePlatform, LiveSnapshot
from cas.records.model import OF_THE_DATABASE, Entity, RecordBatch
from cas.records.source import Selection


def diff_live(
    repository: Repository,
    platform: LivePlatform,
    number: int,
    progress: Progress,
    *,
    entity: str | None = None,
    live_is_new: bool = True,
) -> LiveDiff:
    """Compare a version with the platform as it is now; with `entity`, only this one.

    Of a version of some tables those are compared; of any other also what only the platform has. NotFound
    where neither side has the entity; SourceChanged, PermissionDenied, TimedOut as any read of a platform.
    """
    contents = open_contents(repository, number)
    progress.phase("connect")
    ids = RecordIds(repository.config.id_key)
    compared: dict[str, ComparedEntity] = {}
    with ExitStack() as files:
        with _looked(platform, contents, entity) as look:
            progress.phase("compare")
            for label, entry, live in _paired(contents, look, entity):
                spool = files.enter_context(DifferenceSpool())
                compared[label] = _compared_entity(contents, look, entry, live, ids, spool, progress)
            if look is not None:
                look.finish()
        return LiveDiff(contents, compared, files.pop_all(), live_is_new=live_is_new)
    raise AssertionError("files are kept by the comparison")


@contextmanager
def _looked(platform: LivePlatform, contents: Contents, entity: str | None) -> Iterator[LiveSnapshot | None]:
    """One moment of the tables that are to be compared; None where the platform has none of them."""
    selection = _selection(contents, entity)
    with ExitStack() as opened:
        while True:
            try:
                look = opened.enter_context(platform.look(selection))
            except InvalidInput as error:
                rest = _without(selection, error.what)
                if rest is None:
                    raise
                if selection.tables and not rest.tables:
                    yield None
                    return
                selection = rest
            else:
                yield look
                return


def _selection(contents: Contents, entity: str | None) -> Selection:
    document = contents.document
    held = tuple(e.entity.label for e in contents.entries if e.entity.kind in TABLES)
    if entity is not None:
        found = [e.entity for e in contents.entries if entity in (e.entity.label, e.entity.name)]
        if not found:
            return Selection(tables=(entity,))
        if all(one.kind in TABLES for one in found):
            return Selection(tables=tuple(one.label for one in found))
    if document.included or document.included_schemas:
        return Selection(tables=held)
    return Selection(exclude=document.excluded)


def _without(selection: Selection, what: str) -> Selection | None:
    """The selection without the pattern that matches nothing any more; None where it was something else."""
    for pattern in (*selection.tables, *selection.exclude):
        if repr(pattern) in what:
            return Selection(
                tables=tuple(one for one in selection.tables if one != pattern),
                exclude=tuple(one for one in selection.exclude if one != pattern),
            )
    return None


def _paired(
    contents: Contents, look: LiveSnapshot | None, entity: str | None
) -> Sequence[tuple[str, EntityEntry | None, Entity | None]]:
    """Label, and what each side has of it."""
    entries = {e.entity.label: e for e in contents.entries if e.entity.kind in OF_THE_DATABASE}
    lives = {one.label: one for one in (look.entities if look is not None else ())}
    is_whole = not (contents.document.included or contents.document.included_schemas)
    labels = {*entries, *(lives if is_whole or entity is not None else ())}
    if entity is not None:
        exact = {label for label in labels if label == entity}
        labels = exact or {label for label in labels if label.rpartition(".")[2] == entity}
        if len(labels) != 1:
            what = "more than one entity is" if labels else "neither side has an entity that is"
            raise NotFound(
                f"{what} called {entity}",
                where=f"version {contents.document.number}, live",
                hint=f"Name one of: {', '.join(sorted(labels or {*entries, *lives})[:8])}",
            )
    return [(label, entries.get(label), lives.get(label)) for label in sorted(labels)]


def _compared_entity(
    contents: Contents,
    look: LiveSnapshot | None,
    entry: EntityEntry | None,
    live: Entity | None,
    ids: RecordIds,
    spool: DifferenceSpool,
    progress: Progress,
) -> ComparedEntity:
    """Find all differences of one entity."""
    reader = contents.reader
    held = entry if entry is not None and entry.root is not None else None
    version = Side(held.entity, contents.document.source.encoding) if held is not None else None
    here = Side(live, look.identity.encoding) if look is not None and live is not None else None
    label = live.label if live is not None else entry.entity.label if entry is not None else ""
    progress.entity(label, held.records if held is not None else 0, held.payload_bytes if held else 0)

    def batches() -> Iterator[RecordBatch]:
        assert look is not None, "there is a live table"
        assert live is not None, "there is a live table"
        for batch in read_ahead(look.batches(live)):
            yield batch
            progress.advance(label, len(batch.payloads), sum(map(len, batch.payloads)))

    def nothing() -> Iterable[RecordBatch]:
        return ()

    alike = True
    found: Iterator[Difference] = iter(())
    if held is not None and live is not None and _is_matched(held.entity, live):
        is_recoded = look is not None and look.identity.encoding != contents.document.source.encoding
        alike = column_map(held.entity, live, {}).is_alike and (live.is_bag or not is_recoded)
        found = compare(held, reader, batches, ids, Counts(), alike=alike)
    else:
        if held is not None:
            found = compare(held, reader, nothing, ids, Counts(), alike=True)
        if live is not None:
            found = chain(found, compare(_empty(live), reader, batches, ids, Counts(), alike=True))
    for difference in found:
        spool.add(difference)
    return ComparedEntity(version, here, alike, spool)


def _is_matched(version: Entity, live: Entity) -> bool:
    """Whether records of both sides can be told to be the same one."""
    return version.key == live.key and (not live.is_bag or column_map(version, live, {}).is_alike)


def _empty(live: Entity) -> EntityEntry:
    """An entity without records, for what only the platform has."""
    return EntityEntry(live, ChunkId(bytes(CHUNK_ID_BYTES)), None, 0, 0)
