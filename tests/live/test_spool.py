"""What was put into a temporary file comes out of it, to every reader the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas import spool_file
from cas.differences import Difference, DifferenceSpool
from cas.ids import ChunkId
from cas.live.spool import ChangeSpool
from cas.records.live import Change
from cas.tree.nodes import Leaf

LEAVES = st.none() | st.builds(
    Leaf, st.binary(min_size=32, max_size=32).map(ChunkId), st.integers(1, 1 << 40), st.booleans()
)
BYTES = st.binary(max_size=100)
DIFFERENCES = st.lists(st.builds(Difference, BYTES, LEAVES, LEAVES, st.none() | BYTES), max_size=30)
CHANGES = st.lists(
    st.builds(
        Change, BYTES, st.none() | BYTES, st.none() | BYTES, st.integers(0, 1 << 60), st.integers(0, 1 << 60)
    ),
    max_size=30,
)


@pytest.fixture(params=[16, 1 << 18])
def small_reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "_BUFFER_BYTES", request.param)


@given(DIFFERENCES)
def test_differences_come_back(differences: list[Difference]) -> None:
    with DifferenceSpool() as made:
        for one in differences:
            made.add(one)
        assert list(made) == differences
        assert list(made) == differences
        assert made.length == len(differences)


@given(CHANGES)
def test_changes_come_back(changes: list[Change]) -> None:
    with ChangeSpool() as made:
        for one in changes:
            made.add(one)
        assert list(made) == changes


@pytest.mark.usefixtures("small_reads")
def test_several_read_and_one_writes() -> None:
    with ChangeSpool() as made:
        changes = [Change(b"%d" % n, b"before" * n, None, n) for n in range(200)]
        for one in changes[:100]:
            made.add(one)
        first, second = iter(made), iter(made)
        head, other = [next(first) for _ in range(60)], [next(second)]
        for one in changes[100:]:
            made.add(one)
        assert other + list(second) == changes[:100]
        assert head + list(first) == changes[:100]
        assert list(made) == changes
