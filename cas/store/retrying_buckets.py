"""A bucket of uploads, with the requests that fail for a passing reason repeated."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from cas.store.bucket import Bucket, BucketObject, OpenObject
from cas.store.delivering import Repeat, once
from cas.store.options import StoreOptions
from cas.store.retrying import Attempts, Retry

_T = TypeVar("_T")


class RetryingBucket:
    """`bucket`, with each request tried as often as the options say. A body that breaks off is not asked for
    again: who reads it knows what was read."""

    def __init__(
        self,
        bucket: Bucket,
        *,
        options: StoreOptions | None = None,
        on_retry: Callable[[Retry], None] | None = None,
    ) -> None:
        self._bucket = bucket
        self._attempts = Attempts(options or StoreOptions(), on_retry)

    @property
    def url(self) -> str:
        return self._bucket.url

    @property
    def tells_slashes(self) -> bool:
        return self._bucket.tells_slashes

    def rows(self, *, repeat: Repeat = once) -> Iterator[BucketObject]:
        return self._bucket.rows(repeat=self._again("list", repeat))

    def look(self, key: str) -> BucketObject:
        return self._attempts.call("size", lambda: self._bucket.look(key))

    def open(self, key: str) -> OpenObject:
        return self._attempts.call("get", lambda: self._bucket.open(key))

    def takes(self, key: str) -> bool:
        return self._bucket.takes(key)

    def send(self, key: str, data: memoryview, *, repeat: Repeat = once) -> None:
        self._bucket.send(key, data, repeat=self._again("put", repeat))

    def remove(self, key: str) -> None:
        self._attempts.call("delete", lambda: self._bucket.remove(key))

    def close(self) -> None:
        self._bucket.close()

    def _again(self, name: str, repeat: Repeat) -> Repeat:
        def again(step: Callable[[], _T]) -> _T:
            return repeat(lambda: self._attempts.call(name, step))

        return again
