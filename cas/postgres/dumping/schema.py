"""The schema of a snapshot, by pg_dump under the same snapshot, as items that joined give its text.

The whole database is dumped and then entries are left out, since pg_dump itself, told to dump some
tables, would leave out the types and functions that they need. What always goes is what belongs to
our own change capture, its triggers on the platform's tables included.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from cas.errors import CasError, ConnectionFailed, PermissionDenied, SourceChanged, Unsupported
from cas.limits import MIB
from cas.postgres.connecting import without_secrets
from cas.postgres.dumping.text import DumpEntry, entries
from cas.postgres.faults import MAX_MESSAGE
from cas.postgres.filling.filled_views import REFRESH
from cas.postgres.quoting import conversation_encoding, shown
from cas.postgres.reading.shapes import CAPTURE_SCHEMA
from cas.records.source import SchemaItem

MAX_SCHEMA_BYTES = 512 * MIB
"""A dump is held in memory; one that is larger is refused."""

ROLE = "ROLE"
"""Type of the items that name a role which the schema needs. They have no SQL."""

_POST_DATA = frozenset(
    {
        *("INDEX", "INDEX ATTACH", "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE"),
        *("POLICY", "ROW SECURITY", "STATISTICS", "EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE"),
        *("PUBLICATION TABLES IN SCHEMA", "SUBSCRIPTION", "SUBSCRIPTION TABLE", "ACL", "DEFAULT ACL"),
    }
)
"""The first entry of such a type begins the post-data section. pg_dump writes privileges last, and
there they belong: rows are filled in before anybody's privileges are taken away."""


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """One run of pg_dump. `parameters` are libpq's, of the very server that holds the snapshot."""

    program: Path
    parameters: Mapping[str, str | int]
    snapshot_id: str
    lock_timeout: float
    """Seconds."""
    encoding: str
    """The server's encoding."""
    excluded: Sequence[tuple[str, str]] = ()
    """(schema, name) of tables that the role may not lock; pg_dump would fail on them."""
    backslashes_escape: bool = False
    """Whether the role's own standard_conforming_strings is off; the text is wanted with it on."""


def dump_entries(request: DumpRequest) -> list[DumpEntry]:
    """The whole schema. Raises SourceChanged where somebody waits to alter a table,
    PermissionDenied, ConnectionFailed, Unsupported."""
    with tempfile.TemporaryDirectory(prefix="cas-dump-") as directory:
        output, log = Path(directory, "schema.sql"), Path(directory, "log")
        with log.open("wb") as errors:
            done = subprocess.run(
                _arguments(request, output),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=_environment(request),
                check=False,
            )
        if done.returncode != 0:
            raise _failure(log.read_text(errors="replace"), str(request.program))
        size = output.stat().st_size
        if size > MAX_SCHEMA_BYTES:
            raise Unsupported(f"a schema dump of {size} bytes; the limit is {MAX_SCHEMA_BYTES}")
        text = output.read_bytes().decode("utf-8", "surrogateescape")
    return list(entries(text))


def schema_items(kept: Iterable[DumpEntry], roles: Iterable[str]) -> tuple[SchemaItem, ...]:
    """Roles first, then the entries in pg_dump's order, each with its section."""
    items = [SchemaItem("pre-data", ROLE, "", role, "") for role in roles]
    section = "pre-data"
    for entry in kept:
        if entry.type in _POST_DATA:
            section = "post-data"
        items.append(SchemaItem(section, entry.type, entry.schema, entry.name, entry.sql))
    return tuple(items)


def schema_text(items: Iterable[SchemaItem]) -> str:
    """What pg_dump wrote, without lines for psql; without our own items that fill views."""
    return "".join(item.sql for item in items if item.type != REFRESH)


def _arguments(request: DumpRequest, output: Path) -> list[str]:
    parameters = without_secrets(request.parameters)
    if request.backslashes_escape:
        parameters["options"] = f"{parameters.get('options', '')} -c standard_conforming_strings=on".strip()
    arguments = [
        str(request.program),
        "--schema-only",
        "--verbose",  # the entries' oids; progress goes to the log
        "--no-password",
        f"--snapshot={request.snapshot_id}",
        f"--lock-wait-timeout={round(request.lock_timeout * 1000)}",
        f"--encoding={conversation_encoding(request.encoding)}",
        f"--exclude-schema={CAPTURE_SCHEMA}",
        f"--file={output}",
    ]
    arguments += [f"--exclude-table={shown(schema, name)}" for schema, name in request.excluded]
    return [*arguments, f"--dbname={make_conninfo('', **parameters)}"]


def _environment(request: DumpRequest) -> dict[str, str]:
    """Ours, so that .pgpass and the like work, but for CAS_*, which may be secrets; with the password, which
    must not stand on a command line, and with a time zone that default expressions are written in."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CAS_")}
    environment = {**ours, "LC_ALL": "C", "PGTZ": "UTC"}
    if "password" in request.parameters:
        environment["PGPASSWORD"] = str(request.parameters["password"])
    return environment


def _failure(log: str, program: str) -> CasError:
    """The error for pg_dump's own words: its last line that names one."""
    lines = [
        line.removeprefix("pg_dump: ") for line in log.splitlines() if line.startswith("pg_dump: error: ")
    ]
    what = (lines or ["pg_dump failed and gave no reason"])[-1].removeprefix("error: ")[:MAX_MESSAGE]
    if "lock timeout" in log:
        return SourceChanged(
            "somebody waits to alter a table while its schema is dumped", where=program, hint="Start again"
        )
    if "permission denied" in log:
        return PermissionDenied(what, where=program, hint="`cas doctor` prints the GRANTs that are needed")
    if "server version mismatch" in log:
        return Unsupported(what, where=program, hint="Install the client programs of the server's version")
    if "connection to server" in log or "server closed the connection" in log:
        return ConnectionFailed(what, where=program)
    return CasError(what, where=program)
