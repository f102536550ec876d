"""A parser that is tried, with what it may refuse by and how inputs for it are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from cas.errors import CasError, CorruptData, InvalidInput, Unsupported
from cas.limits import MIB

Refusals = tuple[type[CasError] | type[ValueError], ...]

OF_READERS: Refusals = (CorruptData, Unsupported)
"""What parsers of stored bytes refuse by."""

OF_VALUES: Refusals = (ValueError,)
"""What parsers inside of others refuse by, as their docstrings say; who calls them says where."""

OF_PEOPLE: Refusals = (InvalidInput,)
"""What is made of texts that people give."""

Blind = Callable[[bytes], bytes]
"""Changes bytes without knowing what they are."""

Change = Callable[[bytes, Random, Blind], bytes]
"""Changes an input and leaves it near to one that is read: lengths and checksums fit again."""


def blindly(data: bytes, random: Random, blind: Blind) -> bytes:
    return blind(data)


@dataclass(frozen=True, slots=True)
class Target:
    """One parser.

    read: parses, and gives what encodes the value again where that must be the same bytes, else None; what
    else must hold of the value it asserts. seeds: inputs to begin with. most: bytes of an input. memory:
    bytes that one input may cost: a value of the widest type, a window of zstd.
    """

    name: str
    read: Callable[[bytes], bytes | None]
    seeds: Callable[[], Sequence[bytes]]
    refusals: Refusals = OF_READERS
    change: Change = blindly
    most: int = 8192
    memory: int = 48 * MIB
