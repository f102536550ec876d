"""The keys of one sealed store, as this process has them: opened once, and looked for again when somebody has
changed them."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from cas.errors import CasError, Conflict, PermissionDenied
from cas.format.config import Config
from cas.format.sealing import KeysHead, SlotKind
from cas.sealing.blocks import Sealer
from cas.sealing.key_ring import Chance, Labelled, Unlocked, make_keys, sealed_keys, unlock
from cas.sealing.key_secrets import KeySecret
from cas.sealing.stored_keys import delete_older, newest_keys, numbers, put_keys
from cas.store.interface import Store

Secrets = Callable[[frozenset[SlotKind]], Iterable[KeySecret]]
"""Gives the secrets that there are, one after another, for slots of these kinds: a person is asked for a
passphrase only where there is a slot for one, and nothing else has opened the store."""


class HeldKeys:
    """`store`: as it lies there, sealed. `unlocked`: None for a store that is about to be made, for whose
    keys there are `new` slots. Thread-safe."""

    def __init__(
        self,
        store: Store,
        secrets: Secrets,
        unlocked: Unlocked | None,
        *,
        new: Sequence[Labelled] = (),
        chance: Chance | None = None,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._new = new
        self._chance = chance or Chance()
        self._lock = threading.Lock()
        self._unlocked = unlocked
        self._sealer = self._sealer_of(unlocked) if unlocked else None

    @property
    def are_there(self) -> bool:
        """False for a store that is about to be made."""
        return self._unlocked is not None

    @property
    def unlocked(self) -> Unlocked:
        """Conflict before there are any."""
        if self._unlocked is None:
            raise Conflict("the sealed store has no config yet", where=self._store.url)
        return self._unlocked

    @property
    def sealer(self) -> Sealer:
        """Conflict before there are keys: nothing is put into a store before its config."""
        if self._sealer is None:
            raise Conflict("the sealed store has no config yet", where=self._store.url)
        return self._sealer

    @property
    def config(self) -> Config:
        return self.unlocked.contents.config

    def look_again(self) -> bool:
        """Whether somebody has changed the keys meanwhile, and they could be opened."""
        with self._lock:
            now = self.unlocked
            keys = newest_keys(self._store, now.head.repository_id)
            if keys is None or keys.head.number <= now.head.number:
                return False
            try:
                found = unlock(keys, self._secrets(kinds(keys.head)), self._store.url)
            except PermissionDenied:
                return False
            self._unlocked, self._sealer = found, self._sealer_of(found)
            return True

    def begin(self, config: Config) -> None:
        """Make and put the keys of a new repository. They count when its config is put."""
        with self._lock:
            number = max(numbers(self._store), default=0) + 1
            made = make_keys(config, number, self._new, self._chance)
            put_keys(self._store, sealed_keys(made, self._chance))
            self._unlocked, self._sealer = made, self._sealer_of(made)

    def change(self, change: Callable[[Unlocked], Unlocked]) -> Unlocked:
        """Put the keys that `change` makes of the newest ones, and delete older ones. Conflict where somebody
        else was faster; a CasError of the deletion is not raised: the next change repeats it."""
        self.look_again()
        with self._lock:
            changed = change(self.unlocked)
            put_keys(self._store, sealed_keys(changed, self._chance))
            self._unlocked, self._sealer = changed, self._sealer_of(changed)
            with suppress(CasError):
                delete_older(self._store, changed.head.number)
            return changed

    def _sealer_of(self, unlocked: Unlocked) -> Sealer:
        repository_id = bytes.fromhex(unlocked.head.repository_id)
        return Sealer(repository_id, unlocked.contents.data_keys, self._chance.entropy)


def kinds(head: KeysHead) -> frozenset[SlotKind]:
    """Of the slots that there are."""
    return frozenset(slot.head.kind for slot in head.slots)
