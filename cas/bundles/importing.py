"""A version comes in: proven first, then taken in or translated.

Before anything is registered or put, all of the bundle was proven (cas/bundles/proving.py), and it was looked
whether the repository holds an equal version. What follows is a version like any other: nothing of it is
acknowledged before it is committed, and a crash leaves what a crash of every version leaves.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from cas.bundles.opening import OpenBundle
from cas.bundles.proving import examined, require_entities, require_good
from cas.bundles.taking_in import described_as, take_in
from cas.bundles.translating import translate
from cas.bundles.union import UnionStore
from cas.catalog.interface import Catalog
from cas.catalog.model import Version
from cas.catalog.paging import every_version
from cas.catalog.rules import COMMITTED
from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.engine.write_session import require_same_history
from cas.errors import CasError, Conflict, NotFound
from cas.format.bundle import Since
from cas.format.canonical import encode_json
from cas.pinning import pinned
from cas.progress import Progress, Silent
from cas.version_commit import Described

ORIGIN = "bundle."
"""Metadata of an imported version whose names begin so tell where it comes from."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """`again`: make a version though an equal one is there."""

    created_by: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """`version`: that was made; None where an equal one was there, which is `equal`. `translated`: the bundle
    is of another id key, so that the version has other ids and another checksum. `new_records`: records that
    were not stored before."""

    version: Version | None
    equal: int | None
    translated: bool
    original: int
    records: int
    new_records: int


def import_bundle(
    repository: Repository,
    catalog: Catalog,
    bundle: OpenBundle,
    request: ImportRequest | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Take in the version of a bundle. CorruptData, Unsupported: nothing of it is believed, and nothing was
    changed. Conflict where it leaves out what an earlier version has and the repository does not have that
    one."""
    asked, watcher = request or ImportRequest(), progress or Silent()
    is_alike = _is_alike(repository, bundle)
    require_same_history(repository, catalog)
    with ExitStack() as stack:
        since = bundle.head.since
        if since is not None:
            _require_rest(repository, catalog, since, is_alike=is_alike)
            stack.enter_context(pinned(repository.environment, catalog, since.number, "an import"))
        whole = bundle.repository if since is None else stack.enter_context(_together(repository, bundle))
        found = stack.enter_context(examined(bundle, whole, watcher))
        require_good(bundle, found.findings)
        contents = open_contents(whole, bundle.head.number, found.packs.reader)
        require_entities(bundle, contents.entries)
        equal = _equal(repository, catalog, bundle, is_alike=is_alike)
        if equal is not None and not asked.again:
            return Imported(None, equal, not is_alike, bundle.head.number, contents.document.records, 0)
        described = _described(bundle, asked)
        if not is_alike:
            del found  # what was remembered of each chunk is of no use there
            version = translate(repository, catalog, bundle, contents, described, watcher).version
        else:
            before = None if since is None else open_contents(repository, since.number)
            version = take_in(repository, catalog, bundle, contents, before, found, described, watcher)
    new = sum(entity.new_chunks for entity in version.entities)
    return Imported(version, equal, not is_alike, bundle.head.number, version.records or 0, new)


def _is_alike(repository: Repository, bundle: OpenBundle) -> bool:
    """Whether ids of the one are ids of the other."""
    ours, theirs = repository.config, bundle.repository.config
    if ours.id_key != theirs.id_key:
        return False
    if (ours.repository_id, ours.node_bits) != (theirs.repository_id, theirs.node_bits):
        raise Conflict(
            "the bundle has this repository's id key and is of another one",
            where=str(bundle.path),
            hint="No repository is made like that: ask who made the bundle",
        )
    return True


def _require_rest(repository: Repository, catalog: Catalog, since: Since, *, is_alike: bool) -> None:
    """The version whose chunks are left out is here."""
    if is_alike:
        try:
            found = catalog.version(since.number)
        except NotFound:
            found = None
        if found is not None and found.state in COMMITTED and found.checksum == since.checksum:
            return
    whose = f"version {since.number}, on which the bundle is built, is not in this repository"
    raise Conflict(
        whose if is_alike else f"{whose}, which is another one",
        where=repository.store.url,
        hint="Import one that was made without --since, or into the repository that it comes from",
    )


@contextmanager
def _together(repository: Repository, bundle: OpenBundle) -> Iterator[Repository]:
    """The bundle with what it leaves out."""
    both = Repository(UnionStore(bundle.store, repository.store), None, repository.environment)
    try:
        yield both
    finally:
        both.close()


def _equal(repository: Repository, catalog: Catalog, bundle: OpenBundle, *, is_alike: bool) -> int | None:
    """The newest committed version that holds just this, schema included; None where there is none."""
    document = bundle.document
    for version in every_version(catalog, COMMITTED):
        if not is_alike:
            same = all(version.metadata.get(name) == text for name, text in _origin(bundle).items())
            if same:
                return version.number
            continue
        if version.checksum != document.checksum or version.kind.value != document.kind:
            continue
        try:
            other = repository.document(version.number)
        except CasError:  # it is damaged, or going: then it is no equal one
            continue
        if (other.schema, other.omissions) == (document.schema, document.omissions):
            return version.number
    return None


def _origin(bundle: OpenBundle) -> dict[str, str]:
    """What tells the version of a bundle from all others."""
    document = bundle.document
    return {
        f"{ORIGIN}repository": document.repository_id,
        f"{ORIGIN}version": str(document.number),
        f"{ORIGIN}checksum": document.checksum.hex(),
    }


def _described(bundle: OpenBundle, request: ImportRequest) -> Described:
    document = bundle.document
    told = {
        "created_at": document.created_at,
        "created_by": document.created_by,
        "reason": document.reason,
        "name": document.name,
        "tags": encode_json(document.tags).decode("ascii") if document.tags else "",
    }
    metadata = {**document.metadata, **_origin(bundle)}
    metadata |= {f"{ORIGIN}{name}": text for name, text in told.items() if text}
    return described_as(bundle, f"imported from {bundle.path.name}", metadata, request.created_by)
