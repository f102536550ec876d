"""A server that speaks just enough of PostgreSQL's protocol to refuse, and counts who comes."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

SSL_REQUEST = struct.pack("!I", 80877103)


@dataclass(slots=True)
class Refusing:
    """`refusal`: SQLSTATE and message, or None to hang up without a word.
    `came`: connections so far."""

    port: int
    refusal: tuple[str, str] | None
    came: int = 0

    @property
    def url(self) -> str:
        return f"postgresql://cas:hunter2@127.0.0.1:{self.port}/cas?gssencmode=disable"


@contextmanager
def refusing(refusal: tuple[str, str] | None) -> Iterator[Refusing]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Refusing(listener.getsockname()[1], refusal)
        thread = threading.Thread(target=_serve, args=(listener, server))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket, server: Refusing) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        server.came += 1
        with connection, suppress(OSError):
            _refuse(connection, server)


def _refuse(connection: socket.socket, server: Refusing) -> None:
    if server.refusal is None:
        return
    while (head := connection.recv(8, socket.MSG_WAITALL))[4:] == SSL_REQUEST:
        connection.sendall(b"N")
    if not head:
        return
    state, message = server.refusal
    fields = b"".join(part.encode() + b"\0" for part in ("SFATAL", "VFATAL", f"C{state}", f"M{message}", ""))
    connection.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(65536)
