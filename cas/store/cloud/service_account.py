"""Tokens of a Google service account, signed here with its key: no server is asked for them.

obstore would do the same from a key file, but lets variables of the environment win over it.
"""

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cas.store.credentials import GoogleCredentials

if TYPE_CHECKING:
    from obstore.store import GCSCredential

SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
TOKEN_SECONDS = 3600
"""The longest life that Google allows such a token."""


class ServiceAccount:
    """Gives a token whenever obstore's last one has ended."""

    def __init__(self, credentials: GoogleCredentials, clock: Callable[[], float] = time.time) -> None:
        key = load_pem_private_key(credentials.private_key.encode(), None)
        assert isinstance(key, RSAPrivateKey)
        self._key = key
        self._credentials = credentials
        self._clock = clock

    def __call__(self) -> "GCSCredential":
        issued = int(self._clock())
        ends = issued + TOKEN_SECONDS
        email = self._credentials.client_email
        head = {"alg": "RS256", "kid": self._credentials.private_key_id, "typ": "JWT"}
        claims = {"exp": ends, "iat": issued, "iss": email, "scope": SCOPE, "sub": email}
        signed = f"{_base64url(json.dumps(head).encode())}.{_base64url(json.dumps(claims).encode())}"
        signature = self._key.sign(signed.encode("ascii"), PKCS1v15(), SHA256())
        return {
            "token": f"{signed}.{_base64url(signature)}",
            "expires_at": datetime.fromtimestamp(ends, UTC),
        }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
