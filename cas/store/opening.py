"""From a store's URL to a store.

file:///absolute/path
s3://bucket/prefix?endpoint=https://host:port&region=...&sse=...&kms_key=...&ca=...&object_lock=days
gs://bucket/prefix?endpoint=...&credentials=/path/of/a/key/file&ca=...     (Firebase's buckets are Google's)
az://container/prefix?account=...&endpoint=...&ca=...
memory://name
"""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from cas.errors import InvalidInput
from cas.store.cloud_url import AZURE_HINT, GOOGLE_HINT, open_azure, open_google
from cas.store.credentials import SCHEMES
from cas.store.delivering import DeliveringStore
from cas.store.interface import Store
from cas.store.local import LocalStore
from cas.store.locking import LockingStore
from cas.store.memory import MemoryStore
from cas.store.options import StoreOptions
from cas.store.retrying import Retry, RetryingStore
from cas.store.retrying_deliveries import RetryingDeliveringStore
from cas.store.retrying_locks import RetryingLockingStore
from cas.store.s3_url import CREDENTIALS_HINT as S3_HINT
from cas.store.s3_url import open_s3
from cas.store.urls import only

__all__ = ["StoreOptions", "open_bare", "open_store"]

KNOWN_SCHEMES = (
    "file:///path",
    "s3://bucket/prefix?endpoint=...",
    "gs://bucket/prefix",
    "az://container/prefix?account=...",
    "memory://name",
)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CREDENTIALS_HINTS = {"gs": GOOGLE_HINT, "az": AZURE_HINT}


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
    may hold a secret), StoreFault if a local directory cannot be opened. Servers are not contacted yet.
    """
    options = options or StoreOptions()
    store = open_bare(url, options, create=create)
    if isinstance(store, LockingStore):
        return RetryingLockingStore(store, options=options, on_retry=on_retry)
    if isinstance(store, DeliveringStore):
        return RetryingDeliveringStore(store, options=options, on_retry=on_retry)
    return RetryingStore(store, options=options, on_retry=on_retry)


def open_bare(url: str, options: StoreOptions | None = None, *, create: bool = False) -> Store:
    """The store at `url` without retries: each fault arrives at once, for tests and diagnosis."""
    options = options or StoreOptions()
    parts, query = parts_of(url, options)
    match parts.scheme:
        case "file":
            only(query, (), S3_HINT)
            return LocalStore(_directory(parts), create=create)
        case "memory":
            only(query, (), S3_HINT)
            return MemoryStore.named(_memory_name(parts))
        case "s3":
            return open_s3(parts, query, options)
        case "gs":
            return open_google(parts, query, options)
        case "az":
            return open_azure(parts, query, options)
        case _:
            raise InvalidInput("not a store URL", hint=f"Known are {', '.join(KNOWN_SCHEMES)}")


def parts_of(url: str, options: StoreOptions) -> tuple[SplitResult, dict[str, str]]:
    """A URL of any kind of store, and its parameters. InvalidInput."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:  # its text has the URL in it
        raise InvalidInput("not a store URL", hint=f"Known are {', '.join(KNOWN_SCHEMES)}") from None
    credentials_hint = _CREDENTIALS_HINTS.get(parts.scheme, S3_HINT)
    if "@" in parts.netloc or parts.password:
        raise InvalidInput("a store URL must not contain credentials", hint=credentials_hint)
    if parts.fragment:
        raise InvalidInput("a store URL has no part after #", hint="Write # as %23")
    if options.credentials is not None and SCHEMES.get(parts.scheme) is not type(options.credentials):
        raise InvalidInput("the credentials are those of another kind of store", hint=credentials_hint)
    query = dict(pairs)
    if len(query) < len(pairs):
        raise InvalidInput("a parameter comes twice in the store URL")
    return parts, query


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
