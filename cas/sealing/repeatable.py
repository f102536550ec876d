"""Keys that are made of what they are for: sealed twice, one thing has one form, to the byte.

Nothing here is random, so what keeps keys and nonces apart is this:

1. All is drawn from one stream, which is a keyed hash of `purpose` (what is sealed: the caller puts all in
   that tells one sealed thing from another), the config, the slots' kinds, labels and costs, and for each
   slot something that only its secret gives. Other purpose, config, slots or secrets: another stream, hence
   other master and data keys, salts and nonces, unrelated to these. Equal in all of it: the same keys, and
   every byte that is wrapped or sealed with them here is a function of just that. So no pair of key and nonce
   ever wraps or seals two different things.
2. What objects are sealed with is the data key, with nonces that are made of what is sealed
   (cas/sealing/blocks.py): there one stream may serve copies of one thing whose bytes differ all the same,
   since packs were written again in between.
3. The key of that hash comes from the id key, which whoever ever opened something of the repository knows. So
   it alone must not lead to the keys: the secrets are part of it, each through what its slot would cost, so
   that trying passphrases is as dear as with random keys. Whoever has the id key and no secret has nothing.
"""

import struct
from collections.abc import Sequence
from dataclasses import replace

from blake3 import blake3

from cas.errors import InvalidInput
from cas.format.canonical import encode_json
from cas.format.config import Config, encode_config
from cas.format.sealing import SALT_BYTES, SlotHead, SlotKind
from cas.sealing.key_ring import Labelled
from cas.sealing.made_once import Seal

REPEATABLE = frozenset((SlotKind.PASSPHRASE, SlotKind.FILE))
"""Of a command nobody knows whether it answers twice with the same. An age recipient is public and adds no
secret to the stream; age makes of one key two different files besides, and what is readable in a slot may not
differ under one pair of key and nonce. Where there is one, nothing is drawn from a stream: all is random."""

_STRETCHED_FOR = "cas 1 repeatable stretching"
_DRAWN_FOR = "cas 1 repeatable keys"
_LENGTH = struct.Struct("<Q")


def seal_of(config: Config, slots: Sequence[Labelled], purpose: bytes, made_at: str) -> Seal:
    """One that repeats, unless something public opens it."""
    if any(one.maker.kind is SlotKind.AGE for one in slots):
        return Seal(config, slots, made_at)
    return RepeatableSeal(config, slots, purpose, made_at)


class RepeatableSeal(Seal):
    """Seals the same in the same way. InvalidInput where a slot is of a kind that is never twice the same."""

    def __init__(self, config: Config, slots: Sequence[Labelled], purpose: bytes, made_at: str) -> None:
        for one in slots:
            if one.maker.kind not in REPEATABLE:
                raise InvalidInput(
                    f"a key of the kind {one.maker.kind.value} seals nothing twice in the same way",
                    hint="Take a passphrase or a key file",
                )
        super().__init__(config, slots, made_at, _Stream(config, slots, purpose, made_at).read, nonces=None)


class _Stream:
    """Bytes that are drawn one after another, each once."""

    def __init__(self, config: Config, slots: Sequence[Labelled], purpose: bytes, made_at: str) -> None:
        material = config.id_key
        heads = [SlotHead(at, one.maker.kind, one.label, made_at, b"") for at, one in enumerate(slots, 1)]
        public = _joined([purpose, encode_config(config), *(encode_json(_said(head)) for head in heads)])
        salts = blake3(public, key=material.derive(_STRETCHED_FOR)).digest(SALT_BYTES * len(heads))
        stretched: list[bytes] = []
        for at, (one, head) in enumerate(zip(slots, heads, strict=True)):
            salted = replace(head, salt=salts[at * SALT_BYTES : (at + 1) * SALT_BYTES])
            fitted, key = one.maker.fitted(salted, _nothing_random)
            stretched += (encode_json(_said(fitted)), key)
        self._hash = blake3(_joined([public, *stretched]), key=material.derive(_DRAWN_FOR))
        self._at = 0

    def read(self, count: int) -> bytes:
        """The next bytes."""
        drawn = self._hash.digest(count, seek=self._at)
        self._at += count
        return drawn


def _said(head: SlotHead) -> dict[str, str | int | list[int]]:
    costs = head.costs
    return {
        "costs": [costs.memory_kib, costs.passes, costs.lanes] if costs else [],
        "kind": head.kind.value,
        "label": head.label,
        "made_at": head.created_at,
        "number": head.number,
    }


def _joined(parts: Sequence[bytes]) -> bytes:
    """Each with its length before it: no two lists give the same bytes."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def _nothing_random(count: int) -> bytes:
    raise AssertionError(f"{count} random bytes were asked for")
