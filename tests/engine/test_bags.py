"""Sorting the ids of a bag in runs that go to temporary files."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.bags import BagSorter
from cas.errors import InsufficientSpace, PermissionDenied
from cas.ids import ChunkId

ids = st.integers(0, 30).map(lambda number: ChunkId(number.to_bytes(32, "big")))


@given(st.lists(st.lists(st.tuples(ids, st.booleans()), max_size=20), max_size=8), st.integers(1, 15))
@settings(max_examples=150, deadline=None)
def test_any_batches_come_back_ascending_and_counted(
    batches: list[list[tuple[ChunkId, bool]]], run: int
) -> None:
    with BagSorter(run_ids=run) as sorter:
        for batch in batches:
            large = [at for at, (_, is_large) in enumerate(batch) if is_large]
            sorter.add([chunk_id for chunk_id, _ in batch], large)
        found = list(sorter.entries())
    expected = Counter(row for batch in batches for row in batch)
    assert found == [(chunk_id, count, is_large) for (chunk_id, is_large), count in sorted(expected.items())]


def full(**_: object) -> IO[bytes]:
    return Path("/dev/full").open("r+b", buffering=0)


def denied(**_: object) -> IO[bytes]:
    raise PermissionError(13, "Permission denied", "/tmp")


@pytest.mark.parametrize(("makes", "error"), [(full, InsufficientSpace), (denied, PermissionDenied)])
def test_a_disk_that_takes_no_temporary_files_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, makes: object, error: type[Exception]
) -> None:
    if makes is full and not Path("/dev/full").exists():
        pytest.skip("no /dev/full: only Linux has a device that is always full")
    monkeypatch.setattr(tempfile, "TemporaryFile", makes)
    with BagSorter(run_ids=2) as sorter, pytest.raises(error, match="TMPDIR"):
        sorter.add([ChunkId(bytes(32))] * 3)
