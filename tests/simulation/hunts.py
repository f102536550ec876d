"""What schedules are like in which a fault shows soon. A draw of everything would find it as well, later."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tests.simulation.machines import TELLING
from tests.simulation.slants import (
    COLLECT,
    FORGET,
    NEVER,
    PROTECT,
    READ,
    REBUILD,
    REPLICATE,
    SNAPSHOT,
    WEIGHTS,
    Often,
)

_CALM: dict[str, object] = {"trouble": 0.0, "death": 0.0, "disasters": NEVER, "slow": NEVER, "catalogs": 1}
_CALM |= {"beats": 0.015, "waking": 0.0}
_OFTEN = _CALM | {"stalls": 0.3, "stalls_at": TELLING, "stalls_in": WEIGHTS, "stalls_elsewhere": 0.03}
_OFTEN |= {"nostalgia": 0.9}

_TWO = {"catalogs": 2}
_LAPSING = {"slow": Often(0.0, 0.7)}
_LATE = {"slow": Often(0.0, 0.35), "machines": 2}
"""Who is late goes on before the next job begins."""
_LOSING = {"disasters": Often(0.0, 0.5)}


@dataclass(frozen=True, slots=True)
class Hunt:
    """Fields of the slant, and among how many schedules it shows."""

    slant: Mapping[str, object]
    schedules: int


def _story(slant: dict[str, object], *todo: str, schedules: int = 1000) -> Hunt:
    return Hunt(slant | {"todo": todo}, schedules)


def _stalled(*kinds: str, often: float = 0.5, jobs: Collection[str] = tuple(WEIGHTS)) -> dict[str, object]:
    """A process stops just before these calls, and meanwhile others run to their end."""
    stalls = {"stalls": often, "stalls_at": kinds, "stalls_in": jobs, "stalls_elsewhere": 0.0}
    return _CALM | stalls | {"nostalgia": 1.0, "haste": 0.0, "machines": 3}


_READING = _stalled("get versions", "get_range packs", "get_tail packs", often=0.2, jobs=(READ,))
_SPEAKING = _stalled("note", "put notes") | _TWO
_AT_THE_LAST = _stalled("prepare", "delete packs", often=0.3)
_UNTIL_DOOMED = _stalled("begin", "announce", "doom", "delete packs", "prepare")

_OF_WRITING: Mapping[str, Hunt] = {
    "reusing a condemned pack": _story(_OFTEN, SNAPSHOT, COLLECT, COLLECT),
    "committing after the lease expired": _story(_stalled("prepare") | _LAPSING, SNAPSHOT, COLLECT),
    "trusting a stale index": _story(_stalled() | {"machines": 1}, COLLECT, SNAPSHOT, SNAPSHOT),
    "an inherited subtree of a forgotten parent": _story(
        _stalled("begin"), SNAPSHOT, SNAPSHOT, FORGET, COLLECT, schedules=2000
    ),
    "content-named packs": _story(
        _AT_THE_LAST | {"slow": Often(0.0, 0.5)}, SNAPSHOT, COLLECT, COLLECT, SNAPSHOT, schedules=2000
    ),
    "sessions that somebody ended go on": _story(_stalled("prepare"), SNAPSHOT, REBUILD, COLLECT),
    "the clock alone ends sessions": _story(
        _stalled("prepare") | _LAPSING, SNAPSHOT, COLLECT, schedules=3000
    ),
    "commits are not asked for their lease": _story(
        _stalled("put versions", "commit") | _LAPSING, SNAPSHOT, COLLECT
    ),
    "packs are not compared at the commit": _story(
        _stalled("register_pack", "prepare") | {"disasters": Often(0.0, 1.0), "machines": 1},
        SNAPSHOT,
        REPLICATE,
    ),
    "a view from before the session": _story(_UNTIL_DOOMED, SNAPSHOT, COLLECT),
    "documents are written over": _story(_stalled("put versions") | _TWO, SNAPSHOT, SNAPSHOT),
    "journals are not listed at the commit": _story(_stalled("prepare") | _TWO, SNAPSHOT, COLLECT),
}

_OF_COLLECTING: Mapping[str, Hunt] = {
    "deleting before invalidating": _story(_stalled("prepare"), SNAPSHOT, COLLECT),
    "marking without delta bases": _story(_OFTEN, COLLECT),
    "marking from the catalog only while a version document exists": _story(
        _stalled("put versions", "ripe", "live_packs") | _TWO, SNAPSHOT, COLLECT
    ),
    "no second look at documents": _story(
        _OFTEN | _TWO | {"machines": 2, "restlessness": 0.15}, SNAPSHOT, COLLECT, SNAPSHOT, COLLECT
    ),
    "no second mark": _story(_OFTEN, SNAPSHOT, COLLECT, COLLECT),
    "sessions are not waited for": _story(_OFTEN, SNAPSHOT, COLLECT),
    "readers are not waited for": _story(_READING, READ, COLLECT, COLLECT),
    "copies in condemned packs count": _story(_OFTEN, SNAPSHOT, COLLECT, COLLECT),
    "no journal before deleting": _story(_stalled("prepare") | _TWO, SNAPSHOT, COLLECT),
    "a journal of another catalog is taken for ours": _story(
        _stalled("begin", "prepare") | _TWO, COLLECT, COLLECT, SNAPSHOT
    ),
    "deleting before the catalog is asked again": _story(
        _stalled("put versions", "delete packs", often=0.7) | _LATE, SNAPSHOT, COLLECT, COLLECT, REBUILD
    ),
}

_OF_TAKING_IN: Mapping[str, Hunt] = {
    "a catalog restored from an older backup": _story(_stalled("delete packs") | _LOSING, COLLECT, SNAPSHOT),
    "journaled packs live again": _story(
        _stalled("delete packs") | _LOSING, COLLECT, SNAPSHOT, schedules=2000
    ),
    "journaled packs stay live": _story(
        _stalled("delete packs") | _LOSING, COLLECT, SNAPSHOT, schedules=2000
    ),
    "taking in leaves sessions at work": _story(
        _stalled("prepare", "delete packs") | _TWO, SNAPSHOT, COLLECT, REBUILD
    ),
    "taking in leaves the collector at work": _story(
        _stalled("put versions", "doom", often=0.7) | _LATE,
        *(SNAPSHOT, COLLECT, COLLECT, REBUILD),
        schedules=3000,
    ),
    "doomed packs live again": _story(
        _stalled("put versions", "delete packs", often=0.7) | _LATE,
        *(SNAPSHOT, COLLECT, COLLECT, REBUILD),
        schedules=3000,
    ),
    "notes are not heard again": _story(
        _stalled("forget") | _TWO, SNAPSHOT, PROTECT, FORGET, SNAPSHOT, FORGET
    ),
}

_OF_KEEPING: Mapping[str, Hunt] = {
    "that a version goes is not said": _story(
        _stalled("delete versions") | {"disasters": Often(0.0, 1.0)}, FORGET, REBUILD
    ),
    "nobody is heard before it is decided": _story(
        _OFTEN | {"disasters": Often(0.02, 0.2)}, FORGET, PROTECT, PROTECT
    ),
    "a version goes while it is read": _story(_READING, READ, FORGET),
    "what was forgotten is read": _story(_stalled("pin"), READ, FORGET),
    "notes are written over": _story(_SPEAKING, PROTECT, PROTECT, FORGET),
    "what is said is not stored": _story(_OFTEN | {"disasters": Often(0.02, 0.2)}, PROTECT, FORGET, FORGET),
}

_OF_COPYING: Mapping[str, Hunt] = {
    "packs are asked for before versions": _story(_stalled("versions"), REPLICATE, SNAPSHOT),
    "packs that may live are pruned": _story(
        _stalled("delete packs", jobs=(REPLICATE,)) | _LAPSING, FORGET, REPLICATE, SNAPSHOT, REPLICATE
    ),
}

BY_WORK: Mapping[str, Mapping[str, Hunt]] = {
    "writing": _OF_WRITING,
    "collecting": _OF_COLLECTING,
    "taking in": _OF_TAKING_IN,
    "keeping": _OF_KEEPING,
    "copying": _OF_COPYING,
}
HUNTS: Mapping[str, Hunt] = {fault: hunt for hunts in BY_WORK.values() for fault, hunt in hunts.items()}

SLOWLY: Sequence[str] = ("taking in leaves the collector at work", "doomed packs live again")
"""These take a minute."""
