"""Names of our own in other people's directories, and names that no writer makes."""

from cas.errors import CorruptData
from cas.records.files import shown_path

TEMPORARY = b".cas-restoring-"
"""How files begin that a restore is about to rename. What has such a name is never part of a version."""

NAME_BYTES = 255
"""The longest name of the file systems of Linux."""


def segments(path: bytes) -> list[bytes]:
    """The names of a path below a directory. CorruptData for one that leads elsewhere, or to nothing: a store
    may be hostile."""
    names = path.split(b"/")
    for name in names:
        if (
            name in (b"", b".", b"..")
            or b"\0" in name
            or len(name) > NAME_BYTES
            or name.startswith(TEMPORARY)
        ):
            raise CorruptData(
                "a path that no version has",
                kind="malformed",
                where=shown_path(path)[:200],
                hint="Somebody made this version by hand. Nothing was written",
            )
    return names
