"""Files back into a bucket: what differs, each object whole, and between buckets and directories."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cas.bucket_target import TargetBucket
from cas.errors import Conflict, CorruptData
from cas.file_contents import StoredFiles
from cas.limits import MIB
from cas.records.files import FileRecord
from cas.store.bucket_opening import open_bucket
from cas.store.local import LocalStore
from tests.engine.scenes import World
from tests.files.bucket_scene import BucketScene
from tests.files.conftest import bucket_url
from tests.files.test_hostile_versions import directory, file, take
from tests.files.test_restoring import Wrong
from tests.files.test_taking import random_bytes
from tests.files.test_taking_buckets import KEYS, put
from tests.store.conftest import OPTIONS


@pytest.fixture
def taken(buckets: BucketScene) -> BucketScene:
    """With a version of KEYS, and the bucket as it was then."""
    put(buckets, KEYS)
    buckets.take_bucket()
    buckets.bucket.opened.clear()
    return buckets


def test_only_what_differs_is_written(taken: BucketScene) -> None:
    bucket = taken.bucket
    same = taken.plan_bucket(1)
    assert (same.created, same.overwritten, same.adjusted, same.unchanged) == (0, 0, 0, 6)
    bucket.put("a.txt", b"Between a and a/b")
    bucket.inner.remove("empty")
    put(taken, {"extra": b"x", "more/extra": b"x"})
    shown = taken.plan_bucket(1)
    assert (shown.created, shown.overwritten, shown.unchanged, shown.left) == (1, 1, 4, 2)
    assert bucket.sent == bucket.removed == []
    receipt = taken.restore_bucket(1)
    assert receipt.written == 2
    assert sorted(bucket.sent) == ["a.txt", "empty"]
    assert bucket.contents() == {**KEYS, "extra": b"x", "more/extra": b"x"}
    assert taken.plan_bucket(1, delete=True).deleted == 2
    taken.restore_bucket(1, delete=True)
    assert sorted(bucket.removed) == ["extra", "more/extra"]
    assert bucket.contents() == KEYS


def test_everything_comes_back_into_an_empty_bucket(taken: BucketScene) -> None:
    for key in KEYS:
        taken.bucket.inner.remove(key)
    assert taken.plan_bucket(1).created == 6
    taken.restore_bucket(1)
    assert taken.bucket.contents() == KEYS


def test_a_version_of_a_bucket_comes_back_into_a_directory(taken: BucketScene, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "private").mkdir(parents=True, mode=0o700)
    receipt = taken.restore(1, target, delete=True)
    assert receipt.written == 6
    assert {
        str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()
    } == KEYS
    record = taken.stored(1).record(b"a.txt")
    umask = os.umask(0)
    os.umask(umask)
    status = (target / "a.txt").stat()
    assert status.st_mode & 0o777 == 0o666 & ~umask
    assert status.st_mtime_ns // 1000 == record.mtime
    assert (target / "a").stat().st_mode & 0o777 == 0o777 & ~umask
    os.chmod(target / "a", 0o700)
    os.chmod(target / "a.txt", 0o600)
    again = taken.preview(1, target)
    assert (again.overwritten, again.adjusted) == (0, 0)
    taken.restore(1, target)
    assert (target / "a").stat().st_mode & 0o777 == 0o700, "what has no mode changes none"


def test_a_version_of_a_directory_comes_back_into_a_bucket(buckets: BucketScene) -> None:
    place = buckets.place
    (place / "d" / "e").mkdir(parents=True)
    (place / "empty" / "inner").mkdir(parents=True)
    (place / "d" / "e" / "x").write_bytes(b"x")
    (place / "large").write_bytes(random_bytes(7 * MIB))
    (place / "link").symlink_to("large")
    os.mkfifo(place / "fifo")
    Path(os.fsdecode(os.fsencode(place) + b"/not\xffutf-8")).write_bytes(b"x")
    buckets.take()
    shown = buckets.plan_bucket(1)
    assert sorted(shown.unfit.paths) == ["empty/inner", "link", "not\udcffutf-8"]
    assert shown.special.paths == ["fifo"]
    assert (shown.created, shown.bytes) == (2, 7 * MIB + 1)
    buckets.restore_bucket(1)
    assert buckets.bucket.contents() == {"d/e/x": b"x", "large": random_bytes(7 * MIB)}
    again = buckets.plan_bucket(1)
    assert (again.created, again.overwritten, again.unchanged) == (0, 0, 2)


def test_a_damaged_file_is_never_sent(taken: BucketScene, monkeypatch: pytest.MonkeyPatch) -> None:
    taken.bucket.put("a.txt", b"as it is")
    with monkeypatch.context() as patched:
        patched.setattr("cas.file_taking.blake3", Wrong)
        taken.bucket.put("a-b", b"what somebody put there")
        taken.take_bucket()
    taken.bucket.put("a-b", b"as it is, too")
    with pytest.raises(CorruptData, match="its pieces are not the file's content"):
        taken.restore_bucket(2)
    assert taken.bucket.contents()["a-b"] == b"as it is, too"


@pytest.mark.parametrize(
    "url", ["s3://bucket/prefix", "gs://bucket/prefix", "az://bucket/prefix?account=abc"]
)
def test_keys_that_a_bucket_does_not_take_are_known(url: str) -> None:
    bucket = open_bucket(url)
    target = TargetBucket("uploads", bucket)
    assert target.takes(b"x" * (1024 - len("prefix/")))
    assert not target.takes(b"x" * (1025 - len("prefix/")))
    assert not target.takes(b"not\xffutf-8")
    assert target.takes(b"line\nfeed") == url.startswith("s3:")
    bucket.close()


class Died(BaseException):
    """In the middle."""


def test_a_restore_that_dies_is_ended_by_the_next(taken: BucketScene) -> None:
    bucket = taken.bucket
    old = dict.fromkeys(KEYS, b"old")
    put(taken, {**old, "extra": b"x"})

    def die(_: str) -> None:
        if len(bucket.sent) == 3:
            raise Died

    bucket.sending = die
    with pytest.raises(Died):
        taken.restore_bucket(1, delete=True)
    found = bucket.contents()
    assert found.pop("extra") == b"x", "what goes, goes last"
    assert sum(found[key] == KEYS[key] for key in KEYS) == 3
    assert all(found[key] in (KEYS[key], old[key]) for key in KEYS)
    bucket.sending = lambda _: None
    assert taken.restore_bucket(1, delete=True).written == 3
    assert bucket.contents() == KEYS


@pytest.mark.parametrize("kind", ["moto", "seaweedfs"])
def test_a_restore_that_is_killed_within_an_object_leaves_the_one_before(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    (tmp_path / "store").mkdir()
    url = bucket_url(kind, request)
    buckets = BucketScene(
        World(LocalStore(tmp_path / "store")), tmp_path / "place", open_bucket(url, OPTIONS)
    )
    contents = {"large": random_bytes(14 * MIB), "first": b"first"}
    put(buckets, contents)
    buckets.take_bucket()
    put(buckets, {"large": b"as it is", "first": b"as it is"})
    command = [sys.executable, "-m", "tests.files.killed_bucket_restore"]
    ended = subprocess.run([*command, str(tmp_path / "store"), "1", url, "large"], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert buckets.bucket.contents() == {"large": b"as it is", "first": b"first"}
    assert buckets.restore_bucket(1, delete=True).written == 1
    assert buckets.bucket.contents() == contents
    buckets.bucket.close()


def test_keys_that_no_path_can_be_are_left_alone_and_named(quick: BucketScene) -> None:
    put(quick, {"d/x": b"x"})
    quick.take_bucket()
    odd = {"d//x": b"odd", "../x": b"odd", ".cas-restoring-0": b"odd"}
    put(quick, odd)
    shown = quick.plan_bucket(1, delete=True)
    assert sorted(shown.no_paths.paths) == sorted(odd)
    assert (shown.deleted, shown.left) == (0, 0)
    quick.restore_bucket(1, delete=True)
    assert quick.bucket.contents() == {"d/x": b"x", **odd}
    assert quick.bucket.removed == []


def test_an_object_in_the_place_of_a_directory_is_in_the_way(quick: BucketScene) -> None:
    contents = {"file": b"file", "directory/x": b"x"}
    put(quick, contents)
    quick.take_bucket()
    for key in contents:
        quick.bucket.inner.remove(key)
    put(quick, {"file/deep/x": b"deep", "directory": b"an object"})
    with pytest.raises(Conflict, match="2 paths are of another kind there, such as directory"):
        quick.restore_bucket(1)
    assert quick.bucket.contents() == {"file/deep/x": b"deep", "directory": b"an object"}
    assert quick.plan_bucket(1, delete=True).deleted == 2
    quick.restore_bucket(1, delete=True)
    assert quick.bucket.contents() == contents


@pytest.mark.parametrize("path", [b"..", b"../x", b"/x", b"d//x", b"d/../../x", b".cas-restoring-0"])
def test_hostile_versions_are_refused(quick: BucketScene, path: bytes) -> None:
    take(quick, file(b"harmless"), directory(b"d"), file(path))
    with pytest.raises(CorruptData) as refused:
        quick.restore_bucket(1, delete=True)
    assert refused.value.kind == "malformed"
    assert quick.bucket.sent == []


def test_what_is_damaged_in_the_store_stays_as_it_is(
    taken: BucketScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = StoredFiles.content

    def damaged(self: StoredFiles, record: FileRecord) -> Iterator[bytes]:
        yield from real(self, record)
        if record.path == b"large":
            raise CorruptData("a piece is lost", kind="missing")

    monkeypatch.setattr(StoredFiles, "content", damaged)
    taken.bucket.put("large", b"as it is")
    with pytest.raises(CorruptData):
        taken.restore_bucket(1)
    assert taken.bucket.contents()["large"] == b"as it is"
