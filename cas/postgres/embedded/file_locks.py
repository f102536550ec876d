"""Locks on files by flock(2): the kernel releases them however their holder ends."""

import fcntl
import os
import time
from pathlib import Path

from cas.errors import TimedOut

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX


def open_lock(path: Path) -> int:
    """A file descriptor to lock with. Closing the last copy of it releases the lock."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(lock: int, mode: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def demand_lock(lock: int, mode: int, seconds: float, where: Path) -> None:
    """Wait for the lock. TimedOut after `seconds`."""
    deadline = time.monotonic() + seconds
    while not try_lock(lock, mode):
        if time.monotonic() > deadline:
            raise TimedOut(f"another process has held the lock for {seconds:.0f} s", where=str(where))
        time.sleep(0.02)
