"""Paths as people write them."""

from pathlib import Path

from cas.errors import InvalidInput


def expanded(path: str | Path) -> Path:
    """With home directories for `~` and `~name`. InvalidInput where there is no such user, and for what no
    file can be called."""
    try:
        place = Path(path).expanduser()
    except RuntimeError:
        place = None
    if place is None or "\0" in str(place):
        hint = "A ~ at the beginning stands for a home directory"
        raise InvalidInput(f"no path: {str(path)[:60]!r}", hint=hint)
    return place
