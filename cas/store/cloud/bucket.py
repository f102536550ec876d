"""A bucket of uploads at Google's, or a container at Azure's, by obstore.

obstore's paths have no slash at their end, and none that is empty, `.` or `..`, and no control characters. It
gives up a listing that has such a key in it; the fault names the key.
"""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import obstore

from cas.store.bucket import BucketObject, OpenObject, tag_of
from cas.store.cloud.bodies import body_pieces
from cas.store.cloud.delivering import DeliveringCloudStore
from cas.store.cloud.store import LISTED_AT_ONCE
from cas.store.delivering import Repeat, once
from cas.store.interface import ObjectMissing, StoreFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from obstore import GetResult, ListStream, ObjectMeta

MOST_KEY_BYTES = 1024
"""Of a whole key, the prefix included: in Google's, and of characters in Azure's."""


class CloudBucket(DeliveringCloudStore):
    """Guarantees: cas/store/bucket.py."""

    tells_slashes = False

    def rows(self, *, repeat: Repeat = once) -> Iterator[BucketObject]:
        stream: ListStream[Sequence[ObjectMeta]] | None = None
        last = ""

        def page() -> "Sequence[ObjectMeta] | None":
            """The next one; where the listing broke, from behind what has come, or from any earlier place."""
            nonlocal stream
            if stream is None:
                directory = self._address.prefix.rstrip("/")
                stream = obstore.list(
                    self._clients.reading, directory or None, offset=last or None, chunk_size=LISTED_AT_ONCE
                )
            try:
                with self._faults("list", ""):
                    return next(stream, None)
            except ObjectMissing as error:
                raise self._no_bucket("") from error  # a listing misses nothing else
            except StoreFault:
                stream = None
                raise

        while (found := repeat(page)) is not None:
            for row in found:
                last = max(last, row["path"])
                if row["path"].startswith(
                    self._address.prefix
                ):  # it is the prefix's own object, or `prefix/`
                    yield self._about(row)

    def look(self, key: str) -> BucketObject:
        try:
            with self._faults("size", key):
                return self._about(obstore.head(self._clients.reading, self._path(key)))
        except ObjectMissing:
            self._require_bucket(key)
            raise

    def open(self, key: str) -> OpenObject:
        try:
            with self._faults("get", key):
                answer = self._ask(key, {})
        except ObjectMissing:
            self._require_bucket(key)
            raise
        about = self._about(answer.meta)
        pieces = self._read(key, answer, about.size)
        return OpenObject(about, pieces, pieces.close)

    def takes(self, key: str) -> bool:
        return len(self._path(key).encode()) <= MOST_KEY_BYTES and not any(
            ord(character) < 32 or ord(character) == 127 for character in key
        )

    def send(self, key: str, data: memoryview, *, repeat: Repeat = once) -> None:
        self._send(key, data, {}, create_only=False, repeat=repeat)

    def remove(self, key: str) -> None:
        try:
            with self._faults("delete", key):
                obstore.delete(self._clients.reading, self._path(key))
        except ObjectMissing:
            return

    def _read(self, key: str, answer: "GetResult", length: int) -> Generator[bytes, None, None]:
        with self._faults("get", key):
            yield from body_pieces(answer, length, self._options, self._where(key))

    def _about(self, meta: "ObjectMeta") -> BucketObject:
        key = meta["path"][len(self._address.prefix) :]
        return BucketObject(key, meta["size"], meta["last_modified"], tag_of(meta["e_tag"]))
