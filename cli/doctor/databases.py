"""The two databases: the catalog, and the platform with what the connected role may read of it."""

from collections.abc import Iterator

from cas.catalog.interface import Catalog
from cas.catalog.model import VersionFilter, VersionState
from cas.errors import CasError
from cas.postgres.dumping.programs import find_pg_dump
from cas.postgres.examination import PlatformFacts, ServerFacts, examine_platform, examine_server
from cli.doctor.model import Health, Observation, clock
from cli.paths import expanded
from cli.session import Session
from cli.words import counted, duration

NEWEST_MAJOR = 18
"""The newest PostgreSQL that this program was tested with."""

READER = "cas_reader"
"""The name of the role in the statements, where the connected one already may read everything."""


def look_at_catalog(session: Session) -> Iterator[Observation]:
    """Reachable, of this repository, up to date; and how fresh the newest version is."""
    url = session.catalog_url(session.repository.id)
    server = examine_server(url, session.connection_options)
    kind = "your own server" if session.settings.catalog.get_secret_value() else "embedded"
    found = f"{server.url}, PostgreSQL {server.identity.server_version} ({kind})"
    yield Observation("catalog", "reachable", Health.OK, found)
    catalog = session.catalog
    yield Observation(
        "catalog", "attached", Health.OK, f"to repository {session.repository.id}, tables up to date"
    )
    yield clock("catalog", server.clock_ahead, "the catalog's clock")
    strangers = set(session.repository.numbers()) - catalog.known_numbers()
    if strangers:
        found = f"the store holds {counted(len(strangers), 'version')} that the catalog does not know"
        yield Observation("catalog", "versions", Health.FAIL, found, "Run `cas catalog rebuild`")
    yield from _partial(catalog)
    newest = catalog.versions(VersionFilter(states=(VersionState.COMPLETE,), limit=1))
    if not newest:
        yield Observation(
            "catalog", "newest version", Health.WARN, "there is none yet", "Take one: cas snapshot"
        )
        return
    age = duration((catalog.now() - newest[0].created_at).total_seconds())
    yield Observation("catalog", "newest version", Health.OK, f"version {newest[0].number}, taken {age} ago")


def _partial(catalog: Catalog) -> Iterator[Observation]:
    """Where a store should hold a version and does not."""
    owed = catalog.replicating.owed()
    if owed:
        versions = counted(len({number for numbers in owed.values() for number in numbers}), "version")
        found = f"{versions} partial: not in {', '.join(owed)}, which should hold them"
        advice = (
            "Run `cas replicate`, with the name of a disabled one; `cas replica status` says what was wrong"
        )
        yield Observation("catalog", "partial versions", Health.WARN, found, advice)


def look_at_source(session: Session) -> Iterator[Observation]:
    """Reachable, of a known version, readable as a whole; a pg_dump that fits."""
    server = examine_server(session.source_url, session.connection_options)
    identity = server.identity
    found = f"{server.url} as {server.role}, PostgreSQL {identity.server_version}"
    major = identity.server_version_num // 10000
    if major > NEWEST_MAJOR:
        advice = f"Versions 14 to {NEWEST_MAJOR} were tested; take a version, and restore it once"
        yield Observation("source", "reachable", Health.WARN, found, advice)
    else:
        yield Observation("source", "reachable", Health.OK, found)
    yield Observation("source", "encoding", Health.OK, f"{identity.encoding}, {identity.locale}")
    yield from _circumstances(server)
    yield clock("source", server.clock_ahead, "the source's clock")
    yield _pg_dump(session, major)
    yield from _rights(examine_platform(session.source_url, session.connection_options, READER), server)


def grants_of(session: Session) -> tuple[str, ...]:
    """The statements that make a role which may read everything and write nothing."""
    server = examine_server(session.source_url, session.connection_options)
    facts = examine_platform(session.source_url, session.connection_options, _reader(server))
    made = () if _reader(server) == server.role else (f"CREATE ROLE {READER} LOGIN PASSWORD '...';",)
    return (*made, *facts.grants.short)


def _reader(server: ServerFacts) -> str:
    return READER if server.is_superuser else server.role


def _circumstances(server: ServerFacts) -> Iterator[Observation]:
    if server.is_standby:
        found = "it is a standby: long reads may be cancelled by what it replays"
        yield Observation("source", "standby", Health.WARN, found, "Raise max_standby_streaming_delay there")
    if server.is_superuser:
        advice = f"A role that only reads is safer: see the statements for {READER} below"
        yield Observation("source", "role", Health.WARN, f"{server.role} is a superuser", advice)
    is_local = "host=/" in server.url or "@/" in server.url or "localhost" in server.url
    if not server.is_encrypted and not is_local:
        advice = "Add sslmode=verify-full to the URL"
        yield Observation("source", "encryption", Health.WARN, "the connection is not encrypted", advice)


def _pg_dump(session: Session, major: int) -> Observation:
    setting = session.settings.pg_dump
    try:
        program = find_pg_dump(major, expanded(setting) if setting else None)
    except CasError as error:
        return Observation("source", "pg_dump", Health.FAIL, error.what, error.hint)
    if program.major != major:
        found = f"{program.major} for a server of version {major}, {program.path}"
        advice = (
            f"It works, but a schema written by {program.major} may not suit {major}: install client {major}"
        )
        return Observation("source", "pg_dump", Health.WARN, found, advice)
    return Observation("source", "pg_dump", Health.OK, f"{program.major}, {program.path}")


def _rights(facts: PlatformFacts, server: ServerFacts) -> Iterator[Observation]:
    for name, reason, remedy in facts.lacking:
        yield Observation("source", name, Health.FAIL, reason, remedy)
    if not facts.lacking:
        found = f"{server.role} may read all of {counted(facts.tables, 'table')}"
        yield Observation("source", "rights", Health.OK, found)
    if not facts.tables:
        yield Observation(
            "source", "tables", Health.WARN, "the database has no tables", "Is it the right one?"
        )
