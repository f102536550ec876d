"""From what obstore raises to what a store says.

obstore has one exception for most failures, and its text is all there is: status, error code and kind are
read out of it. The text itself is never passed on, since it has URLs in it that a token may be part of. The
error code of the answer decides first, then the HTTP status, then the kind of the failure.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from obstore.exceptions import BaseError, InvalidPathError

from cas.errors import CasError, CorruptData
from cas.store.interface import FaultKind, ObjectExists, ObjectMissing, StoreFault

CAUGHT = (BaseError, FileNotFoundError, PermissionError, ValueError, OSError)

_STATUS = re.compile(r"status code: ([0-9]{3})|\(code: ([0-9]{3})\)")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")
_ASKED = re.compile(r"Error performing [A-Z]+ (https?://\S+)")
_KIND = re.compile(r"kind: (Connect|Request|Timeout|Interrupted|Decode|Unknown)\b")
_NO_BUCKET = re.compile(r"specified container does not exist|specified bucket does not exist")
_PATH = re.compile(r'Path "([^"\n]{1,400})"')
_PAST_THE_END = re.compile(r"Wanted range starting at [0-9]+, but object was only [0-9]+ bytes long")
_ODD_RANGE = re.compile(
    r"\b(NotPartial|NoContentRange|ParseContentRange|UnexpectedRange|InvalidRangeRequest)\b"
)

_MISSING, _EXISTS, _RANGE = "missing", "exists", "past the end"

_CODES: dict[str, FaultKind | str] = {
    "NoSuchKey": _MISSING,
    "BlobNotFound": _MISSING,
    "NoSuchBucket": FaultKind.UNREACHABLE,
    "ContainerNotFound": FaultKind.UNREACHABLE,
    "BlobAlreadyExists": _EXISTS,
    "InvalidRange": _RANGE,
    "BlobImmutableDueToPolicy": FaultKind.DENIED,
    "BlobArchived": FaultKind.REFUSED,
    "LeaseIdMissing": FaultKind.REFUSED,
    "AccountBeingCreated": FaultKind.TRANSIENT,
    "ServerBusy": FaultKind.TRANSIENT,
    "OperationTimedOut": FaultKind.TRANSIENT,
    "InternalError": FaultKind.TRANSIENT,
    "SlowDown": FaultKind.TRANSIENT,
    "Md5Mismatch": FaultKind.TRANSIENT,
    "ExpiredToken": FaultKind.DENIED,
    "InvalidAuthenticationInfo": FaultKind.DENIED,
    "InvalidAuthenticationInfoAuthenticationFailed": FaultKind.DENIED,
    "QuotaExceeded": FaultKind.FULL,
}

_STATUSES: dict[int, FaultKind | str] = {
    401: FaultKind.DENIED,
    403: FaultKind.DENIED,
    404: _MISSING,
    408: FaultKind.TRANSIENT,
    409: FaultKind.TRANSIENT,
    412: _EXISTS,
    416: _RANGE,
    425: FaultKind.TRANSIENT,
    429: FaultKind.TRANSIENT,
    501: FaultKind.REFUSED,
    505: FaultKind.REFUSED,
    507: FaultKind.FULL,
}

_HINTS: dict[FaultKind | str, str] = {
    "NoSuchBucket": "Create the bucket, or correct its name",
    "ContainerNotFound": "Create the container, or correct its name",
    "BlobArchived": "The object was moved to the archive tier; bring it back to another tier first",
    FaultKind.DENIED: "Check the credentials (environment, key file, role) and the rights of their owner",
    FaultKind.FULL: "Free some space, or raise the quota",
    FaultKind.UNREACHABLE: "Check endpoint, network, proxy and certificate authority",
}

_CREDENTIALS_HINT = (
    "Google: credentials=FILE in the URL, GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account; "
    "Azure: AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, "
    "AZURE_STORAGE_CONNECTION_STRING, or a managed identity"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What could be read out of an error of obstore's. Zero and empty texts: nothing was said."""

    status: int
    code: str
    kind: str
    host: str
    """Who was asked, if the text tells."""

    @property
    def is_no_connection(self) -> bool:
        return self.kind == "Connect"


