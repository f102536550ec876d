"""Files back into a directory: as they were, in all or in part, and never outside of it."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from cas.errors import CasError, Conflict, CorruptData, InsufficientSpace, InvalidInput
from cas.file_contents import StoredFiles
from cas.file_plan import FileRestoreRequest, plan_files
from cas.files.target import TargetDirectory
from cas.limits import MIB
from cas.progress import Silent
from cas.records.files import FileRecord
from tests.files.scene import Scene, exchanging, faces
from tests.files.test_taking import random_bytes


@pytest.fixture
def full(scene: Scene) -> Scene:
    """A version of everything that comes back as it was."""
    place = os.fsencode(scene.place)
    (scene.place / "d" / "e").mkdir(parents=True)
    names = [b"a", b"d/large", b"d/e/empty", b"not\xffutf-8", b"line\nfeed", b"..x", b"n" * 255]
    for number, name in enumerate(names):
        content = random_bytes(2 * MIB) if name == b"d/large" else name * (number != 2)
        path = os.path.join(place, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o600 + number)
        os.utime(path, ns=(0, 1_600_000_000_000_001_000 + number))
    (scene.place / "d" / "up").symlink_to("../a")
    (scene.place / "dangling").symlink_to("not/there")
    os.utime(scene.place / "dangling", ns=(0, 7_000_000_000), follow_symlinks=False)
    os.chmod(scene.place / "d", 0o750)
    os.utime(scene.place / "d", ns=(0, 5_000_000_000))
    scene.take()
    return scene


def test_all_comes_back_as_it_was(full: Scene, tmp_path: Path) -> None:
    target = tmp_path / "new" / "target"
    receipt = full.restore(1, target)
    assert (receipt.written, receipt.links) == (7, 2)
    assert faces(target) == faces(full.place)
    assert receipt.done.created == len(faces(target))
    again = full.preview(1, target)
    assert (again.created, again.overwritten, again.adjusted, again.bytes) == (0, 0, 0, 0)
    assert again.unchanged == len(faces(target))


def test_a_preview_writes_nothing_and_says_what_will_be(full: Scene, tmp_path: Path) -> None:
    target = tmp_path / "target"
    full.restore(1, target)
    (target / "a").write_bytes(b"changed")
    os.chmod(target / "d" / "large", 0o777)
    (target / "d" / "e" / "empty").unlink()
    (target / "extra" / "deep").mkdir(parents=True)
    (target / "extra" / "deep" / "x").touch()
    before = faces(target)
    preview = full.preview(1, target)
    assert (preview.created, preview.overwritten, preview.adjusted, preview.deleted) == (1, 1, 1, 0)
    assert preview.left == 3
    deleting = full.preview(1, target, delete=True)
    assert (deleting.deleted, deleting.left) == (3, 0)
    assert faces(target) == before
    full.restore(1, target)
    assert (target / "extra" / "deep" / "x").exists()
    full.restore(1, target, delete=True)
    assert faces(target) == faces(full.place)


def test_equal_files_are_left_alone(full: Scene, tmp_path: Path) -> None:
    target = tmp_path / "target"
    full.restore(1, target)
    inodes = {path: os.lstat(path).st_ino for path in target.rglob("*")}
    (target / "a").write_bytes(b"changed")
    full.restore(1, target)
    changed = {path.name for path in target.rglob("*") if inodes[path] != os.lstat(path).st_ino}
    assert changed == {"a"}


def test_bits_that_lend_an_owners_rights_do_not_come_back(scene: Scene, tmp_path: Path) -> None:
    (scene.place / "tool").write_bytes(b"#!")
    os.chmod(scene.place / "tool", 0o6755)
    scene.take()
    assert scene.stored(1).record(b"tool").mode == 0o6755
    scene.restore(1, tmp_path / "target")
    assert (tmp_path / "target" / "tool").stat().st_mode & 0o7777 == 0o755
    assert scene.preview(1, tmp_path / "target").adjusted == 0


def test_special_files_are_listed_and_not_made(scene: Scene, tmp_path: Path) -> None:
    os.mkfifo(scene.place / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(scene.place / "socket"))
        scene.take()
    receipt = scene.restore(1, tmp_path / "target")
    assert receipt.done.special.paths == ["fifo", "socket"]
    assert faces(tmp_path / "target") == {}


def test_links_that_lead_out_are_listed_and_made_only_when_that_is_asked_for(
    scene: Scene, tmp_path: Path
) -> None:
    (scene.place / "absolute").symlink_to("/etc/passwd")
    (scene.place / "above").symlink_to("../x")
    (scene.place / "inside").symlink_to("absent")
    (scene.place / "through").symlink_to("above/y")
    scene.take()
    target = tmp_path / "target"
    receipt = scene.restore(1, target)
    assert receipt.done.escaping.paths == ["above", "absolute", "through"]
    assert faces(target).keys() == {"inside"}
    scene.restore(1, target, links=True)
    assert faces(target) == faces(scene.place)


def test_a_link_that_is_there_and_stays_there_counts(scene: Scene, tmp_path: Path) -> None:
    """The version's own link is harmless, and leads out through another one that the target has."""
    (scene.place / "a").symlink_to("b/x")
    scene.take()
    target = tmp_path / "target"
    target.mkdir()
    (target / "b").symlink_to("/etc")
    assert scene.preview(1, target).escaping.paths == ["a"]
    assert scene.preview(1, target, delete=True).escaping.paths == []


