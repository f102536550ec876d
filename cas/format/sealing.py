"""The objects by which a sealed store is opened: its config, which says that it is sealed, and its keys.

The keys lie in `keys/<number>`; the highest number counts. Slots hold the master key, each wrapped for one
passphrase, key file, command, recovery code or age recipient; the sealed part opens with the master key and
holds the config as the layers above see it, and the data keys. What is wrapped or sealed is bound to all that
is readable beside it, so that nobody without a key changes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cas.format.age_file import check_age_file
from cas.format.canonical import (
    Fields,
    Json,
    encode_json,
    is_natural,
    open_envelope,
    parse_json,
    seal_envelope,
)
from cas.format.config import FORMAT, REPOSITORY_ID_BYTES, Config, config_fields, config_of
from cas.format.malformed import malformed, newer, over_limit
from cas.format.times import check_time
from cas.limits import (
    MAX_COMMAND_KEY_BYTES,
    MAX_DATA_KEYS,
    MAX_KEY_LANES,
    MAX_KEY_MEMORY_KIB,
    MAX_KEY_PASSES,
    MAX_KEY_SLOTS,
    MAX_KEY_WORK_KIB,
    MAX_LABEL_CHARACTERS,
    MAX_VERSION_NUMBER,
)

METHOD = "blocks-1"
"""How objects are sealed: cas/sealing/blocks.py."""

SALT_BYTES = 16
MASTER_KEY_BYTES = 32
DATA_KEY_BYTES = 32
WRAPPED_BYTES = 12 + MASTER_KEY_BYTES + 16
"""Nonce, encrypted key, tag."""
LEAST_SEALED_BYTES = 12 + 16
LEAST_MEMORY_KIB = 8
"""Of Argon2, for each lane."""

_COST_FIELDS = 3


class SlotKind(StrEnum):
    """What opens a slot."""

    PASSPHRASE = "passphrase"  # noqa: S105 - a word
    FILE = "file"
    COMMAND = "command"
    RECOVERY = "recovery"
    AGE = "age"


_KEEPING = (SlotKind.COMMAND, SlotKind.AGE)
"""Slots whose key is random, and kept in them in a form that only the secret undoes."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Of Argon2id."""

    memory_kib: int
    passes: int
    lanes: int


@dataclass(frozen=True, slots=True)
class SlotHead:
    """The readable part of a slot. `costs`: of a passphrase, else None. `kept`: of a command what it made of
    the key of this slot, of an age recipient that key as an age file, else empty."""

    number: int
    kind: SlotKind
    label: str
    created_at: str
    salt: bytes
    costs: Costs | None = None
    kept: bytes = b""

    def bound(self, repository_id: str) -> bytes:
        """What the wrapped key is bound to."""
        return encode_json({"repository_id": repository_id, "slot": _head_fields(self)})


@dataclass(frozen=True, slots=True)
class Slot:
    """One way to the master key."""

    head: SlotHead
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class KeysHead:
    """The readable part of the keys. `last_slot`: the greatest number that a slot ever had."""

    repository_id: str
    number: int
    created_at: str
    last_slot: int
    slots: tuple[Slot, ...]

    def bound(self) -> bytes:
        """What the sealed part is bound to."""
        return encode_json(_keys_fields(self))


@dataclass(frozen=True, slots=True)
class Keys:
    """One object of keys."""

    head: KeysHead
    sealed: bytes


@dataclass(frozen=True, slots=True, repr=False)
class KeyContents:
    """What the master key opens. `data_keys`: by their numbers, which begin with 1."""

    config: Config
    data_keys: tuple[bytes, ...]


def encode_sealed_config(repository_id: str) -> bytes:
    """The config of a sealed store, as it lies there."""
    return seal_envelope(
        encode_json(
            {
                "format": FORMAT,
                "repository_id": repository_id,
                "sealing": METHOD,
                "type": "config",
            }
        )
    )


def parse_sealed_config(data: bytes, where: str = "config") -> str | None:
    """The repository's id where the config says that the store is sealed, None where it says nothing of it.
    CorruptData; Unsupported for another method."""
    value = parse_json(open_envelope(data, where), where)
    if not isinstance(value, Mapping) or value.get("sealing") is None:
        return None
    fields = Fields(value, where)
    if fields.text("type") != "config":
        raise malformed("not a config", where)
    version = fields.integer("format")
    if version != FORMAT:
        raise newer(f"repository format {version}", where)
    method = fields.text("sealing")
    if method != METHOD:
        raise newer(f"sealing method {method[:40]}", where)
    repository_id = fields.binary("repository_id", REPOSITORY_ID_BYTES).hex()
    fields.finish()
    return repository_id


def encode_keys(keys: Keys) -> bytes:
    """The one encoding. Raises what `parse_keys` would raise for it."""
    data = seal_envelope(encode_json({**_keys_fields(keys.head), "sealed": keys.sealed.hex()}))
    parse_keys(data)
    return data


