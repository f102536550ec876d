"""What lies in the store, by one listing, and the ground that it makes with the local cache."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from cas.closure.ground import COPY_HINT, Ground, Packs
from cas.damage import DamageKind, Ledger
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.format.names import (
    CONFIG,
    JOURNALS,
    NOTES,
    VERSIONS,
    dictionary_of_key,
    number_of_key,
    pack_key,
    pack_of_key,
)
from cas.ids import ChunkId, PackName


@dataclass(frozen=True, slots=True)
class Listing:
    """The store's objects by what they are. Documents were listed before packs, so that the packs that a
    document names are here too, whoever writes meanwhile.

    `journal`: the highest number among the gc journals, 0 without one; packs may then have been
    rewritten. `notes`, `journals`: numbers, ascending. `strangers`: keys that are none of this format.
    """

    numbers: Sequence[int]
    packs: dict[PackName, int]
    dictionaries: frozenset[ChunkId]
    journal: int
    strangers: int
    notes: Sequence[int] = ()
    journals: Sequence[int] = ()


def list_store(repository: Repository) -> Listing:
    """List everything: two passes over versions, one over all else."""
    numbers = repository.numbers()
    packs: dict[PackName, int] = {}
    dictionaries: set[ChunkId] = set()
    notes: list[int] = []
    journals: list[int] = []
    strangers = 0
    for info in repository.store.objects():
        name, dictionary = pack_of_key(info.key), dictionary_of_key(info.key)
        if name is not None:
            packs[name] = info.size
        elif dictionary is not None:
            dictionaries.add(dictionary)
        elif info.key.startswith(JOURNALS) and (number := number_of_key(JOURNALS, info.key)):
            journals.append(number)
        elif info.key.startswith(NOTES) and (number := number_of_key(NOTES, info.key)):
            notes.append(number)
        elif info.key != CONFIG and number_of_key(VERSIONS, info.key) is None:
            strangers += 1
    journal = max(journals, default=0)
    return Listing(numbers, packs, frozenset(dictionaries), journal, strangers, notes, journals)


def without(listing: Listing, written_off: frozenset[PackName]) -> Listing:
    """The listing without packs that hold nothing any more, as if gc had taken them already."""
    if not written_off:
        return listing
    packs = {name: size for name, size in listing.packs.items() if name not in written_off}
    return replace(listing, packs=packs, journal=max(listing.journal, 1))


def listed_ground(repository: Repository, listing: Listing, ledger: Ledger) -> Ground:
    """All listed packs by their trailers as the local cache has them, or else the store."""
    unreadable = repository.learn(set(listing.packs))
    view = View(listing.packs.keys() - unreadable)
    packs = Packs.over(repository, repository.index, repository.trailers, view)
    for name in sorted(unreadable):
        try:
            repository.trailers.trailer(name)
        except (CorruptData, Unsupported) as error:
            ledger.note_error(pack_key(name), error, COPY_HINT)
    return suspicious(repository, Ground(packs, ledger, repository.index), listing)


def suspicious(repository: Repository, ground: Ground, listing: Listing) -> Ground:
    """The ground, told which listed packs it does not have, and how to find out which are not even listed."""
    ground.explain = partial(_suspect_lost_packs, repository, ground, listing)
    for name in listing.packs.keys() - ground.packs.view.packs:
        number = ground.ledger.of_object(pack_key(name))
        if number is not None:
            ground.suspect(number)
    return ground


def _suspect_lost_packs(repository: Repository, ground: Ground, listing: Listing) -> None:
    """Packs that some document has added and the store no longer has. Once gc has rewritten packs, that
    says nothing."""
    if listing.journal:
        return
    for number in repository.numbers():
        try:
            packs = repository.document(number).packs
        except (NotFound, CorruptData, Unsupported, Conflict):
            continue
        for pack in packs:
            if pack.name not in listing.packs:
                ground.suspect(note_lost(ground.ledger, pack.name))


def note_lost(ledger: Ledger, name: PackName) -> int:
    """The finding about a pack that the store no longer has."""
    return ledger.note(pack_key(name), DamageKind.MISSING, "a pack is missing", COPY_HINT)
