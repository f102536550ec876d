"""Files of age for vectors, written by hand from its specification, with keys that are declared."""

import base64
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.vectors.sealing import declared_bytes

IDENTITY = "AGE-SECRET-KEY-1HWZ4X04GY8J5WZZE0MA6MQAVSEZWY5AZ2G8EUMT6Z6W3PJRK8Q4Q0JV5A2"
"""The text of the 32 declared bytes of `age identity`."""
RECIPIENT = X25519PrivateKey.from_private_bytes(declared_bytes("age identity", 32)).public_key()
FILE_KEY = declared_bytes("file key of age", 16)
VERSION = b"age-encryption.org/v1\n"


def stanza(*words: bytes, body: bytes) -> bytes:
    text = unpadded(body)
    lines = [text[at : at + 64] for at in range(0, len(text) + 1, 64)]
    return b"\n".join((b" ".join((b"->", *words)), *lines)) + b"\n"


def unpadded(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def hkdf(key: bytes, salt: bytes, about: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, about).derive(key)


def for_recipient() -> bytes:
    """The stanza that opens by IDENTITY."""
    ephemeral = X25519PrivateKey.from_private_bytes(declared_bytes("ephemeral key of age", 32))
    share, own = ephemeral.public_key().public_bytes_raw(), RECIPIENT.public_bytes_raw()
    key = hkdf(ephemeral.exchange(RECIPIENT), share + own, b"age-encryption.org/v1/X25519")
    wrapped = ChaCha20Poly1305(key).encrypt(bytes(12), FILE_KEY, None)
    return stanza(b"X25519", unpadded(share), body=wrapped)


def age_file(content: bytes, stanzas: Sequence[bytes], version: bytes = VERSION) -> bytes:
    """`content`: less than 64 KiB, so that it is one piece."""
    covered = version + b"".join(stanzas) + b"---"
    code = HMAC(hkdf(FILE_KEY, b"", b"header"), SHA256())
    code.update(covered)
    nonce = declared_bytes("nonce of age", 16)
    sealed = ChaCha20Poly1305(hkdf(FILE_KEY, nonce, b"payload")).encrypt(bytes(11) + b"\1", content, None)
    return covered + b" " + unpadded(code.finalize()) + b"\n" + nonce + sealed
