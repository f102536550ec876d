"""Looking at a server and a platform for whoever asks whether everything is ready. Reads only."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cas.postgres.connecting import ConnectionOptions, connect, shown_url
from cas.postgres.faults import faults_of
from cas.postgres.reading.grants import LeastPrivilege, least_privilege, missing
from cas.postgres.reading.identity import identity_of, require_honest
from cas.postgres.reading.introspection import introspect
from cas.records.source import SourceIdentity

_SERVER = """
SELECT clock_timestamp(), current_user::text, current_setting('is_superuser') = 'on', pg_is_in_recovery(),
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)
"""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself. `clock_ahead` is by how much its clock is ahead of ours, with the
    time of the question halved away; negative where it is behind."""

    url: str
    identity: SourceIdentity
    role: str
    is_superuser: bool
    is_standby: bool
    is_encrypted: bool
    clock_ahead: timedelta


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """What a role can read of a platform. `lacking` is (name, why, what helps) of what it cannot."""

    tables: int
    lacking: tuple[tuple[str, str, str], ...]
    grants: LeastPrivilege


def examine_server(url: str, options: ConnectionOptions) -> ServerFacts:
    """Connect and ask. Raises as `connecting.connect` does."""
    with closing(connect(url, options)) as connection, faults_of(shown_url(url)):
        asked = datetime.now(UTC)
        row = connection.execute(_SERVER).fetchone()
        answered = datetime.now(UTC)
        assert row is not None
        clock, role, is_superuser, is_standby, is_encrypted = row
        return ServerFacts(
            url=shown_url(url),
            identity=identity_of(connection),
            role=role,
            is_superuser=is_superuser,
            is_standby=is_standby,
            is_encrypted=is_encrypted,
            clock_ahead=clock - (asked + (answered - asked) / 2),
        )


def examine_platform(url: str, options: ConnectionOptions, reader: str) -> PlatformFacts:
    """What the connected role can read, and the statements that let the role `reader` read everything.

    Unsupported where the server is set to pass over damage.
    """
    with closing(connect(url, options)) as connection:
        require_honest(connection, shown_url(url))
        return PlatformFacts(
            tables=len(introspect(connection).tables),
            lacking=tuple((name, why.reason, why.remedy) for name, why in missing(connection)),
            grants=least_privilege(connection, reader),
        )
