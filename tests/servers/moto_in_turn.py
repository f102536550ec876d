"""moto's server with one request at a time inside: `python -m tests.servers.moto_in_turn PORT`.

moto keeps its objects without locks. Between two threads a replaced object is closed before its
successor is there, so a reader is answered 500, and a put with If-None-Match looks and writes in two
steps, so two may win. S3 has neither. Connections stay open side by side; only the answers take turns.
"""

import sys
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_BACKEND = DomainDispatcherApplication(create_backend_app)
_TURN = Lock()


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """The whole answer of moto, made while no other is."""
    with _TURN:
        return [b"".join(_BACKEND(environ, start_response))]


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=MotoRequestHandler)
