"""Versions that somebody made by hand, to write where nobody asked for it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from cas.diff import diff_versions
from cas.errors import CorruptData
from cas.records.file_tree import Found, Missed, OpenFile
from cas.records.files import FileRecord, FileType, files_entity
from cas.snapshot import SnapshotRequest
from tests.engine.scenes import World
from tests.files.scene import NAME, Scene, faces


class HandMade:
    """A tree that tells of whatever paths."""

    name = NAME
    place = "nowhere"

    def __init__(self, *records: FileRecord) -> None:
        self._records = sorted(records, key=lambda record: record.key)

    def entries(self) -> Iterator[Found | Missed]:
        return (Found(record, self) for record in self._records)

    def open(self, record: FileRecord) -> AbstractContextManager[OpenFile]:
        return _Content(record)


class _Content:
    def __init__(self, record: FileRecord) -> None:
        self.record = record

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def pieces(self) -> Iterator[bytes]:
        yield b"hostile"


def file(path: bytes) -> FileRecord:
    return FileRecord(path, FileType.FILE, mode=0o644)


def directory(path: bytes) -> FileRecord:
    return FileRecord(path, FileType.DIRECTORY, mode=0o755)


def link(path: bytes, target: bytes) -> FileRecord:
    return FileRecord(path, FileType.SYMLINK, mode=0o777, target=target)


def take(scene: Scene, *records: FileRecord) -> None:
    scene.world.take(scene.platform, request=SnapshotRequest(files=(HandMade(*records),)))


@pytest.mark.parametrize(
    "records",
    [
        [file(b"../x")],
        [file(b"/x")],
        [file(b"..")],
        [file(b".")],
        [file(b"")],
        [directory(b"d"), file(b"d//x")],
        [directory(b"d"), file(b"d/../../x")],
        [directory(b"d"), file(b"d/")],
        [directory(b".."), file(b"../x")],
        [file(b"n" * 256)],
        [file(b".cas-restoring-0")],
        [directory(b".cas-restoring-0"), file(b".cas-restoring-0/x")],
        [file(b"no-directory/x")],
        [link(b"d", b"/tmp"), file(b"d/x")],
        [file(b"d"), file(b"d/x")],
    ],
    ids=lambda records: repr(records[-1].path[:20]),
)
def test_such_paths_are_refused_and_nothing_is_written(
    scene: Scene, tmp_path: Path, records: list[FileRecord]
) -> None:
    take(scene, file(b"harmless"), *records)
    above = tmp_path / "above"
    (above / "target").mkdir(parents=True)
    with pytest.raises(CorruptData) as refused:
        scene.restore(1, above / "target", delete=True, links=True)
    assert refused.value.kind == "malformed"
    assert faces(above).keys() == {"target"}


def test_what_is_harmless_comes_back(scene: Scene, tmp_path: Path) -> None:
    """The same tree, without what is hostile in it: so the others are refused for their paths alone."""
    take(scene, file(b"harmless"), directory(b"d"), file(b"d/x"), file(b"..x"), link(b"l", b"d"))
    scene.restore(1, tmp_path / "target")
    assert faces(tmp_path / "target").keys() == {"harmless", "d", "d/x", "..x", "l"}
    assert (tmp_path / "target" / "l" / "x").read_bytes() == b"hostile"


def test_paths_that_are_none_are_damage_to_a_comparison() -> None:
    world, entity = World(), files_entity(NAME)
    for payload in (b"a\tfile", b"b\tfile"):
        world.take({entity: {1: payload}})
    with closing(world.open()) as repository, pytest.raises(CorruptData):
        list(diff_versions(repository, 1, 2).records(entity.label))
