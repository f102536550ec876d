"""The server of throwaway databases: the one that was named, or an embedded one of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

from cas.contents import Contents
from cas.live.keys_in_scope import Predicate
from cas.postgres.connecting import shown_url
from cas.postgres.embedded.server import EmbeddedServer
from cas.postgres.scratch.server import PostgresScratchServer, ScratchOptions
from cas.predicate import matching_keys
from cas.progress import Progress
from cli.databases import naming, with_authority
from cli.session import Session

_ELSEWHERE = (
    "Name a PostgreSQL server that has it, the platform's own for example: --scratch URL, or CAS_SCRATCH"
)
_EMBEDDED = f"The embedded PostgreSQL has no XML, no ICU and no contrib extensions. {_ELSEWHERE}"


@contextmanager
def scratch_server(cas: Session) -> Iterator[PostgresScratchServer]:
    """As long as the block lasts. InvalidInput for a malformed URL.

    The embedded server is not the catalog's: whatever a statement does to it, the catalog runs on.
    """
    given = cas.settings.scratch.get_secret_value()
    options = ScratchOptions(cas.connection_options, jobs=cas.settings.threads)
    if given:
        with naming("--scratch"):
            shown_url(given)
        url = with_authority(given, cas.settings.postgres_ca)
        yield PostgresScratchServer(lambda: url, options, hint=_ELSEWHERE)
        return
    started: list[EmbeddedServer] = []

    def start() -> str:
        if not started:
            started.append(EmbeddedServer(cas.home / "scratch"))
        return started[0].url()

    try:
        yield PostgresScratchServer(start, options, hint=_EMBEDDED)
    finally:
        for server in started:
            server.stop()


@contextmanager
def predicates(cas: Session, progress: Progress) -> Iterator[Predicate]:
    """A way to evaluate predicates, as long as the block lasts. A server is only started for the first."""
    with scratch_server(cas) as server:

        def matching(contents: Contents, entity: str, predicate: str) -> Iterator[bytes]:
            return matching_keys(
                contents, entity, predicate, server, progress=progress, warn=cas.terminal.warn
            )

        yield matching
