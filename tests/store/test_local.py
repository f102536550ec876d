"""The local store against power loss, kills, full disks, wrong rights and odd things in its directory."""

import errno
import fcntl
import hashlib
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cas.errors import CorruptData
from cas.store.interface import MAX_OBJECT_BYTES, FaultKind, ObjectExists, ObjectMissing, StoreFault
from cas.store.local import INCOMING, LocalStore
from cas.store.local_files import LEFTOVER_SECONDS
from tests.store.power_loss import Journal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> Iterator[LocalStore]:
    opened = LocalStore(root, create=True)
    yield opened
    opened.close()


# Power loss.


@pytest.mark.parametrize("create_only", [True, False])
def test_an_object_has_no_name_before_its_bytes_are_durable(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, create_only: bool
) -> None:
    store.put("first", b"makes the incoming directory")
    journal = Journal(root)
    journal.watch(monkeypatch)
    store.put("object", b"x" * 100_000, create_only=create_only)
    assert journal.unsafe == []
    name = "link" if create_only else "rename"
    assert [call for call in journal.calls if call != "write"] == ["sync file", name, "sync directory"]


@pytest.mark.parametrize("create_only", [True, False])
def test_an_acknowledged_object_survives_a_power_loss_with_all_its_directories(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, create_only: bool
) -> None:
    journal = Journal(root)
    journal.watch(monkeypatch)
    for key in ("packs/ab/one", "packs/ab/two", "packs/cd/three", "top"):
        store.put(key, b"x" * 5000, create_only=create_only)
        assert journal.survives(key) == 5000


def test_a_directory_that_another_process_made_is_synced_before_it_is_relied_on(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "packs" / "ab").mkdir(parents=True)
    journal = Journal(root)
    journal.watch(monkeypatch)
    store.put("packs/ab/object", b"x")
    assert journal.survives("packs/ab/object") == 1


def test_whoever_is_told_that_an_object_exists_can_rely_on_it(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "object").write_bytes(b"linked by a process that did not sync the directory yet")
    journal = Journal(root)
    journal.watch(monkeypatch)
    with pytest.raises(ObjectExists):
        store.put("object", b"x", create_only=True)
    assert journal.survives("object") is not None


