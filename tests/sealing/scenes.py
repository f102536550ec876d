"""Sealed stores for tests: with keys that are known, and costs that are low."""

import random
from collections.abc import Iterable

from cas.format.config import Config
from cas.format.sealing import Costs, SlotKind
from cas.ids import IdKey
from cas.sealing.age import AgeRecipient, identities_of
from cas.sealing.held_keys import HeldKeys
from cas.sealing.key_ring import Chance, Labelled, make_keys, sealed_keys
from cas.sealing.key_secrets import KeyFile, KeySecret, Passphrase, SlotOpener
from cas.sealing.opening import newly_sealed
from cas.sealing.store import SealedStore
from cas.store.interface import Store
from cas.store.memory import MemoryStore

CHEAP = Costs(memory_kib=32, passes=1, lanes=4)
"""As little as Argon2 takes."""

KEY_FILE = KeyFile(random.Random("key file").randbytes(32))
OTHER_FILE = KeyFile(random.Random("another key file").randbytes(32))
PASSPHRASE = Passphrase("correct horse battery staple", CHEAP)
IDENTITY_FILE = b"""# of nobody
AGE-SECRET-KEY-1HWZ4X04GY8J5WZZE0MA6MQAVSEZWY5AZ2G8EUMT6Z6W3PJRK8Q4Q0JV5A2

AGE-SECRET-KEY-1X6EEW4GTEZU702GXX3WGVQTW5A2PTZT6XF0FSKF087XRXVT0YXQSKYSKFG
"""
IDENTITY, OTHER_IDENTITY = identities_of(IDENTITY_FILE, "tests")
RECIPIENT = AgeRecipient("age10s6vq3skek49j7g525g2g8uz8am0v5taqwgp3a5qjrgtjft2yc5sr6wdxc")

CONFIG = Config("5e" * 16, "2026-01-31T12:00:00.000000+00:00", IdKey(bytes(range(32))), 6)
KEYS = sealed_keys(make_keys(CONFIG, 1, [Labelled(KEY_FILE, "tests")], Chance()), Chance())


class Given:
    """Secrets, and for which kinds of slots they were asked."""

    def __init__(self, *secrets: SlotOpener) -> None:
        self.secrets = secrets
        self.asked: list[frozenset[SlotKind]] = []

    def __call__(self, kinds: frozenset[SlotKind]) -> Iterable[SlotOpener]:
        self.asked.append(kinds)
        return self.secrets


def bare_sealed(store: Store) -> SealedStore:
    """A sealed side of any place, with keys that lie nowhere: for what knows nothing of repositories."""
    return SealedStore(store, HeldKeys(store, Given(KEY_FILE), KEYS))


def new_sealed(store: Store | None = None, *secrets: KeySecret) -> SealedStore:
    """A sealed store that a repository can be made in."""
    given = secrets or (KEY_FILE,)
    named = [Labelled(secret, "tests") for secret in given]
    return newly_sealed(store or MemoryStore(), Given(*given), named)
