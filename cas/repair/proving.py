"""Whether what a holder has is what was lost: nothing is put that is not proven here.

packs          by their name, which is the hash of their bytes
documents      by the hash in the catalog, or by what the child's document says of its parent
dictionaries   by their id
notes,         sealed, of this repository, under their own number; and all holders that have sound ones agree.
journals       Nobody keeps a hash of them
config         of this repository, and its key makes the ids of what is stored (cas/repair/config.py)
"""

from collections.abc import Callable

from blake3 import blake3

from cas.engine.repository import Repository
from cas.errors import CorruptData, Unsupported
from cas.format.config import parse_config
from cas.format.journal import parse_journal
from cas.format.names import (
    CONFIG,
    JOURNALS,
    NOTES,
    dictionary_of_key,
    number_of_key,
    pack_of_key,
)
from cas.format.notes import parse_notes
from cas.ids import ChunkKind

Proof = Callable[[bytes], bool]


def proof_by_hash(digest: bytes) -> Proof:
    return lambda data: blake3(data).digest() == digest


def proof_of(repository: Repository, key: str) -> Proof | None:
    """How an object is proven by its key; None where the key alone cannot say it."""
    name, dictionary = pack_of_key(key), dictionary_of_key(key)
    if name is not None:
        return proof_by_hash(bytes.fromhex(name))
    if dictionary is not None:
        hasher = repository.config.id_key.hasher(ChunkKind.DICTIONARY)
        return lambda data: hasher(data) == dictionary
    if key == CONFIG:
        return lambda data: _parses(lambda: parse_config(data) == repository.config)
    return None


def proof_of_sealed(repository: Repository, key: str) -> Proof | None:
    """As `proof_of`, of objects that only their seal proves: notes and journals."""
    for prefix, parse in ((NOTES, parse_notes), (JOURNALS, parse_journal)):
        number = number_of_key(prefix, key)
        if number is not None:
            return _sealed(repository.id, number, parse)
    return None


def _sealed(repository_id: str, number: int, parse: Callable[[bytes], object]) -> Proof:
    def is_ours(data: bytes) -> bool:
        found = parse(data)
        return (
            getattr(found, "repository_id", None) == repository_id
            and getattr(found, "number", None) == number
        )

    return lambda data: _parses(lambda: is_ours(data))


def _parses(look: Callable[[], bool]) -> bool:
    try:
        return look()
    except (CorruptData, Unsupported):
        return False
