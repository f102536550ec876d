"""Brings a catalog's tables to what this program needs: plain SQL files, in order, once each.

Each file runs in a transaction of its own, under an advisory lock, so that of several programs that
start at once one migrates and the others find it done. The ledger `cas.migrations` keeps each
file's SHA-256: an edited file is noticed, and a catalog of a newer program is refused.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from cas.catalog.connecting import Connection, Connections
from cas.errors import Conflict, NotFound, Unsupported

_LOCK = 0x636173_6D6967
"""The advisory lock's number: 'cas mig' in ASCII."""
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` is the SHA-256 of its bytes, in hex."""

    number: int
    name: str
    sql: str
    checksum: str


def shipped_migrations() -> tuple[Migration, ...]:
    """The files of this program, ascending from 1 without a gap: in the wheel beside this module,
    in a checkout under infra/migrations."""
    installed = files("cas.catalog").joinpath("migrations")
    checkout = Path(__file__).parents[2] / "infra" / "migrations"
    place: Traversable = installed if installed.is_dir() else checkout
    found = [_load(file) for file in place.iterdir() if _FILE.fullmatch(file.name)]
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise AssertionError(f"migrations in {place} are not numbered from 1 without a gap")
    return tuple(found)


def _load(file: Traversable) -> Migration:
    content = file.read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    return Migration(int(file.name[:4]), file.name, content.decode("utf-8"), checksum)


def migrate(connections: Connections, migrations: Sequence[Migration], *, create: bool) -> int:
    """Apply what is missing; returns how many files that were.

    Without `create`, an empty database is NotFound and stays empty. Conflict where an applied file
    was edited or the schema is not ours, Unsupported where the catalog is newer than the program.
    """
    applied = 0
    while True:
        with connections.transaction() as connection:
            missing = _missing(connection, migrations, create=create)
            if not missing:
                return applied
            connection.execute("SET LOCAL statement_timeout = 0")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            # Somebody may have been faster while we waited for the lock.
            missing = _missing(connection, migrations, create=create)
            if missing:
                _apply(connection, missing[0])
                applied += 1


def _missing(connection: Connection, migrations: Sequence[Migration], *, create: bool) -> Sequence[Migration]:
    ledger = _ledger(connection)
    if ledger is None and not create:
        raise NotFound(
            "there is no catalog in this database",
            hint="`cas init` makes one; after losing a catalog, `cas catalog rebuild` fills it",
        )
    known = {migration.number: migration for migration in migrations}
    for number, (name, checksum) in (ledger or {}).items():
        if number not in known:
            raise Unsupported(
                f"the catalog was made by a newer version of this program (it has {name})",
                hint="Upgrade this program",
            )
        if known[number].checksum != checksum:
            raise Conflict(
                f"the migration {name} is not the one that was applied to this catalog",
                hint="An applied migration must never be edited; restore the file",
            )
    return [migration for migration in migrations if migration.number not in (ledger or {})]


def _ledger(connection: Connection) -> Mapping[int, tuple[str, str]] | None:
    """Name and checksum by number; None where there is no schema of ours."""
    # By a query and not by to_regnamespace, whose cache may not know yet what was made while we
    # waited for the advisory lock.
    found = connection.execute(
        """
        SELECT c.oid IS NOT NULL FROM pg_catalog.pg_namespace n
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'migrations'
        WHERE n.nspname = 'cas'
        """
    ).fetchone()
    if found is None:
        return None
    if not found[0]:
        raise Conflict(
            "the database has a schema 'cas' that is not a catalog",
            hint="Give the catalog a database of its own",
        )
    rows = connection.execute("SELECT number, name, checksum FROM cas.migrations ORDER BY number")
    return {number: (name, checksum) for number, name, checksum in rows}


def _apply(connection: Connection, migration: Migration) -> None:
    connection.execute(migration.sql.encode("utf-8"))
    connection.execute(
        "INSERT INTO cas.migrations (number, name, checksum) VALUES (%s, %s, %s)",
        [migration.number, migration.name, migration.checksum],
    )
