"""Some changed inputs of each parser, the same on every machine: a search without a guide, for every day."""

from random import Random

import pytest

from tests.fuzz.groups import GROUPS, targets_of
from tests.fuzz.judging import judge
from tests.fuzz.model import Target

TARGETS = [target for group in GROUPS for target in targets_of(group)]
SLOW = {"version": 40, "bundle": 30, "zip": 100}
"""Inputs of parsers that take some milliseconds for each; of all others there are more."""

MANY = 300


def blindly(random: Random, most: int) -> bytes:
    """Some bytes, more often few."""
    return random.randbytes(random.choice((1, 1, 2, 4, 8, most)))


def one_change(data: bytes, random: Random) -> bytes:
    """A byte, a bit or a stretch of it replaced, taken out, put in or doubled."""
    at = random.randint(0, len(data))
    end = min(len(data), at + random.choice((1, 2, 8, 64)))
    match random.randrange(5):
        case 0:
            return data[:at] + blindly(random, 16) + data[end:]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:at] + blindly(random, 16) + data[at:]
        case 3:
            return data[:end] + data[at:end] * random.randint(1, 4) + data[end:]
        case _:
            return (
                data[:at]
                + bytes(byte ^ 1 << random.randrange(8) for byte in data[at : at + 1])
                + data[at + 1 :]
            )


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_changed_seeds(target: Target) -> None:
    random = Random(target.name)
    known = list(target.seeds())
    for _ in range(SLOW.get(target.name, MANY)):
        data = random.choice(known)
        changed = target.change(data, random, lambda some: one_change(some, random))[: target.most]
        judge(target, changed)
        if random.random() < 0.1:
            known.append(changed)
