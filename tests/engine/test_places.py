"""Places are what a search row by row would find, whatever segments, views and limits there are."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from cas.engine.places import FEW, Places, View, search
from cas.engine.segment import Needs, Rows, Segment
from cas.ids import PackName

FIRST_HALVES = np.array([0, 1, 2, 1 << 63, (1 << 64) - 1], dtype=np.uint64)
NO_NEEDS = Needs(
    np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint8)
)

Place = tuple[int, int, int, int, int, int]
"""Pack, row, ordinal, share, length, depth."""


def segment(rng: np.random.Generator, number: int) -> Segment:
    """A few packs, or none, whose chunks have few ids: copies and strangers lie side by side."""
    packs = int(rng.integers(0, 4))
    rows = int(rng.integers(0, 12)) if packs else 0

    def numbers(above: int) -> npt.NDArray[np.uint32]:
        return rng.integers(0, above, rows).astype(np.uint32)

    high = np.sort(rng.choice(FIRST_HALVES, rows))
    low = rng.integers(0, 3, rows).astype(np.uint64)
    depth = rng.integers(0, 17, rows).astype(np.uint8)
    names = tuple(PackName(f"{number:02x}{pack:062x}") for pack in range(packs))
    columns = (numbers(max(packs, 1)), numbers(1 << 32), numbers(1 << 32), numbers(1 << 32))
    return Segment(names, Rows(high, low, *columns, depth), NO_NEEDS)


def one_by_one(
    segments: Sequence[Segment], view: View, high: int, low: int, below: int | None, bad: Sequence[bool]
) -> Place:
    first_pack = first_row = 0
    for part in segments:
        rows = part.rows
        for at in range(len(rows)):
            is_it = (int(rows.high[at]), int(rows.low[at])) == (high, low)
            counts = part.packs[rows.pack[at]] in view.packs and not (bad and bad[first_row + at])
            if is_it and counts and (below is None or rows.depth[at] < below):
                found = (rows.ordinal[at], rows.share[at], rows.length[at], rows.depth[at])
                return (first_pack + int(rows.pack[at]), first_row + at, *map(int, found))  # type: ignore[return-value]
        first_pack, first_row = first_pack + len(part.packs), first_row + len(rows)
    return (-1, -1, 0, 0, 0, 0)


def told(places: Places) -> list[Place]:
    columns = (places.pack, places.row, places.ordinal, places.share, places.length, places.depth)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("seed", range(60))
def test_a_search_finds_what_there_is_and_nothing_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    segments = [segment(rng, number) for number in range(int(rng.integers(0, 4)))]
    view = View([name for part in segments for name in part.packs if rng.random() < 0.7])
    rows = sum(len(part.rows) for part in segments)
    bad = rng.random(rows) < 0.3 if rng.random() < 0.5 else None
    for asked in (0, 1, 2, 40, FEW + 1):
        high = rng.choice(np.append(FIRST_HALVES, np.uint64(7)), asked)
        low = rng.integers(0, 3, asked).astype(np.uint64)
        below = rng.integers(0, 19, asked).astype(np.uint8) if rng.random() < 0.5 else None
        flags = [] if bad is None else bad.tolist()
        limits = [None] * asked if below is None else below.tolist()
        wanted = [
            one_by_one(segments, view, int(one), int(two), limit, flags)
            for one, two, limit in zip(high, low, limits, strict=True)
        ]
        assert told(search(segments, high, low, view, below, bad)) == wanted
        for at in range(min(asked, 6)):
            single = slice(at, at + 1)
            limit = None if below is None else below[single]
            assert told(search(segments, high[single], low[single], view, limit, bad)) == wanted[single]
