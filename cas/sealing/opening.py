"""From a store to what the layers above use: itself, or its sealed side."""

from collections.abc import Sequence
from contextlib import suppress

from cas.errors import Conflict, CorruptData, NotFound
from cas.format.config import encode_config, parse_config
from cas.format.names import CONFIG
from cas.format.sealing import parse_sealed_config
from cas.sealing.held_keys import HeldKeys, Secrets
from cas.sealing.key_ring import Chance, Labelled
from cas.sealing.store import SealedLockingStore, SealedStore
from cas.sealing.stored_keys import newest_keys
from cas.store.interface import ObjectMissing, Store
from cas.store.locking import LockingStore


def unsealed(store: Store, secrets: Secrets, chance: Chance | None = None) -> Store:
    """The store as it is where it is not sealed, or is nothing yet; else opened. PermissionDenied where no
    secret opens it; CorruptData where its keys are damaged."""
    repository_id: str | None = None
    try:
        repository_id = parse_sealed_config(store.get(CONFIG), f"{store.url}/{CONFIG}")
        if repository_id is None:
            return store
    except (ObjectMissing, CorruptData):
        pass  # the config is lost, or there never was one: keys tell
    keys = newest_keys(store, repository_id)
    if keys is None:
        if repository_id is None:
            return store
        raise CorruptData(
            "the keys of the sealed store are gone",
            kind="missing",
            where=f"{store.url}/keys/",
            hint="`cas key restore` puts back those that were seen last; nothing else opens the store, and a "
            "replica has keys of its own",
        )
    return _sealed(store, HeldKeys(store, secrets, keys, chance=chance))


def readable_id(store: Store) -> str:
    """The id of the repository in a store as it lies there, true or not. NotFound where nothing tells it."""
    with suppress(ObjectMissing, CorruptData):
        data = store.get(CONFIG)
        return parse_sealed_config(data) or parse_config(data).repository_id
    with suppress(CorruptData):
        keys = newest_keys(store, None)
        if keys is not None:
            return keys.head.repository_id
    raise NotFound("no repository lies there", where=store.url)


def newly_sealed(
    store: Store, secrets: Secrets, new: Sequence[Labelled], chance: Chance | None = None
) -> SealedStore:
    """A store that is sealed from its config on, which the layers above are about to put. Conflict where
    something lies there that is not sealed with these secrets."""
    if not new:
        raise ValueError("a sealed store has a key at least")
    try:
        store.get(CONFIG)
    except ObjectMissing:
        return _sealed(store, HeldKeys(store, secrets, None, new=new, chance=chance))
    there = unsealed(store, secrets, chance)
    if isinstance(there, SealedStore):
        return there
    raise Conflict(
        "a repository lies there that is not sealed",
        where=store.url,
        hint="Choose another prefix: what is there in clear is not sealed afterwards",
    )


def sealed_alike(store: Store, other: SealedStore) -> SealedStore:
    """An empty store, sealed with the keys of another one: whatever opens that one opens this one, too, until
    the keys of one of them are changed."""
    keys = other.keys.alike(store)
    sealed = _sealed(store, keys)
    sealed.put(CONFIG, encode_config(keys.config), create_only=True)
    return sealed


def _sealed(store: Store, keys: HeldKeys) -> SealedStore:
    return SealedLockingStore(store, keys) if isinstance(store, LockingStore) else SealedStore(store, keys)
