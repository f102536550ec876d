"""The objects `keys/<number>` of a store.

New keys are put create-only under the next number, and count from then on; older ones are deleted afterwards.

put     keys/<n + 1>, create-only     (crash before: nothing; after: they count, older ones lie there)
delete  keys/1 ... keys/<n>           (crash: some are left; the next change deletes them)
"""

from cas.errors import Conflict, CorruptData
from cas.format.names import KEYS, keys_key, number_of_key
from cas.format.sealing import Keys, encode_keys, parse_keys
from cas.store.interface import ObjectExists, ObjectMissing, Store

ROUNDS = 5
"""How often the newest keys are looked for, where they go while they are read: somebody changes them."""


def numbers(store: Store) -> list[int]:
    """Of all keys that lie there, ascending."""
    found = (number_of_key(KEYS, info.key) for info in store.objects(KEYS))
    return sorted(number for number in found if number is not None)


def newest_keys(store: Store, repository_id: str | None) -> Keys | None:
    """The keys that count; None where there are none. `repository_id`: of whose making; others are left over
    from an `init` that lost a race. CorruptData where they cannot be read: older ones must not count."""
    for _ in range(ROUNDS):
        vanished = False
        for number in reversed(numbers(store)):
            key = keys_key(number)
            try:
                keys = parse_keys(store.get(key), f"{store.url}/{key}")
            except ObjectMissing:
                vanished = True
                break
            if keys.head.number != number:
                raise CorruptData("keys under another number", kind="malformed", where=key)
            if repository_id in (None, keys.head.repository_id):
                return keys
        if not vanished:
            return None
    raise Conflict("the keys change all the time", where=store.url, hint="Try again")


def put_keys(store: Store, keys: Keys) -> None:
    """Let these count. Conflict where somebody else was faster, also by several changes: then the number may
    be free again, and what lies under a higher one counts."""
    key = keys_key(keys.head.number)
    try:
        store.put(key, encode_keys(keys), create_only=True)
    except ObjectExists as error:
        raise changed_just_now(store) from error
    newest = newest_keys(store, keys.head.repository_id)
    if newest is not None and newest.head.number > keys.head.number:
        store.delete(key)
        raise changed_just_now(store)


def changed_just_now(store: Store) -> Conflict:
    return Conflict(
        "somebody else changed the keys just now",
        where=store.url,
        hint="Look at `cas key list`, try again",
    )


def delete_older(store: Store, number: int) -> int:
    """Delete keys of lower numbers; how many there were."""
    older = [one for one in numbers(store) if one < number]
    for one in older:
        store.delete(keys_key(one))
    return len(older)
