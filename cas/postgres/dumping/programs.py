"""Which pg_dump to run: one of the server's own major version, else the next newer one.

pg_dump refuses servers that are newer than itself, and what it writes for older ones suits its own version.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cas.errors import InvalidInput, Unsupported
from cas.postgres.embedded.files import wheel_programs

_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/local/pgsql/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "opt/homebrew/opt/libpq/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)
"""Where packages put several versions side by side: Debian, Red Hat, a build from source, macOS."""

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class DumpProgram:
    """A pg_dump that runs here."""

    path: Path
    major: int


def find_pg_dump(server_major: int, setting: Path | None = None) -> DumpProgram:
    """The program to dump a server of this major version with; `setting` names one, and then only that
    counts. InvalidInput where it does not run, Unsupported where none is new enough."""
    if setting is not None:
        program = probe(setting)
        if program is None:
            raise InvalidInput("this pg_dump does not run", where=str(setting))
        found = [program]
    else:
        found = list(_found(server_major))
    fitting = [program for program in found if program.major >= server_major]
    if not fitting:
        known = ", ".join(sorted({str(program.major) for program in found})) or "none"
        raise Unsupported(
            f"no pg_dump for a PostgreSQL {server_major} server; found: {known}",
            hint=f"Install the PostgreSQL {server_major} client programs, or name a pg_dump in the settings",
        )
    return min(fitting, key=lambda program: program.major)


def probe(path: Path) -> DumpProgram | None:
    """The program at this path, by what it says of itself; None where it does not run."""
    try:
        done = subprocess.run(
            [str(path), "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stdout.decode("utf-8", "replace"))
    return DumpProgram(path, int(match[1])) if done.returncode == 0 and match else None


def _found(server_major: int) -> Iterator[DumpProgram]:
    """All of them; of the server's own version the first one alone. Those whose place names this version are
    asked first: what stands on the PATH is often a script, whose start takes longer than a small dump."""
    named = re.compile(rf"(?<!\d){server_major}(?!\d)")
    for path in sorted(_candidates(), key=lambda path: named.search(str(path.parent)) is None):
        program = probe(path)
        if program is not None:
            yield program
            if program.major == server_major:
                return


def _candidates() -> Iterator[Path]:
    named = shutil.which("pg_dump")
    if named is not None:
        yield Path(named)
    for place in _PLACES:
        yield from sorted(directory / "pg_dump" for directory in Path("/").glob(place))
    try:
        yield wheel_programs() / "pg_dump"
    except Unsupported:
        return
