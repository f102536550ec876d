"""What every implementation of replicating demands and says alike."""

import re
from collections.abc import Sequence

from cas.catalog.replica_model import NewReplica
from cas.catalog.rules import MAX_TEXT, MAX_WORD, check_text
from cas.errors import Conflict, Fenced, InvalidInput, NotFound
from cas.limits import LONGEST_LOCK_DAYS

NOWHERE = "none"
"""What people say instead of a replica for the primary alone; no replica has this name."""

SPOKEN = 10
"""Versions that a refusal names."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def check_new(new: NewReplica) -> None:
    """InvalidInput where it cannot be kept."""
    if not _NAME.fullmatch(new.name):
        raise InvalidInput(
            f"{new.name[:80]!r} is no name of a replica",
            where="NAME",
            hint="Up to 63 of a-z, 0-9, dot, dash and underscore, with a letter or digit at the beginning",
        )
    if new.name == NOWHERE:
        raise InvalidInput(
            f"{NOWHERE!r} stands for no replica at all", where="NAME", hint="Choose another name"
        )
    check_text("url", new.url, MAX_TEXT)
    check_text("added_by", new.added_by, MAX_WORD)
    for rule in new.rules or ():
        check_text("rule", rule, MAX_WORD)
    if new.rules == ():
        raise InvalidInput("a replica without a rule would keep nothing", hint="Give at least one rule")
    if not 0 <= new.lock_days <= LONGEST_LOCK_DAYS:
        raise InvalidInput(
            f"objects cannot be locked for {new.lock_days} days", hint=f"From 1 to {LONGEST_LOCK_DAYS} days"
        )


def none_such(name: str) -> NotFound:
    return NotFound(f"there is no replica {name[:80]!r}", hint="`cas replica status` lists them")


def name_taken(name: str) -> Conflict:
    return Conflict(f"there is a replica {name} already", hint="Choose another name, or remove that one")


def url_taken(name: str, url: str) -> Conflict:
    return Conflict(f"that is the replica {name} already", where=url, hint="Choose another place")


def somebody_replicates(name: str, host: str, pid: int) -> Conflict:
    where = f"process {pid} on {host}" if host else ""
    return Conflict(f"somebody replicates to {name} just now", where=where, hint="Run it again later")


def has_only_copies(name: str, numbers: Sequence[int]) -> Conflict:
    some = ", ".join(map(str, numbers[:SPOKEN])) + (" ..." if len(numbers) > SPOKEN else "")
    versions = f"version {some}" if len(numbers) == 1 else f"{len(numbers):,} versions ({some})"
    return Conflict(
        f"the replica {name} has the only copy of {versions}",
        hint=f"Keep it; where the store itself is gone, and they with it: `cas replica remove {name} --lost`",
    )


def lost() -> Fenced:
    return Fenced(
        "the replication was silent for too long, and another one may be at work",
        hint="Nothing was lost; run it again",
    )


def is_a_replica(name: str, url: str) -> Conflict:
    return Conflict(
        f"that is the replica {name} of the repository, and this catalog is of the primary",
        where=url,
        hint="To restore from it, use an empty catalog (CAS_CATALOG, or another CAS_HOME) and `cas catalog "
        "rebuild`; to go on with it instead of the primary, `cas replica remove` it first",
    )
