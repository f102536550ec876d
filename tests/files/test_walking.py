"""Walking over trees that somebody made to mislead, and over trees that change."""

import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cas.errors import InvalidInput, NotFound, PermissionDenied
from cas.files.directory import Directory
from cas.files.walking import OPEN_LEVELS
from cas.records.file_tree import Found, Missed
from cas.records.files import FileType
from tests.files.scene import exchanging, later


def walked(place: Path) -> list[Found | Missed]:
    return list(Directory("uploads", place, later).entries())


def found(place: Path) -> dict[bytes, FileType]:
    entries = walked(place)
    assert all(isinstance(one, Found) for one in entries), entries
    return {one.record.path: one.record.type for one in entries if isinstance(one, Found)}


def missed(place: Path) -> dict[bytes, str]:
    return {one.path: one.reason for one in walked(place) if isinstance(one, Missed)}


def test_paths_come_in_the_order_of_their_keys(tmp_path: Path) -> None:
    for path in ("a/b", "a/b-", "a/b.d/x", "a/b/c/d", "a0", "a.txt", "a-", "b"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        if not (tmp_path / path).exists():
            (tmp_path / path).mkdir() if path in ("a/b", "b") else (tmp_path / path).touch()
    paths = [one.record.key for one in walked(tmp_path) if isinstance(one, Found)]
    assert len(paths) == 11
    assert paths == sorted(paths)


def test_names_are_kept_as_they_are(tmp_path: Path) -> None:
    names = [b"line\nfeed", b"tab\there", b"not\xffutf-8", b"..x", b"...", b" ", b"-rf", b"n" * 255, b"a\\b"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(name)
    assert list(found(tmp_path)) == sorted(names)


def test_links_and_what_is_no_file_are_told_of_and_neither_followed_nor_opened(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    place = tmp_path / "place"
    place.mkdir()
    (place / "out").symlink_to(outside)
    (place / "round").symlink_to(".")
    (place / "nowhere").symlink_to("nothing")
    os.mkfifo(place / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(place / "socket"))
        kinds = found(place)
    assert kinds == {
        b"fifo": FileType.SPECIAL,
        b"nowhere": FileType.SYMLINK,
        b"out": FileType.SYMLINK,
        b"round": FileType.SYMLINK,
        b"socket": FileType.SPECIAL,
    }


def test_a_tree_deeper_than_paths_may_be_long_and_files_may_be_open(tmp_path: Path) -> None:
    depth, name = 1200, b"directory"
    assert depth * len(name) > 4096
    assert depth > 1024 > OPEN_LEVELS
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(depth):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(os.open(b"z", os.O_CREAT | os.O_WRONLY, dir_fd=below))
            os.close(here)
            here = below
    finally:
        os.close(here)
    kinds = found(tmp_path)
    assert len(kinds) == 2 * depth
    assert list(kinds.values()).count(FileType.FILE) == depth
    remove_deep(tmp_path, name)


def remove_deep(place: Path, name: bytes) -> None:
    """pytest cannot remove what it cannot name: level by level, what is below is moved up."""
    top, waiting = place / os.fsdecode(name), place / "waiting"
    while (top / os.fsdecode(name)).exists():
        (top / os.fsdecode(name)).rename(waiting)
        shutil.rmtree(top)
        waiting.rename(top)


def test_a_directory_that_becomes_a_link_meanwhile_is_missed(tmp_path: Path) -> None:
    outside, place = tmp_path / "outside", tmp_path / "place"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (place / "d").mkdir(parents=True)
    (place / "d" / "x").touch()
    entries = Directory("uploads", place, later).entries()
    first = next(entries)
    assert isinstance(first, Found)
    assert first.record.path == b"d"
    (place / "d").rename(tmp_path / "moved")
    (place / "d").symlink_to(outside)
    (rest,) = entries
    assert isinstance(rest, Missed)
    assert (rest.path, rest.reason) == (b"d", "it was exchanged while it was read")


def test_another_directory_in_its_place_is_missed_too(tmp_path: Path) -> None:
    (tmp_path / "place" / "d").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "secret").touch()
    entries = Directory("uploads", tmp_path / "place", later).entries()
    next(entries)
    (tmp_path / "place" / "d").rename(tmp_path / "moved")
    (tmp_path / "other").rename(tmp_path / "place" / "d")
    (rest,) = entries
    assert isinstance(rest, Missed)
    assert rest.path == b"d"


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "nothing"])
def test_what_takes_a_files_place_is_not_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("secret")
    place = tmp_path / "place"
    place.mkdir()
    (place / "x").write_text("x")
    tree = Directory("uploads", place, later)
    entries = tree.entries()
    entry = next(entries)
    assert isinstance(entry, Found)
    (place / "x").unlink()
    match kind:
        case "link":
            (place / "x").symlink_to("../secret")
        case "fifo":
            os.mkfifo(place / "x")
        case "directory":
            (place / "x").mkdir()
    with pytest.raises(Missed), entry.open():
        pytest.fail("it was opened")


def test_nothing_outside_is_read_while_somebody_exchanges_directories_for_links(tmp_path: Path) -> None:
    outside, place = tmp_path / "outside", tmp_path / "place"
    outside.mkdir()
    (outside / "x").write_bytes(b"secret")
    (place / "d").mkdir(parents=True)
    (place / "d" / "x").write_bytes(b"open")
    (tmp_path / "link").symlink_to(outside)
    read: list[bytes] = []
    with exchanging(place / "d", tmp_path / "link") as times:
        rounds, patience = 0, time.monotonic() + 60
        while rounds < 300 or times() < 100 or not read:
            assert time.monotonic() < patience, "it was there some of the time"
            read += contents(Directory("uploads", place, later))
            rounds += 1
    assert set(read) <= {b"open"}


def contents(tree: Directory) -> Iterator[bytes]:
    for entry in tree.entries():
        if isinstance(entry, Found) and entry.record.type is FileType.FILE:
            try:
                with entry.open() as opened:
                    yield b"".join(opened.pieces())
            except Missed:
                continue


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_missed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0)
    try:
        assert missed(tmp_path) == {b"d": "it cannot be read: permission denied"}
    finally:
        (tmp_path / "d").chmod(0o700)


def test_what_a_restore_left_over_is_no_part_of_a_version(tmp_path: Path) -> None:
    (tmp_path / ".cas-restoring-0123").touch()
    (only,) = walked(tmp_path)
    assert isinstance(only, Missed)
    assert not only.is_failure


def test_a_place_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFound):
        walked(tmp_path / "nothing")
    with pytest.raises(InvalidInput):
        walked(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_place_that_may_not_be_read(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    try:
        with pytest.raises(PermissionDenied):
            walked(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_place_that_is_named_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "x").touch()
    (tmp_path / "link").symlink_to("place")
    assert list(found(tmp_path / "link")) == [b"x"]
