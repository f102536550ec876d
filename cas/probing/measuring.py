"""How long small calls take, and how many bytes go up and down in a second."""

import os
import time
from collections.abc import Callable
from math import ceil
from statistics import median

from cas.limits import KIB, MIB
from cas.probing.model import Latency, Throughput
from cas.probing.place import Broken, Place

_CALLS = 40
_LISTINGS = 20
_SMALL_BYTES = KIB
_LARGE_BYTES = 16 * MIB


def latencies(place: Place) -> tuple[Latency, ...]:
    """Of putting, getting and listing small objects."""
    data = os.urandom(_SMALL_BYTES)
    return (
        _timed("put", _CALLS, lambda number: place.put(f"timed/{number}", data, create_only=True)),
        _timed("get", _CALLS, lambda number: place.reader.get(place.key(f"timed/{number}"))),
        _timed("list", _LISTINGS, lambda _number: place.listed("timed/")),
    )


def throughput(place: Place) -> Throughput:
    """One object up and down, in one stream. Broken if it comes back changed."""
    data = os.urandom(_LARGE_BYTES)
    began = time.perf_counter()
    key = place.put("large", data)
    put = time.perf_counter()
    come = place.reader.get(key)
    got = time.perf_counter()
    if come != data:
        raise Broken(f"an object of {_LARGE_BYTES // MIB} MiB came back changed")
    return Throughput(_LARGE_BYTES, _LARGE_BYTES / (put - began), _LARGE_BYTES / (got - put))


def _timed(call: str, count: int, make: Callable[[int], object]) -> Latency:
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        make(number)
        seconds.append(time.perf_counter() - began)
    seconds.sort()
    return Latency(call, count, median(seconds), seconds[ceil(0.95 * count) - 1])
