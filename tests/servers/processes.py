"""What all servers of tests need: free ports, a directory with a short path, an end for the process."""

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_STOP_SECONDS = 10.0


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now."""
    with ExitStack() as open_sockets:
        ports = []
        for _ in range(count):
            listener = open_sockets.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


@contextmanager
def temporary(name: str) -> Iterator[Path]:
    """A directory with a short path, since a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix=f"cas-{name}-", dir="/tmp", ignore_cleanup_errors=True) as path:
        yield Path(path)


@contextmanager
def running(
    command: list[str], directory: Path, *, inside: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, whose output goes to `directory`/log. inside: its working directory, if another one."""
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=inside or directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
