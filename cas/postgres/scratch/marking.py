"""The name and the mark by which a throwaway database is known as ours, and its maker as gone.

Database and role have one name, and the mark is the role's comment: a role and its comment are made in
one transaction, which a database cannot be. So nothing of ours is ever without a mark, and whatever has
no such mark is not ours, whatever its name.
"""

import json
import os
import re
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

NAME = re.compile(r"cas_scratch_[0-9a-f]{16}")
NAME_LIKE = "cas\\_scratch\\_%"

_SAYS = "A throwaway database of cas, to be dropped when its maker is gone: "
_KEYS = frozenset({"database", "for", "made", "place", "process", "began"})


@dataclass(frozen=True, slots=True)
class Maker:
    """One process of one machine. `place` names the machine since its last start, and the container;
    `began` tells the process from a later one with its number."""

    place: str
    process: int
    began: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What the comment says."""

    database: str
    what: str
    made: str
    maker: Maker


def new_name() -> str:
    """A name that nothing has."""
    return f"cas_scratch_{secrets.token_hex(8)}"


def new_mark(database: str, what: str) -> Mark:
    """Made by this process, now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Mark(database, what, now, Maker(_place(), os.getpid(), _began(os.getpid()) or ""))


def encode_mark(mark: Mark) -> str:
    """The comment."""
    return _SAYS + json.dumps(
        {
            "database": mark.database,
            "for": mark.what,
            "made": mark.made,
            "place": mark.maker.place,
            "process": mark.maker.process,
            "began": mark.maker.began,
        }
    )


def read_mark(name: str, comment: str) -> Mark | None:
    """The mark of the role with this name; None where it is not one of ours, down to the last field."""
    if not (NAME.fullmatch(name) and comment.startswith(_SAYS)):
        return None
    try:
        fields = json.loads(comment.removeprefix(_SAYS))
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.keys() != _KEYS or fields["database"] != name:
        return None
    process = fields["process"]
    if not isinstance(process, int) or isinstance(process, bool) or process < 1:
        return None
    maker = Maker(str(fields["place"]), process, str(fields["began"]))
    return Mark(name, str(fields["for"]), str(fields["made"]), maker)


def is_here(maker: Maker) -> bool:
    """Whether it is a process of this machine and container, of which we can know whether it lives."""
    return maker.place == _place()


def is_gone(maker: Maker) -> bool:
    """Whether a process of this machine has ended. Only where `is_here`."""
    began = _began(maker.process)
    return began is None or began != maker.began


def _place() -> str:
    """Host, start of the machine, and namespace of process numbers: two containers may share the first."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        started = numbers = ""
    return f"{socket.gethostname()} {started} {numbers}".rstrip()


def _began(process: int) -> str | None:
    """When the process began, by the kernel's count; "" where nobody can say; None where there is none."""
    if not Path("/proc/self/stat").exists():
        return "" if _answers(process) else None
    try:
        stat = Path("/proc", str(process), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    # The state comes first behind the name: one that only waits to be buried has ended.
    return None if fields[0] in ("Z", "X") else fields[19]


def _answers(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
