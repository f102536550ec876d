"""What went while somebody looked: versions that were forgotten and packs that were collected are no damage.

A document is deleted only when its version is gone in the catalog, and a pack only when a journal names it
and its row says so. So who misses something asks afterwards: what the catalog still has is damaged, and what
it no longer has went. Without a catalog the store tells: a document that is not there, a journal that names a
pack.
"""

from cas.catalog.interface import Catalog
from cas.catalog.rules import COMMITTED
from cas.closure.listing import Listing
from cas.damage import Ledger
from cas.engine.repository import Repository
from cas.errors import CorruptData, NotFound, Unsupported
from cas.format.journal import parse_journal
from cas.format.names import JOURNALS, PACKS, VERSIONS, number_of_key, pack_of_key
from cas.ids import PackName
from cas.store.interface import ObjectMissing


def pardon(
    repository: Repository,
    catalog: Catalog | None,
    ledger: Ledger,
    listing: Listing,
    expected: frozenset[int],
) -> bool:
    """Take back what is noted of versions and packs that went since the listing. `expected`: numbers whose
    documents must be there, where no catalog can be asked. Returns whether packs went."""
    touched = ledger.touched()
    missed = [name for key, _ in ledger.objects() if (name := pack_of_key(key)) is not None]
    if not touched and not missed:
        return False
    there = set(repository.numbers())
    forgotten = frozenset(
        number
        for number in touched - there
        if not (number in expected if catalog is None else _is_committed(catalog, number))
    )
    listed = repository.packs()
    vanished = {name for name in missed if name in listing.packs and name not in listed}
    collected = _collected(repository, catalog, vanished) if vanished else vanished

    def is_gone(key: str) -> bool:
        name = pack_of_key(key)
        if name is not None:
            return name in collected or (bool(forgotten) and name not in listed)
        return key == PACKS or number_of_key(VERSIONS, key) in forgotten

    ledger.forget(forgotten, is_gone)
    return bool(collected)


def _is_committed(catalog: Catalog, number: int) -> bool:
    try:
        return catalog.version(number).state in COMMITTED
    except NotFound:
        return False


def _collected(repository: Repository, catalog: Catalog | None, names: set[PackName]) -> set[PackName]:
    """Those of these packs, which are not there any more, that gc has deleted."""
    if catalog is not None:
        return names - catalog.live_packs()
    announced: set[PackName] = set()
    for info in repository.store.objects(JOURNALS):
        try:
            if number_of_key(JOURNALS, info.key) is not None:
                announced.update(parse_journal(repository.store.get(info.key), info.key).packs)
        except (ObjectMissing, CorruptData, Unsupported):  # said by who looks at journals
            continue
    return names & announced
