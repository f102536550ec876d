"""What lies in a replica, by one listing, and what changes of it during a run."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cas.format.names import (
    CONFIG,
    NOTES,
    VERSIONS,
    dictionary_key,
    dictionary_of_key,
    notes_key,
    number_of_key,
    pack_key,
    pack_of_key,
    version_key,
)
from cas.ids import ChunkId, PackName
from cas.store.interface import Store


@dataclass(slots=True)
class ReplicaListing:
    """Objects of our format by what they are, with their bytes; others are passed over."""

    has_config: bool = False
    packs: dict[PackName, int] = field(default_factory=dict)
    documents: dict[int, int] = field(default_factory=dict)
    dictionaries: dict[ChunkId, int] = field(default_factory=dict)
    notes: dict[int, int] = field(default_factory=dict)
    config_bytes: int = 0

    @property
    def objects(self) -> int:
        return (
            self.has_config + len(self.packs) + len(self.documents) + len(self.dictionaries) + len(self.notes)
        )

    @property
    def stored_bytes(self) -> int:
        kinds = (self.packs, self.documents, self.dictionaries, self.notes)
        return self.config_bytes + sum(sum(sizes.values()) for sizes in kinds)

    def keys(self) -> Iterator[str]:
        """Of all objects."""
        if self.has_config:
            yield CONFIG
        yield from map(notes_key, self.notes)
        yield from map(dictionary_key, self.dictionaries)
        yield from map(pack_key, self.packs)
        yield from map(version_key, self.documents)


def list_replica(store: Store) -> ReplicaListing:
    """One pass over everything."""
    found = ReplicaListing()
    for info in store.objects():
        if info.key == CONFIG:
            found.has_config, found.config_bytes = True, info.size
        elif (pack := pack_of_key(info.key)) is not None:
            found.packs[pack] = info.size
        elif (dictionary := dictionary_of_key(info.key)) is not None:
            found.dictionaries[dictionary] = info.size
        elif (number := number_of_key(VERSIONS, info.key)) is not None:
            found.documents[number] = info.size
        elif (number := number_of_key(NOTES, info.key)) is not None:
            found.notes[number] = info.size
    return found
