"""How the product reads a vector: the parser for each kind of bytes, and the value as a vector states it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from cas.bundles.opening import opened_bundle
from cas.bundles.proving import examined, require_entities, require_good
from cas.bundles.source import BundleSource
from cas.bundles.union import UnionStore
from cas.contents import open_contents
from cas.engine.compression import Decompressor, Dictionary
from cas.engine.repository import Repository
from cas.errors import CasError, CorruptData, Unsupported
from cas.format.bundle import HEAD
from cas.format.canonical import open_envelope, parse_json
from cas.format.config import encode_config, parse_config
from cas.format.document import encode_document, parse_document
from cas.format.entities import EntityRow, encode_definition, parse_definition, parse_entities
from cas.format.frame import Encoding, Frame, check_frame
from cas.format.journal import encode_journal, parse_journal
from cas.format.large import encode_large, parse_large
from cas.format.malformed import mismatch
from cas.format.node import encode_node, parse_node
from cas.format.notes import encode_notes, parse_notes
from cas.format.pack import encode_header, parse_end, parse_header
from cas.format.schema import encode_schema, parse_schema
from cas.format.sealing import (
    SlotHead,
    SlotKind,
    encode_contents,
    encode_keys,
    encode_sealed_config,
    parse_keys,
    parse_sealed_config,
)
from cas.ids import SHORT_ID_BYTES, ChunkId, ChunkKind, IdKey
from cas.progress import Silent
from cas.records.source import Selection
from cas.sealing.age import identities_of
from cas.sealing.blocks import Sealer
from cas.sealing.key_ring import unlock
from cas.sealing.key_secrets import Entropy, KeyFile, KeySecret, Passphrase, SlotOpener, unwrap
from cas.sealing.recovery import RecoveryCode
from cas.store.bundle import BundleStore
from tests.vectors.model import Json, Vector, dumps, vector_named
from tests.vectors.primitives import canonical


def read_vector(vector: Vector) -> Json:
    """What the product makes of the bytes; None where they are their own value. Raises CasError."""
    return READERS[vector.of](vector)


def expectation_of(error: CasError) -> str:
    """The word of a vector for what was raised."""
    if isinstance(error, Unsupported):
        return "unsupported"
    assert isinstance(error, CorruptData), f"{type(error).__name__} is no refusal of a reader"
    return error.kind


def plain_value(value: object) -> Json:
    """Values as JSON, bytes in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if is_dataclass(value) and not isinstance(value, type):
        return plain_value(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain_value(one) for one in value]
    assert value is None or isinstance(value, bool | int | str)
    return value


def _config(vector: Vector) -> None:
    assert encode_config(parse_config(vector.data)) == vector.data


def _document(vector: Vector) -> None:
    assert encode_document(parse_document(vector.data)) == vector.data


def _journal(vector: Vector) -> None:
    assert encode_journal(parse_journal(vector.data)) == vector.data


def _notes(vector: Vector) -> None:
    assert encode_notes(parse_notes(vector.data)) == vector.data


def _entities(vector: Vector) -> None:
    assert canonical([_row(row) for row in parse_entities(vector.data)]) == vector.data


def _row(row: EntityRow) -> Json:
    return plain_value(row)


def _definition(vector: Vector) -> None:
    assert encode_definition(parse_definition(vector.data)) == vector.data


def _schema(vector: Vector) -> None:
    assert encode_schema(parse_schema(vector.data)) == vector.data


def _node(vector: Vector) -> Json:
    node = parse_node(vector.data)
    assert encode_node(node.level, node.keys, node.ids, node.counts, node.large) == vector.data
    return plain_value(node)


def _large(vector: Vector) -> Json:
    large = parse_large(vector.data)
    assert encode_large(large.length, large.pieces) == vector.data
    return plain_value(large)


def _header(vector: Vector) -> Json:
    salt = parse_header(vector.data)
    assert encode_header(salt) == vector.data
    return {"salt": salt.hex()}


def _trailer(vector: Vector) -> Json:
    trailer = parse_end(vector.data)
    ids = trailer.short_ids
    return {
        "frames": [plain_value(frame) for frame in trailer.frames],
        "lengths": np.frombuffer(trailer.lengths, dtype="<u4").tolist(),
        "short_ids": [ids[at : at + SHORT_ID_BYTES].hex() for at in range(0, len(ids), SHORT_ID_BYTES)],
    }


def _frame(vector: Vector) -> Json:
    row = cast(Mapping[str, int], vector.given["frame"])
    base_ids = [
        ChunkId(bytes.fromhex(text)) for text in cast(Mapping[str, list[str]], vector.given["frame"])["bases"]
    ]
    frame = check_frame(
        Frame(
            ChunkKind(row["kind"]),
            Encoding(row["encoding"]),
            row["depth"],
            row["chunks"],
            row["stored_length"],
            row["plain_length"],
            tuple(base_ids),
        )
    )
    plain = _decoded(frame, vector)
    chunk_id = IdKey(bytes.fromhex(cast(str, vector.given["id_key"]))).hasher(frame.kind)
    chunks, at = [], 0
    for expected, length in zip(
        cast(list[str], vector.given["ids"]), cast(list[int], vector.given["lengths"]), strict=True
    ):
        chunks.append(plain[at : at + length])
        at += length
        if chunk_id(chunks[-1]).hex() != expected:
            raise mismatch("chunk is not what its id says")
    return plain_value(chunks)


