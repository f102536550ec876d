"""Credentials of one store, sealed: for a catalog, which must say them to nobody who reads it.

They have the form of an object of keys (FORMAT.md, section 23): slots with the master key, wrapped for one
secret each, and a sealed part, which holds the credentials. It is bound to all that is readable beside it,
and to the store: whose it is, and its URL. So nobody without a key can have them sent to another place, by
moving them or by changing the URL.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cas.errors import CasError, Conflict, InvalidInput, PermissionDenied
from cas.format.canonical import encode_json
from cas.format.malformed import malformed, newer
from cas.format.sealing import (
    MASTER_KEY_BYTES,
    Keys,
    KeysHead,
    SlotHead,
    SlotKind,
    encode_keys,
    parse_keys,
)
from cas.sealing.blocks import NONCE_BYTES
from cas.sealing.held_keys import Secrets, kinds
from cas.sealing.key_ring import Chance
from cas.sealing.key_secrets import KeySecret, unwrap, wrap
from cas.store.credentials import Credentials, encode_credentials, parse_credentials

_PURPOSE = b"cas 1 store credentials\0"

OPENING_KINDS = frozenset(SlotKind) - {SlotKind.AGE}
"""Kinds of keys that credentials are sealed with and opened by. Whoever knows a recipient of age, which is
public, and can write to the catalog could exchange them for his own, which say where an Azure account is."""

_HINT = "Set CAS_PASSPHRASE_FILE, CAS_KEY_FILE or CAS_KEY_COMMAND"


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A store of a repository: `place` is empty for the repository's own, else the name of a replica. `url`:
    in one spelling."""

    repository_id: str
    place: str
    url: str

    def bound(self, head: KeysHead) -> bytes:
        """What sealed credentials are bound to."""
        store = encode_json({"place": self.place, "repository_id": self.repository_id, "url": self.url})
        return b"\0".join((_PURPOSE, store, head.bound()))


def seal_credentials(
    credentials: Credentials, store: StorePlace, secrets: Sequence[KeySecret], chance: Chance
) -> bytes:
    """Sealed with a new key, which each of these secrets opens. InvalidInput for one that is too weak, or of
    another kind than credentials are opened by."""
    assert secrets
    if any(secret.kind not in OPENING_KINDS for secret in secrets):
        raise InvalidInput(
            "an age identity opens no credentials of stores: whoever knows its recipient could exchange them",
            hint=_HINT,
        )
    master = chance.entropy(MASTER_KEY_BYTES)
    slots = tuple(
        wrap(
            secret,
            master,
            SlotHead(number, secret.kind, "", chance.time(), b""),
            store.repository_id,
            chance.entropy,
        )
        for number, secret in enumerate(secrets, start=1)
    )
    head = KeysHead(store.repository_id, 1, chance.time(), len(slots), slots)
    nonce = chance.entropy(NONCE_BYTES)
    sealed = AESGCM(master).encrypt(nonce, encode_credentials(credentials), store.bound(head))
    data = encode_keys(Keys(head, nonce + sealed))
    for secret in secrets:
        assert open_credentials(data, store, _alone(secret)) == credentials
    return data


def _alone(secret: KeySecret) -> Secrets:
    return lambda _: (secret,)


def credentials_head(data: bytes, where: str) -> KeysHead:
    """What can be read without a key: since when they are there, and what opens them. CorruptData,
    Unsupported."""
    return parse_keys(data, where).head


def open_credentials(data: bytes, store: StorePlace, secrets: Secrets) -> Credentials:
    """By the first secret that opens a slot. PermissionDenied where none does; Conflict where they are not of
    this store, or were changed; CorruptData, Unsupported where nobody can read them."""
    where = f"credentials of {store.url}"
    keys = parse_keys(data, where)
    master = _master(keys, store, secrets)
    nonce, sealed = keys.sealed[:NONCE_BYTES], keys.sealed[NONCE_BYTES:]
    try:
        plain = AESGCM(master).decrypt(nonce, sealed, store.bound(keys.head))
    except InvalidTag:
        raise Conflict(
            "the sealed credentials are not of this store: its name or URL was changed, or they were",
            where=store.url,
            hint="Look at the URL. Where it is right, seal them anew: `cas store credentials set`",
        ) from None
    found = parse_credentials(plain, where)
    if found is None:
        raise newer("credentials of another kind of store", where)
    return found


def _master(keys: Keys, store: StorePlace, secrets: Secrets) -> bytes:
    if keys.head.repository_id != store.repository_id:
        raise malformed("credentials of another repository", f"credentials of {store.url}")
    were_given = False
    faults: list[CasError] = []
    for secret in secrets(kinds(keys.head) & OPENING_KINDS):
        if secret.kind not in OPENING_KINDS:
            continue
        were_given = True
        for slot in keys.head.slots:
            master = unwrap(secret, slot, store.repository_id, faults)
            if master is not None:
                return master
    if faults:
        raise faults[0]
    what = (
        "no key that was given opens the credentials of the store"
        if were_given
        else "the credentials of the store are sealed, and no key was given"
    )
    raise PermissionDenied(
        what,
        where=store.url,
        hint=f"{_HINT} to what sealed them, or seal new ones with `cas store credentials set`",
    )
