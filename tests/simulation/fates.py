"""What becomes of a call, drawn when it is made."""

import random
from collections.abc import Mapping, Sequence
from enum import Enum, auto


class Fate(Enum):
    """How one call goes."""

    DONE = auto()
    REFUSED = auto()
    """Nothing was done; the caller is told so, as of a failure that may pass."""
    UNANSWERED = auto()
    """Done, and the answer is lost: the caller sees a failure."""
    LATE = auto()
    """The caller sees a failure; it is done at some time after."""
    TWICE = auto()
    """Done, and done again at some time after."""
    STALE = auto()
    """A listing tells what was there some changes ago."""
    GARBLED = auto()
    """What is read comes with a byte that is another one, this time."""
    KILLED_BEFORE = auto()
    KILLED_AFTER = auto()
    KILLED_LATE = auto()
    """The process dies of it, and it is done at some time after."""
    KILLED_TORN = auto()
    """The process dies of it, and half of the object is there."""

    @property
    def is_deadly(self) -> bool:
        return self in _DEADLY


_ASKING = (Fate.REFUSED, Fate.UNANSWERED)
_READING = (*_ASKING, Fate.GARBLED)
_WRITING = (*_ASKING, Fate.LATE, Fate.TWICE)
_TROUBLES: Mapping[str, Sequence[Fate]] = {
    "put": _WRITING,
    "delete": _WRITING,
    "objects": (*_ASKING, Fate.STALE, Fate.STALE),
    "get": _READING,
    "get_range": _READING,
    "get_tail": _READING,
}
"""By the call of a store: what is written can be under way while its caller is gone."""

_DYING = (Fate.KILLED_BEFORE, Fate.KILLED_AFTER)
_DEATHS: Mapping[str, Sequence[Fate]] = {
    "put": (*_DYING, Fate.KILLED_LATE, Fate.KILLED_TORN),
    "delete": (*_DYING, Fate.KILLED_LATE),
}
_DEADLY = (*_DYING, Fate.KILLED_LATE, Fate.KILLED_TORN)


class Fates:
    """Draws them. `trouble`: the share of calls that go wrong, `death`: of those in which a process dies."""

    def __init__(self, rng: random.Random, trouble: float, death: float) -> None:
        self._rng = rng
        self._trouble = trouble
        self._death = death

    def draw(self, call: str, *, of_store: bool) -> Fate:
        chance = self._rng.random()
        if chance >= self._trouble + self._death:
            return Fate.DONE
        among, otherwise = (_TROUBLES, _ASKING) if chance < self._trouble else (_DEATHS, _DYING)
        return self._rng.choice(among.get(call, otherwise) if of_store else otherwise)
