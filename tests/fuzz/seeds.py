"""Inputs to begin with: the vectors, good ones and bad ones, and values that no vector has."""

from functools import cache

from cas.format.bundle import BundleHead, Since
from tests.vectors.model import Vector, all_vectors

BUNDLE_HEAD = BundleHead(
    repository_id="0f" * 16,
    number=7,
    created_at="2026-01-31T23:59:59.000000+00:00",
    checksum=bytes(range(32)),
    reason="before the sale",
    name="",
    database="shop",
    entities=("public.orders", "public.products"),
    since=Since(3, bytes(32)),
    records=1200,
)


@cache
def _vectors() -> tuple[Vector, ...]:
    return tuple(all_vectors())


def of_vectors(of: str, most: int = 8192) -> list[bytes]:
    """The bytes of all vectors for one parser that are small."""
    found = (vector.data for vector in _vectors() if vector.of == of)
    return [data for data in found if len(data) <= most]
