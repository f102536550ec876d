"""What lies in the store, by one listing, and the ground that it makes with the local cache."""

from collections.abc import Sequence
from dataclasses import dataclass

from cas.closure.ground import COPY_HINT, Ground, Packs
from cas.damage import Ledger
from cas.engine.chunk_index import View
from cas.engine.repository import Repository
from cas.errors import CorruptData, Unsupported
from cas.format.names import (
    CONFIG,
    JOURNALS,
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
    rewritten. `strangers`: keys that are none of this format.
    """

    numbers: Sequence[int]
    packs: dict[PackName, int]
    dictionaries: frozenset[ChunkId]
    journal: int
    strangers: int


def list_store(repository: Repository) -> Listing:
    """List everything: two passes over versions, one over all else."""
    numbers = repository.numbers()
    packs: dict[PackName, int] = {}
    dictionaries: set[ChunkId] = set()
    journal = strangers = 0
    for info in repository.store.objects():
        name, dictionary = pack_of_key(info.key), dictionary_of_key(info.key)
        if name is not None:
            packs[name] = info.size
        elif dictionary is not None:
            dictionaries.add(dictionary)
        elif info.key.startswith(JOURNALS) and (number := number_of_key(JOURNALS, info.key)):
            journal = max(journal, number)
        elif info.key != CONFIG and number_of_key(VERSIONS, info.key) is None:
            strangers += 1
    return Listing(numbers, packs, frozenset(dictionaries), journal, strangers)


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
    return suspicious(Ground(packs, ledger, repository.index), listing)


def suspicious(ground: Ground, listing: Listing) -> Ground:
    """The ground, told which listed packs it does not have."""
    for name in listing.packs.keys() - ground.packs.view.packs:
        number = ground.ledger.of_object(pack_key(name))
        if number is not None:
            ground.suspect(number)
    return ground