def failure_of(error: Exception) -> Failure:
    text = str(error)
    status = _STATUS.search(text)
    code = _CODE.search(text)
    kind = _KIND.search(text)
    asked = _ASKED.search(text)
    named = "NoSuchBucket" if _NO_BUCKET.search(text) else ""
    return Failure(
        status=int(status.group(1) or status.group(2)) if status else 0,
        code=code.group(1) if code else named,
        kind=("Timeout" if "TimedOut" in text else kind.group(1)) if kind else "",
        host=urlsplit(asked.group(1)).hostname or "" if asked else "",
    )


def is_about_the_range(error: Exception) -> bool:
    """Whether the answer to a request for a range was not one, so that the object's size must tell."""
    return isinstance(error, BaseError) and _ODD_RANGE.search(str(error)) is not None


def translate(error: Exception, what: str, where: str, endpoint: str) -> CasError:
    """The error of ours for `error`, met while doing `what` (a verb) to `where` (an address)."""
    if isinstance(error, InvalidPathError):
        return _unlistable(error, what, where)
    found = failure_of(error)
    if found.host and found.host != urlsplit(endpoint).hostname:
        return _no_credentials(found, what, where)
    if _PAST_THE_END.search(str(error)):
        return CorruptData("the object ends before the range", kind="truncated", where=where)
    meaning = _CODES.get(found.code) or _STATUSES.get(found.status) or _otherwise(error, found)
    if meaning == _MISSING:
        return ObjectMissing("no such object", where=where)
    if meaning == _EXISTS:
        return ObjectExists("the object exists", where=where)
    if meaning == _RANGE:
        return CorruptData("the object ends before the range", kind="truncated", where=where)
    kind = FaultKind(meaning)
    hint = _HINTS.get(found.code) or _HINTS.get(kind, "")
    return StoreFault(f"{what} {_said(found, endpoint)}", fault=kind, where=where, hint=hint)


def _unlistable(error: Exception, what: str, where: str) -> StoreFault:
    """obstore gives up a listing that has a name in it which it cannot hold."""
    name = _PATH.search(str(error))
    named = f" `{_printable(name.group(1))}`" if name else ""
    return StoreFault(
        f"{what} met an object{named} whose name has an empty segment, or `.` or `..` as one",
        fault=FaultKind.REFUSED,
        where=where,
        hint="It is none of ours: remove it with the provider's tool, or use a prefix of our own",
    )


def _printable(text: str) -> str:
    return "".join(c for c in text[:100] if c.isascii() and c.isprintable())


def _otherwise(error: Exception, found: Failure) -> FaultKind:
    """What neither code nor status tells."""
    if found.status:
        return FaultKind.TRANSIENT if found.status >= 500 else FaultKind.REFUSED
    if found.kind:
        return FaultKind.UNREACHABLE if found.is_no_connection else FaultKind.TRANSIENT
    text = str(error)
    if "NotPartial" in text or "BareRedirect" in text:
        return FaultKind.REFUSED
    return FaultKind.TRANSIENT


def _said(found: Failure, endpoint: str) -> str:
    if found.status:
        return f"was answered {found.status} {found.code}".rstrip()
    if found.is_no_connection:
        parts = urlsplit(endpoint)
        return f"failed: no connection to {parts.scheme}://{parts.netloc}"
    reason = {"Timeout": "no answer in time", "Decode": "the answer broke off"}.get(found.kind, "")
    return f"failed: {reason or 'the connection broke' if found.kind else 'the answer makes no sense'}"


def _no_credentials(found: Failure, what: str, where: str) -> StoreFault:
    """Somebody else was asked than the store: who gives out tokens. Nobody there is no machine of the
    provider's, and no credentials at all."""
    passing = found.status >= 500 or found.status == 429 or found.kind == "Interrupted"
    return StoreFault(
        f"{what} failed: no credentials from {found.host}",
        fault=FaultKind.TRANSIENT if passing else FaultKind.DENIED,
        where=where,
        hint=_CREDENTIALS_HINT,
    )
