"""Changes that leave an input well formed: JSON part by part, envelopes with their hash, texts by words."""

import json
from collections.abc import Sequence
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzz.model import Blind, Change
from tests.vectors.primitives import canonical, envelope

HASH_BYTES = 66
"""The end of an envelope: LF, the hash in hex, LF."""

ODD: Sequence[Any] = (
    *(None, True, False, 0, 1, -1, 1.5, 2**31, 2**63 - 1, 2**63, 10**30),
    *("", "0", "a", "A" * 64, "0" * 64, "ff" * 32, "00" * 16, "\0", "\udc80", "\ud800", "\u202e", "é"),
    *(
        "a" * 3000,
        "..",
        "/",
        ":",
        "\n",
        "2026-02-30T00:00:00.000000+00:00",
        "2026-01-31T23:59:59.000000+00:00",
    ),
    *([], {}, [[]], [0], [""], ["a", "b"], ["a", "a"], {"a": 1}, {"": None}),
)


def by_words(words: Sequence[bytes]) -> Change:
    """Words of the language put in, put over, or doubled; else blindly."""

    def change(data: bytes, random: Random, blind: Blind) -> bytes:
        if random.random() < 0.5:
            return blind(data)
        at, word = random.randint(0, len(data)), random.choice(words)
        match random.randrange(3):
            case 0:
                return data[:at] + word + data[at:]
            case 1:
                return data[:at] + word + data[at + len(word) :]
            case _:
                end = min(len(data), at + random.randint(1, 40))
                return data[:end] + data[at:end] * random.randint(1, 3) + data[end:]

    return change


def changed_json(data: bytes, random: Random, blind: Blind) -> bytes:
    """Another value in canonical form, or what blind changes leave of it."""
    if random.random() < 0.3:
        return blind(data)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return blind(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = _changed(value, random)
    try:
        return canonical(value)
    except (ValueError, RecursionError, TypeError):
        return blind(data)


def changed_envelope(data: bytes, random: Random, blind: Blind) -> bytes:
    """As `changed_json`, under a hash that fits; now and then one that does not."""
    if random.random() < 0.05:
        return blind(data)
    return envelope(changed_json(data[:-HASH_BYTES], random, blind))


def _changed(value: Any, random: Random) -> Any:
    """One part replaced, taken out, doubled or exchanged."""
    places = list(_places(value))
    if not places:
        return deepcopy(random.choice(ODD))
    holder, key = random.choice(places)
    match random.randrange(6):
        case 0 | 1:
            holder[key] = deepcopy(random.choice(ODD))
        case 2:
            del holder[key]
        case 3:
            other, there = random.choice(places)
            holder[key] = deepcopy(other[there])
        case 4 if isinstance(holder, list):
            holder[key:key] = [deepcopy(holder[key]) for _ in range(random.randint(1, 3))]
        case 4:
            holder[random.choice(("zzz", "name", "id", "values", ""))] = deepcopy(random.choice(ODD))
        case _:
            holder[key] = _near(holder[key], random)
    return value


def _near(value: Any, random: Random) -> Any:
    """A value of the same kind."""
    if isinstance(value, bool) or value is None:
        return random.choice((True, False, None))
    if isinstance(value, int):
        return random.choice((value + 1, value - 1, value * 2, 2**63 - 1, 0, random.getrandbits(40)))
    if isinstance(value, str) and value:
        at = random.randrange(len(value))
        return (
            value[:at] + random.choice(("", "0", "f", "F", "z", '"', "\\", "\udcff", "é")) + value[at + 1 :]
        )
    return deepcopy(random.choice(ODD))


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting and len(found) < 4000:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            waiting.append(one[key])
    return found
