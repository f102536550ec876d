"""The chunk index is a cache: right or thrown away, and shared by several processes."""

import os
import random
import time
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.engine import chunk_index
from cas.engine.chunk_index import LEFT_OVER_SECONDS, ChunkIndex
from cas.engine.packer import ClosedPack
from cas.engine.places import PackNames, View
from cas.engine.segment import Rows, merge, segment_of_pack
from cas.errors import CorruptData, Unsupported
from cas.format.pack import Trailer
from cas.ids import PackName
from tests.engine.packs import ids_of, pack_of, payloads


@pytest.fixture
def packs() -> list[ClosedPack]:
    """Five packs of different sizes, without a chunk in common."""
    return [pack_of(payloads(10 * number, start=1000 * number)) for number in range(1, 6)]


def everything(index: ChunkIndex) -> View:
    return View(index.packs)


def fill(index: ChunkIndex, packs: list[ClosedPack]) -> None:
    for pack in packs:
        index.add(pack.name, pack.trailer)


def found(index: ChunkIndex, packs: list[ClosedPack]) -> None:
    """Every chunk of these packs is found, in its pack and at its place."""
    for pack in packs:
        ids = short_ids(pack)
        places = index.locate(ids, View({pack.name}))
        assert {places.packs[number] for number in places.pack.tolist()} == {pack.name}
        assert places.ordinal.tolist() == list(range(len(ids)))
        assert (places.share > 0).all()


def short_ids(pack: ClosedPack) -> list[bytes]:
    packed = pack.trailer.short_ids
    return [packed[at : at + 16] for at in range(0, len(packed), 16)]


def files(directory: Path) -> int:
    return len(list(directory.glob("*.segment")))


