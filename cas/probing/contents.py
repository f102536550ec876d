"""Whether what is read is what was written: whole, in ranges, and while it is being replaced."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from cas.errors import CorruptData
from cas.limits import KIB
from cas.probing.place import Broken, Place
from cas.store.interface import ObjectMissing

_SIZES = (0, 1, 1000, 64 * KIB + 1)
_TORN_BYTES = 512 * KIB
_REPLACEMENTS = 12
_READERS = 3

_KEYS = ("a", "b-c/x", "b.c", "b/-", "b/.x", "b/00", "b0", "b_/x", "/".join(["k" * 200, "k" * 200]))
"""The characters that keys may have, their order put to the test, and a long one."""


def reads_back(place: Place) -> str:
    """What was written is what is read, and its size is told rightly."""
    for size in _SIZES:
        data = os.urandom(size)
        key = place.put(f"whole/{size}", data, create_only=True)
        if place.reader.get(key) != data:
            raise Broken(f"an object of {size} bytes came back changed")
        if place.reader.size(key) != size:
            raise Broken(f"an object of {size} bytes is said to have {place.reader.size(key)}")
    return f"objects of {', '.join(map(str, _SIZES))} bytes came back as they were"


def reads_ranges(place: Place) -> str:
    """A range is exactly what was asked for, or an error."""
    data = os.urandom(100 * KIB)
    key = place.put("ranges", data)
    for start, length in ((0, 1), (0, len(data)), (1, 4096), (65_535, 3), (len(data) - 1, 1)):
        if place.reader.get_range(key, start, length) != data[start : start + length]:
            raise Broken(f"{length} bytes from {start} are not what lies there")
    for length in (1, 4096, len(data), len(data) + 1):
        if place.reader.get_tail(key, length) != data[-length:]:
            raise Broken(f"the last {length} bytes are not the end of the object")
    for start, length in ((len(data), 1), (len(data) - 1, 2)):
        try:
            place.reader.get_range(key, start, length)
        except CorruptData:
            continue
        raise Broken("a range past the end of an object was answered as if it were there")
    return "ranges and ends of objects came exactly"


def replaces_whole(place: Place) -> str:
    """A reader sees one or the other of two objects, whole; and a new one whole or not at all."""
    first, second = (sign * _TORN_BYTES for sign in (b"0", b"1"))
    replaced = place.put("torn/replaced", first)
    created = place.key("torn/created")
    over = threading.Event()
    seen: set[str] = set()

    def watch(key: str) -> None:
        while not over.is_set():
            try:
                data = place.reader.get(key)
            except ObjectMissing:
                continue
            if data not in (first, second):
                seen.add(
                    f"{len(data)} bytes of {len(first)}" if len(data) != len(first) else "a mixture of two"
                )

    with ThreadPoolExecutor(2 * _READERS) as pool:
        try:
            watching = [pool.submit(watch, key) for key in (replaced, created) for _ in range(_READERS)]
            for number in range(_REPLACEMENTS):
                place.writer.put(replaced, (second, first)[number % 2])
                place.writer.put(created, second)
                place.writer.delete(created)
        finally:
            over.set()
        for one in watching:
            one.result()
    if seen:
        raise Broken(f"while an object was written, a reader saw {', '.join(sorted(seen))}")
    return f"{2 * _READERS} readers saw {_REPLACEMENTS} objects replaced, and none in part"


def takes_all_keys(place: Place) -> str:
    """Keys are kept apart, whatever signs of ours they have, and listed in the order of their bytes."""
    for name in _KEYS:
        place.put(f"keys/{name}", name.encode())
    for name in _KEYS:
        if place.reader.get(place.key(f"keys/{name}")) != name.encode():
            raise Broken(f"two keys are taken for one: {name[:40]}")
    return f"{len(_KEYS)} keys with all signs that ours have, up to {max(map(len, _KEYS))} letters"


def lists_in_order(place: Place) -> str:
    """Listings ascend by the bytes of keys, and go on from where one says. Needs the keys of before."""
    wanted = sorted(_KEYS)
    listed = [name.removeprefix("keys/") for name in place.listed("keys/")]
    if set(listed) != set(wanted):
        raise Broken(f"{len(set(wanted) - set(listed))} of {len(wanted)} objects are not listed")
    if listed != wanted:
        raise Broken("objects are not listed in the order of their keys")
    for number, name in enumerate(wanted):
        rest = [one.removeprefix("keys/") for one in place.listed("keys/", after=f"keys/{name}")]
        if rest != wanted[number + 1 :]:
            raise Broken(f"a listing from after `{name[:40]}` is not the rest of it")
    if place.listed("keys/b/") != [f"keys/{name}" for name in wanted if name.startswith("b/")]:
        raise Broken("a listing of a prefix is not what begins with it")
    return "in the order of their bytes, from any key on"
