"""From everything that botocore, urllib3 and a server can answer to what a store says: one table.

The error code of the answer decides first, then the HTTP status, then the class of the exception.
"""

from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError, SSLError

from cas.errors import CasError, CorruptData
from cas.store.interface import FaultKind, ObjectExists, ObjectMissing, StoreFault

MISSING, EXISTS, PAST_THE_END = "missing", "exists", "past the end"

_Meaning = FaultKind | str

_CODES: dict[str, _Meaning] = {
    "NoSuchKey": MISSING,
    "NoSuchBucket": FaultKind.UNREACHABLE,
    "NoSuchUpload": FaultKind.TRANSIENT,
    "PreconditionFailed": EXISTS,
    "ConditionalRequestConflict": FaultKind.TRANSIENT,
    "OperationAborted": FaultKind.TRANSIENT,
    "InvalidRange": PAST_THE_END,
    "SlowDown": FaultKind.TRANSIENT,
    "InternalError": FaultKind.TRANSIENT,
    "ServiceUnavailable": FaultKind.TRANSIENT,
    "RequestTimeout": FaultKind.TRANSIENT,
    "BadDigest": FaultKind.TRANSIENT,
    "IncompleteBody": FaultKind.TRANSIENT,
    "XAmzContentSHA256Mismatch": FaultKind.TRANSIENT,
    "ExpiredToken": FaultKind.DENIED,
    "InvalidToken": FaultKind.DENIED,
    "TokenRefreshRequired": FaultKind.DENIED,
    "InvalidObjectState": FaultKind.REFUSED,
    "QuotaExceeded": FaultKind.FULL,
    "QuotaExceededException": FaultKind.FULL,
    "InsufficientCapacity": FaultKind.FULL,
    "XMinioStorageFull": FaultKind.FULL,
    "XMinioAdminBucketQuotaExceeded": FaultKind.FULL,
}

_STATUSES: dict[int, _Meaning] = {
    401: FaultKind.DENIED,
    403: FaultKind.DENIED,
    404: MISSING,
    408: FaultKind.TRANSIENT,
    409: FaultKind.TRANSIENT,
    412: EXISTS,
    416: PAST_THE_END,
    425: FaultKind.TRANSIENT,
    429: FaultKind.TRANSIENT,
    501: FaultKind.REFUSED,
    505: FaultKind.REFUSED,
    507: FaultKind.FULL,
}

_CLASSES: tuple[tuple[type[Exception], FaultKind], ...] = (
    (boto.NoCredentialsError, FaultKind.DENIED),
    (boto.PartialCredentialsError, FaultKind.DENIED),
    (boto.CredentialRetrievalError, FaultKind.DENIED),
    (boto.TokenRetrievalError, FaultKind.DENIED),
    (boto.SSOError, FaultKind.DENIED),
    (boto.SSLError, FaultKind.UNREACHABLE),
    (boto.EndpointConnectionError, FaultKind.UNREACHABLE),
    (boto.ProxyConnectionError, FaultKind.UNREACHABLE),
    (boto.ConnectTimeoutError, FaultKind.TRANSIENT),
    (boto.ReadTimeoutError, FaultKind.TRANSIENT),
    (boto.ConnectionClosedError, FaultKind.TRANSIENT),
    (boto.HTTPClientError, FaultKind.TRANSIENT),
    (boto.IncompleteReadError, FaultKind.TRANSIENT),
    (boto.BotoCoreError, FaultKind.REFUSED),
    (ResponseParserError, FaultKind.TRANSIENT),
    (SSLError, FaultKind.TRANSIENT),
    (HTTPError, FaultKind.TRANSIENT),
    (OSError, FaultKind.TRANSIENT),
    (ValueError, FaultKind.TRANSIENT),
    (KeyError, FaultKind.TRANSIENT),
)
"""The first that fits. ValueError is what botocore's parser raises for a malformed number or date,
KeyError what an answer without a field that it must have leads to."""

_HINTS = {
    "NoSuchBucket": "Create the bucket, or correct its name",
    "RequestTimeTooSkewed": "Set this machine's clock",
    "InvalidObjectState": "The object was moved to a cold storage class; restore it there first",
    "PermanentRedirect": "Set the bucket's region",
    "AuthorizationHeaderMalformed": "Set the bucket's region",
    "IllegalLocationConstraintException": "Set the bucket's region",
    "NotImplemented": "The store lacks a feature that is needed; create-only puts are one",
    FaultKind.DENIED: "Check the credentials (environment, profile, role) and the bucket's policy",
    FaultKind.FULL: "Free some space, or raise the quota",
    FaultKind.UNREACHABLE: "Check endpoint, network, proxy and certificate authority",
}

CAUGHT = (boto.ClientError, boto.BotoCoreError, ResponseParserError, HTTPError, OSError, ValueError, KeyError)


def translate(error: Exception, what: str, where: str) -> CasError:
    """The error of ours for `error`, met while doing `what` (a verb) to `where` (an address)."""
    if not isinstance(error, boto.ClientError):
        kind = next(kind for known, kind in _CLASSES if isinstance(error, known))
        said = f"{what} failed: {type(error).__name__}{_endpoint(error)}"
        return StoreFault(said, fault=kind, where=where, hint=_HINTS.get(kind, ""))
    code = _plain(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    meaning = _CODES.get(code) or _STATUSES.get(status) or _by_class_of_status(status)
    if meaning == MISSING:
        return ObjectMissing("no such object", where=where)
    if meaning == EXISTS:
        return ObjectExists("the object exists", where=where)
    if meaning == PAST_THE_END:
        return CorruptData("the object ends before the range", kind="truncated", where=where)
    kind = FaultKind(meaning)
    hint = _HINTS.get(code) or _HINTS.get(kind, "")
    return StoreFault(f"{what} was answered {status} {code}".rstrip(), fault=kind, where=where, hint=hint)


def _endpoint(error: Exception) -> str:
    """Scheme, host and port that could not be reached: a wrong one must be seen to be mended."""
    asked = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    parts = urlsplit(asked)
    return (
        f" to {parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") if asked else ""
    )


def _by_class_of_status(status: int) -> FaultKind:
    """An error inside a 200 is one that came up after Amazon had begun to answer: theirs, like 5xx."""
    return FaultKind.TRANSIENT if status >= 500 or status == 200 else FaultKind.REFUSED


def _plain(code: object) -> str:
    """The error code as short printable text: it comes from outside."""
    return "".join(c for c in str(code)[:64] if c.isascii() and c.isprintable())
