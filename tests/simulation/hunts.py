"""What schedules are like in which a fault shows soon. A draw of everything would find it as well, later."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.simulation.machines import TELLING
from tests.simulation.slants import (
    COLLECT,
    FORGET,
    NEVER,
    PROTECT,
    READ,
    REBUILD,
    SNAPSHOT,
    WEIGHTS,
    Often,
)

_CALM: dict[str, object] = {"trouble": 0.0, "death": 0.0, "disasters": NEVER, "slow": NEVER, "catalogs": 1}
_CALM |= {"beats": 0.015, "waking": 0.0}
_OFTEN = _CALM | {"stalls": 0.3, "stalls_at": TELLING, "stalls_in": WEIGHTS, "stalls_elsewhere": 0.03}
_OFTEN |= {"nostalgia": 0.9}
_TWO = _OFTEN | {"catalogs": 2, "machines": 2, "restlessness": 0.15}
_DISASTERS = _OFTEN | {"disasters": Often(0.02, 0.2), "machines": 3, "death": 0.01}


def _stalled(*calls: str, often: float = 0.5, jobs: Collection[str] = tuple(WEIGHTS)) -> dict[str, object]:
    """A process stalls just there, and meanwhile others run to their end."""
    stalls = {"stalls": often, "stalls_at": calls, "stalls_in": jobs, "stalls_elsewhere": 0.0}
    return _CALM | stalls | {"nostalgia": 0.9, "haste": 0.0, "machines": 3}


_LAPSING = {"slow": Often(0.0, 0.7)}
_LOSING = {"disasters": Often(0.0, 0.5)}


@dataclass(frozen=True, slots=True)
class Hunt:
    """Fields of the slant, and among how many schedules it shows."""

    slant: Mapping[str, object]
    schedules: int


def _story(slant: dict[str, object], *todo: str, schedules: int = 1000) -> Hunt:
    return Hunt(slant | {"todo": todo}, schedules)


_DRAWN = Hunt({}, 6000)

HUNTS: Mapping[str, Hunt] = {
    "deleting before invalidating": _DRAWN,
    "reusing a condemned pack": _story(_OFTEN, SNAPSHOT, COLLECT, COLLECT),
    "trusting a stale index": _story(_OFTEN, SNAPSHOT, COLLECT, SNAPSHOT, SNAPSHOT),
    "content-named packs": _DRAWN,
    "marking without delta bases": _story(_OFTEN, COLLECT),
    "marking from the catalog only while a version document exists": _story(
        _DISASTERS, SNAPSHOT, COLLECT, REBUILD
    ),
    "no second look at documents": _story(_TWO, SNAPSHOT, COLLECT, SNAPSHOT, COLLECT),
    "no second mark": _story(_OFTEN, SNAPSHOT, COLLECT, COLLECT),
    "sessions are not waited for": _story(_OFTEN, SNAPSHOT, COLLECT),
    "readers are not waited for": _story(_OFTEN, READ, COLLECT, COLLECT, schedules=4000),
    "copies in condemned packs count": _story(_OFTEN, SNAPSHOT, COLLECT, COLLECT),
    "that a version goes is not said": _story(_DISASTERS, FORGET, PROTECT, FORGET, COLLECT, schedules=6000),
    "nobody is heard before it is decided": _story(_DISASTERS, FORGET, PROTECT, PROTECT),
}

SLOWLY = ("readers are not waited for", "that a version goes is not said", "content-named packs")
"""These take a minute."""

SELDOM = (
    "committing after the lease expired",
    "an inherited subtree of a forgotten parent",
    "a catalog restored from an older backup",
    "journaled packs live again",
)
"""These take more schedules than anybody waits for in a test: other lines stand in for what they take
away."""
