"""What becomes of a call, drawn when it is made."""

import random
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
    KILLED_BEFORE = auto()
    KILLED_AFTER = auto()
    KILLED_LATE = auto()
    """The process dies of it, and it is done at some time after."""

    @property
    def is_deadly(self) -> bool:
        return self in (Fate.KILLED_BEFORE, Fate.KILLED_AFTER, Fate.KILLED_LATE)


CHANGING = ("put", "delete")
"""Calls of a store that can be under way while their caller is gone."""

_READING = (Fate.REFUSED, Fate.UNANSWERED)
_WRITING = (Fate.REFUSED, Fate.UNANSWERED, Fate.LATE, Fate.TWICE)
_DYING = (Fate.KILLED_BEFORE, Fate.KILLED_AFTER)
_DYING_WRITING = (Fate.KILLED_BEFORE, Fate.KILLED_AFTER, Fate.KILLED_LATE)


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
        is_writing = of_store and call in CHANGING
        if chance < self._trouble:
            return self._rng.choice(_WRITING if is_writing else _READING)
        return self._rng.choice(_DYING_WRITING if is_writing else _DYING)
