"""The store in a bucket of Google's or a container of Azure's: conditional puts of one request, ranged reads
that are checked.

Every put is one request: Google takes 5 TiB in one and Azure 5000 MiB, and an object of ours is far below.
So a create-only put is decided by the server in that one request (x-goog-if-generation-match: 0, If-None-
Match: *), whatever its size; obstore's uploads in parts know no condition and are never used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import obstore

from cas.errors import CorruptData
from cas.store.cloud.address import AzureAddress, CloudAddress
from cas.store.cloud.bodies import ranged_body, tail_body, whole_body
from cas.store.cloud.connection import Clients
from cas.store.cloud.faults import CAUGHT, failure_of, is_about_the_range, translate
from cas.store.cloud.listing import listing
from cas.store.interface import (
    MAX_OBJECT_BYTES,
    FaultKind,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StoreFault,
)
from cas.store.keys import check_data, check_key, check_prefix, check_range
from cas.store.options import StoreOptions

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

_ODD_RANGE_HINT = "A proxy or server that ignores ranges cannot hold a repository"

LISTED_AT_ONCE = 1000
"""Rows that obstore hands over together: as many as a page of Google's has."""


class OddRange(StoreFault):
    """The answer to a request for a range is none that makes sense: the object's size must tell."""


class CloudStore:
    """Objects below a prefix of a bucket or container, which must exist."""

    def __init__(self, address: CloudAddress, options: StoreOptions) -> None:
        self._address = address
        self._options = options
        self._clients = Clients(address, options)
        self._knows_suffixes = not isinstance(address, AzureAddress)
        self._answered = False

    @property
    def url(self) -> str:
        return self._address.url

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        check_key(key)
        check_data(data)
        view = memoryview(data).cast("B")
        client = self._clients.writing(len(view))
        mode: Literal["create", "overwrite"] = "create" if create_only else "overwrite"
        try:
            with self._faults("put", key):
                obstore.put(client, self._path(key), view, mode=mode, use_multipart=False)
        except ObjectMissing as error:
            raise self._no_bucket(key) from error  # a put misses nothing else
        except ObjectExists as error:
            if create_only:
                raise
            raise StoreFault(
                "put was refused by a condition that nobody set",
                fault=FaultKind.REFUSED,
                where=self._where(key),
            ) from error

    def get(self, key: str) -> bytes:
        """As a range up to the limit, whose answer says how large the whole is; a plain one would not."""
        check_key(key)
        try:
            with self._faults("get", key):
                answer = self._ask(key, {"range": (0, MAX_OBJECT_BYTES)})
                return whole_body(answer, self._options, self._where(key))
        except CorruptData as error:  # 416: an empty object has no range
            if error.kind == "limit":
                raise
            if self.size(key):
                raise self._replaced(key) from error
            return b""
        except OddRange:
            if self.size(key):
                raise
            return b""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        check_key(key)
        check_range(start, length)
        try:
            with self._faults("get_range", key):
                answer = self._ask(key, {"range": (start, start + length)})
                return ranged_body(answer, start, length, self._options, self._where(key))
        except OddRange as fault:
            if self.size(key) >= start + length:
                raise
            raise CorruptData(
                "the object ends before the range", kind="truncated", where=self._where(key)
            ) from fault

    def get_tail(self, key: str, length: int) -> bytes:
        """One request at Google; at Azure, which knows no suffix ranges, the size is asked for first."""
        check_key(key)
        check_range(0, length)
        if not self._knows_suffixes:
            return self._tail_by_size(key, length)
        try:
            with self._faults("get_tail", key):
                answer = self._ask(key, {"range": {"suffix": length}})
                return tail_body(answer, length, self._options, self._where(key))
        except CorruptData:
            return b""  # 416: there is no last byte
        except OddRange:  # 200 for the whole of a short object, say
            return self._tail_by_size(key, length)

    def size(self, key: str) -> int:
        check_key(key)
        return self._head(key)[0]

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return listing(self._rows, self._address.prefix, prefix, after, is_there=self._is_there)

    def delete(self, key: str) -> None:
        check_key(key)
        try:
            with self._faults("delete", key):
                obstore.delete(self._clients.reading, self._path(key))
        except ObjectMissing:
            return

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        """obstore's clients end with the last reference to them."""

    def _ask(self, key: str, options: "GetOptions") -> "GetResult":
        return obstore.get(self._clients.reading, self._path(key), options=options)

    def _head(self, key: str) -> tuple[int, str | None]:
        """Size and ETag."""
        try:
            with self._faults("size", key):
                meta = obstore.head(self._clients.reading, self._path(key))
                return meta["size"], meta["e_tag"]
        except ObjectMissing:
            self._require_bucket(key)
            raise

    def _tail_by_size(self, key: str, length: int) -> bytes:
        """The object that was measured is the one that is read, or the fault is TRANSIENT."""
        size, tag = self._head(key)
        if not size:
            return b""
        start = max(0, size - length)
        try:
            with self._faults("get_tail", key):
                answer = self._ask(key, {"range": (start, size), "if_match": tag})
                return tail_body(answer, length, self._options, self._where(key))
        except (ObjectExists, CorruptData) as error:  # 412, 416: it is another one by now
            raise self._replaced(key) from error

    def _replaced(self, key: str) -> StoreFault:
        return StoreFault(
            "the object was replaced while it was read", fault=FaultKind.TRANSIENT, where=self._where(key)
        )

    def _rows(self, directory: str, after: str) -> Iterator[tuple[str, int, datetime]]:
        stream = obstore.list(
            self._clients.reading, directory or None, offset=after or None, chunk_size=LISTED_AT_ONCE
        )
        while True:
            try:
                with self._faults("list", f"{directory}/".removeprefix(self._address.prefix)):
                    page = next(stream, None)
            except ObjectMissing as error:
                raise self._no_bucket("") from error  # a listing misses nothing else
            if page is None:
                return
            for row in page:
                yield row["path"], row["size"], row["last_modified"]

    def _is_there(self, key: str) -> bool:
        try:
            self.size(key)
        except ObjectMissing:
            return False
        return True

    def _path(self, key: str) -> str:
        return self._address.prefix + key

    def _where(self, key: str) -> str:
        return self._address.place + key

    @contextmanager
    def _faults(self, what: str, key: str) -> Iterator[None]:
        """Translate what goes wrong. A server that has answered before and now refuses connections
        is restarting; one that never did is a wrong address."""
        try:
            yield
        except CAUGHT as error:
            found = failure_of(error)
            fault = translate(error, what, self._where(key), self._clients.endpoint)
            if found.is_no_connection and self._answered and isinstance(fault, StoreFault):
                fault.fault = FaultKind.TRANSIENT
            self._answered = self._answered or found.status != 0
            if isinstance(fault, StoreFault) and is_about_the_range(error):
                fault = OddRange(fault.what, fault=fault.fault, where=fault.where, hint=_ODD_RANGE_HINT)
            raise fault from None  # obstore's text may have a token in it
        self._answered = True

    def _require_bucket(self, key: str) -> None:
        """Not every answer about a missing object says what is missing: ask for the bucket."""
        try:
            next(self._rows(self._path(key), ""), None)
        except StoreFault as fault:
            if fault.fault is FaultKind.UNREACHABLE:
                raise
            # Not allowed to ask, or not now: then the object is what is missing.

    def _no_bucket(self, key: str) -> StoreFault:
        return StoreFault(
            "no such bucket",
            fault=FaultKind.UNREACHABLE,
            where=self._where(key),
            hint="Create the bucket or container, or correct its name",
        )
