"""The entry point of the program: what must be set before anything large is imported."""

import ctypes
import gc
import os
import sys
from contextlib import suppress

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
"""Options of glibc's `mallopt`."""

_OWN_MAPPING_BYTES = 8 << 20
"""Packs (16 MiB) get memory of their own and give it back; batches (2 MiB) share what is there."""

_KEPT_BYTES = 16 << 20
"""Free memory that is kept for the next batch: giving it back each time took 0.3 s of a version of 500 MB."""


def run() -> None:
    """Set the process up and run the command line."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here multiplies matrices
    _return_freed_memory()
    # Records are bytes and make no cycles; looking for cycles as often as Python does by default was
    # measured to cost a fifth of the time of a version.
    gc.set_threshold(100_000, 50, 100)
    from cli.main import run as command_line

    gc.freeze()
    # A thread that feeds a server must not wait 5 ms for its turn while the socket runs dry: a restore's
    # records took 5.7 s so, and 5.0 s with this.
    sys.setswitchinterval(0.0003)
    command_line()


def _return_freed_memory() -> None:
    """glibc raises its threshold with every large buffer that is freed, and then keeps all of them: 60 MB
    of 250 in a first version. Elsewhere there is nothing to set."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
            mallopt(_M_ARENA_MAX, 2)
