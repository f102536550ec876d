"""Reads the files of age that slots keep, from FORMAT.md (section 23) and the specification of age alone.

For reference_sealing.py, in the same folder. Only identities `AGE-SECRET-KEY-1...`, which are of X25519; what
an SSH key opens, the program `age` opens.
"""

import base64
import binascii
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.reference_reader import Object, Refused, require

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
STANZA = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n)")
CODE = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")


def age_identity(text: str) -> X25519PrivateKey:
    head, _, letters = text.rpartition("1")
    require(head == "AGE-SECRET-KEY-", "no identity of age, or none of the kind X25519")
    values = [BECH32.find(letter) for letter in letters.lower()]
    require(len(values) == 58 and -1 not in values and letters == letters.upper(), "an identity of age")
    low = head.lower().encode()
    require(bech32_rest([c >> 5 for c in low] + [0] + [c & 31 for c in low] + values) == 1, "a slip in it")
    number = 0
    for value in values[:-6]:
        number = number << 5 | value
    return X25519PrivateKey.from_private_bytes((number >> 4).to_bytes(32, "big"))


def bech32_rest(values: Sequence[int]) -> int:
    rest = 1
    for value in values:
        top, rest = rest >> 25, (rest & 0x1FFFFFF) << 5 ^ value
        for at, one in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            rest ^= one if top >> at & 1 else 0
    return rest


def parse_age_file(data: bytes) -> Object:
    """Arguments and body of each stanza, the code and what it covers, and the 64 bytes behind."""
    version = b"age-encryption.org/v1\n"
    if not data.startswith(version):
        is_other = data.startswith(b"age-encryption.org/")
        raise Refused("unsupported" if is_other else "malformed", "no age file of version 1")
    at, stanzas = len(version), []
    while stanza := STANZA.match(data, at):
        words = stanza[1].split(b" ")
        require(words[0] != b"scrypt", "an age file for a passphrase")
        stanzas.append((words, stanza[2]))
        require(len(stanzas) <= 8, "recipients of an age file", "limit")
        at = stanza.end()
    code = CODE.match(data, at)
    require(len(stanzas) >= 1 and code is not None and len(data) - code.end() == 64, "age file")
    assert code is not None
    return {
        "stanzas": stanzas,
        "code": code[1],
        "covered": data[: code.start() + 3],
        "payload": data[code.end() :],
    }


def unpadded(text: bytes) -> bytes | None:
    """Base64 without padding in its one form; None for another one."""
    letters = text.replace(b"\n", b"")
    try:
        value = base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except binascii.Error:
        return None
    return value if base64.b64encode(value).rstrip(b"=") == letters else None


def hkdf(key: bytes, salt: bytes, about: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, about).derive(key)


def opened_age_file(file: Object, identity: X25519PrivateKey) -> bytes | None:
    """The 32 bytes in it; None where the identity does not open it."""
    for words, body in file["stanzas"]:
        share = unpadded(words[1]) if len(words) == 2 and words[0] == b"X25519" else None
        wrapped = unpadded(body)
        if share is None or wrapped is None or len(share) != 32 or len(wrapped) != 32:
            continue
        own = identity.public_key().public_bytes_raw()
        try:
            secret = identity.exchange(X25519PublicKey.from_public_bytes(share))
            wrapping = hkdf(secret, share + own, b"age-encryption.org/v1/X25519")
            file_key = ChaCha20Poly1305(wrapping).decrypt(bytes(12), wrapped, None)
            code = HMAC(hkdf(file_key, b"", b"header"), SHA256())
            code.update(file["covered"])
            require(base64.b64encode(code.finalize()).rstrip(b"=") == file["code"], "code of an age file")
            nonce, sealed = file["payload"][:16], file["payload"][16:]
            only_chunk = bytes(11) + b"\1"
            return ChaCha20Poly1305(hkdf(file_key, nonce, b"payload")).decrypt(only_chunk, sealed, None)
        except (InvalidTag, ValueError, Refused):
            continue
    return None
