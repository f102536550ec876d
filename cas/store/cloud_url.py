"""From `gs://bucket/prefix?...` and `az://container/prefix?...` to a store, or to a bucket of uploads."""

import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from cas.errors import InvalidInput
from cas.store import urls
from cas.store.bucket import Bucket
from cas.store.interface import Store
from cas.store.options import StoreOptions

if TYPE_CHECKING:
    from cas.store.cloud import AzureAddress, GoogleAddress

GOOGLE_HINT = (
    "Put them where Google's tools look: GOOGLE_APPLICATION_CREDENTIALS names a key file, or the machine has "
    "a service account; credentials=FILE names a key file for this store"
)
AZURE_HINT = (
    "Put them into AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or "
    "AZURE_STORAGE_CONNECTION_STRING, or use the machine's managed identity"
)
GOOGLE_PARAMETERS = ("allow_http", "ca", "credentials", "endpoint")
AZURE_PARAMETERS = ("account", "allow_http", "ca", "endpoint")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_PREFIX = re.compile(r"[A-Za-z0-9._=/-]*")
"""Characters that obstore, the two providers and their tools write the same way."""


def open_google(parts: SplitResult, query: dict[str, str], options: StoreOptions) -> Store:
    """A store in Google Cloud Storage, which is not contacted yet."""
    from cas.store.cloud import DeliveringCloudStore  # late: local stores need no HTTP client

    return DeliveringCloudStore(_google(parts, query), options)


def open_azure(parts: SplitResult, query: dict[str, str], options: StoreOptions) -> Store:
    """A store in Azure Blob Storage, which is not contacted yet."""
    from cas.store.cloud import DeliveringCloudStore  # late, as above

    return DeliveringCloudStore(_azure(parts, query), options)


def open_google_bucket(parts: SplitResult, query: dict[str, str], options: StoreOptions) -> Bucket:
    """A bucket in Google Cloud Storage, which is not contacted yet."""
    from cas.store.cloud import CloudBucket  # late, as above

    return CloudBucket(_google(parts, query), options)


def open_azure_bucket(parts: SplitResult, query: dict[str, str], options: StoreOptions) -> Bucket:
    """A container in Azure Blob Storage, which is not contacted yet."""
    from cas.store.cloud import CloudBucket  # late, as above

    return CloudBucket(_azure(parts, query), options)


def _google(parts: SplitResult, query: dict[str, str]) -> "GoogleAddress":
    from cas.store.cloud import GoogleAddress  # late, as above

    urls.only(query, GOOGLE_PARAMETERS, GOOGLE_HINT)
    if not _BUCKET.fullmatch(parts.netloc):
        raise InvalidInput("not a bucket name", hint="Write gs://bucket/prefix")
    return GoogleAddress(
        bucket=parts.netloc,
        prefix=_prefix(parts.path, "gs://bucket/some/prefix"),
        endpoint=urls.endpoint(query.get("endpoint", ""), GOOGLE_HINT),
        allow_http=urls.flag(query, "allow_http"),
        ca=query.get("ca", ""),
        credentials=query.get("credentials", ""),
    )


def _azure(parts: SplitResult, query: dict[str, str]) -> "AzureAddress":
    from cas.store.cloud import AzureAddress  # late, as above

    urls.only(query, AZURE_PARAMETERS, AZURE_HINT)
    if not _CONTAINER.fullmatch(parts.netloc):
        raise InvalidInput("not a container name", hint="Write az://container/prefix?account=name")
    account = query.get("account", "")
    if account and not _ACCOUNT.fullmatch(account):
        raise InvalidInput("not a storage account's name", hint="It has 3 to 24 small letters and digits")
    return AzureAddress(
        bucket=parts.netloc,
        prefix=_prefix(parts.path, "az://container/some/prefix"),
        endpoint=urls.endpoint(query.get("endpoint", ""), AZURE_HINT),
        allow_http=urls.flag(query, "allow_http"),
        ca=query.get("ca", ""),
        account=account,
    )


def _prefix(path: str, example: str) -> str:
    prefix = urls.prefix(path, example)
    if not _PREFIX.fullmatch(prefix):
        raise InvalidInput(
            "not a usable prefix in the store URL",
            hint="Use letters without accents, digits and - . _ = for the prefix",
        )
    return prefix
