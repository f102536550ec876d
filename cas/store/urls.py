"""What the URLs of all kinds of stores have in common: parameters, prefixes, endpoints, and no secrets.

A URL that says nothing sensible is InvalidInput, which does not repeat it, since it may hold a secret.
"""

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from cas.errors import InvalidInput

_MAX_PREFIX_BYTES = 400
_SECRET = re.compile(r"secret|password|token|access|credential|account_?key|^key$|^sas|^sig$", re.IGNORECASE)


def only(query: dict[str, str], known: tuple[str, ...], credentials_hint: str) -> None:
    """Refuse parameters that are not known, by name; their values may be secrets."""
    unknown = sorted(set(query) - set(known))
    if any(_SECRET.search(name) for name in unknown):
        raise InvalidInput("a store URL must not contain credentials", hint=credentials_hint)
    if unknown:
        names = ", ".join(name[:40] for name in unknown)
        hint = f"Known are {', '.join(known)}" if known else "This kind of store has none"
        raise InvalidInput(f"unknown parameters in the store URL: {names}", hint=hint)


def settled(url: str) -> str:
    """One spelling of a store's URL, whose parameters may come in any order: what credentials are bound to.
    InvalidInput."""
    try:
        parts = urlsplit(url)
        pairs = sorted(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise InvalidInput("not a store URL") from None
    path = quote(unquote(parts.path).strip("/"))
    return f"{parts.scheme}://{parts.netloc}/{path}?{urlencode(pairs)}"


def flag(query: dict[str, str], name: str) -> bool:
    """A parameter that is true or false; false if it is absent."""
    value = query.get(name) or "false"
    if value not in ("true", "false"):
        raise InvalidInput(f"{name} is true or false")
    return value == "true"


def prefix(path: str, example: str) -> str:
    """The path of a URL as a prefix of keys: empty, or ending in one slash."""
    text = unquote(path).strip("/")
    if not text:
        return ""
    odd = any(segment in ("", ".", "..") for segment in text.split("/"))
    if odd or not text.isprintable() or len(text.encode()) > _MAX_PREFIX_BYTES:
        raise InvalidInput("not a usable prefix in the store URL", hint=f"Write {example}")
    return f"{text}/"


def split_name(url: str) -> tuple[str, str]:
    """The URL of an object as that of the place above it and the last segment of its path, which is empty
    where the path ends in a slash."""
    try:
        parts = urlsplit(url)
    except ValueError:  # its text has the URL in it
        raise InvalidInput("not a store URL") from None
    above, _, name = parts.path.rpartition("/")
    return urlunsplit(parts._replace(path=above)), unquote(name)


def join_name(url: str, name: str) -> str:
    """The URL of an object in the place at `url`."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}"))


def and_above(url: str) -> list[str]:
    """The place itself and all those in which it lies, the innermost first; not the root of a file system."""
    parts = urlsplit(url)
    segments = parts.path.strip("/").split("/") if parts.path.strip("/") else []
    kept = range(len(segments), 0 if parts.scheme == "file" else -1, -1)
    return [urlunsplit(parts._replace(path="/" + "/".join(segments[:count]))) for count in kept]


def endpoint(url: str, credentials_hint: str) -> str:
    """A base URL without a slash at its end, or empty."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput("the endpoint is not a URL", hint="Write endpoint=https://host:port")
    if "@" in parts.netloc:
        raise InvalidInput("a store URL must not contain credentials", hint=credentials_hint)
    if parts.query or parts.fragment:
        raise InvalidInput("an endpoint has no query", hint="Write endpoint=https://host:port")
    return url.rstrip("/")
