"""The keys of one sealed store, as this process has them: opened once, and looked for again when somebody has
changed them."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

from cas.errors import CasError, Conflict, PermissionDenied
from cas.format.config import Config
from cas.format.sealing import KeyContents, Keys, KeysHead, SlotKind, encode_keys
from cas.sealing.blocks import Sealer
from cas.sealing.key_ring import Chance, Labelled, Unlocked, make_keys, sealed_keys, unlock
from cas.sealing.key_secrets import SlotOpener
from cas.sealing.stored_keys import changed_just_now, delete_older, newest_keys, numbers, put_keys
from cas.store.interface import Store

Secrets = Callable[[frozenset[SlotKind]], Iterable[SlotOpener]]
"""Gives the secrets that there are, one after another, for slots of these kinds: a person is asked for a
passphrase only where there is a slot for one, and nothing else has opened the store."""


@dataclass(frozen=True, slots=True, repr=False)
class _Held:
    """Keys as they lie in the store, what opened them, and what is sealed with them."""

    keys: Keys
    unlocked: Unlocked
    sealer: Sealer


class HeldKeys:
    """`store`: as it lies there, sealed. `keys`: its newest ones, None for a store that is about to be made,
    whose keys get `new` slots. PermissionDenied where no secret opens the keys. Thread-safe."""

    def __init__(
        self,
        store: Store,
        secrets: Secrets,
        keys: Keys | None,
        *,
        new: Sequence[Labelled] = (),
        chance: Chance | None = None,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._new = new
        self._chance = chance or Chance()
        self._lock = threading.Lock()
        self._held = self._opened(keys) if keys else None

    @property
    def are_there(self) -> bool:
        """False for a store that is about to be made."""
        return self._held is not None

    @property
    def number(self) -> int:
        """Of the keys that are held. This and what follows: Conflict where there are none yet, since nothing
        is put into a store before its config."""
        return self._there().keys.head.number

    @property
    def unlocked(self) -> Unlocked:
        return self._there().unlocked

    @property
    def sealer(self) -> Sealer:
        return self._there().sealer

    @property
    def config(self) -> Config:
        return self.unlocked.contents.config

    def stored(self) -> bytes:
        """The object as it lies in the store: for whoever keeps a copy."""
        return encode_keys(self._there().keys)

    def look_again(self) -> bool:
        """Whether somebody has changed the keys meanwhile. PermissionDenied where they cannot be opened: what
        is sealed from now on must not be taken for damage by who was locked out."""
        with self._lock:
            now = self._there().keys.head
            keys = newest_keys(self._store, now.repository_id)
            if keys is None or keys.head.number <= now.number:
                return False
            opened = self._opened(keys)
            if not follows(opened.unlocked.contents, self._there().unlocked.contents):
                return False
            self._held = opened
            return True

    def follow(self, older: Keys) -> bool:
        """Whether these came of `older` ones by changes. Who has lost his key with a rotation can still wrap
        keys of his own in slots of before, but the data keys that came after him he does not know. True, too,
        where no secret opens the older ones: then none of their slots has opened these."""
        try:
            known = unlock(older, self._secrets(kinds(older.head)), self._store.url)
        except PermissionDenied:
            return True
        return follows(self.unlocked.contents, known.contents)

    def begin(self, config: Config) -> None:
        """Make and put the keys of a new repository. They count when its config is put."""
        with self._lock:
            number = max(numbers(self._store), default=0) + 1
            self._put(make_keys(config, number, self._new, self._chance))

    def change(self, change: Callable[[Unlocked], Unlocked]) -> Unlocked:
        """Put the keys that `change` makes of the newest ones, and delete older ones. Conflict where somebody
        else was faster. Older ones that cannot be deleted now go with the next change."""
        self.look_again()
        with self._lock:
            changed = change(self.unlocked)
            self._put(replace(changed, head=replace(changed.head, number=self._next_number())))
            with suppress(CasError):
                delete_older(self._store, self.number)
            return self.unlocked

    def alike(self, store: Store) -> "HeldKeys":
        """Put these keys into another store, and hold them there."""
        keys = self._there().keys
        put_keys(store, keys)
        return HeldKeys(store, self._secrets, keys, chance=self._chance)

    def _next_number(self) -> int:
        """The next one that is free: an `init` that lost a race, or anybody, may have left keys of another
        repository over."""
        now = self._there().keys.head
        taken = [number for number in numbers(self._store) if number > now.number]
        if taken:
            newest = newest_keys(self._store, now.repository_id)
            if newest is not None and newest.head.number > now.number:
                raise changed_just_now(self._store)
        return next(number for number in count(now.number + 1) if number not in taken)

    def _there(self) -> _Held:
        if self._held is None:
            raise Conflict("the sealed store has no config yet", where=self._store.url)
        return self._held

    def _put(self, unlocked: Unlocked) -> None:
        keys = sealed_keys(unlocked, self._chance)
        put_keys(self._store, keys)
        self._held = _Held(keys, unlocked, self._sealer_of(unlocked))

    def _opened(self, keys: Keys) -> _Held:
        unlocked = unlock(keys, self._secrets(kinds(keys.head)), self._store.url)
        return _Held(keys, unlocked, self._sealer_of(unlocked))

    def _sealer_of(self, unlocked: Unlocked) -> Sealer:
        repository_id = bytes.fromhex(unlocked.head.repository_id)
        return Sealer(repository_id, unlocked.contents.data_keys, self._chance.entropy)


def follows(newer: KeyContents, older: KeyContents) -> bool:
    """Whether the contents of keys are those of older ones after changes: data keys are appended only."""
    known = older.data_keys
    return newer.config == older.config and newer.data_keys[: len(known)] == known


def kinds(head: KeysHead) -> frozenset[SlotKind]:
    """Of the slots that there are."""
    return frozenset(slot.head.kind for slot in head.slots)
