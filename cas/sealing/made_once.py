"""A store that is sealed as it is made, and never changed: a bundle."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime

from cas.format.config import REPOSITORY_ID_BYTES, Config
from cas.format.sealing import Keys, encode_keys, encode_sealed_config
from cas.sealing.blocks import Sealer
from cas.sealing.key_ring import Chance, Labelled, make_keys, sealed_keys
from cas.sealing.key_secrets import Entropy


class Seal:
    """Seals the objects of such a store. `made_at`: the time that its keys say, as canonical text. `entropy`:
    makes keys, salts and the nonces of slots. `nonces`: those of blocks, see Sealer."""

    def __init__(
        self,
        config: Config,
        slots: Sequence[Labelled],
        made_at: str,
        entropy: Entropy = os.urandom,
        nonces: Callable[[int], bytes] | None = os.urandom,
    ) -> None:
        if not slots:
            raise ValueError("something must open it")
        chance = Chance(entropy, lambda: datetime.fromisoformat(made_at))
        unlocked = make_keys(config, 1, slots, chance)
        self.keys: Keys = sealed_keys(unlocked, chance)
        self._id = config.repository_id
        self._sealer = Sealer(bytes.fromhex(self._id), unlocked.contents.data_keys, nonces)
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