@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize("rows_at_once", [7, 1 << 17])
def test_chunks_are_found_after_any_number_of_merges(
    packs: list[ClosedPack], tmp_path: Path, on_disk: bool, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cas.engine.segment.ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(chunk_index, "MERGED_AT_ONCE", 4)
    index = ChunkIndex(tmp_path if on_disk else None)
    fill(index, packs)
    found(index, packs)
    assert len(index) == 150
    assert files(tmp_path) == (2 if on_disk else 0)  # four packs in one, and the last
    index.sync((), never)
    found(index, packs)
    assert len(index) == 150
    assert files(tmp_path) == (1 if on_disk else 0)
    stranger = index.locate(ids_of([b"never stored"]), everything(index))
    assert stranger.pack.tolist() == [-1]
    assert stranger.row.tolist() == [-1]


def never(name: PackName) -> Trailer:
    raise AssertionError(f"{name} is known")


def test_a_merge_in_parts_is_the_merge_in_one_go(
    packs: list[ClosedPack], monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = [segment_of_pack(pack.name, pack.trailer) for pack in packs]
    whole = merge(segments)
    assert whole.rows.high.tolist() == sorted(whole.rows.high.tolist())
    monkeypatch.setattr("cas.engine.segment.ROWS_AT_ONCE", 1)
    parts = merge(segments)
    assert len(whole.rows) == 150
    for column in fields(Rows):
        assert getattr(parts.rows, column.name).tolist() == getattr(whole.rows, column.name).tolist()
    assert parts.packs == whole.packs


def test_the_number_of_segments_grows_with_the_logarithm_of_the_packs(
    packs: list[ClosedPack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_index, "MERGED_AT_ONCE", 2)
    index = ChunkIndex(tmp_path)
    most = 0
    for number in range(64):
        index.add(PackName(f"{number:064x}"), packs[0].trailer)
        most = max(most, files(tmp_path))
    assert len(index) == 64 * 10
    assert most <= 6
    before = files(tmp_path)
    monkeypatch.setattr(chunk_index, "MAX_SEGMENT_CHUNKS", 15)
    for number in (70, 71):
        index.add(PackName(f"{number:064x}"), packs[0].trailer)
    index.sync((), never)
    assert files(tmp_path) == before + 2  # merging stops before segments become too large


def test_a_new_process_reads_the_files_of_the_last_one(packs: list[ClosedPack], tmp_path: Path) -> None:
    fill(ChunkIndex(tmp_path), packs)
    index = ChunkIndex(tmp_path)
    assert index.packs == {pack.name for pack in packs}
    found(index, packs)


@pytest.mark.parametrize("position", [0, 9, 20, 30, 60, -1])
def test_a_damaged_file_is_thrown_away_and_its_packs_are_learned_again(
    packs: list[ClosedPack], tmp_path: Path, position: int
) -> None:
    fill(ChunkIndex(tmp_path), packs)
    for path in tmp_path.glob("*.segment"):
        data = bytearray(path.read_bytes())
        data[position] ^= 4
        path.write_bytes(data)
    index = ChunkIndex(tmp_path)
    assert index.packs == frozenset()
    assert not list(tmp_path.iterdir())
    by_name = {pack.name: pack.trailer for pack in packs}
    assert index.sync(by_name, lambda name: by_name[name]) == set()
    found(index, packs)


@pytest.mark.parametrize("length", [0, 5, 100])
def test_a_torn_file_is_thrown_away(packs: list[ClosedPack], tmp_path: Path, length: int) -> None:
    fill(ChunkIndex(tmp_path), packs[:1])
    (path,) = tmp_path.glob("*.segment")
    path.write_bytes(path.read_bytes()[:length])
    assert ChunkIndex(tmp_path).packs == frozenset()


def test_two_processes_that_learn_the_same_packs_leave_them_once(
    packs: list[ClosedPack], tmp_path: Path
) -> None:
    here, there = ChunkIndex(tmp_path), ChunkIndex(tmp_path)
    fill(here, packs[:4])
    fill(there, packs[1:])
    found(here, packs[:4])
    found(there, packs[1:])
    third = ChunkIndex(tmp_path)
    fill(third, packs)
    found(third, packs)
    by_name = {pack.name: pack.trailer for pack in packs}
    third.sync(by_name, lambda name: by_name[name])
    extra = pack_of(payloads(400, start=90_000))
    third.add(extra.name, extra.trailer)
    fourth = ChunkIndex(tmp_path)
    found(fourth, [*packs, extra])
    assert len(fourth) == 150 + 400, "rows of the same pack are there twice"


def test_a_process_goes_on_with_a_file_that_another_one_merged_away(
    packs: list[ClosedPack], tmp_path: Path
) -> None:
    fill(ChunkIndex(tmp_path), packs[:1])
    here = ChunkIndex(tmp_path)
    there = ChunkIndex(tmp_path)
    fill(there, packs)
    found(here, packs[:1])
    fill(here, packs[2:])
    found(here, [packs[0], *packs[2:]])
    found(ChunkIndex(tmp_path), packs)


def test_only_packs_of_the_view_count_and_copies_are_told_apart() -> None:
    plains = payloads(30)
    copies = [pack_of(plains, salt=number) for number in range(3)]
    index = ChunkIndex(None)
    fill(index, copies)
    for chosen in copies:
        places = index.locate(ids_of(plains), View({chosen.name}))
        assert {places.packs[number] for number in places.pack.tolist()} == {chosen.name}
        assert len(set(places.row.tolist())) == 30
    nowhere = index.locate(ids_of(plains), View(()))
    assert set(nowhere.pack.tolist()) == {-1}
    both = index.locate(ids_of(plains), View(pack.name for pack in copies[:2]))
    assert {both.packs[number] for number in both.pack.tolist()} <= {pack.name for pack in copies[:2]}


def test_answers_have_the_order_of_the_questions_wherever_they_were_found(packs: list[ClosedPack]) -> None:
    index = ChunkIndex(None)
    fill(index, packs)
    assert len(index.segments) == len(packs)
    strangers = [one[:16] for one in ids_of(payloads(3, start=999_000))]
    asked = [*strangers, *(one for pack in packs for one in short_ids(pack))]
    random.Random(4).shuffle(asked)
    asked += asked[:7]
    together = index.locate(asked, everything(index))
    assert together.pack.tolist().count(-1) >= 3
    for at, one in enumerate(asked):
        alone = index.locate((one,), everything(index))
        for column in ("pack", "ordinal", "share", "length", "row", "depth"):
            assert getattr(together, column)[at] == getattr(alone, column)[0]


def test_short_ids_that_share_their_first_half_are_told_apart() -> None:
    pack = pack_of(payloads(6))
    half = bytes(8)
    twins = b"".join(half + bytes([number]) * 8 for number in range(6))
    index = ChunkIndex(None)
    index.add(pack.name, Trailer(pack.trailer.frames, twins, pack.trailer.lengths))
    asked = [half + bytes([number]) * 8 for number in (5, 0, 9, 3)]
    places = index.locate(asked, everything(index))
    assert places.pack.tolist() == [0, 0, -1, 0]
    assert places.ordinal.tolist() == [5, 0, 0, 3]


def test_a_pack_whose_trailer_cannot_be_read_is_named_and_the_others_are_learned(
    packs: list[ClosedPack],
) -> None:
    by_name = {pack.name: pack.trailer for pack in packs}
    damaged, newer = sorted(by_name)[1], sorted(by_name)[3]

    def fetch(name: PackName) -> Trailer:
        if name == damaged:
            raise CorruptData("flipped", kind="hash-mismatch")
        if name == newer:
            raise Unsupported("pack format 7")
        return by_name[name]

    index = ChunkIndex(None)
    assert index.sync(by_name, fetch) == {damaged, newer}
    assert index.packs == by_name.keys() - {damaged, newer}


def test_a_cache_that_cannot_be_written_costs_no_result(
    packs: list[ClosedPack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ChunkIndex(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chunk_index, "write_segment", full)
    fill(index, packs)
    found(index, packs)
    assert not list(tmp_path.iterdir())


def test_old_temporary_files_go_and_new_ones_stay(tmp_path: Path) -> None:
    old, new = tmp_path / "dead.tmp", tmp_path / "busy.tmp"
    old.write_bytes(b"left by a process that died")
    new.write_bytes(b"being written")
    long_ago = time.time() - LEFT_OVER_SECONDS - 10
    os.utime(old, (long_ago, long_ago))
    ChunkIndex(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_a_frozen_index_keeps_its_rows_while_the_other_one_grows(
    packs: list[ClosedPack], tmp_path: Path
) -> None:
    index = ChunkIndex(tmp_path)
    fill(index, packs[:2])
    frozen = index.frozen()
    ids = [pack.trailer.short_ids[:16] for pack in packs[:2]]
    before = frozen.locate(ids, everything(frozen))
    fill(index, packs[2:])
    after = frozen.locate(ids, everything(frozen))
    assert before.row.tolist() == after.row.tolist()
    assert len(frozen) == 30


def test_every_place_has_a_number_of_its_own(packs: list[ClosedPack]) -> None:
    index = ChunkIndex(None)
    fill(index, packs)
    first = index.first_chunks()
    short_ids = b"".join(pack.trailer.short_ids for pack in packs)
    ids = [short_ids[at : at + 16] for at in range(0, len(short_ids), 16)]
    places = index.locate(ids, everything(index))
    assert sorted((first[places.pack] + places.ordinal).tolist()) == list(range(len(index)))
    assert sorted(places.row.tolist()) == list(range(len(index)))


def test_clearing_forgets_on_the_disk_too(packs: list[ClosedPack], tmp_path: Path) -> None:
    index = ChunkIndex(tmp_path)
    fill(index, packs)
    index.clear()
    assert len(index) == 0
    assert index.packs == frozenset()
    assert not list(tmp_path.iterdir())


@given(st.lists(st.lists(st.integers(0, 5), max_size=4).map(tuple), max_size=6))
@settings(max_examples=100, deadline=None)
def test_names_of_several_runs_read_like_one_list(runs: list[tuple[int, ...]]) -> None:
    named = [tuple(PackName(f"{number:064x}") for number in run) for run in runs]
    flat = [name for run in named for name in run]
    names = PackNames(named)
    assert len(names) == len(flat)
    assert [names[number] for number in range(len(flat))] == flat
    assert list(names[1:]) == flat[1:]