def test_nothing_is_written_through_a_link_in_the_target(scene: Scene, tmp_path: Path) -> None:
    (scene.place / "d").mkdir()
    (scene.place / "d" / "x").write_bytes(b"from the version")
    scene.take()
    outside, target = tmp_path / "outside", tmp_path / "target"
    outside.mkdir()
    target.mkdir()
    (target / "d").symlink_to(outside)
    assert scene.preview(1, target).in_the_way.paths == ["d"]
    with pytest.raises(Conflict):
        scene.restore(1, target)
    assert list(outside.iterdir()) == []
    scene.restore(1, target, delete=True)
    assert list(outside.iterdir()) == []
    assert (target / "d" / "x").read_bytes() == b"from the version"


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(scene: Scene, tmp_path: Path) -> None:
    (scene.place / "x").write_bytes(b"from the version")
    scene.take()
    (tmp_path / "outside").write_bytes(b"precious")
    target = tmp_path / "target"
    target.mkdir()
    (target / "x").symlink_to(tmp_path / "outside")
    assert scene.preview(1, target).overwritten == 1
    scene.restore(1, target)
    assert (tmp_path / "outside").read_bytes() == b"precious"
    assert (target / "x").read_bytes() == b"from the version"
    assert not (target / "x").is_symlink()


def test_what_is_of_another_kind_is_in_the_way_unless_it_may_be_deleted(scene: Scene, tmp_path: Path) -> None:
    (scene.place / "file").write_bytes(b"file")
    (scene.place / "directory").mkdir()
    scene.take()
    target = tmp_path / "target"
    (target / "file" / "deep").mkdir(parents=True)
    (target / "file" / "deep" / "x").touch()
    (target / "directory").touch()
    with pytest.raises(Conflict, match="2 paths are of another kind there, such as directory"):
        scene.restore(1, target)
    assert (target / "file" / "deep" / "x").exists()
    scene.restore(1, target, delete=True)
    assert faces(target) == faces(scene.place)


def test_nothing_outside_is_written_while_somebody_exchanges_directories_for_links(
    scene: Scene, tmp_path: Path
) -> None:
    (scene.place / "d").mkdir()
    for number in range(20):
        (scene.place / "d" / f"{number}").write_bytes(b"from the version")
    scene.take()
    outside, target = tmp_path / "outside", tmp_path / "target"
    outside.mkdir()
    (target / "d").mkdir(parents=True)
    (tmp_path / "link").symlink_to(outside)
    inside = os.open(target / "d", os.O_RDONLY)
    with exchanging(target / "d", tmp_path / "link") as times:
        rounds = 0
        while rounds < 15 or times() < 100:
            rounds += 1
            with suppress(CasError):
                scene.restore(1, target)
            for name in os.listdir(inside):
                os.unlink(name, dir_fd=inside)
    os.close(inside)
    assert list(outside.iterdir()) == []
    scene.restore(1, target, delete=True)
    assert faces(target) == faces(scene.place)


def test_an_incomplete_version_takes_nothing_away(scene: Scene, tmp_path: Path) -> None:
    (scene.place / "x").touch()
    scene.take()
    stored = scene.stored(1)
    document = stored.contents.document
    lacking = replace(document, omissions=(("files.uploads/y", "it cannot be read"),))
    stored = replace(stored, contents=replace(stored.contents, document=lacking))
    target = TargetDirectory("uploads", tmp_path / "target")
    with pytest.raises(InvalidInput, match=r"files\.uploads/y"):
        plan_files(stored, target, FileRestoreRequest(delete=True), Silent())
    plan_files(stored, target, FileRestoreRequest(), Silent())


def test_a_full_disk_is_noticed_before_anything_is_written(
    full: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstatvfs

    def nearly_full(descriptor: int) -> os.statvfs_result:
        status = list(real(descriptor))
        status[4] = 1
        return os.statvfs_result(status)

    monkeypatch.setattr(os, "fstatvfs", nearly_full)
    with pytest.raises(InsufficientSpace):
        full.restore(1, tmp_path / "target")
    assert faces(tmp_path / "target") == {}


class Wrong:
    """In the place of a hash: every content has the same."""

    def update(self, _: bytes) -> None:
        """Nothing counts."""

    def digest(self) -> bytes:
        return bytes(32)


def test_content_that_is_not_the_files_never_gets_its_name(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scene.place / "a").write_bytes(b"what somebody put there")
    with monkeypatch.context() as patched:
        patched.setattr("cas.file_taking.blake3", Wrong)
        scene.take()
    target = tmp_path / "target"
    target.mkdir()
    (target / "a").write_bytes(b"as it was")
    with pytest.raises(CorruptData, match="its pieces are not the file's content"):
        scene.restore(1, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"a": b"as it was"}


def test_what_is_damaged_can_be_passed_over_and_is_named(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (scene.place / name).write_bytes(name.encode())
    scene.take()
    real = StoredFiles.content

    def damaged(self: StoredFiles, record: FileRecord) -> Iterator[bytes]:
        yield from real(self, record)
        if record.path == b"b":
            raise CorruptData("a piece is lost", kind="missing")

    monkeypatch.setattr(StoredFiles, "content", damaged)
    with pytest.raises(CorruptData):
        scene.restore(1, tmp_path / "target")
    receipt = scene.restore(1, tmp_path / "target", damage=True)
    assert receipt.damaged.paths == ["b"]
    assert faces(tmp_path / "target").keys() == {"a", "c"}


def test_what_a_restore_left_over_is_removed_by_the_next(full: Scene, tmp_path: Path) -> None:
    target = tmp_path / "target"
    full.restore(1, target)
    (target / "d" / ".cas-restoring-0123456789abcdef").write_bytes(b"half")
    full.restore(1, target)
    assert faces(target) == faces(full.place)
