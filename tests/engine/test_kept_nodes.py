"""Nodes on the local disk: a cache that is never believed and never in the way."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from cas.engine import kept_nodes
from cas.engine.kept_nodes import KeptNodes
from cas.errors import CorruptData
from cas.ids import ChunkId, ChunkKind, IdKey

KEY = IdKey(bytes(range(32)))
PLAINS = [b"node %d" % number * 100 for number in range(1200)]
IDS = KEY.batch_hasher(ChunkKind.NODE)(PLAINS)


class Store:
    """Where nodes come from; remembers which were asked for."""

    def __init__(self) -> None:
        self.plains = dict(zip(IDS, PLAINS, strict=True))
        self.asked: list[ChunkId] = []

    def read(self, ids: Sequence[ChunkId]) -> list[bytes]:
        self.asked += ids
        if not self.plains.keys() >= set(ids):
            raise CorruptData("node is missing", kind="missing")
        return [self.plains[node_id] for node_id in ids]


def asked_for(file: Path | None, ids: Sequence[ChunkId] = IDS) -> list[ChunkId]:
    """What a process has to read from elsewhere that wants these nodes, and gets them."""
    store = Store()
    with KeptNodes(store.read, KEY, file) as nodes:
        assert nodes(ids) == [store.plains[node_id] for node_id in ids]
    return store.asked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "nodes"


def test_what_was_read_once_is_not_read_again(file: Path) -> None:
    assert asked_for(file, IDS[:700]) == IDS[:700]
    assert asked_for(file) == IDS[700:]
    assert asked_for(file, [*IDS, *reversed(IDS)]) == []


def test_nobody_else_may_read_the_keys_in_it(file: Path) -> None:
    asked_for(file, IDS[:3])
    assert file.stat().st_mode & 0o077 == 0


def test_without_a_file_nothing_is_kept() -> None:
    assert asked_for(None, IDS[:3]) == IDS[:3]
    assert asked_for(None, IDS[:3]) == IDS[:3]


def test_bytes_that_are_not_those_of_their_id_are_read_anew_and_replaced(file: Path) -> None:
    asked_for(file)
    with sqlite3.connect(file) as other:
        other.execute("UPDATE nodes SET plain = ? WHERE id = ?", (b"something else", IDS[5]))
        other.execute("UPDATE nodes SET plain = 'text' WHERE id = ?", (IDS[6],))
    assert asked_for(file) == [IDS[5], IDS[6]]
    assert asked_for(file) == []


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 300, b"SQLite format 3\0" + bytes(4000)])
def test_a_file_that_is_damaged_is_begun_anew(file: Path, damage: bytes) -> None:
    asked_for(file)
    file.write_bytes(damage)
    assert asked_for(file) == IDS
    asked_for(file)
    assert asked_for(file) == []


def test_pages_that_are_damaged_cost_a_reading_and_no_more(file: Path) -> None:
    asked_for(file)
    data = bytearray(file.read_bytes())
    for at in range(8192, len(data), 4096):
        data[at : at + 64] = b"\xff" * 64
    file.write_bytes(data)
    asked_for(file)
    asked_for(file)
    assert asked_for(file) == []


def test_a_place_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert asked_for(tmp_path / "file" / "nodes", IDS[:3]) == IDS[:3]
    assert asked_for(tmp_path, IDS[:3]) == IDS[:3], "a directory is no file"


def test_another_process_that_writes_is_not_waited_for(file: Path) -> None:
    asked_for(file, IDS[:3])
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert asked_for(file, IDS[:5]) == IDS[:5]
    other.execute("ROLLBACK")
    other.close()
    assert asked_for(file, IDS[:5]) == IDS[3:5]


def test_a_file_that_grew_too_large_is_begun_anew(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for(file, IDS[:1000])
    monkeypatch.setattr(kept_nodes, "MAX_FILE_BYTES", 100_000)
    assert asked_for(file, IDS) == IDS[1000:]
    assert asked_for(file, IDS[1000:]) == []
    assert file.stat().st_size < 400_000


def test_what_cannot_be_read_is_raised_and_what_could_be_is_kept(file: Path) -> None:
    store = Store()
    del store.plains[IDS[9]]

    def read_all() -> None:
        with KeptNodes(store.read, KEY, file) as nodes:
            nodes(IDS[:5])
            nodes(IDS[5:10])

    with pytest.raises(CorruptData):
        read_all()
    assert asked_for(file, IDS[:10]) == IDS[5:10]
