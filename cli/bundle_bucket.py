"""A new bundle on its way into a bucket: whole under its name, or not there at all, its SHA-256 beside it.

It is written into a temporary file first. So nothing is sent of a version that turns out to be damaged, the
length is known, without which Google and Azure take no create-only object, and what fails on the way is sent
again from the file, part by part. The price is room for the bundle where temporary files lie (TMPDIR), and
that the upload begins when the export has ended.
"""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cas.errors import Conflict
from cas.store.interface import FaultKind, ObjectExists, ObjectMissing, StoreFault
from cas.temporary import temporary_faults
from cli.bucket_places import BucketPlace
from cli.bundle_file import SUM_SUFFIX, HashingSink, sum_line
from cli.terminal import Terminal
from cli.watching_faces import watching


class _Spool(HashingSink):
    """Into a temporary file."""

    def write(self, data: bytes | memoryview) -> None:
        with temporary_faults():
            super().write(data)


@contextmanager
def new_object(place: BucketPlace, terminal: Terminal, *, force: bool) -> Iterator[HashingSink]:
    """What is written inside comes to `place` when the block ends well; else nothing is left. Conflict where
    something is there already, unless it is forced away: before the block, if it is there by then."""
    if not force and _is_there(place):
        raise _exists(place)
    with temporary_faults():
        file = tempfile.TemporaryFile(prefix="cas-bundle-", buffering=0)  # noqa: SIM115  # closed below
    with file:
        sink = _Spool(file.fileno())
        yield sink
        with temporary_faults():
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        with watching(terminal, "upload") as counters:
            counters.phase("upload")
            _send(place, data, sink.sha256, force=force)


def _send(place: BucketPlace, data: memoryview, digest: str, *, force: bool) -> None:
    """The sum goes last. One that an object which is gone has left, or that is being replaced, gives way."""
    try:
        place.store.deliver(place.name, data, create_only=not force)
    except ObjectExists:
        raise _exists(place) from None
    line = sum_line(digest, place.name).encode("ascii")
    place.store.deliver(f"{place.name}{SUM_SUFFIX}", memoryview(line))


def _is_there(place: BucketPlace) -> bool:
    """As far as that may be asked; whoever may only write is told by the create-only delivery."""
    try:
        place.store.delivered_size(place.name)
    except ObjectMissing:
        return False
    except StoreFault as fault:
        if fault.fault is FaultKind.DENIED:
            return False
        raise
    return True


def _exists(place: BucketPlace) -> Conflict:
    return Conflict(
        "the object is there already", where=place.url, hint="Add --force, or choose another name"
    )
