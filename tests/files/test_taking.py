"""Versions that hold files: what they cost, what they are built upon, and what they lack."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from cas.catalog.checking import CheckLevel
from cas.catalog.model import Version, VersionState
from cas.check import check_repository
from cas.diff import diff_versions
from cas.errors import Conflict, CorruptData, InvalidInput
from cas.file_contents import stored_files
from cas.files.directory import Directory
from cas.history import history
from cas.limits import MIB
from cas.records.file_tree import Found, Missed, OpenFile
from cas.records.files import PIECE_BYTES, FileRecord, FileType
from cas.snapshot import SnapshotRequest
from tests.engine.memory_source import table
from tests.engine.scenes import records_of
from tests.files.scene import NAME, Scene, entity, later

PATHS, PIECES = f"files.{NAME}", f"files.{NAME}.content"


def random_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def read(scene: Scene, version: int, path: bytes) -> bytes:
    stored = scene.stored(version)
    return b"".join(stored.content(stored.record(path)))


def test_a_version_holds_paths_and_contents_of_all_sizes(scene: Scene) -> None:
    contents = {
        b"empty": b"",
        b"one": b"x",
        b"d/largest-piece": random_bytes(PIECE_BYTES),
        b"d/two": random_bytes(PIECE_BYTES + 1),
        b"zeros": bytes(3 * MIB),
        b"\xff\n\t\\": b"odd",
    }
    (scene.place / "d").mkdir()
    for path, content in contents.items():
        Path(os.fsdecode(os.path.join(os.fsencode(scene.place), path))).write_bytes(content)
    (scene.place / "link").symlink_to("one")
    os.chmod(scene.place / "one", 0o640)
    os.utime(scene.place / "one", ns=(0, 1_234_567_890_123_456_789))
    version = scene.take()
    assert version.state is VersionState.COMPLETE
    records = {record.path: record for record in scene.stored(version.number).records()}
    assert list(records) == sorted([*contents, b"d", b"link"], key=lambda path: path + b"\0")
    for path, content in contents.items():
        assert read(scene, version.number, path) == content
        assert (records[path].size, records[path].content) == (len(content), blake3(content).digest())
    assert [records[path].pieces for path in (b"empty", b"one", b"d/largest-piece", b"zeros")] == [0, 1, 1, 3]
    assert (records[b"d/two"].pieces or 0) > 1
    assert records[b"link"].target == b"one"
    assert (records[b"one"].mode, records[b"one"].mtime) == (0o640, 1_234_567_890_123_456)
    pieces = entity(version, PIECES)
    assert pieces.payload_bytes == sum(map(len, contents.values()))
    assert pieces.new_chunks == pieces.records - 2, "the zeros are one chunk three times"
    assert check_repository(scene.world.open(), level=CheckLevel.BYTES).is_clean


def test_rows_and_files_of_one_version_say_how_they_were_read(scene: Scene) -> None:
    (scene.place / "x").write_bytes(b"x")
    version = scene.take()
    document = scene.world.open().document(version.number)
    read_by = {one.label: one for one in document.read}
    assert read_by[PATHS].read_by == read_by[PIECES].read_by == "walk"
    assert read_by[PATHS].reason.startswith(f"after the rows, from {scene.place}; 1 of 1 files were read")
    assert "public.products" in read_by


def test_an_unchanged_tree_costs_no_chunks_and_reads_no_file(scene: Scene) -> None:
    for number in range(200):
        (scene.place / f"{number}").write_bytes(b"%d" % number)
    first = scene.take()
    second = scene.take()
    assert (entity(second, PIECES).rows_read, entity(second, PIECES).new_chunks) == (0, 0)
    assert entity(second, PATHS).new_chunks == 0
    assert entity(second, PIECES).root == entity(first, PIECES).root
    assert entity(second, PATHS).root == entity(first, PATHS).root
    assert "0 of 200 files were read" in entity(second, PATHS).read_reason
    packs = scene.world.open().document(second.number).packs
    assert sum(pack.chunks for pack in packs) <= 1, "the list of entities, at most"


def test_a_scan_reads_all_and_finds_the_same(scene: Scene) -> None:
    for number in range(20):
        (scene.place / f"{number}").write_bytes(b"%d" % number)
    first, second = scene.take(), scene.take(scan=True)
    assert entity(second, PIECES).rows_read == 20
    assert second.checksum == first.checksum


def test_what_was_changed_behind_the_clock_is_found_by_a_scan(scene: Scene) -> None:
    """Same size and times, as only who sets the machine's clock makes it: here by the record's own words."""
    (scene.place / "x").write_bytes(b"old")
    first = scene.take()
    record = scene.stored(first.number).record(b"x")

    class Frozen(Directory):
        """Tells of what it saw then."""

        def entries(self) -> Iterator[Found | Missed]:
            for one in super().entries():
                assert isinstance(one, Found)
                yield replace(one, record=replace(one.record, seen=record.seen))

    (scene.place / "x").write_bytes(b"new")
    tree = Frozen(NAME, scene.place, later)
    blind = scene.world.take(scene.platform, request=SnapshotRequest(files=(tree,)))
    assert read(scene, blind.number, b"x") == b"old", "without --scan nobody looks"
    seeing = scene.world.take(scene.platform, request=SnapshotRequest(files=(tree,), scan=True))
    assert read(scene, seeing.number, b"x") == b"new"


def test_a_file_that_was_just_written_is_read_again(scene: Scene) -> None:
    (scene.place / "x").write_bytes(b"x")
    tree = Directory(NAME, scene.place)
    for _ in range(2):
        version = scene.world.take(scene.platform, request=SnapshotRequest(files=(tree,)))
        assert entity(version, PIECES).rows_read == 1


def test_a_rename_costs_no_content(scene: Scene) -> None:
    (scene.place / "a").write_bytes(random_bytes(3 * MIB))
    scene.take()
    (scene.place / "a").rename(scene.place / "b")
    second = scene.take()
    assert entity(second, PIECES).new_chunks == 0
    assert second.added_bytes is not None
    assert second.added_bytes < 8000
    assert read(scene, second.number, b"b") == random_bytes(3 * MIB)
    assert scene.paths(second.number) == [b"b"]


def test_an_insertion_in_the_middle_costs_few_pieces(scene: Scene) -> None:
    content = random_bytes(5 * MIB)
    (scene.place / "a").write_bytes(content)
    first = entity(scene.take(), PIECES)
    middle = len(content) // 2
    changed = content[:middle] + b"inserted" + content[middle:]
    (scene.place / "a").write_bytes(changed)
    second = scene.take()
    assert first.records >= 6
    assert entity(second, PIECES).new_chunks <= 2
    assert second.added_bytes is not None
    assert second.added_bytes <= 2 * PIECE_BYTES + 8000
    assert read(scene, second.number, b"a") == changed


def test_edited_trees_are_those_that_a_scan_makes(scene: Scene) -> None:
    """Whatever happens to the files: the tree of pieces is the same as if it were built anew."""
    rng = random.Random(5)
    for _ in range(8):
        for _ in range(rng.randrange(1, 12)):
            path = scene.place / rng.choice("abcdef") / str(rng.randrange(30))
            path.parent.mkdir(exist_ok=True)
            match rng.randrange(4):
                case 0 if path.exists():
                    path.unlink()
                case 1:
                    path.unlink(missing_ok=True)
                    path.symlink_to("x")
                case 2 if path.exists() and not path.is_symlink():
                    path.rename(path.with_name(f"{path.name}-moved"))
                case _ if not path.is_symlink():
                    path.write_bytes(random_bytes(rng.choice((0, 5, 1000, 2 * MIB)), rng.randrange(9)))
        edited, scanned = scene.take(), scene.take(scan=True)
        assert edited.checksum == scanned.checksum
        assert edited.stored_bytes is not None
        assert scanned.stored_bytes is not None
        assert entity(edited, PIECES).payload_bytes == entity(scanned, PIECES).payload_bytes


def test_counts_of_what_changed(scene: Scene) -> None:
    for name in "abc":
        (scene.place / name).write_bytes(name.encode())
    scene.take()
    (scene.place / "a").write_bytes(b"other")
    (scene.place / "b").unlink()
    (scene.place / "d").write_bytes(b"d")
    second = scene.take()
    for label in (PATHS, PIECES):
        one = entity(second, label)
        assert (one.inserted, one.updated, one.deleted) == (1, 1, 1), label


def test_a_damaged_version_is_not_built_upon(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    (scene.place / "a").write_bytes(b"a")
    scene.take()

    def broken(*_: object) -> Iterator[FileRecord]:
        yield FileRecord(b"a", FileType.FILE, size=1, content=bytes(32), pieces=1)
        raise CorruptData("a broken chunk", kind="missing")

    monkeypatch.setattr("cas.file_taking._records", broken)
    second = scene.take()
    assert entity(second, PIECES).rows_read == 1
    assert "is damaged and cannot be built upon" in entity(second, PATHS).read_reason


class Failing(Directory):
    """A tree of which one file cannot be read as it is, for some time."""

    def __init__(self, scene: Scene, missed: Missed, times: int) -> None:
        super().__init__(NAME, scene.place, later)
        self.missed = missed
        self.times = times

    @contextmanager
    def open(self, record: FileRecord) -> Iterator[OpenFile]:
        if record.path == self.missed.path and self.times:
            self.times -= 1
            raise self.missed
        with super().open(record) as opened:
            yield opened


def take_of(scene: Scene, tree: Directory, *, allow_incomplete: bool = False) -> Version:
    request = SnapshotRequest(files=(tree,), allow_incomplete=allow_incomplete)
    return scene.world.take(scene.platform, request=request)


def test_what_cannot_be_read_is_refused_or_named(scene: Scene) -> None:
    (scene.place / "a").write_bytes(b"a")
    (scene.place / "b").write_bytes(b"b")
    whole = scene.take()
    (scene.place / "b").write_bytes(b"bb")
    unreadable = Missed(b"b", "it cannot be read: permission denied")
    with pytest.raises(Conflict) as refused:
        take_of(scene, Failing(scene, unreadable, 1))
    assert refused.value.where == "files.uploads/b"
    version = take_of(scene, Failing(scene, unreadable, 1), allow_incomplete=True)
    assert version.state is VersionState.INCOMPLETE
    assert version.omissions == (("files.uploads/b", "it cannot be read: permission denied"),)
    assert scene.paths(version.number) == [b"a"]
    assert entity(version, PIECES).records == 1
    assert entity(version, PATHS).inserted is None, "what changed is not known"
    assert scene.take().state is VersionState.COMPLETE
    assert scene.paths(whole.number) == [b"a", b"b"]


def test_a_file_that_is_written_meanwhile_is_read_again_and_then_given_up(scene: Scene) -> None:
    (scene.place / "a").write_bytes(b"a")
    busy = Missed(b"a", "it was written while it was read", again=True)
    assert take_of(scene, Failing(scene, busy, 2)).state is VersionState.COMPLETE
    (scene.place / "a").write_bytes(b"aa")
    with pytest.raises(Conflict):
        take_of(scene, Failing(scene, busy, 3))


@pytest.mark.parametrize("size", [10, 3 * MIB])
def test_a_file_that_grows_under_the_read_is_noticed(scene: Scene, size: int) -> None:
    (scene.place / "a").write_bytes(random_bytes(size))
    tree = scene.tree()
    entries = tree.entries()
    one = next(entries)
    assert isinstance(one, Found)
    with one.open() as opened:
        pieces = opened.pieces()
        next(pieces)
        with (scene.place / "a").open("ab") as file:
            file.write(b"more")
        with pytest.raises(Missed) as missed:
            list(pieces)
    assert missed.value.again


class _Restless(Directory):
    """Its one file grows by more than a piece, as often as a piece of it is read."""

    @contextmanager
    def open(self, record: FileRecord) -> Iterator[OpenFile]:
        with super().open(record) as opened:
            yield _Growing(opened, Path(self.place) / os.fsdecode(record.path))


class _Growing:
    MOST = 20

    def __init__(self, opened: OpenFile, path: Path) -> None:
        self.record = opened.record
        self._opened = opened
        self._path = path

    def pieces(self) -> Iterator[bytes]:
        for count, piece in enumerate(self._opened.pieces()):
            assert count < self.MOST, "it is read for ever"
            with self._path.open("ab") as file:
                file.write(bytes(PIECE_BYTES + 1))
            yield piece


def test_a_log_that_never_rests_does_not_hold_up_a_version_for_ever(scene: Scene) -> None:
    log = scene.place / "log"
    log.write_bytes(random_bytes(2 * MIB))
    request = SnapshotRequest(files=(_Restless(NAME, scene.place),), allow_incomplete=True)
    version = scene.world.take(scene.platform, request=request)
    assert version.omissions == ((f"{PATHS}/log", "it was written while it was read"),)


def test_a_version_names_so_many_paths_and_counts_the_rest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cas.file_taking.MOST_OMISSIONS", 2)

    class Hopeless(Directory):
        def entries(self) -> Iterator[Found | Missed]:
            return (Missed(b"%d" % number, "gone") for number in range(5))

    version = take_of(scene, Hopeless(NAME, scene.place), allow_incomplete=True)
    assert [name for name, _ in version.omissions] == [f"{PATHS}/0", f"{PATHS}/1", f"{PATHS}/"]
    assert version.omissions[-1][1] == "3 more paths could not be read"


def test_differences_of_versions_are_paths_with_their_size(scene: Scene) -> None:
    for name in "abc":
        (scene.place / name).write_bytes(name.encode())
    scene.take()
    (scene.place / "a").write_bytes(b"longer")
    (scene.place / "b").unlink()
    # The same file with another inode and other times of its inode is no other file.
    status = os.stat(scene.place / "c")
    (scene.place / "c").rename(scene.place / "old")
    (scene.place / "c").write_bytes(b"c")
    (scene.place / "old").unlink()
    os.utime(scene.place / "c", ns=(status.st_mtime_ns, status.st_mtime_ns))
    scene.take()
    found = diff_versions(scene.world.open(), 1, 2)
    assert PIECES not in found.labels
    counts = found.entity(PATHS)
    assert (counts.added, counts.removed, counts.changed) == (0, 1, 1)
    changed = {record.key: record for record in found.records(PATHS)}
    assert changed.keys() == {("a",), ("b",)}
    states = {name: history(scene.world.open(), scene.world.catalog, PATHS, [name]).states for name in "abc"}
    assert {name: len(found) for name, found in states.items()} == {"a": 2, "b": 2, "c": 1}
    assert {step.column for step in states["a"][0].fields} == {"size", "mtime", "content"}
    sizes = {field.column: (field.old, field.new) for field in changed[("a",)].fields}
    assert sizes["size"] == ("1", "6")
    assert "seen" not in sizes


def test_names_that_would_mean_two_things_are_refused(scene: Scene) -> None:
    trees = (scene.tree(), scene.tree())
    with pytest.raises(InvalidInput):
        scene.world.take(scene.platform, request=SnapshotRequest(files=trees))
    scene.platform = {**scene.platform, replace(table("uploads"), schema="files"): {1: b"1\tx"}}
    with pytest.raises(InvalidInput):
        scene.take()


def test_a_version_of_the_schema_alone_has_no_files(scene: Scene) -> None:
    (scene.place / "x").touch()
    version = scene.world.take(
        scene.platform, request=SnapshotRequest(files=(scene.tree(),), with_data=False)
    )
    assert not [one for one in version.entities if one.label.startswith("files.")]


def test_memory_does_not_grow_with_the_file(scene: Scene) -> None:
    """A sparse file of many pieces; all of them at once would be 96 MiB."""
    import tracemalloc

    with (scene.place / "sparse").open("wb") as file:
        file.truncate(96 * MIB)
    tracemalloc.start()
    try:
        version = scene.take()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert entity(version, PIECES).records == 96
    assert entity(version, PIECES).new_chunks == 1
    assert peak < 48 * MIB
    stored = stored_files(scene.stored(1).contents, NAME)
    assert sum(map(len, stored.content(stored.record(b"sparse")))) == 96 * MIB


def test_records_of_a_version_without_files_are_as_before(scene: Scene) -> None:
    without = scene.world.take(scene.platform)
    (scene.place / "x").write_bytes(b"x")
    with_files = scene.take()
    repository = scene.world.open()
    rows = records_of(repository, with_files.number)
    assert {label: rows[label] for label in records_of(repository, without.number)} == records_of(
        repository, without.number
    )
    assert FileType.FILE in {record.type for record in scene.stored(with_files.number).records()}
