"""From a URL to a bucket of uploads. Its parameters are those of a store's URL."""

from collections.abc import Callable

from cas.errors import InvalidInput
from cas.store.cloud_url import open_azure_bucket, open_google_bucket
from cas.store.opening import parts_of
from cas.store.options import StoreOptions
from cas.store.retrying import Retry
from cas.store.retrying_buckets import RetryingBucket
from cas.store.s3_url import open_s3_bucket

_OPENERS = {"s3": open_s3_bucket, "gs": open_google_bucket, "az": open_azure_bucket}


def open_bucket(
    url: str, options: StoreOptions | None = None, *, on_retry: Callable[[Retry], None] | None = None
) -> RetryingBucket:
    """The bucket or container, below the URL's prefix. InvalidInput, which does not repeat the URL. No server
    is contacted yet."""
    options = options or StoreOptions()
    parts, query = parts_of(url, options)
    opener = _OPENERS.get(parts.scheme)
    if opener is None:
        raise InvalidInput("not the URL of a bucket", hint="Write s3://, gs:// or az://bucket/prefix/")
    return RetryingBucket(opener(parts, query, options), options=options, on_retry=on_retry)
