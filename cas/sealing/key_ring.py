"""Keys as values: made, opened, and changed into the next ones. Nothing here touches a store."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cas.errors import CasError, Conflict, CorruptData, InvalidInput, NotFound, PermissionDenied
from cas.format.config import Config
from cas.format.malformed import malformed
from cas.format.sealing import (
    DATA_KEY_BYTES,
    MASTER_KEY_BYTES,
    KeyContents,
    Keys,
    KeysHead,
    Slot,
    SlotHead,
    encode_contents,
    parse_contents,
)
from cas.limits import MAX_DATA_KEYS, MAX_KEY_SLOTS
from cas.sealing.blocks import NONCE_BYTES
from cas.sealing.key_secrets import Entropy, KeySecret, SlotMaker, SlotOpener, unwrap, wrap

NO_KEY_HINT = (
    "Set CAS_PASSPHRASE_FILE, CAS_KEY_FILE, CAS_KEY_COMMAND or CAS_AGE_IDENTITY; without any of its keys "
    "nothing opens it"
)


@dataclass(frozen=True, slots=True)
class Chance:
    """What making keys takes from the world."""

    entropy: Entropy = os.urandom
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def time(self) -> str:
        return self.now().isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a new slot is made for, and what people call it."""

    maker: SlotMaker
    label: str


@dataclass(frozen=True, slots=True, repr=False)
class Unlocked:
    """Keys that were opened. `slot`: the number of the slot that did it, 0 for keys that were just made."""

    head: KeysHead
    master: bytes
    contents: KeyContents
    slot: int = 0


def make_keys(config: Config, number: int, slots: Sequence[Labelled], chance: Chance) -> Unlocked:
    """The first keys of a repository, with these slots."""
    head = KeysHead(config.repository_id, number, chance.time(), 0, ())
    master, data_key = chance.entropy(MASTER_KEY_BYTES), chance.entropy(DATA_KEY_BYTES)
    unlocked = Unlocked(head, master, KeyContents(config, (data_key,)))
    for one in slots:
        unlocked = with_slot(unlocked, one, chance)
    return replace(unlocked, head=replace(unlocked.head, number=number))


def sealed_keys(unlocked: Unlocked, chance: Chance) -> Keys:
    """As they are stored."""
    nonce = chance.entropy(NONCE_BYTES)
    plain = encode_contents(unlocked.contents)
    return Keys(unlocked.head, nonce + AESGCM(unlocked.master).encrypt(nonce, plain, unlocked.head.bound()))


def unlock(keys: Keys, secrets: Iterable[SlotOpener], where: str = "") -> Unlocked:
    """By the first secret that opens a slot. PermissionDenied where none does, or what kept one of them from
    it; CorruptData where the keys were changed by somebody who has none."""
    were_given = False
    faults: list[CasError] = []
    for secret in secrets:
        were_given = True
        for slot in keys.head.slots:
            master = unwrap(secret, slot, keys.head.repository_id, faults)
            if master is not None:
                return Unlocked(keys.head, master, _contents(keys, master, where), slot.head.number)
    if faults:
        raise faults[0]
    what = "no key that was given opens it" if were_given else "it is sealed, and no key was given"
    raise PermissionDenied(what, where=where, hint=NO_KEY_HINT)


def _contents(keys: Keys, master: bytes, where: str) -> KeyContents:
    nonce, sealed = keys.sealed[:NONCE_BYTES], keys.sealed[NONCE_BYTES:]
    try:
        plain = AESGCM(master).decrypt(nonce, sealed, keys.head.bound())
    except InvalidTag:
        raise CorruptData(
            "the keys were changed by somebody who had none of them",
            kind="hash-mismatch",
            where=where,
            hint="`cas key restore` puts back those that were seen last. A replica has keys of its own",
        ) from None
    contents = parse_contents(plain, where)
    if contents.config.repository_id != keys.head.repository_id:
        raise malformed("keys of another repository", where)
    return contents


def with_slot(unlocked: Unlocked, new: Labelled, chance: Chance) -> Unlocked:
    """The next keys, with one slot more."""
    head = unlocked.head
    if len(head.slots) >= MAX_KEY_SLOTS:
        raise Conflict(f"there are {MAX_KEY_SLOTS} keys already", hint="Remove one with `cas key remove`")
    number = head.last_slot + 1
    slot = _slot(unlocked, new, number, chance)
    return replace(unlocked, head=_next(head, (*head.slots, slot), number, chance))


def without_slot(unlocked: Unlocked, number: int, chance: Chance) -> Unlocked:
    """The next keys, with one slot less. The last one stays."""
    head = unlocked.head
    left = tuple(slot for slot in head.slots if slot.head.number != number)
    if len(left) == len(head.slots):
        raise NotFound(f"there is no key {number}", hint="`cas key list` shows all")
    if not left:
        raise Conflict(
            "the last key cannot be removed: nothing would open the store", hint="Add another one first"
        )
    return replace(unlocked, head=_next(head, left, head.last_slot, chance))


def rotated(
    unlocked: Unlocked, secrets: Iterable[KeySecret], drop: Sequence[int], chance: Chance
) -> Unlocked:
    """The next keys, with a new master key and a new data key for what is written from now on. Each slot that
    stays is wrapped anew with its secret; slots that nobody has a secret for must be named in `drop`."""
    head = unlocked.head
    if len(unlocked.contents.data_keys) >= MAX_DATA_KEYS:
        raise Conflict(f"the keys were rotated {MAX_DATA_KEYS - 1} times", hint="Begin a new repository")
    unknown = sorted({*drop} - {slot.head.number for slot in head.slots})
    if unknown:
        raise NotFound(f"there is no key {unknown[0]}", hint="`cas key list` shows all")
    known = list(secrets)
    master = chance.entropy(MASTER_KEY_BYTES)
    data_keys = (*unlocked.contents.data_keys, chance.entropy(DATA_KEY_BYTES))
    fresh = replace(unlocked, master=master, contents=replace(unlocked.contents, data_keys=data_keys))
    slots: list[Slot] = []
    lacking: list[SlotHead] = []
    for slot in head.slots:
        if slot.head.number in drop:
            continue
        fits = (one for one in known if unwrap(one, slot, head.repository_id) == unlocked.master)
        secret = next(fits, None)
        if secret is None:
            lacking.append(slot.head)
        else:
            slots.append(_slot(fresh, Labelled(secret, slot.head.label), slot.head.number, chance))
    if lacking:
        names = ", ".join(f"{one.number} ({one.label or one.kind.value})" for one in lacking)
        raise InvalidInput(
            f"a rotation wraps every key anew, and the secret was not given of: {names}",
            hint="Give them, too, or let them go with --drop NUMBER",
        )
    if not slots:
        raise Conflict("no key would be left: nothing would open the store")
    return replace(fresh, head=_next(head, tuple(slots), head.last_slot, chance))


def _slot(unlocked: Unlocked, new: Labelled, number: int, chance: Chance) -> Slot:
    head = SlotHead(number, new.maker.kind, new.label, chance.time(), b"")
    return wrap(new.maker, unlocked.master, head, unlocked.head.repository_id, chance.entropy)


def _next(head: KeysHead, slots: tuple[Slot, ...], last_slot: int, chance: Chance) -> KeysHead:
    return KeysHead(head.repository_id, head.number + 1, chance.time(), last_slot, slots)
