"""Questions about one record over many versions: the versions are made in this process, the answers timed."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from cas.catalog.model import NewVersion, Trigger, VersionKind
from cas.catalog.postgres import PostgresCatalog
from cas.contents import Contents, open_contents
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession
from cas.format.document import EntityRead
from cas.history import history
from cas.lookup import get_record
from cas.progress import Silent
from cas.record_stream import read_records
from cas.records.payload import NULL, TAB
from cas.records.source import Selection
from cas.store.local import LocalStore
from cas.tree.edit import TreeStore, edit_tree
from cas.tree.nodes import Leaf
from cas.version_commit import Described, Taken, commit_version
from tests.bench.repairs import REPAIRED

VERSIONS = 1000
CHANGES = 20
"""Records that differ from one version to the next."""

EDITIONS = 12
"""How often the record changes that is asked for."""

TIMES = 5


@dataclass(frozen=True, slots=True)
class Looking:
    """Medians of repeated questions, the start of Python not counted."""

    versions: int
    get_seconds: float
    history_seconds: float


def many_versions(store: Path, catalog_url: str, home: Path, versions: int, seed: int) -> int:
    """Add versions to a repository that has one, up to this number, each with a few changed records of one
    table. Returns the key of a record that changed several times."""
    rng = random.Random(seed)
    with (
        closing(Repository(LocalStore(store), home / "cache")) as repository,
        closing(PostgresCatalog(catalog_url)) as catalog,
    ):
        catalog.attach(repository.id, repository.store.url)
        newest = catalog.latest()
        assert newest is not None
        contents = open_contents(repository, newest.number)
        records = dict(_some(contents))
        keys = sorted(records)
        watched = keys[len(keys) // 2]
        every = max(versions // EDITIONS, 1)
        for number in range(newest.number + 1, versions + 1):
            chosen = {*rng.sample(keys, min(CHANGES, len(keys)))}
            chosen = chosen | {watched} if number % every == 0 else chosen - {watched}
            changed = {key: _edited(records[key], number) for key in chosen}
            records.update(changed)
            contents = _next(repository, catalog, contents, changed)
    return int.from_bytes(watched, "big") - (1 << 63)


def _some(contents: Contents) -> Sequence[tuple[bytes, bytes]]:
    """Every tenth batch: records from all over the table."""
    found: list[tuple[bytes, bytes]] = []
    for number, batch in enumerate(read_records(contents.reader, contents.entry(REPAIRED))):
        if number % 10 == 0:
            found += zip(batch.keys, batch.payloads, strict=True)
    return found


def _edited(payload: bytes, number: int) -> bytes:
    fields = payload.split(TAB)
    fields[2] = b"edition %d" % number if fields[2] != NULL else NULL
    return TAB.join(fields)


def _next(
    repository: Repository, catalog: PostgresCatalog, before: Contents, changed: dict[bytes, bytes]
) -> Contents:
    entry, document = before.entry(REPAIRED), before.document
    assert entry.root is not None
    new = NewVersion(Trigger.AUTO, VersionKind.DATA_ONLY, reason="bench", parent=document.number)
    session = WriteSession(repository, catalog, new)
    session.begin_entity()
    dictionary = session.known_dictionary(entry.dictionary) if entry.dictionary else None
    keys = sorted(changed)
    stored = session.put_records([changed[key] for key in keys], dictionary)
    writer = session.nodes(entry.root)
    edits = [(key, Leaf(chunk_id)) for key, chunk_id in zip(keys, stored.ids, strict=True)]
    root = edit_tree(TreeStore(before.reader, writer, repository.boundary), entry.root, edits)
    writer.flush()
    entries = [replace(e, root=root.id) if e is entry else e for e in before.entries]
    taken = [
        Taken(
            e, EntityRead(e.entity.label, "scan", "bench", e.records, len(keys) if e.root == root.id else 0)
        )
        for e in entries
    ]
    described = Described(
        trigger=new.trigger,
        kind=new.kind,
        source=document.source,
        selection=Selection(),
        reason="bench",
        parent=document.number,
        previous=repository.stored_document(document.number)[1],
    )
    version = commit_version(session, repository.id, catalog, described, taken, None, Silent())
    return open_contents(repository, version.number)


def look(store: Path, catalog_url: str, home: Path, key: int) -> Looking:
    """Ask for one record of the newest version and for its history, again and again; the first answers
    warm the caches and are not counted."""
    with (
        closing(Repository(LocalStore(store), home / "cache")) as repository,
        closing(PostgresCatalog(catalog_url)) as catalog,
    ):
        catalog.attach(repository.id, repository.store.url)
        newest = catalog.latest()
        assert newest is not None
        number = newest.number

        def get() -> None:
            assert get_record(repository, number, REPAIRED, [str(key)]).fields

        def ask() -> None:
            kept = home / "cache" / repository.id / "nodes.sqlite"
            assert len(history(repository, catalog, REPAIRED, [str(key)], kept=kept).states) > 1

        return Looking(number, _median(get), _median(ask))


def _median(answer: Callable[[], None]) -> float:
    answer()
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        answer()
        seconds.append(time.perf_counter() - began)
    return median(seconds)
