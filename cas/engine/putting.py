"""Putting an object that nobody else writes."""

from cas.store.interface import ObjectExists, Store


def put_once(store: Store, key: str, data: bytes | memoryview) -> None:
    """That it exists is success where its bytes are ours: the answer to an earlier attempt was lost.
    ObjectExists where they are not."""
    try:
        store.put(key, data, create_only=True)
    except ObjectExists:
        if store.get(key) != data:
            raise
