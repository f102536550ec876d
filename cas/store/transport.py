"""What a store's connections must be like, whoever makes them: encrypted, and to whom one trusts."""

import ipaddress
import ssl
from urllib.parse import urlsplit

from cas.errors import InvalidInput


def check_transport(endpoint: str, url: str, *, allow_http: bool) -> None:
    """InvalidInput for plain http to another machine, unless the store at `url` allows it."""
    parts = urlsplit(endpoint)
    if parts.scheme == "https" or allow_http or _is_loopback(parts.hostname or ""):
        return
    raise InvalidInput(
        "plain http would send data and signatures unprotected",
        where=url,
        hint="Use https, or add allow_http=true to the store's URL if the network is trusted",
    )


def check_certificates(path: str) -> None:
    """InvalidInput unless `path` is empty or a PEM file of certificates."""
    if not path:
        return
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidInput(
            "not a file of certificates in PEM form", where=path, hint="Correct the setting `ca`"
        ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
