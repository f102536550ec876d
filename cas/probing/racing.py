"""Whether exactly one of many writers makes an object."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from cas.limits import MIB
from cas.probing.place import Broken, Place
from cas.store.interface import ObjectExists

RACERS = 24
ROUNDS = 6
LARGE_RACERS = 4
LARGE_ROUNDS = 2
LARGE_BYTES = 6 * MIB + 1
"""Above the size from which the store sends parts, as the trial sets it: MULTIPART_BYTES."""

MULTIPART_BYTES = 6 * MIB
PART_BYTES = 5 * MIB

_SMALL_BYTES = 2000


def leaves_alone(place: Place) -> str:
    """Who comes second is told so, and changes nothing; when the object is gone, its key is free."""
    first = os.urandom(_SMALL_BYTES)
    key = place.put("create/one", first, create_only=True)
    for data in (first, b"another"):
        try:
            place.writer.put(key, data, create_only=True)
        except ObjectExists:
            continue
        raise Broken("an object that exists was overwritten by a put that must only create")
    if place.reader.get(key) != first:
        raise Broken("a put that was refused changed the object")
    place.writer.delete(key)
    place.writer.put(key, b"another", create_only=True)
    return "who comes second is told so, and the first object stays"


def has_one_winner(place: Place) -> str:
    """Of many that create one object at the same moment, one wins and its object is there."""
    for number in range(ROUNDS):
        _race(place, f"race/{number}", RACERS, _SMALL_BYTES)
    return f"one of {RACERS} writers won each of {ROUNDS} races"


def leaves_large_alone(place: Place) -> str:
    """An object that goes up in parts must not replace one that exists, either."""
    first = os.urandom(_SMALL_BYTES)
    key = place.put("create/large", first, create_only=True)
    try:
        place.writer.put(key, bytes(LARGE_BYTES), create_only=True)
    except ObjectExists:
        if place.reader.get(key) == first:
            return f"an object of {LARGE_BYTES // MIB} MiB does not replace one that exists"
        raise Broken("a large put that was refused changed the object") from None
    raise Broken("an object that exists was overwritten by a large put that must only create")


def has_one_winner_of_large(place: Place) -> str:
    """The same of objects that go up in parts, where a store may look at its condition too early."""
    for number in range(LARGE_ROUNDS):
        _race(place, f"race/large-{number}", LARGE_RACERS, LARGE_BYTES)
    return f"one of {LARGE_RACERS} writers of {LARGE_BYTES // MIB} MiB won each of {LARGE_ROUNDS} races"


def _race(place: Place, name: str, racers: int, size: int) -> None:
    start = threading.Barrier(racers)
    key = place.key(name)
    datas = [os.urandom(16) + bytes([number]) * (size - 16) for number in range(racers)]

    def race(data: bytes) -> bool:
        start.wait()
        try:
            place.writer.put(key, data, create_only=True)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(racers) as pool:
        try:
            won = list(pool.map(race, datas))
        except BaseException:
            start.abort()  # who waits for racers that never came must not wait forever
            raise
    winners = won.count(True)
    if winners != 1:
        raise Broken(f"{winners or 'none'} of {racers} writers were told that they made the one object")
    if place.reader.get(key) != datas[won.index(True)]:
        raise Broken("the object is another than the one of the writer that won")
