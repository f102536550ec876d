"""From what a provider gives out, as people copy it, to credentials: their form is checked at once.

s3://   lines of an AWS credentials file, or of variables: aws_access_key_id = ..., aws_secret_access_key
gs://   the key file of a service account: JSON
az://   a connection string, the key of the account, or a shared access signature
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cas.errors import InvalidInput
from cas.store.credentials import AzureCredentials, Credentials, GoogleCredentials, S3Credentials

MAX_TEXT_BYTES = 16 * 1024
"""Session tokens and private keys have some two thousand. Anything larger is some other file."""

_S3_HINT = "Write two lines: aws_access_key_id = ... and aws_secret_access_key = ..."
_GOOGLE_HINT = "Take the JSON key file of a service account, as Google's console gives it out"
_AZURE_HINT = "Take a connection string, a key of the account or a shared access signature from the portal"

_S3_NAMES = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_LINE = re.compile(r"(?:export\s+)?(\w+)\s*=\s*(\S+)")
_ACCOUNT_KEY_BYTES = 64


def read_credentials(scheme: str, data: bytes, where: str) -> Credentials:
    """`scheme`: of the store's URL. InvalidInput, without a word of it, for another form, and for a kind of
    store that wants none."""
    if scheme not in _READERS:
        raise InvalidInput(
            "a store of this kind wants no credentials", where=where, hint="Buckets have some: s3, gs, az"
        )
    if len(data) > MAX_TEXT_BYTES:
        raise InvalidInput("too large for credentials", where=where, hint=f"{MAX_TEXT_BYTES:,} bytes at most")
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidInput("credentials are text", where=where, hint="Save them as UTF-8") from None
    if not text or any(not (character.isprintable() or character in "\r\n\t") for character in text):
        raise InvalidInput("these are no credentials", where=where, hint=HINTS[scheme])
    return _READERS[scheme](text, where)


def _s3(text: str, where: str) -> S3Credentials:
    values: dict[str, str] = {}
    for line in (line.strip() for line in text.splitlines()):
        if not line or line.startswith(("#", ";", "[")):
            continue
        found = _LINE.fullmatch(line)
        name = _S3_NAMES.get(found[1].lower()) if found else None
        if found is None or name is None or name in values:
            raise InvalidInput("these are no credentials of one S3 store", where=where, hint=_S3_HINT)
        values[name] = found[2].strip("\"'")
    return s3_credentials(values, where)


def s3_credentials(values: Mapping[str, str], where: str) -> S3Credentials:
    """Of their parts by name. InvalidInput where one is missing or cannot be."""
    made = S3Credentials(
        values.get("access_key_id", ""), values.get("secret_access_key", ""), values.get("session_token", "")
    )
    both = made.access_key_id and made.secret_access_key
    if not both or not (made.access_key_id + made.secret_access_key + made.session_token).isascii():
        raise InvalidInput("these are no credentials of an S3 store", where=where, hint=_S3_HINT)
    return made


def _google(text: str, where: str) -> GoogleCredentials:
    wrong = InvalidInput("this is no key file of a service account", where=where, hint=_GOOGLE_HINT)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(value, dict) or value.get("type") != "service_account":
        raise wrong
    parts = [value.get(name) for name in ("client_email", "private_key_id", "private_key")]
    email, key_id, key = (part if isinstance(part, str) else "" for part in parts)
    if not (email and key and _is_rsa(key)):
        raise wrong
    return GoogleCredentials(email, key_id, key)


def _is_rsa(pem: str) -> bool:
    try:
        return isinstance(load_pem_private_key(pem.encode(), None), RSAPrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _azure(text: str, where: str) -> AzureCredentials:
    from cas.store.cloud.connection_string import parse_connection_string  # late: others need no such client

    wrong = InvalidInput("these are no credentials of an Azure store", where=where, hint=_AZURE_HINT)
    if len(text.split()) != 1:
        raise wrong
    if ";" in text or text.lower().startswith("usedevelopmentstorage="):
        said = parse_connection_string(text, where)
        if not (said.sas or _is_account_key(said.key)):
            raise wrong
        return said
    sas = text.removeprefix("?")
    if re.search(r"(^|&)sig=[^&]", sas):
        return AzureCredentials(sas=sas)
    if not _is_account_key(text):
        raise wrong
    return AzureCredentials(key=text)


def _is_account_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _ACCOUNT_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


_READERS: dict[str, Callable[[str, str], Credentials]] = {"s3": _s3, "gs": _google, "az": _azure}

HINTS = {"s3": _S3_HINT, "gs": _GOOGLE_HINT, "az": _AZURE_HINT}
"""What people are asked for, by the scheme of the store's URL."""