def test_a_deletion_is_durable(store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(root)
    journal.watch(monkeypatch)
    store.put("versions/1", b"x")
    store.delete("versions/1")
    assert journal.survives("versions/1") is None


def test_a_new_root_is_durable_from_its_first_existing_ancestor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.watch(monkeypatch)
    LocalStore(tmp_path / "a" / "b" / "c", create=True).close()
    assert journal.survives("a/b/c") == 0


def test_a_failed_sync_is_final_since_the_next_one_would_lie(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    store.put("first", b"x")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StoreFault) as raised:
        store.put("object", b"x", create_only=True)
    assert raised.value.fault is FaultKind.REFUSED
    monkeypatch.undo()
    assert [info.key for info in store.objects()] == ["first"]


# Kills.

_WRITER = """
import hashlib, sys
from pathlib import Path
from cas.store.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(1_000_000):
    key = f"packs/{number % 16:02x}/{sys.argv[2]}-{number}"
    seed = hashlib.sha256(key.encode()).digest()
    store.put(key, seed * (1 + number % 4000), create_only=number % 2 == 0)
    print(key, flush=True)
"""


def test_processes_killed_in_the_middle_of_puts_leave_only_whole_objects(root: Path) -> None:
    LocalStore(root, create=True).close()
    acknowledged: set[str] = set()
    for round_number in range(6):
        command = [sys.executable, "-c", _WRITER, str(root), str(round_number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(0.05 + 0.037 * round_number)
            writer.send_signal(signal.SIGKILL)
            lines = writer.stdout.read().split("\n")
        acknowledged.update(lines[:-1])  # the last line may be cut
    store = LocalStore(root)
    found = {info.key: info.size for info in store.objects()}
    assert acknowledged
    assert acknowledged <= set(found)
    for key, size in found.items():
        data = store.get(key)
        seed = hashlib.sha256(key.encode()).digest()
        number = int(key.rpartition("-")[2])
        assert len(data) == size
        assert data == seed * (1 + number % 4000)
    store.put("packs/00/after", b"x", create_only=True)
    store.close()


# Leftovers.

LEFTOVER = "0123456789abcdef" * 2


def test_old_leftovers_of_ours_are_removed_and_everything_else_stays(store: LocalStore, root: Path) -> None:
    incoming = root / INCOMING
    incoming.mkdir()
    old = time.time() - LEFTOVER_SECONDS - 60
    names = {
        "old": "a" * 32,
        "young": "b" * 32,
        "locked": "c" * 32,
        "foreign": "notes.txt",
        "directory": "d" * 32,
        "link": "e" * 32,
    }
    for name in ("old", "young", "locked", "foreign"):
        (incoming / names[name]).write_bytes(b"x")
    (incoming / names["directory"]).mkdir()
    (incoming / names["link"]).symlink_to(root / "elsewhere")
    for name in names.values():
        os.utime(incoming / name, (old, old), follow_symlinks=False)
    os.utime(incoming / names["young"], (old + 120, old + 120))
    if os.geteuid() == 0:  # only root can give files away
        names["somebody else's"] = "f" * 32
        (incoming / names["somebody else's"]).write_bytes(b"x")
        os.chown(incoming / names["somebody else's"], 65534, 65534)
        os.utime(incoming / names["somebody else's"], (old, old))
    with (incoming / names["locked"]).open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        store.put("key", b"x")
    left = sorted(path.name for path in incoming.iterdir())
    assert left == sorted(name for what, name in names.items() if what != "old")


def test_leftovers_are_not_objects(store: LocalStore, root: Path) -> None:
    store.put("key", b"x")
    (root / INCOMING / LEFTOVER).write_bytes(b"half an obj")
    assert [info.key for info in store.objects()] == ["key"]


def test_nothing_is_left_of_a_put_that_failed_or_lost(store: LocalStore, root: Path) -> None:
    store.put("key", b"x", create_only=True)
    with pytest.raises(ObjectExists):
        store.put("key", b"y", create_only=True)
    assert list((root / INCOMING).iterdir()) == []


# Disks and rights.


def test_a_full_disk_is_full_and_leaves_nothing(store: LocalStore, root: Path) -> None:
    store.put("first", b"x")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreFault) as raised:
            store.put("second", bytes(200_000), create_only=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert raised.value.fault is FaultKind.FULL
    assert raised.value.hint
    assert list((root / INCOMING).iterdir()) == []
    assert [info.key for info in store.objects()] == ["first"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, FaultKind.FULL),
        (errno.EDQUOT, FaultKind.FULL),
        (errno.EROFS, FaultKind.DENIED),
        (errno.ESTALE, FaultKind.TRANSIENT),
        (errno.ENOTCONN, FaultKind.UNREACHABLE),
        (errno.EIO, FaultKind.REFUSED),
        (errno.EOVERFLOW, FaultKind.REFUSED),
    ],
)
def test_each_error_of_the_system_has_its_kind(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: FaultKind
) -> None:
    def failing(descriptor: int, data: memoryview) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(StoreFault) as raised:
        store.put("key", b"x")
    assert raised.value.fault is kind
    assert raised.value.where.endswith("/key")


def test_a_directory_that_may_not_be_written_or_read_is_denied(store: LocalStore, root: Path) -> None:
    store.put("key", b"x")
    everybody = os.geteuid()
    root.chmod(0o000)
    if everybody == 0:
        os.seteuid(65534)  # root may do everything, so the test is somebody else for a moment
    try:
        for call in (
            lambda: store.put("other/key", b"x"),
            lambda: store.get("key"),
            lambda: list(store.objects()),
            lambda: store.delete("key"),
        ):
            with pytest.raises(StoreFault) as raised:
                call()
            assert raised.value.fault is FaultKind.DENIED
    finally:
        if everybody == 0:
            os.seteuid(0)
        root.chmod(0o700)
    assert store.get("key") == b"x"


def test_a_file_system_without_hard_links_is_refused_for_create_only(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EPERM, "operation not permitted")

    monkeypatch.setattr(os, "link", failing)
    store.put("key", b"x")
    with pytest.raises(StoreFault, match="hard links") as raised:
        store.put("other", b"x", create_only=True)
    assert raised.value.fault is FaultKind.REFUSED


def test_a_link_whose_answer_was_lost_and_repeated_has_won(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def repeated(*args: str, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool) -> None:
        for _ in range(2):
            link(*args, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", repeated)
    store.put("key", b"x", create_only=True)
    assert store.get("key") == b"x"


def test_files_and_directories_are_for_our_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = LocalStore(tmp_path / "a" / "store", create=True)
        store.put("packs/ab/object", b"x")
    finally:
        os.umask(before)
    for path in (tmp_path / "a", *(tmp_path / "a").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.is_file() else 0o700)
    store.close()


# A root that is not there.


@pytest.mark.parametrize("what", ["absent", "absent/below", "file", "file/below"])
def test_a_store_without_its_directory_is_unreachable_and_not_empty(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreFault) as raised:
        LocalStore(tmp_path / what)
    assert raised.value.fault is FaultKind.UNREACHABLE
    assert str(tmp_path / what) in raised.value.where
    assert not (tmp_path / "absent").exists()


def test_a_file_is_no_place_for_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreFault) as raised:
        LocalStore(tmp_path / "file" / "below", create=True)
    assert raised.value.fault is FaultKind.UNREACHABLE


def test_a_root_that_vanishes_is_not_made_again_elsewhere(store: LocalStore, root: Path) -> None:
    root.rmdir()
    with pytest.raises(StoreFault) as raised:
        store.put("packs/key", b"x")
    assert raised.value.fault is FaultKind.UNREACHABLE
    assert not root.exists()


def test_a_directory_that_was_removed_meanwhile_is_made_again(store: LocalStore, root: Path) -> None:
    store.put("packs/ab/one", b"x")
    store.delete("packs/ab/one")
    (root / "packs" / "ab").rmdir()
    store.put("packs/ab/two", b"x")
    assert store.get("packs/ab/two") == b"x"


# Odd things in the directory.


@pytest.fixture
def odd(store: LocalStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Keys at which something lies that is not an object, by what it is."""
    store.put("real/object", b"real")
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "file").write_bytes(b"secret")
    (root / "link-to-file").symlink_to(secret / "file")
    (root / "link-to-object").symlink_to(root / "real" / "object")
    (root / "link-to-directory").symlink_to(secret)
    (root / "dangling").symlink_to(root / "nowhere")
    (root / "directory").mkdir()
    os.mkfifo(root / "fifo")
    monkeypatch.chdir(root)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    return {
        "a link to a file": "link-to-file",
        "a link to an object": "link-to-object",
        "a file behind a link": "link-to-directory/file",
        "a dangling link": "dangling",
        "a directory": "directory",
        "a pipe": "fifo",
        "a socket": "socket",
    }


def test_links_pipes_sockets_and_directories_are_not_objects(store: LocalStore, odd: dict[str, str]) -> None:
    assert [info.key for info in store.objects()] == ["real/object"]
    assert list(store.objects("link-to-directory/")) == []
    for key in odd.values():
        for read in (partial(store.get, key), partial(store.size, key), partial(store.get_range, key, 0, 1)):
            with pytest.raises(ObjectMissing):
                read()


def test_nothing_odd_is_overwritten_by_create_only_or_deleted(
    store: LocalStore, root: Path, odd: dict[str, str]
) -> None:
    before = {path: path.lstat().st_ino for path in root.rglob("*")}
    for key in odd.values():
        with pytest.raises(StoreFault) as raised:
            store.put(key, b"x", create_only=True)
        assert raised.value.fault is FaultKind.REFUSED
        store.delete(key)
    assert {path: path.lstat().st_ino for path in root.rglob("*")} == before
    assert (root.parent / "outside" / "file").read_bytes() == b"secret"


def test_a_plain_put_replaces_a_link_and_does_not_follow_it(
    store: LocalStore, root: Path, odd: dict[str, str]
) -> None:
    store.put("link-to-file", b"mine")
    assert store.get("link-to-file") == b"mine"
    assert (root.parent / "outside" / "file").read_bytes() == b"secret"
    with pytest.raises(StoreFault):
        store.put("link-to-directory/new", b"x")
    assert sorted(path.name for path in (root.parent / "outside").iterdir()) == ["file"]
    with pytest.raises(StoreFault):
        store.put("directory", b"x")


def test_names_that_are_no_keys_are_not_listed(store: LocalStore, root: Path) -> None:
    store.put("key", b"x")
    for name in ("UPPER", "with space", "lost+found", "ünï", "new\nline"):
        (root / name).write_bytes(b"x")
    deep = root.joinpath(*["d" * 100] * 9)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x")
    assert [info.key for info in store.objects()] == ["key"]


def test_a_file_above_the_limit_is_refused_before_it_is_read(store: LocalStore, root: Path) -> None:
    with (root / "bomb").open("wb") as bomb:
        bomb.truncate(MAX_OBJECT_BYTES + 1)
    with pytest.raises(CorruptData) as raised:
        store.get("bomb")
    assert raised.value.kind == "limit"
    assert store.get_tail("bomb", 10) == bytes(10)
    with pytest.raises(CorruptData):
        store.get_range("bomb", 0, 10**15)
