"""What people and machines keep in order to open a sealed store, and how each of it wraps a master key.

    passphrase   Argon2id of it, in Unicode's NFC, makes the key of its slot
    file         a hash of it, salted
    command      a key service, Vault: makes something of the key of its slot, and the key of that again
    recovery     32 characters on paper, like a file
    age          a recipient makes a file of the key of its slot (cas/sealing/age.py)

The key of a slot encrypts the master key by AES-256-GCM, bound to all that is readable in the slot.
"""

import base64
import os
import subprocess
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from cas.errors import CasError, InvalidInput, PermissionDenied, TimedOut
from cas.format.sealing import MASTER_KEY_BYTES, SALT_BYTES, Costs, Slot, SlotHead, SlotKind
from cas.limits import KIB, MAX_COMMAND_KEY_BYTES, MIB
from cas.sealing.blocks import NONCE_BYTES

Entropy = Callable[[int], bytes]
"""n random bytes."""

PASSPHRASE_COSTS = Costs(memory_kib=64 * KIB, passes=3, lanes=4)
"""RFC 9106, section 4, the second recommendation: 0.15 s and 64 MiB, on each run of a command."""

LEAST_PASSPHRASE_CHARACTERS = 12
LEAST_FILE_BYTES = 32
MOST_FILE_BYTES = MIB

COMMAND_SECONDS = 60.0

SLOT_KEY_BYTES = 32


class SlotMaker(Protocol):
    """What a new slot is made for. It may be public: then it opens nothing."""

    @property
    def kind(self) -> SlotKind: ...

    def fitted(self, head: SlotHead, entropy: Entropy) -> tuple[SlotHead, bytes]:
        """The readable part of a new slot, with what its kind needs in it, and the key of the slot."""


class SlotOpener(Protocol):
    """What opens slots. It never says what it is: not in its repr, nor in an error."""

    @property
    def kind(self) -> SlotKind: ...

    def slot_key(self, head: SlotHead) -> bytes | None:
        """The key of a slot; None where the secret itself sees that it is not that of this slot.
        PermissionDenied where something kept it from saying that, as a key service that does not answer."""


class KeySecret(SlotMaker, SlotOpener, Protocol):
    """One secret, for which slots are made and which opens them."""


def wrap(maker: SlotMaker, master: bytes, head: SlotHead, repository_id: str, entropy: Entropy) -> Slot:
    """A new slot. `head`: with number, label and time; the rest is filled in."""
    salted = replace(head, kind=maker.kind, salt=entropy(SALT_BYTES), costs=None, kept=b"")
    fitted, key = maker.fitted(salted, entropy)
    nonce = entropy(NONCE_BYTES)
    return Slot(fitted, nonce + AESGCM(key).encrypt(nonce, master, fitted.bound(repository_id)))


def unwrap(
    secret: SlotOpener, slot: Slot, repository_id: str, faults: list[CasError] | None = None
) -> bytes | None:
    """The master key; None where the secret is not that of this slot, or the slot was changed. `faults`:
    takes why the secret could not say it, as a key service that does not answer."""
    if secret.kind is not slot.head.kind:
        return None
    try:
        key = secret.slot_key(slot.head)
        if key is None:
            return None
        nonce, wrapped = slot.wrapped[:NONCE_BYTES], slot.wrapped[NONCE_BYTES:]
        return AESGCM(key).decrypt(nonce, wrapped, slot.head.bound(repository_id))
    except InvalidTag:
        return None
    except CasError as error:
        if faults is not None:
            faults.append(error)
        elif not isinstance(error, PermissionDenied):
            raise
        return None


