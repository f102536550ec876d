"""The reference reader, written from FORMAT.md alone, reads every golden vector as it is stated."""

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, cast

import pytest
from blake3 import blake3

from tests import reference_age as age
from tests import reference_bundle as bundles
from tests import reference_reader as reference
from tests import reference_sealing as sealing
from tests.format.reading_vectors import plain_value
from tests.vectors.model import Json, Vector, all_vectors, stated, vector_named
from tests.vectors.primitives import canonical, envelope


def _same_text(parse: Callable[[bytes], Any], wrap: Callable[[bytes], bytes]) -> Callable[[Vector], None]:
    def read(vector: Vector) -> None:
        assert wrap(canonical(parse(vector.data))) == vector.data

    return read


def _value(parse: Callable[[bytes], Any]) -> Callable[[Vector], Json]:
    return lambda vector: plain_value(parse(vector.data))


def _frame(vector: Vector) -> Json:
    given = cast(Mapping[str, Any], vector.given)
    frame, chunks, at = given["frame"], [], 0
    known = given["bases"]
    for base in frame["bases"]:
        reference.require(base in known, "base", "missing")
    plain = reference.decode_frame(
        frame, vector.data, [bytes.fromhex(known[base]) for base in frame["bases"]]
    )
    key = reference.chunk_keys(bytes.fromhex(given["id_key"]))[frame["kind"]]
    for chunk_id, length in zip(given["ids"], given["lengths"], strict=True):
        chunks.append(plain[at : at + length])
        at += length
        proof = blake3(chunks[-1], key=key).hexdigest()
        reference.require(proof == chunk_id, "chunk", "hash-mismatch")
    return plain_value(chunks)


def _secret(kind: str, text: str) -> sealing.Secret:
    match kind:
        case "passphrase":
            return sealing.by_passphrase(text)
        case "file":
            return sealing.by_key_file(bytes.fromhex(text))
        case "recovery":
            return sealing.by_recovery_code(text)
        case "age":
            return sealing.by_age_identity(text)
        case _:
            return sealing.by_command(lambda kept: bytes.fromhex(text))


def _keys(vector: Vector) -> Json:
    keys = sealing.parse_keys(vector.data)
    assert envelope(canonical(keys)) == vector.data
    slots, found = {str(slot["number"]): slot for slot in keys["slots"]}, None
    for number, text in cast(Mapping[str, str], vector.given.get("secrets", {})).items():
        alone = sealing.unlock(keys, _secret(slots[number]["kind"], text))
        assert found in (None, alone)
        found = alone
    return found


def _sealed(vector: Vector) -> Json:
    given = cast(Mapping[str, Any], vector.given)
    opener = sealing.Opener(given["repository"], [bytes.fromhex(key) for key in given["data-keys"]])
    return opener.whole(given["key"], vector.data).hex()


def _bundle(vector: Vector) -> Json:
    found: list[Json] = []
    with TemporaryDirectory() as directory:
        path, earlier = Path(directory) / "vector.casb", Path(directory) / "earlier.casb"
        path.write_bytes(vector.data)
        before = None
        if "before" in vector.given:
            earlier.write_bytes(vector_named("bundle", cast(str, vector.given["before"])).data)
            before = bundles.BundleObjects(earlier)
        for secret in _ways(cast(Mapping[str, str], vector.given.get("secrets", {}))):
            bundle = bundles.Bundle(path, secret, before)
            found.append({"head": bundle.head, "records": plain_value(bundle.records())})
    assert found[1:] == found[:-1]
    return found[0]


def _ways(secrets: Mapping[str, str]) -> Iterator[sealing.Secret | None]:
    """A secret of the vectors, by what it looks like."""
    for text in secrets.values():
        is_hex = all(letter in "0123456789abcdef" for letter in text)
        yield _secret("age" if text.startswith("AGE") else "file" if is_hex else "passphrase", text)
    if not secrets:
        yield None


READERS: Mapping[str, Callable[[Vector], Json]] = {
    "bundle": _bundle,
    "config": _same_text(reference.parse_config, envelope),
    "definition": _same_text(reference.parse_definition, bytes),
    "document": _same_text(reference.parse_document, envelope),
    "entities": _same_text(reference.parse_entities, bytes),
    "frame": _frame,
    "header": _value(reference.parse_header),
    "large": _value(reference.parse_large),
    "node": _value(reference.parse_node),
    "journal": _same_text(reference.parse_journal, envelope),
    "keys": _keys,
    "notes": _same_text(reference.parse_notes, envelope),
    "schema": _same_text(reference.parse_schema, bytes),
    "sealed": _sealed,
    "sealed-config": _same_text(sealing.parse_sealed_config, envelope),
    "trailer": _value(reference.parse_end),
}


@pytest.mark.parametrize("vector", all_vectors(), ids=lambda vector: f"{vector.of}-{vector.name}")
def test_the_reference_reader_reads_the_vector_as_stated(vector: Vector) -> None:
    if vector.expect == "success":
        value = READERS[vector.of](vector)
        assert vector.value == (None if value is None else stated(value))
        return
    with pytest.raises(reference.Refused) as caught:
        READERS[vector.of](vector)
    assert caught.value.kind == vector.expect, str(caught.value)


@pytest.mark.parametrize(
    ("reader", "libraries"),
    [
        (reference, {"blake3", "xxhash", "zstandard"}),
        (age, {"cryptography", "tests.reference_reader"}),
        (sealing, {"blake3", "cryptography", "tests.reference_age", "tests.reference_reader"}),
        (bundles, {"blake3", "tests.reference_reader", "tests.reference_sealing"}),
    ],
    ids=["reader", "age", "sealing", "bundle"],
)
def test_the_reference_reader_imports_nothing_of_the_product(reader: ModuleType, libraries: set[str]) -> None:
    tree = ast.parse(Path(reader.__file__ or "").read_text())
    imports = {
        name if name.startswith("tests") else name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert imports - sys.stdlib_module_names == libraries
