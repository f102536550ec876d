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
from datetime import datetime

from blake3 import blake3

from cas.errors import InvalidInput
from cas.format.canonical import encode_json
from cas.format.config import REPOSITORY_ID_BYTES, Config, encode_config
from cas.format.sealing import SALT_BYTES, Keys, SlotHead, SlotKind, encode_keys, encode_sealed_config
from cas.sealing.blocks import Sealer
from cas.sealing.key_ring import Chance, Labelled, make_keys, sealed_keys

REPEATABLE = frozenset((SlotKind.PASSPHRASE, SlotKind.FILE))
"""Of a command nobody knows whether it answers twice with the same."""

_STRETCHED_FOR = "cas 1 repeatable stretching"
_DRAWN_FOR = "cas 1 repeatable keys"
_LENGTH = struct.Struct("<Q")


class RepeatableSeal:
    """Seals the objects of a store that is made once. `made_at`: the time that its keys say, as canonical
    text. InvalidInput where a secret is of a kind whose slots are never the same."""

    def __init__(self, config: Config, secrets: Sequence[Labelled], purpose: bytes, made_at: str) -> None:
        if not secrets:
            raise ValueError("something must open it")
        for one in secrets:
            if one.secret.kind not in REPEATABLE:
                raise InvalidInput(
                    f"a key of the kind {one.secret.kind.value} seals nothing twice in the same way",
                    hint="Take a passphrase or a key file",
                )
        stream = _Stream(config, secrets, purpose, made_at)
        chance = Chance(stream.read, lambda: datetime.fromisoformat(made_at))
        unlocked = make_keys(config, 1, secrets, chance)
        self.keys: Keys = sealed_keys(unlocked, chance)
        self._id = config.repository_id
        self._sealer = Sealer(bytes.fromhex(self._id), unlocked.contents.data_keys, entropy=None)
        assert len(bytes.fromhex(self._id)) == REPOSITORY_ID_BYTES

    @property
    def config_object(self) -> bytes:
        return encode_sealed_config(self._id)

    @property
    def keys_object(self) -> bytes:
        return encode_keys(self.keys)

    def seal(self, key: str, data: bytes | memoryview) -> bytes:
        """The sealed object of this key."""
        return self._sealer.seal(key, data)


class _Stream:
    """Bytes that are drawn one after another, each once."""

    def __init__(self, config: Config, secrets: Sequence[Labelled], purpose: bytes, made_at: str) -> None:
        material = config.id_key
        heads = [SlotHead(at, one.secret.kind, one.label, made_at, b"") for at, one in enumerate(secrets, 1)]
        public = _joined([purpose, encode_config(config), *(encode_json(_said(head)) for head in heads)])
        salts = blake3(public, key=material.derive(_STRETCHED_FOR)).digest(SALT_BYTES * len(heads))
        stretched: list[bytes] = []
        for at, (one, head) in enumerate(zip(secrets, heads, strict=True)):
            salted = replace(head, salt=salts[at * SALT_BYTES : (at + 1) * SALT_BYTES])
            fitted, key = one.secret.fitted(salted, _nothing_random)
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
