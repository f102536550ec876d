"""The store at Google's or Azure's that hands objects out: in one request, which alone can be create-only
there, and by signed URLs. The name under which a browser keeps an object goes with the object: obstore's
signatures say nothing about it."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

import obstore

from cas.limits import MIB
from cas.store.cloud.address import AzureAddress
from cas.store.cloud.bodies import ranged_body
from cas.store.cloud.faults import CAUGHT, failure_of
from cas.store.cloud.store import CloudStore
from cas.store.delivering import Link, Repeat, arriving, check_name, check_seconds, disposition, is_same, once
from cas.store.interface import FaultKind, ObjectMissing, StoreFault

if TYPE_CHECKING:
    from obstore import Attributes

MOST_OF_AZURE_BYTES = 5000 * MIB
"""What Azure takes in one request."""

_CANNOT_SIGN = (
    "Links are signed by the key file of a Google service account (GOOGLE_APPLICATION_CREDENTIALS or "
    "credentials=FILE) or a machine's role that may sign blobs, and by an Azure account's key or identity; "
    "not by a SAS token"
)


class DeliveringCloudStore(CloudStore):
    """Guarantees: cas/store/delivering.py."""

    def deliver(
        self, name: str, data: memoryview, *, create_only: bool = False, repeat: Repeat = once
    ) -> None:
        check_name(name)
        attributes: Attributes = {"Content-Disposition": disposition(name)}
        self._send(name, data, attributes, create_only=create_only, repeat=repeat)

    def _send(
        self, name: str, data: memoryview, attributes: "Attributes", *, create_only: bool, repeat: Repeat
    ) -> None:
        if isinstance(self._address, AzureAddress) and data.nbytes > MOST_OF_AZURE_BYTES:
            raise StoreFault(
                f"Azure takes {MOST_OF_AZURE_BYTES // MIB} MiB in one request, and not {data.nbytes // MIB}",
                fault=FaultKind.REFUSED,
                where=self._where(name),
                hint="Write it into a file, which Azure's own tools upload in parts",
            )
        mode: Literal["create", "overwrite"] = "create" if create_only else "overwrite"
        client = self._clients.writing(data.nbytes)

        def send() -> None:
            try:
                with self._faults("deliver", name):
                    obstore.put(
                        client,
                        self._path(name),
                        data,
                        mode=mode,
                        use_multipart=False,
                        attributes=attributes,
                    )
            except ObjectMissing as error:
                raise self._no_bucket(name) from error  # a put misses nothing else

        repeat(arriving(send, lambda: self._holds(name, data)))

    def delivered_size(self, name: str) -> int:
        check_name(name)
        return self._head(name)[0]

    def link(self, name: str, seconds: int) -> Link:
        check_name(name)
        check_seconds(seconds)
        try:
            url = obstore.sign(self._clients.reading, "GET", self._path(name), timedelta(seconds=seconds))
        except CAUGHT as error:
            found = failure_of(error)
            is_passing = (
                found.status >= 500 or found.status == 429 or found.kind in ("Interrupted", "Timeout")
            )
            raise StoreFault(
                "the credentials cannot sign links",
                fault=FaultKind.TRANSIENT if is_passing else FaultKind.DENIED,
                where=self._where(name),
                hint=_CANNOT_SIGN,
            ) from None  # obstore's text may have a token in it
        return Link(url)

    def _holds(self, name: str, data: memoryview) -> bool:
        """Whether these bytes lie there: read back, and compared."""
        try:
            if self._head(name)[0] != data.nbytes:
                return False
        except ObjectMissing:
            return False
        return is_same(data, partial(self._range, name), self._options.part_bytes)

    def _range(self, name: str, start: int, length: int) -> bytes:
        with self._faults("get_range", name):
            answer = self._ask(name, {"range": (start, start + length)})
            return ranged_body(answer, start, length, self._options, self._where(name))
