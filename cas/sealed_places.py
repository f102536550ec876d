"""What a catalog knows of the keys of its stores, against what the stores say now.

Whoever can write to a bucket can put older keys there, with a passphrase in them that was removed, or say
that the store is not sealed, and wait for the next version in clear. So the newest keys ever seen are
remembered, and nothing is read or written with older ones, or without.
"""

from cas.catalog.interface import Catalog
from cas.catalog.sealing import PRIMARY, SeenKeys
from cas.errors import Conflict, CorruptData, NotFound, PermissionDenied
from cas.format.names import CONFIG, KEYS, keys_key
from cas.format.sealing import KeyContents, Keys, encode_sealed_config, parse_keys
from cas.sealing.held_keys import Secrets, follows, kinds
from cas.sealing.key_ring import unlock
from cas.sealing.store import SealedStore
from cas.sealing.stored_keys import newest_keys, numbers
from cas.store.interface import ObjectExists, ObjectMissing, Store

TAMPERED = (
    "Somebody changed it, or it is another place than before. If it is the same one, `cas key restore` puts "
    "the keys back that were seen last; where it is another one, `cas key accept` says so"
)


def recognise(store: Store, catalog: Catalog, place: str = PRIMARY) -> None:
    """Remember the keys of a store. Conflict where it is not sealed any more, or has older keys than were
    seen, or others than come of them by changes. Keys that somebody has changed since this store was opened
    are taken up, so that what runs for long seals with the newest ones."""
    seen = catalog.sealing.seen(place)
    if not isinstance(store, SealedStore):
        if seen is not None:
            raise Conflict("the store was sealed, and says that it is not", where=store.url, hint=TAMPERED)
        return
    if seen is not None and seen.number > store.keys.number:
        store.keys.look_again()
    number = store.keys.number
    if seen is not None and seen.number > number:
        raise Conflict(
            f"the store has keys {number}, and keys {seen.number} were there already",
            where=store.url,
            hint=TAMPERED,
        )
    if seen is not None and seen.object != store.keys.stored():
        is_changed = seen.number < number and store.keys.follow(parse_keys(seen.object))
        if not is_changed:
            raise Conflict(
                "the keys in the store are not those that were seen last, nor made of them",
                where=store.url,
                hint=TAMPERED,
            )
    if seen is None or seen.number < number:
        catalog.sealing.note(place, SeenKeys(number, store.keys.stored()))


def accept(store: Store, catalog: Catalog, place: str = PRIMARY) -> None:
    """A person has looked, and says that the store is as it should be: what was seen before is forgotten."""
    catalog.sealing.forget(place)
    recognise(store, catalog, place)


def restore_keys(store: Store, catalog: Catalog, secrets: Secrets, place: str = PRIMARY) -> int:
    """Put the keys that were seen last back into a store as it lies there, and the config that goes with
    them; their number. NotFound where none were seen; Conflict where newer ones lie there, or whole ones that
    would be lost: the place may be a copy that is sealed with keys of its own."""
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
    _require_no_others(store, keys, secrets)
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


def _require_no_others(store: Store, seen: Keys, secrets: Secrets) -> None:
    """Whatever lies there and is whole is older than what was seen, as far as secrets can show it; what they
    do not open stays where it is, and is not overwritten."""
    try:
        there = newest_keys(store, seen.head.repository_id)
        lying = _contents(there, secrets) if there else None
    except CorruptData:
        return
    if there is None or there == seen:
        return
    if lying is None:
        is_older = there.head.number < seen.head.number
    else:
        known = _contents(seen, secrets)
        is_older = known is not None and follows(known, lying)
    if not is_older:
        raise Conflict(
            f"keys {there.head.number} lie there, whole, and those that were seen did not come of them",
            where=store.url,
            hint="They may be all that opens what lies there, as in a copy with keys of its own. Keep that "
            "object, and delete it there by hand where you know that it is not",
        )


def _contents(keys: Keys, secrets: Secrets) -> KeyContents | None:
    """None where no secret opens them."""
    try:
        return unlock(keys, secrets(kinds(keys.head))).contents
    except PermissionDenied:
        return None


def _restore_config(store: Store, config: bytes) -> None:
    try:
        if store.get(CONFIG) == config:
            return
    except ObjectMissing:
        pass
    store.put(CONFIG, config)
