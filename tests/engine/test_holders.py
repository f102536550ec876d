"""Which packs hold some chunks, and which chunks some packs lack."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.engine import decodable
from cas.engine.chunk_index import ChunkIndex
from cas.engine.decodable import Decodable
from cas.engine.holders import each_once, highs_of, holders
from cas.engine.places import View
from cas.engine.trailers import Trailers
from cas.store.memory import MemoryStore
from tests.engine.packs import pack_of, payloads

NUMBERS = st.integers(0, 5) | st.integers(0, (1 << 64) - 1)


@given(st.lists(st.lists(NUMBERS)))
def test_numbers_of_several_lists_come_once_and_ascend(lists: Sequence[Sequence[int]]) -> None:
    parts = [np.array(part, dtype=np.uint64) for part in lists]
    assert each_once(parts).tolist() == sorted({number for part in lists for number in part})


@pytest.mark.parametrize("rows_at_once", [1, 7, 1 << 16])
def test_what_a_view_lacks_is_found_in_pieces_of_any_size(
    rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decodable, "ROWS_AT_ONCE", rows_at_once)
    kept = pack_of(payloads(30))
    other = pack_of(payloads(50), salt=1)  # these thirty again, and twenty more
    small = pack_of(payloads(4, start=500))
    index = ChunkIndex(None)
    for pack in (kept, other, small):
        index.add(pack.name, pack.trailer)
    rows = np.ones(len(index), dtype=np.bool_)
    rows[index.rows_of(other.name)[:5]] = False
    here = set(highs_of(index, np.isin(np.arange(len(index)), index.rows_of(kept.name))).tolist())

    lacking = Decodable(index, Trailers(MemoryStore(), None), View((kept.name,))).lacking(rows)

    highs = np.concatenate([segment.rows.high for segment in index.segments]).tolist()
    expected = [asked and high not in here for asked, high in zip(rows.tolist(), highs, strict=True)]
    assert lacking.tolist() == expected
    assert 19 <= sum(expected) <= 24
    assert holders(index, lacking, View(index.packs)) == {other.name, small.name}
