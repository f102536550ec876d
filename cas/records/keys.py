"""Key bytes from the texts that a person types, and the texts from a record."""

from collections.abc import Sequence
from uuid import UUID

from cas.errors import InvalidInput
from cas.records.model import Entity, KeyPart
from cas.records.values import requiring_types, values_of

_INTEGER_OFFSET = 1 << 63


def encode_integer(number: int) -> bytes:
    """Eight bytes that sort as the numbers do. ValueError outside of 64 bits."""
    if not -_INTEGER_OFFSET <= number < _INTEGER_OFFSET:
        raise ValueError(f"{number} does not fit into 64 bits")
    return (number + _INTEGER_OFFSET).to_bytes(8, "big")


def encode_key(entity: Entity, texts: Sequence[bytes]) -> bytes:
    """The key bytes of one record, from the texts of its key columns in the server's encoding."""
    if len(texts) != len(entity.key):
        names = ", ".join(name for name, _ in entity.key)
        raise InvalidInput(
            f"the key of {entity.label} has {len(entity.key)} columns, {len(texts)} were given",
            hint=f"Give the values of: {names}",
        )
    return b"".join(
        _encode_part(entity, name, part, text) for (name, part), text in zip(entity.key, texts, strict=True)
    )


def _encode_part(entity: Entity, name: str, part: KeyPart, text: bytes) -> bytes:
    where = f"{entity.label}.{name}"
    try:
        match part:
            case KeyPart.INTEGER:
                return encode_integer(int(text.decode("ascii")))
            case KeyPart.UUID:
                return UUID(text.decode("ascii")).bytes
            case KeyPart.TEXT:
                return _encode_text(text)
    except ValueError as error:
        raise InvalidInput(
            f"not a key of type {part.value}: {text[:40].decode('ascii', 'replace')}", where=where
        ) from error


def _encode_text(text: bytes) -> bytes:
    if b"\0" in text:
        raise ValueError("text with a zero byte")
    return text + b"\0"


def decode_key(entity: Entity, key: bytes) -> tuple[bytes, ...]:
    """The texts of the key columns from key bytes: what `encode_key` was given, but for blanks and leading
    zeros that only a person types. ValueError for what is no key of this entity."""
    texts: list[bytes] = []
    at = 0
    for _, part in entity.key:
        match part:
            case KeyPart.INTEGER:
                texts.append(b"%d" % (int.from_bytes(key[at : at + 8], "big") - _INTEGER_OFFSET))
                at += 8
            case KeyPart.UUID:
                texts.append(str(UUID(bytes=key[at : at + 16])).encode("ascii"))
                at += 16
            case KeyPart.TEXT:
                end = key.index(b"\0", at)
                texts.append(key[at:end])
                at = end + 1
    if at != len(key):
        raise ValueError("not a key of this entity")
    return tuple(texts)


def decode_stored_key(entity: Entity, key: bytes) -> tuple[bytes, ...]:
    """As `decode_key`, of a version's own key. CorruptData for what is none."""
    with requiring_types(entity):
        return decode_key(entity, key)


def key_texts(entity: Entity, payload: bytes) -> tuple[bytes, ...] | None:
    """The texts of a record's key columns; None where the key is not among the stored columns (a
    generated column) or the entity is a bag. CorruptData for what is no record of it."""
    positions = {column.name: at for at, column in enumerate(entity.columns)}
    if entity.is_bag or any(name not in positions for name, _ in entity.key):
        return None
    values = values_of(entity, payload)
    return tuple(values[positions[name]] or b"" for name, _ in entity.key)
