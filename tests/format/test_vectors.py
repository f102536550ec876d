"""The product reads every golden vector as it is stated, and the vectors are what their script makes."""

import pytest

from cas.errors import CasError
from tests.format.reading_vectors import expectation_of, read_vector
from tests.vectors.generate import scenarios
from tests.vectors.model import EXPECTATIONS, Vector, all_vectors, stated

VECTORS = all_vectors()
"""Those on the disk: what readers of other programs use too."""

NEEDED = {
    "config": {"success", "malformed", "truncated", "hash-mismatch", "unsupported"},
    "document": {"success", "malformed", "unsupported", "limit"},
    "node": {"success", "malformed", "truncated", "unsupported", "limit"},
    "large": {"success", "malformed", "truncated", "limit"},
    "trailer": {"success", "malformed", "truncated", "hash-mismatch", "unsupported", "limit"},
    "frame": {"success", "malformed", "hash-mismatch", "missing"},
    "keys": {"success", "malformed", "truncated", "hash-mismatch", "unsupported", "limit"},
    "bundle": {"success", "malformed", "truncated", "hash-mismatch", "missing", "unsupported", "limit"},
    "sealed": {"success", "hash-mismatch"},
    "sealed-config": {"success", "malformed", "truncated", "hash-mismatch", "unsupported"},
}
"""The outcomes that each kind of bytes must have a vector for."""


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector.of}-{vector.name}")
def test_the_product_reads_the_vector_as_stated(vector: Vector) -> None:
    if vector.expect == "success":
        value = read_vector(vector)
        assert vector.value == (None if value is None else stated(value))
        return
    with pytest.raises(CasError) as caught:
        read_vector(vector)
    assert expectation_of(caught.value) == vector.expect, str(caught.value)


def test_the_files_are_what_the_script_makes() -> None:
    assert {(v.of, v.name): v for v in VECTORS} == {(v.of, v.name): v for v in scenarios()}


def test_every_kind_of_bytes_has_vectors_of_every_outcome() -> None:
    found: dict[str, set[str]] = {}
    for vector in VECTORS:
        assert vector.expect in EXPECTATIONS
        found.setdefault(vector.of, set()).add(vector.expect)
    assert {
        of: outcomes - found.get(of, set())
        for of, outcomes in NEEDED.items()
        if outcomes - found.get(of, set())
    } == {}
