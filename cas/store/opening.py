"""From a store's URL to a store.

file:///absolute/path
s3://bucket/prefix?endpoint=https://host:port&region=...&sse=...&kms_key=...&ca=...&object_lock=days
memory://name
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from cas.errors import InvalidInput
from cas.limits import LONGEST_LOCK_DAYS
from cas.store.interface import Store
from cas.store.local import LocalStore
from cas.store.locking import LockingStore
from cas.store.memory import MemoryStore
from cas.store.options import StoreOptions
from cas.store.retrying import Retry, RetryingStore
from cas.store.retrying_locks import RetryingLockingStore

if TYPE_CHECKING:
    from cas.store.s3 import S3Address

__all__ = ["StoreOptions", "open_bare", "open_store"]

KNOWN_SCHEMES = ("file:///path", "s3://bucket/prefix?endpoint=...", "memory://name")
S3_PARAMETERS = (
    "addressing",
    "allow_http",
    "ca",
    "endpoint",
    "kms_key",
    "object_lock",
    "profile",
    "region",
    "sse",
)

_SSE: dict[str, Literal["", "AES256", "aws:kms"]] = {"": "", "AES256": "AES256", "aws:kms": "aws:kms"}
_ADDRESSING: dict[str, Literal["", "path", "virtual"]] = {"": "", "path": "path", "virtual": "virtual"}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_PREFIX_CHARACTERS = 400
_CREDENTIALS_HINT = (
    "Put them where every AWS tool looks: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "a profile in ~/.aws/credentials, or the machine's role"
)


def open_store(
    url: str,
    options: StoreOptions | None = None,
    *,
    create: bool = False,
    on_retry: Callable[[Retry], None] | None = None,
) -> RetryingStore:
    """The store at `url`, with retries.

    create: make the directory of a local store if it is absent; buckets are never made. Raises
    InvalidInput for a URL that says nothing sensible (it is not repeated in the message, since it
    may hold a secret), StoreFault if a local directory cannot be opened. S3 is not contacted yet.
    """
    options = options or StoreOptions()
    store = open_bare(url, options, create=create)
    if isinstance(store, LockingStore):
        return RetryingLockingStore(store, options=options, on_retry=on_retry)
    return RetryingStore(store, options=options, on_retry=on_retry)


def open_bare(url: str, options: StoreOptions | None = None, *, create: bool = False) -> Store:
    """The store at `url` without retries: each fault arrives at once, for tests and diagnosis."""
    options = options or StoreOptions()
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:  # its text has the URL in it
        raise InvalidInput("not a store URL", hint=f"Known are {', '.join(KNOWN_SCHEMES)}") from None
    if "@" in parts.netloc or parts.password:
        raise InvalidInput("a store URL must not contain credentials", hint=_CREDENTIALS_HINT)
    if parts.fragment:
        raise InvalidInput("a store URL has no part after #", hint="Write # as %23")
    query = dict(pairs)
    if len(query) < len(pairs):
        raise InvalidInput("a parameter comes twice in the store URL")
    match parts.scheme:
        case "file":
            _only(query, ())
            return LocalStore(_directory(parts), create=create)
        case "memory":
            _only(query, ())
            return MemoryStore.named(_memory_name(parts))
        case "s3":
            return _s3(parts, query, options)
        case _:
            raise InvalidInput("not a store URL", hint=f"Known are {', '.join(KNOWN_SCHEMES)}")


def _only(query: dict[str, str], known: tuple[str, ...]) -> None:
    """Refuse parameters that are not known, by name; their values may be secrets."""
    unknown = sorted(set(query) - set(known))
    if any(re.search(r"secret|password|token|access|credential", name, re.IGNORECASE) for name in unknown):
        raise InvalidInput("a store URL must not contain credentials", hint=_CREDENTIALS_HINT)
    if unknown:
        names = ", ".join(name[:40] for name in unknown)
        hint = f"Known are {', '.join(known)}" if known else "This kind of store has none"
        raise InvalidInput(f"unknown parameters in the store URL: {names}", hint=hint)


def _directory(parts: SplitResult) -> Path:
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost"):
        raise InvalidInput("a file URL has three slashes before the path", hint="Write file:///absolute/path")
    if not path.startswith("/") or "\0" in path:
        raise InvalidInput("a file URL holds an absolute path", hint="Write file:///absolute/path")
    if not path.strip("/"):
        raise InvalidInput("the root of the file system is no place for a store")
    return Path(path)


def _memory_name(parts: SplitResult) -> str:
    if parts.path not in ("", "/") or not _NAME.fullmatch(parts.netloc):
        raise InvalidInput("a memory URL holds one name", hint="Write memory://name")
    return parts.netloc


def _s3(parts: SplitResult, query: dict[str, str], options: StoreOptions) -> Store:
    from cas.store.s3 import (  # late: boto3 takes a third of a second, which local stores save
        LockedS3Store,
        S3Store,
    )

    _only(query, S3_PARAMETERS)
    address = _s3_address(parts, query)
    kms_key = query.get("kms_key") or (options.kms_key if query.get("sse") != "AES256" else "")
    sse = _SSE.get(query.get("sse") or options.sse or ("aws:kms" if kms_key else ""))
    if sse is None:
        raise InvalidInput("unknown server-side encryption", hint="sse is AES256 or aws:kms")
    if kms_key and sse != "aws:kms":
        raise InvalidInput("kms_key goes with sse=aws:kms only")
    region = query.get("region") or options.region
    if not _REGION.fullmatch(region):
        raise InvalidInput(
            "not a region name", hint="Write region=eu-central-1, or what your server calls it"
        )
    settled = replace(
        options,
        region=region,
        profile=query.get("profile") or options.profile,
        ca=query.get("ca") or options.ca,
        sse=sse,
        kms_key=kms_key,
    )
    days = query.get("object_lock", "")
    return LockedS3Store(address, settled, _lock_days(days)) if days else S3Store(address, settled)


def _lock_days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 1 <= days <= LONGEST_LOCK_DAYS:
        raise InvalidInput(
            "object_lock is a number of days", hint=f"From 1 to {LONGEST_LOCK_DAYS}: object_lock=30"
        )
    return days


def _s3_address(parts: SplitResult, query: dict[str, str]) -> "S3Address":
    from cas.store.s3 import S3Address  # late, like S3Store

    if not _BUCKET.fullmatch(parts.netloc):
        raise InvalidInput("not a bucket name", hint="Write s3://bucket/prefix")
    allow_http = query.get("allow_http") or "false"
    if allow_http not in ("true", "false"):
        raise InvalidInput("allow_http is true or false")
    addressing = _ADDRESSING.get(query.get("addressing", ""))
    if addressing is None:
        raise InvalidInput("addressing is path or virtual")
    return S3Address(
        bucket=parts.netloc,
        prefix=_s3_prefix(unquote(parts.path)),
        endpoint=_endpoint(query.get("endpoint", "")),
        addressing=addressing,
        allow_http=allow_http == "true",
    )


def _s3_prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    odd = any(segment in ("", ".", "..") for segment in prefix.split("/"))
    if odd or not prefix.isprintable() or len(prefix.encode()) > _MAX_PREFIX_CHARACTERS:
        raise InvalidInput("not a usable prefix in the store URL", hint="Write s3://bucket/some/prefix")
    return f"{prefix}/"


def _endpoint(url: str) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput("the endpoint is not a URL", hint="Write endpoint=https://host:port")
    if "@" in parts.netloc:
        raise InvalidInput("a store URL must not contain credentials", hint=_CREDENTIALS_HINT)
    if parts.query or parts.fragment:
        raise InvalidInput("an endpoint has no query", hint="Write endpoint=https://host:port")
    return url.rstrip("/")
