"""Object keys: what lies where in a store, and how a key is read back.

config                        created once
versions/<10 digits>          create-only; deleted by forget
packs/<2 hex>/<64 hex>        create-only; deleted by gc
dictionaries/<64 hex>         create-only second copies; deleted by gc
gc/<10 digits>                create-only journals; never deleted
notes/<10 digits>             create-only; never deleted
keys/<10 digits>              create-only, in sealed stores; deleted when newer ones are there
"""

from cas.ids import CHUNK_ID_BYTES, ChunkId, PackName
from cas.limits import MAX_VERSION_NUMBER

CONFIG = "config"
PACKS = "packs/"
VERSIONS = "versions/"
DICTIONARIES = "dictionaries/"
JOURNALS = "gc/"
NOTES = "notes/"
KEYS = "keys/"

_HEX = frozenset("0123456789abcdef")
_DIGITS = len(str(MAX_VERSION_NUMBER))
_PACK_NAME_DIGITS = 64


def pack_key(name: PackName) -> str:
    return f"{PACKS}{name[:2]}/{name}"


def version_key(number: int) -> str:
    return VERSIONS + _digits(number)


def journal_key(number: int) -> str:
    return JOURNALS + _digits(number)


def notes_key(number: int) -> str:
    return NOTES + _digits(number)


def keys_key(number: int) -> str:
    return KEYS + _digits(number)


def _digits(number: int) -> str:
    if not 1 <= number <= MAX_VERSION_NUMBER:
        raise ValueError(f"number {number} has no key")
    return f"{number:0{_DIGITS}d}"


def dictionary_key(chunk_id: ChunkId) -> str:
    return f"{DICTIONARIES}{chunk_id.hex()}"


def is_pack_name(text: str) -> bool:
    """Whether the text has the form of a pack's name."""
    return len(text) == _PACK_NAME_DIGITS and _HEX.issuperset(text)


def pack_of_key(key: str) -> PackName | None:
    """The pack that a key names, or None where it is no pack's key."""
    name = key[len(PACKS) + 3 :]
    if is_pack_name(name) and key == pack_key(PackName(name)):
        return PackName(name)
    return None


def dictionary_of_key(key: str) -> ChunkId | None:
    """The dictionary that a key names, or None where it is no dictionary's key."""
    digits = key[len(DICTIONARIES) :]
    if key.startswith(DICTIONARIES) and len(digits) == 2 * CHUNK_ID_BYTES and _HEX.issuperset(digits):
        return ChunkId(bytes.fromhex(digits))
    return None


def number_of_key(prefix: str, key: str) -> int | None:
    """The number in the key of a version, a journal, notes or keys, or None where it is not such a key."""
    digits = key[len(prefix) :]
    if key.startswith(prefix) and len(digits) == _DIGITS and digits.isascii() and digits.isdigit():
        return int(digits) or None
    return None
