"""This program: its dependencies and their versions, its settings."""

import platform
import re
import stat
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import cas
from cas.errors import CasError
from cas.postgres.dumping.programs import find_pg_dump
from cas.postgres.embedded.files import MAJOR, wheel_programs
from cli.doctor.model import Health, Observation
from cli.paths import expanded
from cli.session import Session
from cli.settings_files import FILE_NAME, found_files

DISTRIBUTION = "cas-backup"

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?[^;]*?>=\s*([0-9.]+)")

_PASSWORD = re.compile(r"(?m)^\s*(source|catalog)\s*=.*(:[^/@\s]+@|password)")


def look_at_program(session: Session) -> Iterator[Observation]:
    """Python, each dependency, the embedded PostgreSQL, pg_dump, and where settings come from."""
    yield Observation("program", "cas", Health.OK, f"{cas.__version__}, Python {platform.python_version()}")
    yield from _dependencies()
    try:
        yield Observation(
            "program", "embedded PostgreSQL", Health.OK, f"{MAJOR}, in {wheel_programs().parent}"
        )
    except CasError as error:
        needs_it = not session.settings.catalog.get_secret_value()
        yield Observation(
            "program", "embedded PostgreSQL", Health.FAIL if needs_it else Health.OK, error.what, error.hint
        )
    setting = session.settings.pg_dump
    try:
        program = find_pg_dump(0, expanded(setting) if setting else None)
        yield Observation("program", "pg_dump", Health.OK, f"{program.major}, {program.path}")
    except CasError as error:
        yield Observation("program", "pg_dump", Health.FAIL, error.what, error.hint)
    yield from _settings(session)


def _dependencies() -> Iterator[Observation]:
    try:
        wanted = [line for line in requires(DISTRIBUTION) or [] if "extra ==" not in line]
    except PackageNotFoundError:
        yield Observation(
            "program", "dependencies", Health.WARN, "this program is not installed", "Run `make setup`"
        )
        return
    found = []
    for line in wanted:
        match = _REQUIREMENT.match(line)
        assert match is not None, f"{line}: our own requirements all have this form"
        name, least = match[1], match[2]
        try:
            present = version(name)
        except PackageNotFoundError:
            advice = f"Install it: pip install '{name}>={least}'"
            yield Observation("program", name, Health.FAIL, f"missing; {least} or newer is needed", advice)
            continue
        if _numbers(present) < _numbers(least):
            advice = f"Upgrade it: pip install --upgrade '{name}>={least}'"
            yield Observation("program", name, Health.FAIL, f"{present}; {least} or newer is needed", advice)
        else:
            found.append(f"{name} {present}")
    yield Observation("program", "dependencies", Health.OK, ", ".join(found))


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, match[0].split("."))) if match else ()


def _settings(session: Session) -> Iterator[Observation]:
    files = found_files([Path.cwd() / FILE_NAME, session.settings.home / FILE_NAME])
    names = ", ".join(map(str, files)) or "flags and environment only"
    yield Observation("program", "settings", Health.OK, names)
    for file in files:
        others = file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
        if others and re.search(
            r"(?m)^\s*(source|catalog)\s*=.*(:[^/@\s]+@|password)", file.read_text("utf-8")
        ):
            yield Observation(
                "program",
                "settings",
                Health.WARN,
                f"{file} holds a password, and others can read it",
                f"chmod 600 {file}, or leave the password to ~/.pgpass",
            )
