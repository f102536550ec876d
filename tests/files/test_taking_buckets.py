"""Versions of what lies in buckets: what they hold, what they cost, and what they lack."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from blake3 import blake3

from cas.bucket_target import TargetBucket
from cas.bucket_tree import BucketTree
from cas.catalog.model import VersionState
from cas.check import check_repository
from cas.errors import Conflict
from cas.limits import MIB
from cas.records.file_tree import Found, Missed
from cas.records.files import FileType
from cas.store.bucket import BucketObject, OpenObject
from cas.store.delivering import Repeat, once
from cas.store.interface import FaultKind, StoreFault
from tests.files.bucket_scene import BucketScene
from tests.files.memory_bucket import MemoryBucket
from tests.files.scene import NAME, entity
from tests.files.test_taking import PIECES, random_bytes

KEYS = {
    "a/b/deep": b"deep",
    "a-b": b"before a/b by its bytes",
    "a.txt": b"between a and a/b",
    "empty": b"",
    "large": random_bytes(3 * MIB),
    "Grüße aus 100% + [x] & 'y'.jpg": b"odd",
}


def held(buckets: BucketScene, version: int) -> dict[str, bytes]:
    """Files of a version and their contents."""
    stored = buckets.stored(version)
    return {
        record.path.decode(): b"".join(stored.content(record))
        for record in stored.records()
        if record.type is FileType.FILE
    }


def microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def put(buckets: BucketScene, contents: dict[str, bytes]) -> None:
    for key, content in contents.items():
        buckets.bucket.put(key, content)


def test_a_version_holds_every_object_and_the_directories_of_its_key(buckets: BucketScene) -> None:
    begun = datetime.now(UTC)
    put(buckets, KEYS)
    version = buckets.take_bucket()
    assert version.state is VersionState.COMPLETE
    records = {record.path: record for record in buckets.stored(1).records()}
    assert list(records) == sorted([*map(str.encode, KEYS), b"a", b"a/b"], key=lambda path: path + b"\0")
    assert held(buckets, 1) == KEYS
    assert records[b"a"].type is records[b"a/b"].type is FileType.DIRECTORY
    deep = records[b"a/b/deep"]
    assert (deep.size, deep.content, deep.mode) == (4, blake3(b"deep").digest(), None)
    assert deep.mtime is not None
    stored_at = datetime.fromtimestamp(deep.mtime / 1e6, UTC)
    assert abs(stored_at - begun) < timedelta(minutes=5)
    assert (records[b"large"].pieces or 0) > 2
    (told,) = [one for one in buckets.world.open().document(1).read if one.label == PIECES]
    assert told.reason.startswith(f"after the rows, from {buckets.bucket.url}; 6 of 6 files were read")
    assert check_repository(buckets.world.open()).is_clean


def test_what_was_not_written_since_is_not_read_again(buckets: BucketScene) -> None:
    put(buckets, KEYS)
    buckets.take_bucket()
    assert sorted(buckets.bucket.opened) == sorted(KEYS)
    buckets.bucket.opened.clear()
    second = buckets.take_bucket()
    assert buckets.bucket.opened == []
    assert (entity(second, PIECES).rows_read, entity(second, PIECES).new_chunks) == (0, 0)
    buckets.bucket.put("a.txt", b"between a and A/b")
    buckets.take_bucket()
    assert buckets.bucket.opened == ["a.txt"]
    assert held(buckets, 3) == {**KEYS, "a.txt": b"between a and A/b"}
    buckets.bucket.opened.clear()
    buckets.take_bucket(scan=True)
    assert sorted(buckets.bucket.opened) == sorted(KEYS)


def test_what_changes_while_the_bucket_is_read_is_read_as_it_is_then(buckets: BucketScene) -> None:
    put(buckets, KEYS)
    buckets.bucket.listed = lambda: buckets.bucket.put("a.txt", b"longer than it was when it was listed")
    version = buckets.take_bucket()
    assert version.state is VersionState.COMPLETE
    assert held(buckets, 1)["a.txt"] == b"longer than it was when it was listed"
    buckets.bucket.opened.clear()
    assert held(buckets, buckets.take_bucket().number)["a.txt"] == b"longer than it was when it was listed"


def test_the_record_is_of_what_was_read(quick: BucketScene) -> None:
    """Not of what was listed, which may come back."""
    quick.bucket.put("x", b"listed")
    quick.bucket.listed = lambda: quick.bucket.put("x", b"read")
    quick.take_bucket()
    assert quick.stored(1).record(b"x").mtime == microseconds(quick.bucket.look("x").modified)
    quick.bucket.opened.clear()
    quick.take_bucket()
    assert quick.bucket.opened == []


class Coarse(MemoryBucket):
    """Listings have times to the microsecond, answers to the second."""

    def open(self, key: str) -> OpenObject:
        opened = super().open(key)
        return replace(opened, about=self.look(key))

    def look(self, key: str) -> BucketObject:
        about = super().look(key)
        return replace(about, modified=about.modified.replace(microsecond=0))


def test_times_of_two_kinds_do_not_make_it_read_again(quick: BucketScene) -> None:
    quick.bucket.inner = Coarse()
    put(quick, KEYS)
    quick.take_bucket()
    quick.bucket.opened.clear()
    quick.take_bucket()
    assert quick.bucket.opened == []


def test_what_is_replaced_while_it_is_read_is_read_again(buckets: BucketScene) -> None:
    put(buckets, KEYS)
    new = random_bytes(3 * MIB, 2)
    left = [new]

    def write_again(key: str) -> None:
        if key == "large" and left:
            buckets.bucket.put("large", left.pop())

    buckets.bucket.reading = write_again
    assert buckets.take_bucket().state is VersionState.COMPLETE
    assert buckets.bucket.opened.count("large") == 2
    assert held(buckets, 1) == {**KEYS, "large": new}


def test_what_is_replaced_again_and_again_is_named(buckets: BucketScene) -> None:
    put(buckets, KEYS)
    seeds = iter(range(100))
    buckets.bucket.reading = lambda key: (
        buckets.bucket.put(key, random_bytes(2 * MIB, next(seeds))) if key == "large" else None
    )
    with pytest.raises(Conflict, match="it was replaced while it was read"):
        buckets.take_bucket()
    version = buckets.take_bucket(allow_incomplete=True)
    assert version.state is VersionState.INCOMPLETE
    assert "large" not in held(buckets, version.number)


def test_what_vanishes_while_the_bucket_is_read_is_named(buckets: BucketScene) -> None:
    put(buckets, KEYS)
    buckets.bucket.listed = lambda: buckets.bucket.inner.remove("a.txt")
    with pytest.raises(Conflict, match="it vanished") as refused:
        buckets.take_bucket()
    assert refused.value.where == f"files.{NAME}/a.txt"
    buckets.bucket.put("a.txt", b"again")
    buckets.bucket.listed = lambda: buckets.bucket.inner.remove("a.txt")
    version = buckets.take_bucket(allow_incomplete=True)
    assert version.state is VersionState.INCOMPLETE
    assert held(buckets, version.number).keys() == KEYS.keys() - {"a.txt"}


def test_an_empty_prefix_is_an_empty_tree(buckets: BucketScene) -> None:
    assert buckets.take_bucket().state is VersionState.COMPLETE
    assert buckets.paths(1) == []


HOSTILE = [
    "a//b",
    "/absolute",
    "../above",
    "a/../b",
    "a/./b",
    "..",
    ".",
    "a/..",
    "zero\0byte",
    "n" * 256,
    "d/" + "n" * 256 + "/x",
    ".cas-restoring-0",
    "a//",
    "half \ud800",
]


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: repr(key[:20]))
def test_a_key_that_no_path_can_be_is_named_and_never_stored(quick: BucketScene, key: str) -> None:
    quick.bucket.put(key, b"" if key.endswith("/") else b"hostile")
    quick.bucket.put("harmless/x", b"x")
    with pytest.raises(Conflict) as refused:
        quick.take_bucket()
    named = key.replace("\0", "\\0").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    assert refused.value.where == f"files.{NAME}/{named}"
    version = quick.take_bucket(allow_incomplete=True)
    assert version.state is VersionState.INCOMPLETE
    assert quick.paths(version.number) == [b"harmless", b"harmless/x"]
    omissions = [name for name, _ in quick.world.open().document(version.number).omissions]
    assert omissions == [f"files.{NAME}/{named}"]


def test_markers_are_directories_and_what_is_none_is_named(quick: BucketScene) -> None:
    """An object whose name is that of a directory, too, cannot be a file beside it."""
    put(quick, {"": b"", "marked/": b"", "marked/x": b"x", "alone/": b"", "hdfs": b"", "hdfs/x": b"x"})
    quick.take_bucket()
    kinds = {record.path: record.type for record in quick.stored(1).records()}
    directory, file = FileType.DIRECTORY, FileType.FILE
    assert kinds == {
        b"alone": directory,
        b"hdfs": directory,
        b"hdfs/x": file,
        b"marked": directory,
        b"marked/x": file,
    }
    put(quick, {"both": b"content", "both/x": b"x", "slash/": b"content"})
    missed = {one.path: one for one in BucketTree(NAME, quick.bucket).entries() if isinstance(one, Missed)}
    assert missed.keys() == {b"both", b"slash/"}
    assert not any(one.is_path for one in missed.values())
    quick.take_bucket(allow_incomplete=True)
    assert {b"both", b"both/x"} < set(quick.paths(2))
    assert quick.stored(2).record(b"both").type is directory


def test_directories_come_before_what_stands_between_them_and_what_is_in_them(quick: BucketScene) -> None:
    """A listing tells that there is `a` when it has told of `a-0` and all others that sort before `a/`."""
    keys = [f"{top}{number}" for top in ("a-", "a/b.", "a/b/", "a/", "a0") for number in range(300)]
    put(quick, dict.fromkeys(keys, b"x"))
    found = [one.record.path for one in BucketTree(NAME, quick.bucket).entries() if isinstance(one, Found)]
    assert found == sorted([b"a", b"a/b", *map(str.encode, keys)], key=lambda path: path + b"\0")


class Endless(MemoryBucket):
    """Many objects that are made up as they are listed."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def rows(self, *, repeat: Repeat = once) -> Iterator[BucketObject]:
        time = datetime(2026, 1, 1, tzinfo=UTC)
        for number in range(self._count):
            yield BucketObject(f"{number % 97:02}/{number:050}", number, time, f"{number:032x}")


