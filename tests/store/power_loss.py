"""What a power loss could leave of a directory tree, computed from the calls that were made.

A `Journal` watches the calls by which the local store writes and keeps two states: what is written,
and what is durable. Bytes of a file become durable when the file is synced; names in a directory
when the directory is synced. The worst case is assumed: nothing else survives, except that a name
may become durable at any time after it was made.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(slots=True)
class Journal:
    """Written and durable state by inode, and the calls in order."""

    root: Path
    calls: list[str] = field(default_factory=list)
    written: dict[int, int] = field(default_factory=dict)
    """Bytes written to a file."""
    durable: dict[int, int] = field(default_factory=dict)
    """Bytes of a file that are synced."""
    synced_names: dict[int, dict[str, int]] = field(default_factory=dict)
    """Names of a directory that are synced, with their inodes."""
    unsafe: list[str] = field(default_factory=list)
    """Files that got a name before their bytes were durable: a power loss may leave them torn."""

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write, fsync, link, rename = os.write, os.fsync, os.link, os.rename

        def watched_write(fd: int, data: memoryview) -> int:
            count = write(fd, data)
            inode = os.fstat(fd).st_ino
            self.written[inode] = self.written.get(inode, 0) + count
            self.calls.append("write")
            return count

        def watched_fsync(fd: int) -> None:
            fsync(fd)
            found = os.fstat(fd)
            if stat.S_ISDIR(found.st_mode):
                names = os.listdir(fd)
                inodes = {name: os.stat(name, dir_fd=fd, follow_symlinks=False).st_ino for name in names}
                self.synced_names[found.st_ino] = inodes
                self.calls.append("sync directory")
            else:
                self.durable[found.st_ino] = self.written.get(found.st_ino, 0)
                self.calls.append("sync file")

        def named(name: str, fd: int, target: str) -> None:
            inode = os.stat(name, dir_fd=fd).st_ino
            if self.durable.get(inode) != self.written.get(inode, 0):
                self.unsafe.append(target)

        def watched_link(
            name: str, target: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool
        ) -> None:
            named(name, src_dir_fd, target)
            self.calls.append("link")
            link(name, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

        def watched_rename(name: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            named(name, src_dir_fd, target)
            self.calls.append("rename")
            rename(name, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        monkeypatch.setattr(os, "write", watched_write)
        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "link", watched_link)
        monkeypatch.setattr(os, "rename", watched_rename)

    def survives(self, key: str) -> int | None:
        """Bytes of the object that are found after a power loss now, None if its name is not."""
        inode = self.root.stat().st_ino
        for name in key.split("/"):
            names = self.synced_names.get(inode, {})
            if name not in names:
                return None
            inode = names[name]
        return self.durable.get(inode, 0)