def parse_keys(data: bytes, where: str = "keys") -> Keys:
    """The keys. Newer ones are Unsupported, anything else that is odd is CorruptData."""
    fields = Fields(parse_json(open_envelope(data, where), where), where)
    if fields.text("type") != "keys":
        raise malformed("not keys", where)
    version = fields.integer("format")
    if version != FORMAT:
        raise newer(f"format {version} of keys", where)
    slots = fields.sequence("slots")
    if len(slots) > MAX_KEY_SLOTS:
        raise over_limit(f"{len(slots)} slots of keys", where)
    head = KeysHead(
        repository_id=fields.binary("repository_id", REPOSITORY_ID_BYTES).hex(),
        number=fields.integer("number"),
        created_at=check_time(fields.text("created_at"), where),
        last_slot=fields.integer("last_slot"),
        slots=tuple(_slot(Fields(slot, where), where) for slot in slots),
    )
    sealed = _any_hex(fields.text("sealed"), where)
    fields.finish()
    numbers = [slot.head.number for slot in head.slots]
    if not 1 <= head.number <= MAX_VERSION_NUMBER:
        raise malformed(f"keys of number {head.number}", where)
    if not numbers or sorted({*numbers}) != numbers or numbers[0] < 1 or numbers[-1] > head.last_slot:
        raise malformed("numbers of slots", where)
    costs = [slot.head.costs for slot in head.slots if slot.head.costs is not None]
    if sum(one.memory_kib * one.passes for one in costs) > MAX_KEY_WORK_KIB:
        raise over_limit("passphrases that cost more together than a reader bears", where)
    if len(sealed) < LEAST_SEALED_BYTES:
        raise malformed("the sealed part is too short", where)
    return Keys(head, sealed)


def encode_contents(contents: KeyContents) -> bytes:
    """What is sealed with the master key."""
    data = encode_json(
        {"config": config_fields(contents.config), "data_keys": [key.hex() for key in contents.data_keys]}
    )
    parse_contents(data)
    return data


def parse_contents(data: bytes, where: str = "keys") -> KeyContents:
    """What was sealed with the master key."""
    fields = Fields(parse_json(data, where), where)
    config = config_of(fields.object("config"), where)
    keys = tuple(_any_hex(text, where) for text in fields.texts("data_keys"))
    fields.finish()
    if len(keys) > MAX_DATA_KEYS:
        raise over_limit(f"{len(keys)} data keys", where)
    if {*map(len, keys)} != {DATA_KEY_BYTES}:
        raise malformed("data keys", where)
    return KeyContents(config, keys)


def _keys_fields(head: KeysHead) -> dict[str, Json]:
    return {
        "created_at": head.created_at,
        "format": FORMAT,
        "last_slot": head.last_slot,
        "number": head.number,
        "repository_id": head.repository_id,
        "slots": [{**_head_fields(slot.head), "wrapped": slot.wrapped.hex()} for slot in head.slots],
        "type": "keys",
    }


def _head_fields(head: SlotHead) -> dict[str, Json]:
    costs = head.costs
    return {
        "costs": [costs.memory_kib, costs.passes, costs.lanes] if costs else None,
        "created_at": head.created_at,
        "kept": head.kept.hex(),
        "kind": head.kind.value,
        "label": head.label,
        "number": head.number,
        "salt": head.salt.hex(),
    }


def _slot(fields: Fields, where: str) -> Slot:
    word = fields.text("kind")
    if word not in {*SlotKind}:
        raise newer(f"slot of the kind {word[:40]}", where)
    costs = fields.optional_sequence("costs")
    head = SlotHead(
        number=fields.integer("number"),
        kind=SlotKind(word),
        label=fields.text("label"),
        created_at=check_time(fields.text("created_at"), where),
        salt=fields.binary("salt", SALT_BYTES),
        costs=None if costs is None else _costs(costs, where),
        kept=_any_hex(fields.text("kept"), where),
    )
    wrapped = fields.binary("wrapped", WRAPPED_BYTES)
    fields.finish()
    if (head.costs is not None) != (head.kind is SlotKind.PASSPHRASE):
        raise malformed("costs go with passphrases", where)
    if bool(head.kept) != (head.kind in _KEEPING):
        raise malformed("what is kept goes with commands and age", where)
    if len(head.label) > MAX_LABEL_CHARACTERS or len(head.kept) > MAX_COMMAND_KEY_BYTES:
        raise over_limit("label or kept key of a slot", where)
    if head.kind is SlotKind.AGE:
        check_age_file(head.kept, where)
    return Slot(head, wrapped)


def _costs(values: Sequence[Json], where: str) -> Costs:
    numbers = [value for value in values if is_natural(value)]
    if len(numbers) != len(values) or len(numbers) != _COST_FIELDS:
        raise malformed("costs of a passphrase", where)
    costs = Costs(*numbers)
    is_bearable = costs.passes <= MAX_KEY_PASSES and costs.lanes <= MAX_KEY_LANES
    if not is_bearable or costs.memory_kib > MAX_KEY_MEMORY_KIB:
        raise over_limit(f"a passphrase that costs {costs.memory_kib} KiB and {costs.passes} passes", where)
    if 0 in numbers or costs.memory_kib < LEAST_MEMORY_KIB * costs.lanes:
        raise malformed("costs of a passphrase that Argon2 does not know", where)
    return costs


def _any_hex(text: str, where: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        raise malformed("a key is not hex", where) from None
    if value.hex() != text:
        raise malformed("a key is not lower-case hex", where)
    return value
