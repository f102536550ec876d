"""What a chart is made of: panels of bars."""

from collections.abc import Sequence
from dataclasses import dataclass

OURS, FLOOR, PEER = "#0f766e", "#cbd5e1", "#94a3b8"


@dataclass(frozen=True, slots=True)
class Panel:
    """One question and its bars: (label, length, text beside it, colour)."""

    title: str
    bars: Sequence[tuple[str, float, str, str]]
