"""Vectors of sealed stores: their config, and their objects. Written by hand from AES-GCM and BLAKE3."""

import struct
from collections.abc import Iterator, Mapping, Sequence

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.documents import CONFIG
from tests.vectors.model import Json, Vector, parts_of, stated
from tests.vectors.primitives import canonical, envelope

REPOSITORY = "00112233445566778899aabbccddeeff"
OTHER_REPOSITORY = "ffeeddccbbaa99887766554433221100"
DATA_KEYS = (bytes(range(0x20, 0x40)), bytes(range(0x60, 0x80)))
NAME = "notes/0000000001"
BLOCK, ROOM = 32 * 1024, 32 * 1024 - 32

SEALED_CONFIG: Mapping[str, Json] = {
    "format": 1,
    "repository_id": REPOSITORY,
    "sealing": "blocks-1",
    "type": "config",
}


def vectors() -> Iterator[Vector]:
    yield from _objects()
    yield from _configs()


def declared_bytes(about: str, length: int) -> bytes:
    """What is random in the product, and here always the same."""
    return blake3(about.encode()).digest(length)


def gcm(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """Nonce, ciphertext, tag."""
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def block(
    plain: bytes,
    number: int = 0,
    *,
    is_last: int = 1,
    version: int = 1,
    key_number: int = 1,
    name: str = NAME,
    repository: str = REPOSITORY,
) -> bytes:
    head = struct.pack("<BBH", version, is_last, key_number)
    purpose = blake3(DATA_KEYS[key_number - 1], derive_key_context="cas 1 sealed object").digest()
    key = blake3(name.encode(), key=purpose).digest()
    place = b"cas 1 block" + bytes.fromhex(repository) + struct.pack("<Q", number) + head + name.encode()
    nonce = declared_bytes(f"{repository} {name} {number} {is_last} {version} {key_number}", 12)
    return head + gcm(key, nonce, plain, place)


def sealed(plain: bytes, key_number: int = 1, name: str = NAME) -> list[bytes]:
    """The blocks of an object."""
    pieces = [plain[at : at + ROOM] for at in range(0, len(plain), ROOM)] or [b""]
    return [
        block(piece, number, is_last=int(number == len(pieces) - 1), key_number=key_number, name=name)
        for number, piece in enumerate(pieces)
    ]


def _objects() -> Iterator[Vector]:
    def one(
        name: str, about: str, data: bytes | Sequence[bytes], plain: bytes | None = None, known: int = 1
    ) -> Vector:
        given: dict[str, Json] = {
            "key": NAME,
            "repository": REPOSITORY,
            "data-keys": [key.hex() for key in DATA_KEYS[:known]],
        }
        whole = data if isinstance(data, bytes) else b"".join(data)
        expect = "hash-mismatch" if plain is None else "success"
        value = None if plain is None else stated(plain.hex())
        return Vector("sealed", name, expect, about, parts_of(whole), value, given)

    small, long = b"chair", bytes(range(251)) * 400
    (whole,) = sealed(small)
    full, more, three = long[:ROOM], long[: ROOM + 1], long[: 2 * ROOM + 9]
    yield one("example", "one short block", whole, small)
    yield one("empty", "an object of no bytes has a block, too", sealed(b""), b"")
    yield one("one-byte", "one byte", sealed(b"x"), b"x")
    yield one("full-block", "one block that is exactly full", sealed(full), full)
    yield one("full-block-1", "one byte more", sealed(more), more)
    yield one("three-blocks", "three blocks", sealed(three), three)
    yield one("second-key", "by the second data key", sealed(small, key_number=2), small, 2)
    yield one("first-key-of-two", "by the first of two data keys", whole, small, 2)
    by_two = [block(full, is_last=0), block(more[ROOM:], 1, key_number=2)]
    yield one("both-keys", "each block by another data key", by_two, more, 2)

    regions = (("version", 0), ("flag", 1), ("key-number", 2), ("nonce", 9), ("ciphertext", 18), ("tag", 30))
    for region, at in regions:
        flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        yield one(f"flipped-{region}", f"a bit flipped in the {region.replace('-', ' ')}", flipped, known=2)
    first, second, last = sealed(three)
    yield one("blocks-exchanged", "the first two blocks exchanged", [second, first, last])
    yield one("last-missing", "the last block is missing", sealed(more)[:1])
    yield one("first-missing", "the first block is missing", sealed(more)[1:])
    yield one(
        "block-behind", "a block of the same object behind its last one", [*sealed(full), block(b"x", 1)]
    )
    yield one("empty-last", "a last block without bytes", [block(full, is_last=0), block(b"", 1)])
    yield one("last-is-open", "one block that is not the last one", block(small, is_last=0))
    yield one("flag-2", "a flag that came later", block(small, is_last=2))
    yield one("version-2", "a version that came later", block(small, version=2))
    yield one("other-object", "the block of another object", block(small, name="notes/0000000002"))
    yield one("other-repository", "that of another repository", block(small, repository=OTHER_REPOSITORY))
    yield one("other-number", "a block of another number", block(small, 1))
    yield one("unknown-key", "a data key that nobody has", sealed(small, key_number=2))
    yield one("key-0", "data keys count from 1", sealed(small, key_number=0), known=2)
    yield one("nothing", "no block at all", b"")
    yield one("short", "shorter than any block", sealed(b"")[0][:-1])
    yield one("head-alone", "three bytes", whole[:3])
    yield one("cut", "the last byte is missing", whole[:-1])
    yield one("trailing-byte", "a byte behind the end", whole + b"x")


def _configs() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, data: bytes) -> Vector:
        return Vector("sealed-config", name, expect, about, parts_of(data))

    def changed(name: str, expect: str, about: str, **changes: Json) -> Vector:
        return one(name, expect, about, envelope(canonical({**SEALED_CONFIG, **changes})))

    body = canonical(SEALED_CONFIG)
    lacking = {name: value for name, value in SEALED_CONFIG.items() if name != "repository_id"}
    yield changed("example", "success", "the config of a sealed store")
    yield changed("other-method", "unsupported", "a method that came later", sealing="blocks-2")
    yield changed("format-2", "unsupported", "a later format", format=2)
    yield changed("type", "malformed", "a document of another type", type="keys")
    yield changed(
        "unknown-field", "malformed", "a field that it does not have", created_at=CONFIG["created_at"]
    )
    yield one("missing-field", "malformed", "no repository_id", envelope(canonical(lacking)))
    yield changed("id-15", "malformed", "an id of 15 bytes", repository_id="00" * 15)
    yield changed("id-upper", "malformed", "hex in upper case", repository_id=REPOSITORY.upper())
    yield one("white-space", "malformed", "a space after a colon", envelope(body.replace(b'":', b'": ', 1)))
    yield one("float", "malformed", "1.0 for 1", envelope(body.replace(b'"format":1', b'"format":1.0')))
    yield one("cut", "truncated", "the last byte is missing", envelope(body)[:-1])
    yield one("trailing-byte", "truncated", "a byte behind the end", envelope(body) + b"\n")
    flipped = envelope(body.replace(b"0011", b"0111"))[: len(body)] + envelope(body)[len(body) :]
    yield one("flipped", "hash-mismatch", "a bit flipped in the body", flipped)
