"""Names of our own in other people's directories, and names that no writer makes."""

from cas.errors import CorruptData
from cas.records.files import shown_path

TEMPORARY = b".cas-restoring-"
"""How files begin that a restore is about to rename. What has such a name is never part of a version."""

NAME_BYTES = 255
"""The longest name of the file systems of Linux."""


def no_path(path: bytes) -> str:
    """Why no version has this path, in words; empty where one may."""
    for name in path.split(b"/"):
        if name in (b"", b".", b".."):
            return f"no path has {shown_path(name)!r} as a name in it"
        if b"\0" in name:
            return "no path has a zero byte in it"
        if len(name) > NAME_BYTES:
            return f"a name in it has more than {NAME_BYTES} bytes"
        if name.startswith(TEMPORARY):
            return "a name in it is one that restores use"
    return ""


def segments(path: bytes) -> list[bytes]:
    """The names of a path below a directory. CorruptData for one that leads elsewhere, or to nothing: a store
    may be hostile."""
    if no_path(path):
        raise CorruptData(
            "a path that no version has",
            kind="malformed",
            where=shown_path(path)[:200],
            hint="Somebody made this version by hand. Nothing was written",
        )
    return path.split(b"/")
