"""Values on a local disk, written once and read as often as needed: there may be millions of them."""

import os
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from cas.temporary import temporary_faults

_BUFFER_BYTES = 1 << 18


class SpoolFile:
    """A temporary file that is written at its end and read from its start. A context manager: it goes with
    it. InsufficientSpace where there is no room for temporary files."""

    def __init__(self) -> None:
        self.length = 0
        with temporary_faults():
            self._file: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115  # closed by `close`
                prefix="cas-spool-", buffering=_BUFFER_BYTES
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The file is gone."""
        self._file.close()

    def append(self, parts: Sequence[bytes]) -> None:
        """One thing more, behind all others."""
        with temporary_faults():
            self._file.write(b"".join(parts))
        self.length += 1

    def reading(self) -> "SpoolReading":
        """From the start."""
        with temporary_faults():
            self._file.flush()
        return SpoolReading(self._file.fileno())


class SpoolReading:
    """A place in a file of its own, whoever else reads or writes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._offset = 0
        self._buffer = b""
        self._at = 0

    def take(self, length: int) -> bytes:
        """The next bytes, all of them."""
        end = self._at + length
        if end > len(self._buffer):
            rest = self._buffer[self._at :]
            with temporary_faults():
                more = os.pread(self._descriptor, max(_BUFFER_BYTES, length), self._offset)
            self._offset += len(more)
            self._buffer, self._at, end = rest + more, 0, length
        taken = self._buffer[self._at : end]
        self._at = end
        return taken
