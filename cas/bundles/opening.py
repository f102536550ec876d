"""A bundle, opened: as a repository, with what it says of itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cas.engine.repository import Repository
from cas.errors import CorruptData
from cas.format.bundle import HEAD, BundleHead, parse_head
from cas.format.document import VersionDocument
from cas.format.malformed import malformed
from cas.format.names import KEYS
from cas.sealing.held_keys import Secrets
from cas.sealing.opening import unsealed
from cas.sealing.store import SealedStore
from cas.store.bundle import BundleStore
from cas.store.interface import Store


@dataclass(frozen=True, slots=True)
class OpenBundle:
    """`store`: as a repository sees it. Of what is in it only this much was read by now."""

    path: Path
    bytes: int
    store: Store
    repository: Repository
    head: BundleHead
    document: VersionDocument

    @property
    def is_sealed(self) -> bool:
        return isinstance(self.store, SealedStore)


@contextmanager
def opened_bundle(path: Path, secrets: Secrets) -> Iterator[OpenBundle]:
    """NotFound, InvalidInput, CorruptData, Unsupported, PermissionDenied: as it is no bundle, or does not
    open."""
    file = BundleStore(path)
    try:
        store = unsealed(file, secrets)
        if not isinstance(store, SealedStore) and any(file.objects(KEYS)):
            raise malformed("keys in a bundle that is not sealed", str(path))
        head = parse_head(store.get(HEAD), f"{path}:{HEAD}")
        repository = Repository(store, None)
        try:
            yield OpenBundle(path, file.bytes, store, repository, head, _document(repository, head, path))
        finally:
            repository.close()
    finally:
        file.close()


def _document(repository: Repository, head: BundleHead, path: Path) -> VersionDocument:
    """The one that is in it, of which the bundle must say the truth."""
    if repository.numbers() != [head.number]:
        raise CorruptData(
            f"the document of version {head.number} is not in the bundle", kind="missing", where=str(path)
        )
    document = repository.document(head.number)
    said = (head.repository_id, head.created_at, head.checksum, head.reason, head.name, head.records)
    true = (document.repository_id, document.created_at, document.checksum, document.reason, document.name)
    if said != (*true, document.records) or head.database != document.source.database:
        raise malformed("the bundle says something else of itself than its document", str(path))
    return document
