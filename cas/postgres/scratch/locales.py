"""With which encoding and locale a throwaway database is made: the platform's, or the nearest there is."""

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from cas.records.source import SourceIdentity

UNAVAILABLE = frozenset({"0A000", "22023", "42704", "42809"})
"""SQLSTATEs with which a server refuses a locale or an encoding that it does not have."""


@dataclass(frozen=True, slots=True)
class Try:
    """Options of CREATE DATABASE, and what is then not as it was; "" where all is."""

    options: sql.Composable
    note: str


def tries(platform: SourceIdentity, server_version: int) -> Iterator[Try]:
    """From the platform's own locale to the one that every server has."""
    # SourceIdentity.locale is `provider=... collate=... ctype=... locale=...`.
    facts = dict(part.split("=", 1) for part in platform.locale.split(" ") if "=" in part)
    provider, locale = facts.get("provider", "libc"), facts.get("locale", "")
    collate, ctype = facts.get("collate") or "C", facts.get("ctype") or "C"
    encoding = sql.SQL("ENCODING {} ").format(sql.Literal(platform.encoding))

    def options(name: str, own: str, order: str, kind: str) -> sql.Composable:
        chosen = sql.SQL("LC_COLLATE {} LC_CTYPE {}").format(sql.Literal(order), sql.Literal(kind))
        if server_version >= 150000:
            chosen += sql.SQL(f" LOCALE_PROVIDER {name}")
        if own:
            chosen += sql.SQL(f" {name.upper()}_LOCALE {{}}").format(sql.Literal(own))
        return encoding + chosen

    known = {"libc": 0, "icu": 150000, "builtin": 170000}
    if known.get(provider, 10**9) <= server_version:
        own = "" if provider == "libc" else locale
        yield Try(options(provider, own, collate, ctype), "")
        if own:
            yield Try(options(provider, own, "C", "C"), "")
    was = locale if provider != "libc" and locale else collate

    def says(here: str) -> str:
        return (
            f"texts are ordered and compared by {here} here, and were by {was} ({provider}) on the platform"
        )

    if platform.encoding == "UTF8" and server_version >= 170000:
        yield Try(options("builtin", "C.UTF-8", "C", "C"), says("C.UTF-8"))
    yield Try(options("libc", "", "C", "C"), says("C"))
