"""What a version left out, in a few lines: one for each reason, however many things it concerns."""

from collections.abc import Sequence

from cli.words import plain

NAMED = 3
"""So many are all named."""


def omissions_by_reason(omissions: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """(names, reason) in the order in which the reasons first come, safe to print."""
    names: dict[str, list[str]] = {}
    for name, reason in omissions:
        names.setdefault(plain(reason), []).append(plain(name))
    return [(_some(some), reason) for reason, some in names.items()]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= NAMED else f"{names[0]} and {len(names) - 1} more"