@dataclass(frozen=True, slots=True, repr=False)
class Passphrase:
    """InvalidInput for one that can be guessed by its length alone, where a slot is made for it."""

    text: str
    costs: Costs = PASSPHRASE_COSTS

    kind = SlotKind.PASSPHRASE

    def fitted(self, head: SlotHead, entropy: Entropy) -> tuple[SlotHead, bytes]:
        if len(self.text) < LEAST_PASSPHRASE_CHARACTERS:
            raise InvalidInput(
                "the passphrase is too short",
                hint=f"Take at least {LEAST_PASSPHRASE_CHARACTERS} characters: five random words are good",
            )
        costly = replace(head, costs=self.costs)
        return costly, self.slot_key(costly)

    def slot_key(self, head: SlotHead) -> bytes:
        assert head.costs is not None
        derivation = Argon2id(
            salt=head.salt,
            length=SLOT_KEY_BYTES,
            iterations=head.costs.passes,
            lanes=head.costs.lanes,
            memory_cost=head.costs.memory_kib,
        )
        return derivation.derive(unicodedata.normalize("NFC", self.text).encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """The content of a file: random bytes, of which nobody but its owner has a copy."""

    content: bytes

    kind = SlotKind.FILE

    def __post_init__(self) -> None:
        if not LEAST_FILE_BYTES <= len(self.content) <= MOST_FILE_BYTES:
            raise InvalidInput(
                "a key file holds 32 bytes to 1 MiB", hint="`cas key add --key-file PATH` makes a good one"
            )

    def fitted(self, head: SlotHead, entropy: Entropy) -> tuple[SlotHead, bytes]:
        return head, self.slot_key(head)

    def slot_key(self, head: SlotHead) -> bytes:
        return salted_key("cas 1 key file", self.content, head.salt)


@dataclass(frozen=True, slots=True, repr=False)
class KeyCommand:
    """A program, which is given the word `wrap` or `unwrap` behind its other words, and on its standard input
    one line of base64, and answers with one: whoever can run it opens the store.

    The words never come from the store: who can write there would run programs here.
    """

    words: Sequence[str]
    seconds: float = COMMAND_SECONDS

    kind = SlotKind.COMMAND

    def fitted(self, head: SlotHead, entropy: Entropy) -> tuple[SlotHead, bytes]:
        key = entropy(SLOT_KEY_BYTES)
        kept = self._run("wrap", key)
        if not 1 <= len(kept) <= MAX_COMMAND_KEY_BYTES:
            raise InvalidInput(f"the key command answered with {len(kept)} bytes", where=self.words[0])
        if key in kept:
            raise InvalidInput(
                "the key command gives the key back as it came: nothing would be kept from whoever reads it",
                where=self.words[0],
            )
        if self._run("unwrap", kept) != key:
            raise InvalidInput("the key command does not give back what it was given", where=self.words[0])
        return replace(head, kept=kept), key

    def slot_key(self, head: SlotHead) -> bytes:
        key = self._run("unwrap", head.kept)
        if len(key) != SLOT_KEY_BYTES:
            raise PermissionDenied("the key command gave another key", where=self.words[0])
        return key

    def _run(self, verb: str, data: bytes) -> bytes:
        name = self.words[0]
        try:
            ended = subprocess.run(
                [*self.words, verb],
                input=base64.b64encode(data) + b"\n",
                capture_output=True,
                timeout=self.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TimedOut(f"the key command took longer than {self.seconds:g} s", where=name) from None
        except OSError as error:
            raise InvalidInput(
                f"the key command cannot be run: {os.strerror(error.errno or 0)}", where=name
            ) from None
        if ended.returncode:
            said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
            raise PermissionDenied(
                f"the key command failed at {verb} with code {ended.returncode}",
                where=name,
                hint=f"It said: {said[-1][:200]}" if said else "",
            )
        try:
            return base64.b64decode(ended.stdout.strip(), validate=True)
        except ValueError:
            raise InvalidInput("the key command did not answer in base64", where=name) from None


def salted_key(purpose: str, material: bytes, salt: bytes) -> bytes:
    """32 bytes of what is random already: no need to make guessing slow."""
    key = blake3(material, derive_key_context=purpose).digest()
    return blake3(salt, key=key).digest()


assert SLOT_KEY_BYTES == MASTER_KEY_BYTES
