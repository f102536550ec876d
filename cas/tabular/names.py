"""Names of files for labels: safe everywhere, different for different entities, the same every time."""

import re
from collections.abc import Iterable, Sequence

MAX_NAME_CHARACTERS = 100
"""Of what is left of a label: far below the 255 bytes of file systems, with room for an ending."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*[A-Za-z0-9_-]")


def file_names(labels: Sequence[str], ending: str, taken: Iterable[str] = ()) -> list[str]:
    """A file's name for each label; labels may be equal. No two names, nor one and one that is taken, differ
    by case only: not every file system tells case apart."""
    used = {name.lower() for name in taken}
    found = []
    last: dict[str, int] = {}  # of each stem: lower numbers are in use, and many labels may have one stem
    for label in labels:
        stem = _stem(label)
        number = last.get(stem.lower(), 1)
        name = f"{stem}.{ending}" if number == 1 else f"{stem}-{number}.{ending}"
        while name.lower() in used:
            number += 1
            name = f"{stem}-{number}.{ending}"
        last[stem.lower()] = number
        used.add(name.lower())
        found.append(name)
    return found


def is_safe(name: str) -> bool:
    """Whether a file of this name stays in its directory, on every system."""
    return (
        len(name) <= MAX_NAME_CHARACTERS + 40
        and _SAFE.fullmatch(name) is not None
        and _RESERVED.fullmatch(name) is None
    )


def _stem(label: str) -> str:
    stem = _UNSAFE.sub("_", label)[:MAX_NAME_CHARACTERS].strip(".") or "_"
    return f"_{stem}" if _RESERVED.fullmatch(stem) else stem