@pytest.mark.parametrize("listed", [40_000, pytest.param(200_000, marks=pytest.mark.thorough)])
def test_a_listing_of_any_length_takes_bounded_memory(listed: int) -> None:
    tracemalloc.start()
    try:
        count = sum(isinstance(one, Found) for one in BucketTree(NAME, Endless(listed)).entries())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == listed + 97
    assert peak < 64 * MIB


class Large(MemoryBucket):
    """One object that is made up as it is read, and objects that are let go as they come."""

    SIZE = 128 * MIB
    ABOUT = BucketObject("large", SIZE, datetime(2026, 1, 1, tzinfo=UTC), "tag")

    def rows(self, *, repeat: Repeat = once) -> Iterator[BucketObject]:
        yield self.ABOUT

    def look(self, key: str) -> BucketObject:
        return self.ABOUT

    def open(self, key: str) -> OpenObject:
        pieces = (bytes([number % 251]) * MIB for number in range(self.SIZE // MIB))
        return OpenObject(self.ABOUT, pieces, lambda: None)

    def send(self, key: str, data: memoryview, *, repeat: Repeat = once) -> None:
        assert data.nbytes == self.SIZE
        assert data[-1] == (self.SIZE // MIB - 1) % 251


def test_an_object_of_any_size_takes_bounded_memory_both_ways() -> None:
    tracemalloc.start()
    try:
        (found,) = BucketTree(NAME, Large()).entries()
        assert isinstance(found, Found)
        with found.open() as opened:
            TargetBucket(NAME, Large()).write(found.record, opened.pieces())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * MIB


def test_a_directory_that_moved_into_a_bucket_costs_no_content(quick: BucketScene) -> None:
    for key, content in KEYS.items():
        path = quick.place / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    quick.take()
    put(quick, KEYS)
    moved = quick.take_bucket()
    assert sorted(quick.bucket.opened) == sorted(KEYS), (
        "what was seen in a directory says nothing of a bucket"
    )
    assert entity(moved, PIECES).new_chunks == 0
    assert held(quick, 2) == KEYS


@pytest.mark.parametrize("count", [1_100, pytest.param(10_000, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("bucket", ["moto"], indirect=True)
def test_many_objects_of_a_server(buckets: BucketScene, count: int) -> None:
    for number in range(count):
        buckets.bucket.put(f"{number % 10}/{number}", b"%d" % number)
    tracemalloc.start()
    try:
        version = buckets.take_bucket()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert entity(version, f"files.{NAME}").records == count + 10
    assert peak < 100 * MIB
    buckets.bucket.opened.clear()
    buckets.take_bucket()
    assert buckets.bucket.opened == []


class Refusing(MemoryBucket):
    """Does not give one object, for a reason."""

    def __init__(self, fault: FaultKind) -> None:
        super().__init__()
        self._fault = fault

    def open(self, key: str) -> OpenObject:
        if key == "frozen":
            raise StoreFault("get was answered 403", fault=self._fault, where=key)
        return super().open(key)


@pytest.mark.parametrize("fault", [FaultKind.DENIED, FaultKind.REFUSED])
def test_an_object_that_is_not_given_is_named(quick: BucketScene, fault: FaultKind) -> None:
    quick.bucket.inner = Refusing(fault)
    put(quick, {"frozen": b"x", "warm": b"y"})
    with pytest.raises(Conflict, match="it cannot be read: get was answered 403"):
        quick.take_bucket()
    assert quick.take_bucket(allow_incomplete=True).state is VersionState.INCOMPLETE
    assert held(quick, 2) == {"warm": b"y"}


def test_a_bucket_that_does_not_answer_is_no_omission(quick: BucketScene) -> None:
    quick.bucket.inner = Refusing(FaultKind.UNREACHABLE)
    put(quick, {"frozen": b"x"})
    with pytest.raises(StoreFault):
        quick.take_bucket(allow_incomplete=True)