def _decoded(frame: Frame, vector: Vector) -> bytes:
    bases = cast(Mapping[str, str], vector.given["bases"])
    missing = [base for base in frame.bases if base.hex() not in bases]
    if missing:
        raise CorruptData("base is missing", kind="missing", where=missing[0].hex())
    plains = [bytes.fromhex(bases[base.hex()]) for base in frame.bases]
    decompressor, stored = Decompressor(), vector.data
    match frame.encoding:
        case Encoding.RAW:
            return stored
        case Encoding.ZSTD:
            return decompressor.decompress(stored, frame.plain_length)
        case Encoding.ZSTD_DICTIONARY:
            return decompressor.decompress(stored, frame.plain_length, Dictionary(frame.bases[0], plains[0]))
        case Encoding.ZSTD_DELTA:
            return decompressor.decompress_delta(stored, frame.plain_length, b"".join(plains))


@dataclass(frozen=True)
class Answer:
    """A secret of a command, without the command: what it gives back."""

    key: bytes
    kind = SlotKind.COMMAND

    def fitted(self, head: SlotHead, entropy: Entropy) -> tuple[SlotHead, bytes]:
        raise NotImplementedError

    def slot_key(self, head: SlotHead) -> bytes:
        return self.key


def _secret(kind: SlotKind, text: str) -> KeySecret:
    match kind:
        case SlotKind.PASSPHRASE:
            return Passphrase(text)
        case SlotKind.FILE:
            return KeyFile(bytes.fromhex(text))
        case SlotKind.RECOVERY:
            return RecoveryCode.read(text)
        case SlotKind.COMMAND:
            return Answer(bytes.fromhex(text))
        case SlotKind.AGE:
            (identity,) = identities_of(text.encode(), "vector")
            return identity


def _keys(vector: Vector) -> Json:
    keys = parse_keys(vector.data)
    assert encode_keys(keys) == vector.data
    slots, contents = {slot.head.number: slot for slot in keys.head.slots}, set()
    for number, text in cast(Mapping[str, str], vector.given.get("secrets", {})).items():
        slot = slots[int(number)]
        secret = _secret(slot.head.kind, text)
        unlocked = unlock(keys, [secret])
        assert unwrap(secret, slot, keys.head.repository_id) == unlocked.master
        contents.add(encode_contents(unlocked.contents))
    assert len(contents) <= 1
    return cast(Json, json.loads(contents.pop())) if contents else None


def _sealed(vector: Vector) -> Json:
    given = cast(Mapping[str, Any], vector.given)
    sealer = Sealer(bytes.fromhex(given["repository"]), [bytes.fromhex(key) for key in given["data-keys"]])
    opened = sealer.open_blocks(given["key"], 0, vector.data, is_end=True)
    if opened.lost:
        raise mismatch(f"{opened.lost} blocks do not open")
    return opened.join().hex()


def _sealed_config(vector: Vector) -> None:
    repository_id = parse_sealed_config(vector.data)
    assert repository_id is not None, "a config in clear"
    assert encode_sealed_config(repository_id) == vector.data


def _bundle(vector: Vector) -> Json:
    """What lies in it, with each of the secrets that open it."""
    secrets = cast(Mapping[str, str], vector.given.get("secrets", {}))
    with TemporaryDirectory() as directory:
        path = Path(directory) / "vector.casb"
        path.write_bytes(vector.data)
        found = [_bundle_opened(path, vector, text) for text in secrets.values() or ("",)]
    assert found[1:] == found[:-1]
    return found[0]


def _bundle_opened(path: Path, vector: Vector, secret: str) -> Json:
    def secrets(kinds: frozenset[SlotKind]) -> Iterator[SlotOpener]:
        for kind in kinds:
            with suppress(CasError, ValueError):  # the text of a secret of another kind
                yield _secret(kind, secret)

    with opened_bundle(path, secrets) as bundle, ExitStack() as stack:
        repository = bundle.repository
        if "before" in vector.given:
            earlier = path.with_name("earlier.casb")
            earlier.write_bytes(vector_named("bundle", cast(str, vector.given["before"])).data)
            store = stack.enter_context(closing(BundleStore(earlier)))
            together = Repository(UnionStore(bundle.store, store), None)
            repository = stack.enter_context(closing(together))
        found = stack.enter_context(examined(bundle, repository, Silent()))
        require_good(bundle, found.findings)
        contents = open_contents(repository, bundle.head.number)
        require_entities(bundle, contents.entries)
        source = BundleSource(bundle, contents)
        with source.snapshot(Selection()) as snapshot:
            records = {
                entity.label: [one for batch in snapshot.payloads(entity) for one in batch]
                for entity in snapshot.entities
            }
        head = parse_json(open_envelope(bundle.store.get(HEAD)))
    return {"head": head, "records": plain_value(records)}


READERS: Mapping[str, Callable[[Vector], Json]] = {
    "bundle": _bundle,
    "config": _config,
    "definition": _definition,
    "document": _document,
    "entities": _entities,
    "frame": _frame,
    "header": _header,
    "large": _large,
    "node": _node,
    "journal": _journal,
    "keys": _keys,
    "notes": _notes,
    "schema": _schema,
    "sealed": _sealed,
    "sealed-config": _sealed_config,
    "trailer": _trailer,
}

__all__ = ["READERS", "dumps", "expectation_of", "plain_value", "read_vector"]
