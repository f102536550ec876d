"""What a catalog knows of the keys of its stores, against what the stores say now.

Whoever can write to a bucket can put older keys there, with a passphrase in them that was removed, or say
that the store is not sealed, and wait for the next version in clear. So the newest keys ever seen are
remembered, and nothing is read or written with older ones, or without.
"""

from cas.catalog.interface import Catalog
from cas.catalog.sealing import PRIMARY, SeenKeys
from cas.errors import Conflict, CorruptData, NotFound
from cas.format.names import CONFIG, KEYS, keys_key
from cas.format.sealing import encode_sealed_config, parse_keys
from cas.sealing.store import SealedStore
from cas.sealing.stored_keys import numbers
from cas.store.interface import ObjectExists, ObjectMissing, Store

TAMPERED = "Somebody changed it. `cas key restore` puts the keys back that were seen last"


def recognise(store: Store, catalog: Catalog, place: str = PRIMARY) -> None:
    """Remember the keys of a store. Conflict where it is not sealed any more, or has older keys than were
    seen."""
    seen = catalog.sealing.seen(place)
    if not isinstance(store, SealedStore):
        if seen is not None:
            raise Conflict("the store was sealed, and says that it is not", where=store.url, hint=TAMPERED)
        return
    number = store.keys.number
    if seen is not None and seen.number > number:
        raise Conflict(
            f"the store has keys {number}, and keys {seen.number} were there already",
            where=store.url,
            hint=TAMPERED,
        )
    if seen is None or seen.number < number:
        catalog.sealing.note(place, SeenKeys(number, store.keys.stored()))


def restore_keys(store: Store, catalog: Catalog, place: str = PRIMARY) -> int:
    """Put the keys that were seen last back into a store as it lies there, and the config that goes with
    them; their number. NotFound where none were seen; Conflict where newer ones lie there."""
    seen = catalog.sealing.seen(place)
    if seen is None:
        raise NotFound("the catalog has seen no keys of this store", where=store.url)
    keys = parse_keys(seen.object)
    newer = [number for number in numbers(store) if number > seen.number]
    if newer:
        raise Conflict(
            f"the store has newer keys, {newer[-1]}, than were seen",
            where=store.url,
            hint="If they are not of your making, delete that object by hand; else all is well",
        )
    key = keys_key(seen.number)
    try:
        store.put(key, seen.object, create_only=True)
    except ObjectExists:
        if store.get(key) != seen.object:
            store.put(key, seen.object)
    _restore_config(store, encode_sealed_config(keys.head.repository_id))
    if store.get(key) != seen.object:
        raise CorruptData(
            "what was put does not lie there", kind="hash-mismatch", where=f"{store.url}/{KEYS}"
        )
    return seen.number


def _restore_config(store: Store, config: bytes) -> None:
    try:
        if store.get(CONFIG) == config:
            return
    except ObjectMissing:
        pass
    store.put(CONFIG, config)
