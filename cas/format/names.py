"""Object keys: what lies where in a store, and how a key is read back.

config                        created once, changed only by key rotation
versions/<10 digits>          create-only; deleted by forget
packs/<2 hex>/<64 hex>        create-only; deleted by gc
dictionaries/<64 hex>         create-only second copies; deleted by gc
gc/<10 digits>                create-only journals; never deleted
"""

from cas.ids import ChunkId, PackName

CONFIG = "config"
PACKS = "packs/"
VERSIONS = "versions/"
DICTIONARIES = "dictionaries/"
JOURNALS = "gc/"

_HEX = frozenset("0123456789abcdef")
_DIGITS = 10


def pack_key(name: PackName) -> str:
    return f"{PACKS}{name[:2]}/{name}"


def version_key(number: int) -> str:
    return f"{VERSIONS}{number:0{_DIGITS}d}"


def journal_key(number: int) -> str:
    return f"{JOURNALS}{number:0{_DIGITS}d}"


def dictionary_key(chunk_id: ChunkId) -> str:
    return f"{DICTIONARIES}{chunk_id.hex()}"


def pack_of_key(key: str) -> PackName | None:
    """The pack that a key names, or None where it is no pack's key."""
    name = key[len(PACKS) + 3 :]
    if len(name) == 64 and _HEX.issuperset(name) and key == pack_key(PackName(name)):
        return PackName(name)
    return None


def number_of_key(prefix: str, key: str) -> int | None:
    """The number of a version's or journal's key, or None where it is not such a key."""
    digits = key[len(prefix) :]
    if key.startswith(prefix) and len(digits) == _DIGITS and digits.isascii() and digits.isdigit():
        return int(digits)
    return None
