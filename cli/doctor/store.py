"""The store: does it answer, does it keep what it promises, is a repository there, is there room."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from cas.engine.repository import Repository
from cas.errors import CasError, CorruptData, NotFound, PermissionDenied
from cas.limits import MIB
from cas.sealing.opening import unsealed
from cas.sealing.store import SealedStore
from cas.store.interface import ObjectExists, ObjectMissing, Store
from cas.store.opening import open_bare
from cli.doctor.model import Health, Observation, clock
from cli.session import Session
from cli.words import counted, size

GROUP = "store"

PROBE = "probe-"
"""Beginning of the name of the object that is written, read and deleted again."""

LEAST_ROOM = 256 * MIB


def look_at_store(session: Session) -> Iterator[Observation]:
    """Without retries, so that each fault is seen at once."""
    store = open_bare(session.store_url, session.primary_options)
    try:
        yield from _repository(store, session)
        yield from _promises(store)
        yield from _room(store)
    finally:
        store.close()


def _repository(store: Store, session: Session) -> Iterator[Observation]:
    next(store.objects(), None)
    yield Observation(GROUP, "reachable", Health.OK, store.url)
    try:
        opened = unsealed(store, session.secrets)
    except (PermissionDenied, CorruptData) as error:
        yield Observation(GROUP, "sealed", Health.FAIL, error.what, error.hint)
        return
    if isinstance(opened, SealedStore):
        keys = counted(len(opened.keys.unlocked.head.slots), "key")
        yield Observation(GROUP, "sealed", Health.OK, f"with {keys}, one of which is at hand")
    try:
        repository = Repository(opened, None)
    except NotFound as error:
        yield Observation(GROUP, "repository", Health.FAIL, "there is none", error.hint)
        return
    numbers = repository.numbers()
    newest = f", the newest is {numbers[-1]}" if numbers else ""
    found = f"{repository.id}, {counted(len(numbers), 'version')}{newest}"
    yield Observation(GROUP, "repository", Health.OK, found)


def _promises(store: Store) -> list[Observation]:
    """Create-only, reading back, listing, deleting: on an object of our own."""
    key = f"{PROBE}{os.urandom(8).hex()}"
    content = os.urandom(1024)
    store.put(key, content, create_only=True)
    try:
        seen = [_create_only(store, key), _reads(store, key, content), *_lists(store, key)]
    except CasError:
        with suppress(CasError):
            store.delete(key)
        raise
    return [*seen, _deletes(store, key)]


def _reads(store: Store, key: str, content: bytes) -> Observation:
    if store.get(key) == content and store.get_range(key, 100, 200) == content[100:300]:
        return Observation(GROUP, "reads", Health.OK, "what was written is read back, in parts too")
    advice = "Do not use this store: it does not keep what it is given"
    return Observation(GROUP, "reads", Health.FAIL, "reading back gives other bytes", advice)


def _lists(store: Store, key: str) -> Iterator[Observation]:
    listed = next((info for info in store.objects(PROBE) if info.key == key), None)
    if listed is None:
        advice = "Versions need a store whose listings are never late"
        yield Observation(GROUP, "lists", Health.FAIL, "a new object is not listed at once", advice)
        return
    yield Observation(GROUP, "lists", Health.OK, "a new object is listed at once")
    yield clock(GROUP, datetime.fromtimestamp(listed.modified, UTC) - datetime.now(UTC), "the store's clock")


def _create_only(store: Store, key: str) -> Observation:
    try:
        store.put(key, b"a second writer", create_only=True)
    except ObjectExists:
        return Observation(GROUP, "create-only", Health.OK, "the second of two writers is told so")
    # The probe now holds other bytes; it is deleted all the same, and nothing else was touched.
    advice = "Do not let two machines write to it; a store that knows If-None-Match: * is safe"
    return Observation(GROUP, "create-only", Health.FAIL, "an existing object was overwritten", advice)


def _deletes(store: Store, key: str) -> Observation:
    try:
        store.delete(key)
    except CasError as error:
        found = f"the object {key} cannot be deleted: {error.what}"
        return Observation(GROUP, "deletes", Health.WARN, found, "Only reclaiming space will need this right")
    with suppress(ObjectMissing):
        store.size(key)
        return Observation(GROUP, "deletes", Health.WARN, f"{key} is still there after it was deleted")
    return Observation(GROUP, "deletes", Health.OK, "what is deleted is gone")


def _room(store: Store) -> Iterator[Observation]:
    free = store.free_bytes()
    if free is None:
        yield Observation(GROUP, "room", Health.OK, "the store does not say how much room it has")
    elif free < LEAST_ROOM:
        yield Observation(
            GROUP, "room", Health.FAIL, f"{size(free)} free", "Free some space, or choose another store"
        )
    else:
        yield Observation(GROUP, "room", Health.OK, f"{size(free)} free")
