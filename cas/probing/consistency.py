"""Whether everybody sees at once what somebody did."""

import os

from cas.probing.place import Broken, Place, settles
from cas.store.interface import ObjectMissing

_ROUNDS = 10


def reads_at_once(place: Place) -> str:
    """What was put is read, and what replaced it, by whoever asks right after."""
    for number in range(_ROUNDS):
        name = f"seen/{number}"
        _unseen(place, place.key(name))  # a store may remember that it was not there
        for data in (os.urandom(100), os.urandom(90)):
            key = place.put(name, data)
            if not _reads(place, key, data):
                late = settles(lambda key=key, data=data: _reads(place, key, data))  # type: ignore[misc]
                how = "is read late" if late else "is never read"
                raise Broken(f"what was put {how}: a reader saw the state of before")
    return f"{2 * _ROUNDS} objects were read right after they were put or replaced"


def deletes_at_once(place: Place) -> str:
    """What was deleted is gone for whoever asks right after, and may be deleted again."""
    for number in range(_ROUNDS):
        key = place.put(f"deleted/{number}", os.urandom(100))
        place.reader.get(key)
        place.writer.delete(key)
        if not _unseen(place, key):
            if settles(lambda key=key: _unseen(place, key)):  # type: ignore[misc]
                raise Broken("what was deleted is still read for a while")
            raise Broken("what was deleted is still there: the deletion was lost")
        place.writer.delete(key)
    return f"{_ROUNDS} objects were gone right after they were deleted"


def lists_at_once(place: Place) -> str:
    """What was put is listed right after, with its size."""
    for number in range(_ROUNDS):
        name = f"listed/{number}"
        place.listed("listed/")
        place.put(name, bytes(number))
        if name not in place.listed("listed/"):
            late = settles(lambda name=name: name in place.listed("listed/"))  # type: ignore[misc]
            raise Broken(f"a new object is listed {'late' if late else 'never'}")
    sizes = [info.size for info in place.reader.objects(f"{place.prefix}/listed/")]
    if sorted(sizes) != list(range(_ROUNDS)):
        raise Broken("a listing tells wrong sizes")
    return f"{_ROUNDS} objects were listed right after they were put"


def unlists_at_once(place: Place) -> str:
    """What was deleted is listed no more."""
    for number in range(_ROUNDS):
        name = f"unlisted/{number}"
        key = place.put(name, b"x")
        place.listed("unlisted/")
        place.writer.delete(key)
        if name in place.listed("unlisted/"):
            late = settles(lambda name=name: name not in place.listed("unlisted/"))  # type: ignore[misc]
            raise Broken(f"a deleted object is still listed{' for a while' if late else ''}")
    return f"{_ROUNDS} objects were not listed any more right after they were deleted"


def _reads(place: Place, key: str, data: bytes) -> bool:
    try:
        return place.reader.get(key) == data and place.reader.size(key) == len(data)
    except ObjectMissing:
        return False


def _unseen(place: Place, key: str) -> bool:
    for ask in (place.reader.get, place.reader.size):
        try:
            ask(key)
        except ObjectMissing:
            continue
        return False
    return True
