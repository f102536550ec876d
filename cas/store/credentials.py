"""What a provider wants to see before it opens a store, as values, and as bytes that are sealed.

Nothing of them is shown by repr(), and no error repeats any of it.
"""

from dataclasses import dataclass, fields
from typing import TypeAlias

from cas.format.canonical import Fields, encode_json, parse_json


@dataclass(frozen=True, slots=True, repr=False)
class S3Credentials:
    """A pair of keys. `session_token`: of a pair that ends by itself, else empty."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class GoogleCredentials:
    """What is used of the key file of a service account. `private_key`: in PEM form."""

    client_email: str
    private_key_id: str
    private_key: str


@dataclass(frozen=True, slots=True, repr=False)
class AzureCredentials:
    """The key of a storage account, or a shared access signature. `account`, `endpoint`: where a connection
    string said them. Empty texts were not said."""

    account: str = ""
    endpoint: str = ""
    key: str = ""
    sas: str = ""


Credentials: TypeAlias = S3Credentials | GoogleCredentials | AzureCredentials

SCHEMES: dict[str, type[Credentials]] = {
    "s3": S3Credentials,
    "gs": GoogleCredentials,
    "az": AzureCredentials,
}
"""Of the URLs of stores that want some."""


def wants_credentials(url: str) -> bool:
    """Whether a store of this URL is opened with some."""
    return url.split("://", 1)[0] in SCHEMES


def encode_credentials(credentials: Credentials) -> bytes:
    """The one encoding. CorruptData for text that no parser would take."""
    (scheme,) = (scheme for scheme, kind in SCHEMES.items() if isinstance(credentials, kind))
    texts = {field.name: str(getattr(credentials, field.name)) for field in fields(credentials)}
    return encode_json({**texts, "scheme": scheme})


def parse_credentials(data: bytes, where: str = "") -> Credentials | None:
    """What was encoded; None for a kind of store that this program does not know. CorruptData."""
    given = Fields(parse_json(data, where), where)
    kind = SCHEMES.get(given.text("scheme"))
    if kind is None:
        return None
    found = kind(**{field.name: given.text(field.name) for field in fields(kind)})
    given.finish()
    return found
