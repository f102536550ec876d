"""A platform whose connection breaks: at a step, or around COMMIT."""

import select
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from cas.postgres.live.platform import PostgresPlatform

BEFORE, AFTER, MEANWHILE = "before it arrives", "after it was done", "at the same time"


class Stepping:
    """A platform that does something right before a step of its transaction."""

    def __init__(self, platform: PostgresPlatform, step: str, deed: Callable[[Any], object]) -> None:
        self._platform = platform
        self._step = step
        self._deed = deed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._platform, name)

    @contextmanager
    def change(
        self, tables: Sequence[tuple[str, str]], beside: Sequence[tuple[str, str]] = ()
    ) -> Iterator[Any]:
        with self._platform.change(tables, beside) as transaction:
            yield _Stepping(transaction, self._step, self._deed)


class _Stepping:
    def __init__(self, transaction: Any, step: str, deed: Callable[[Any], object]) -> None:
        self._transaction = transaction
        self._step = step
        self._deed = deed

    def __getattr__(self, name: str) -> Any:
        if name == self._step:
            self._step = ""
            self._deed(self._transaction)
        return getattr(self._transaction, name)


@contextmanager
def lossy(url: str, when: str) -> Iterator[str]:
    """The URL of a proxy that cuts the connection on which the first COMMIT goes by, and none later."""
    parts = conninfo_to_dict(url)
    directory = Path(tempfile.mkdtemp(prefix="cas-", dir="/tmp"))
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(directory / ".s.PGSQL.5432"))
    listening.listen()
    cut = threading.Event()
    real = f"{parts['host']}/.s.PGSQL.{parts['port']}"

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=_carry, args=(client, real, when, cut), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        host = quote(str(directory), safe="")
        yield f"postgresql://{parts['user']}@/{parts['dbname']}?host={host}&port=5432"
    finally:
        listening.close()
        shutil.rmtree(directory)


def _carry(client: socket.socket, real: str, when: str, cut: threading.Event) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.connect(real)
    with client, server, suppress(OSError):
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for one in ready:
                data = one.recv(1 << 16)
                if not data:
                    return
                if one is client and b"COMMIT\0" in data and not cut.is_set():
                    cut.set()
                    if when != BEFORE:
                        server.sendall(data)
                    if when == AFTER:
                        server.recv(1 << 16)
                    return
                (server if one is client else client).sendall(data)
