"""Reading `cas.toml`: every key is known, or said to be unknown; a stranger's file is not obeyed."""

import difflib
import os
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path

from cas.errors import InvalidInput, PermissionDenied
from cli.paths import expanded

FILE_NAME = "cas.toml"

MAX_FILE_BYTES = 64 * 1024
"""A page of settings. Anything larger is some other file of this name."""

_PATHS = ("s3_ca", "postgres_ca")
"""Settings that are files; relative ones are beside the cas.toml that names them."""


def read_files(paths: Sequence[Path], known: Sequence[str]) -> dict[str, object]:
    """The settings in these files, the first one's winning; files that do not exist hold none.

    InvalidInput for what is no TOML or holds an unknown key, PermissionDenied for a file that cannot
    be read or that others can write: it could send the data to a store of theirs.
    """
    merged: dict[str, object] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        for name, value in _read(path, known).items():
            merged.setdefault(name, value)
    return merged


def found_files(paths: Sequence[Path]) -> list[Path]:
    """Those that exist, each once."""
    return [path for path in dict.fromkeys(path.resolve() for path in paths) if path.is_file()]


def _read(path: Path, known: Sequence[str]) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            _require_own(path, os.fstat(file.fileno()))
            content = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise PermissionDenied(
            f"the settings cannot be read: {error.strerror}", where=str(path), hint="Correct its rights"
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise InvalidInput("too large to be a file of settings", where=str(path))
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidInput("not text in UTF-8", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"not TOML: {str(error)[:200]}", where=str(path), hint='Write name = "value"'
        ) from error
    _require_known(path, values, known)
    return {name: _resolved(path, name, value) for name, value in values.items()}


def _require_own(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise PermissionDenied(
            "the settings belong to another user and could send your data elsewhere",
            where=str(path),
            hint="Make the file your own (chown), or run cas in another directory",
        )
    if status.st_mode & stat.S_IWOTH:
        raise PermissionDenied(
            "everybody may write the settings, and could send your data elsewhere",
            where=str(path),
            hint="Take the right away: chmod o-w",
        )


def _require_known(path: Path, values: dict[str, object], known: Sequence[str]) -> None:
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise InvalidInput(
                f"unknown setting {name[:40]}",
                where=str(path),
                hint=f"{meant}Known are {', '.join(sorted(known))}",
            )


def _resolved(path: Path, name: str, value: object) -> object:
    """What is relative in a file is relative to the file's directory."""
    if name in _PATHS and value and isinstance(value, str):
        return str(path.parent / expanded(value))
    if name == "files":
        several = value.split(":") if isinstance(value, str) else value
        return [_beside(path, one) for one in several] if isinstance(several, list) else value
    if name == "store" and value and isinstance(value, str) and "://" not in value:
        return str(path.parent / expanded(value))
    return value


def _beside(path: Path, named: object) -> object:
    """`NAME=PATH`, the path as it is from anywhere."""
    if not isinstance(named, str) or "=" not in named:
        return named
    name, _, place = named.partition("=")
    return f"{name}={path.parent / expanded(place)}"
