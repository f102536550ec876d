"""The values of a stored record. It is proven that its bytes are those that were stored, and nothing more:
somebody may have made the version by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

from cas.errors import CorruptData
from cas.records.model import Entity
from cas.records.payload import fields


def values_of(entity: Entity, payload: bytes) -> list[bytes | None]:
    """The texts of all columns, None for NULL. CorruptData where there are more of them than columns."""
    try:
        return fields(payload, len(entity.columns))
    except ValueError as error:
        raise CorruptData(
            "a record has more fields than columns", kind="malformed", where=entity.label
        ) from error


@contextmanager
def requiring_types(entity: Entity) -> Iterator[None]:
    """CorruptData for the ValueError of whoever finds that a value is none of its column's type."""
    try:
        yield
    except ValueError as error:
        raise CorruptData(
            f"a record is malformed: {error}"[:300], kind="malformed", where=entity.label
        ) from error
