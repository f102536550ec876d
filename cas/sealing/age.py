"""Keys of age: a slot is made for a recipient, which is public, and opened by the identity, which is not.

What is kept in the slot is its random key, as a binary age file for this one recipient. So a slot can be made
by whoever knows a recipient and opens nothing, and who holds the identity opens everything.

Recipients are `age1...` (X25519), `ssh-ed25519 ...` and `ssh-rsa ...`. Those of plugins are not taken: no
program is run here that a name in a text chooses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyrage
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

from cas.errors import InvalidInput
from cas.format.sealing import SlotHead, SlotKind
from cas.limits import MIB
from cas.sealing.key_secrets import SLOT_KEY_BYTES, Entropy

MOST_LIST_BYTES = MIB
"""Of a file of recipients or identities."""

_NATIVE = "age1"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_CHECK_LETTERS = 6
_SSH = ("ssh-ed25519 ", "ssh-rsa ")
_IDENTITY = "AGE-SECRET-KEY-1"
_PLUGIN = "AGE-PLUGIN-"
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_SHOWN = 40
"""Characters of what is no recipient."""
_SEALED = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")


@dataclass(frozen=True, slots=True)
class AgeRecipient:
    """The public half. `text`: as age writes it; of an SSH key its kind and the key, without a comment."""

    text: str

    kind = SlotKind.AGE

    @classmethod
    def read(cls, text: str, where: str) -> "AgeRecipient":
        """From a line: white space around it, and the comment of an SSH key, mean nothing. InvalidInput for
        what is no recipient, and for those of plugins."""
        words = text.split()
        known = " ".join(words[:2]) if text.strip().startswith(_SSH) else text.strip()
        _parsed_recipient(known, where)
        return cls(known)

    def fitted(self, head: SlotHead, entropy: Entropy) -> tuple[SlotHead, bytes]:
        """Twice the same is never made: age draws keys of its own, which are not of `entropy`."""
        key = entropy(SLOT_KEY_BYTES)
        kept = bytes(pyrage.encrypt(key, [_parsed_recipient(self.text, "")]))
        return replace(head, kept=kept), key


@dataclass(frozen=True, slots=True, repr=False)
class AgeIdentity:
    """The secret half. `recipient`: its public one, for which a rotation makes the slot anew."""

    recipient: AgeRecipient
    opener: object
    """Of pyrage, which has no types: X25519 or SSH."""

    kind = SlotKind.AGE

    def fitted(self, head: SlotHead, entropy: Entropy) -> tuple[SlotHead, bytes]:
        return self.recipient.fitted(head, entropy)

    def slot_key(self, head: SlotHead) -> bytes | None:
        """`head`: of keys that were parsed, so that what is kept has few recipients and no passphrase."""
        try:
            return bytes(pyrage.decrypt(head.kept, [self.opener]))
        except pyrage.DecryptError:
            return None


def recipients_of(content: bytes, where: str) -> list[AgeRecipient]:
    """Those of a file of recipients, one a line, as age reads it. InvalidInput where one is none."""
    found = [AgeRecipient.read(text, place) for place, text in _lines(content, where)]
    if not found:
        raise InvalidInput(
            "there is no recipient in the file", where=where, hint="It has one on each line, as age1..."
        )
    return found


def identities_of(content: bytes, where: str) -> list[AgeIdentity]:
    """Those of a file of identities, one a line, or the one of an OpenSSH private key. InvalidInput where one
    is none; nothing of what the file holds is said then."""
    if content.startswith(_SEALED):
        raise InvalidInput(
            "the file of identities is sealed itself", where=where, hint="Open it first: age --decrypt"
        )
    if content.lstrip().startswith(_OPENSSH):
        return [_ssh_identity(content, where)]
    found = [_identity(text, place) for place, text in _lines(content, where)]
    if not found:
        raise InvalidInput("there is no identity in the file", where=where, hint="`age-keygen` makes one")
    return found


def _lines(content: bytes, where: str) -> Iterator[tuple[str, str]]:
    """Place and text of each line that is neither empty nor a comment."""
    if len(content) > MOST_LIST_BYTES:
        raise InvalidInput("the file holds more than 1 MiB", where=where)
    for number, line in enumerate(content.splitlines(), 1):
        text = line.decode("ascii", "backslashreplace").strip()
        if text and not text.startswith("#"):
            yield f"{where}, line {number}", text


def _parsed_recipient(text: str, where: str) -> object:
    """That of pyrage. What may be an identity by mistake is not said again."""
    if text.upper().startswith((_IDENTITY, _PLUGIN)):
        raise InvalidInput(
            "that is an identity, which opens what is sealed; a recipient is wanted",
            where=where,
            hint="`age-keygen -y` shows the recipient of an identity",
        )
    try:
        if text.startswith(_SSH):
            public = load_ssh_public_key(text.encode())  # numbers with which encrypting would break down
            if isinstance(public, Ed25519PublicKey):
                _require_secrecy(_x25519(public.public_bytes_raw()))
            return pyrage.ssh.Recipient.from_str(text)
        if text.startswith(_NATIVE):
            if "1" in text[len(_NATIVE) :]:
                raise InvalidInput(
                    f"a recipient of a plugin of age: {text[:_SHOWN]!a}",
                    where=where,
                    hint="Take one that begins with age1 and that `age-keygen` has made, or an SSH key",
                )
            recipient: object = pyrage.x25519.Recipient.from_str(text)
            _require_secrecy(_native_point(text))
            return recipient
    except (ValueError, UnsupportedAlgorithm, pyrage.RecipientError):
        raise InvalidInput(
            f"no recipient of age, or one with a slip in it: {text[:_SHOWN]!a}",
            where=where,
            hint="Compare it with the original",
        ) from None
    raise InvalidInput(
        f"no recipient of age: {text[:_SHOWN]!a}",
        where=where,
        hint="They begin with age1, ssh-ed25519 or ssh-rsa",
    )


def _require_secrecy(point: bytes) -> None:
    """ValueError for the few points that share the same secret with everybody."""
    X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(point))


def _native_point(text: str) -> bytes:
    """`text`: of a recipient that is right otherwise."""
    number = 0
    for letter in text[len(_NATIVE) : -_CHECK_LETTERS]:
        number = number << 5 | _BECH32.index(letter)
    return (number >> 4).to_bytes(32)


def _x25519(ed25519: bytes) -> bytes:
    """The point that age makes of that of an SSH key (RFC 7748, section 4.1). ValueError for the one of which
    it makes zero, since none belongs to it."""
    prime = 2**255 - 19
    y = int.from_bytes(ed25519, "little") % 2**255
    return ((1 + y) * pow(1 - y, -1, prime) % prime).to_bytes(32, "little")


def _identity(text: str, where: str) -> AgeIdentity:
    if text.startswith(_PLUGIN):
        raise InvalidInput(
            "an identity of a plugin of age",
            where=where,
            hint=f"Take one that begins with {_IDENTITY}, or an SSH key",
        )
    try:
        opener = pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        raise InvalidInput(
            "no identity of age, or one with a slip in it", where=where, hint=f"They begin with {_IDENTITY}"
        ) from None
    return AgeIdentity(AgeRecipient(str(opener.to_public())), opener)


def _ssh_identity(content: bytes, where: str) -> AgeIdentity:
    try:
        private = load_ssh_private_key(content, None)
        public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        recipient = AgeRecipient.read(public.decode("ascii"), where)
        return AgeIdentity(recipient, pyrage.ssh.Identity.from_buffer(content))
    except TypeError:
        raise InvalidInput(
            "the SSH key is locked by a passphrase",
            where=where,
            hint="Take an identity of age, or a copy of the key that `ssh-keygen -p` has unlocked",
        ) from None
    except (ValueError, UnsupportedAlgorithm, pyrage.IdentityError, InvalidInput):
        raise InvalidInput(
            "no SSH key that age takes",
            where=where,
            hint="It takes ssh-ed25519, and ssh-rsa from 2,048 bits on",
        ) from None
