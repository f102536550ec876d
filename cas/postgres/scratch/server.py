"""Making and dropping throwaway databases, each with a role of its own.

The role owns its database, logs in with a password of random bytes, and may do nothing anywhere else: it
is no superuser, makes no databases and no roles, and is a member of nothing. All that a version's schema
or a person's statement runs, runs as this role, over connections on which it logged in: a superuser's
SET ROLE could be taken back by the very statement that it should bound.

A run that was killed leaves its database behind; the next one drops it. It is ours where name, mark and
owner say so, and abandoned where its maker's process has ended; of another machine's, which nobody
can see, where nobody is connected to it any more and a day has gone by.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cas.errors import CasError, PermissionDenied, Unsupported
from cas.postgres.connecting import ConnectionOptions, connect, shown_url
from cas.postgres.faults import fault_of, faults_of
from cas.postgres.scratch.database import Access, ScratchDatabase
from cas.postgres.scratch.locales import UNAVAILABLE, tries
from cas.postgres.scratch.marking import (
    NAME_LIKE,
    Mark,
    encode_mark,
    is_gone,
    is_here,
    new_mark,
    new_name,
    read_mark,
)
from cas.records.source import SourceIdentity

ABANDONED_HOURS = 24
"""Age at which another machine's database counts as abandoned, if nobody is connected to it. Its maker
stays connected as long as it works."""

# A database of the role's name counts only where the role owns it.
_OURS = """
SELECT r.rolname::text, coalesce(shobj_description(r.oid, 'pg_authid'), ''), d.oid IS NOT NULL,
       EXISTS (SELECT FROM pg_database o WHERE o.datname = r.rolname AND o.datdba <> r.oid),
       EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)
FROM pg_roles r LEFT JOIN pg_database d ON d.datname = r.rolname AND d.datdba = r.oid
WHERE r.rolname LIKE %s ORDER BY 1
"""

_IS_OLD = "SELECT %s::timestamptz < now() - make_interval(hours => %s)"


@dataclass(frozen=True, slots=True)
class ScratchOptions:
    """How connections are opened, and how many build and load at once in a whole restore."""

    connection: ConnectionOptions
    jobs: int = 2


class PostgresScratchServer:
    """Throwaway databases on the server of one URL, whose role must be able to make roles and databases."""

    def __init__(self, url: Callable[[], str], options: ScratchOptions, *, hint: str) -> None:
        """`url` is asked when the first database is made, since an embedded server starts for it; `hint`
        says what to do where the server lacks something."""
        self._url = url
        self._options = options
        self._hint = hint

    @contextmanager
    def database(self, platform: SourceIdentity, what: str) -> Iterator[ScratchDatabase]:
        """See `cas.records.scratch`. PermissionDenied where the role may not make roles and databases,
        Unsupported where the server cannot have the encoding."""
        url = self._url()
        with ExitStack() as stack:
            with closing(connect(url, self._options.connection)) as admin:
                drop_abandoned(admin)
                name, password = new_name(), secrets.token_hex(24)
                stack.push(_dropping(url, self._options.connection, name))
                with _making(url):
                    _make_role(admin, name, password, what)
                    note = _make_database(admin, name, platform)
            access = Access(
                admin=make_conninfo(url, dbname=name),
                own=make_conninfo(url, dbname=name, user=name, password=password),
                options=self._options.connection,
                jobs=self._options.jobs,
            )
            database = ScratchDatabase(access, name, (note,) if note else (), self._hint)
            # It also shows other runs that the database is in use.
            stack.callback(database.close)
            yield database


def drop_abandoned(admin: psycopg.Connection) -> list[str]:
    """Drop what runs left behind whose process has ended; the names. What is not certainly ours, or may
    be in use, stays."""
    dropped = []
    with faults_of("looking for abandoned throwaway databases"):
        found = admin.execute(_OURS, [NAME_LIKE]).fetchall()
        for name, comment, has_database, is_anothers, is_connected in found:
            mark = read_mark(name, comment)
            if mark is None or is_anothers or not _is_abandoned(admin, mark, is_connected=is_connected):
                continue
            # Whoever is faster than we are, or connects now, is right.
            with suppress(psycopg.Error):
                if has_database:
                    # Of a process that has ended, what still runs in the server runs for nobody.
                    force = sql.SQL(" WITH (FORCE)" if is_here(mark.maker) else "")
                    admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)) + force)
                admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
                dropped.append(name)
    return dropped


def _is_abandoned(admin: psycopg.Connection, mark: Mark, *, is_connected: bool) -> bool:
    if is_here(mark.maker):
        return is_gone(mark.maker)
    if is_connected:
        return False
    try:
        row = admin.execute(_IS_OLD, [mark.made, ABANDONED_HOURS]).fetchone()
    except psycopg.DataError:  # a time that is none: not a mark that we made
        return False
    return row is not None and bool(row[0])


def _make_role(admin: psycopg.Connection, name: str, password: str, what: str) -> None:
    """The role with its mark, together or not at all. What it may do is what a new role may: log in."""
    role = sql.Identifier(name)
    # As the server keeps it, so that no log holds the password.
    kept = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    with admin.transaction():
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(kept)))
        comment = encode_mark(new_mark(name, what))
        admin.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(comment)))
        if not _is_superuser(admin):
            # Only a member may give a database to a role.
            admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))


def _make_database(admin: psycopg.Connection, name: str, platform: SourceIdentity) -> str:
    """Empty, closed to everybody else; returns what is not as on the platform."""
    own = sql.Identifier(name)
    refusal: psycopg.Error | None = None
    for one in tries(platform, admin.info.server_version):
        make = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ").format(own, own)
        try:
            admin.execute(make + one.options)
        except psycopg.Error as error:
            if error.sqlstate not in UNAVAILABLE:
                raise
            refusal = error
            continue
        admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(own))
        return one.note
    said = refusal.diag.message_primary if refusal else ""
    raise Unsupported(f"the throwaway server cannot have the encoding {platform.encoding}: {said}")


def _is_superuser(admin: psycopg.Connection) -> bool:
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return row is not None and bool(row[0])


@contextmanager
def _making(url: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDenied(
            f"the throwaway server refuses to make a database: {error.diag.message_primary}",
            where=shown_url(url),
            hint="Its role needs CREATEDB and CREATEROLE, or to be a superuser",
        ) from error
    except psycopg.Error as error:
        raise fault_of(error, where=shown_url(url)) from error


def _dropping(
    url: str, options: ConnectionOptions, name: str
) -> Callable[[type[BaseException] | None, BaseException | None, object], bool]:
    """For an ExitStack: drop database and role. Where the work failed already its error is the one that
    counts; what could not be dropped then is dropped by the next run."""

    def leave(kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        try:
            _drop(url, options, name)
        except CasError:
            if error is None:
                raise
        return False

    return leave


def _drop(url: str, options: ConnectionOptions, name: str) -> None:
    own = sql.Identifier(name)
    with closing(connect(url, options)) as admin, faults_of(f"dropping the throwaway database {name}"):
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(own))
        admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(own))
