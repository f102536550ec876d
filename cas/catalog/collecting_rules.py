"""What every implementation of collecting demands and says alike."""

from cas.errors import Conflict, Fenced
from cas.ids import PackName


def somebody_collects(host: str, pid: int) -> Conflict:
    where = f"process {pid} on {host}" if host else ""
    return Conflict("somebody else collects garbage just now", where=where, hint="Run it again later")


def lost() -> Fenced:
    return Fenced(
        "the collector was silent for too long, and somebody else may collect",
        hint="Nothing was lost; run it again",
    )


def announced_already(journal: int) -> Conflict:
    return Conflict(f"journal {journal} is announced already", hint="Go on with that one first")


def not_announced(journal: int) -> Conflict:
    return Conflict(f"journal {journal} is not announced", hint="Start again")


def no_upload(name: PackName) -> Conflict:
    return Conflict("it is no upload of this collection", where=name, hint="Start again")


ENDED_FOR_GC = "its lease was over, and the packs that it knew are collected"
