"""Directories of files that a person names, as trees to be read or written."""

from collections.abc import Iterable
from pathlib import Path

from cas.errors import InvalidInput
from cas.files.directory import Directory
from cas.records.files import require_name
from cli.paths import expanded
from cli.session import Session


def parse_place(text: str) -> tuple[str, Path]:
    """`uploads=/srv/app/uploads`. InvalidInput says how it is written."""
    name, equals, path = text.partition("=")
    if not equals or not path or "\0" in path:
        raise InvalidInput(
            f"not a name and a directory: {text[:60]}", where="--files", hint="Write --files NAME=DIRECTORY"
        )
    if "://" in path:
        raise InvalidInput(
            f"only directories of this machine can be named: {name[:40]}",
            where="--files",
            hint="Mount the bucket, or let its provider version it",
        )
    return require_name(name), expanded(path).absolute()


def file_trees(cas: Session, texts: Iterable[str]) -> tuple[Directory, ...]:
    """As `--files` or CAS_FILES has them. InvalidInput for a directory in which the repository lies."""
    own = [cas.settings.home, *([expanded(cas.settings.store)] if _is_local(cas) else [])]
    trees = []
    for text in texts:
        name, path = parse_place(text)
        for place in own:
            if place.absolute().is_relative_to(path):
                raise InvalidInput(
                    f"{place} lies in {path}: each version would hold those before it",
                    where=f"--files {name}",
                    hint="Keep the repository and CAS_HOME elsewhere",
                )
        trees.append(Directory(name, path))
    return tuple(trees)


def _is_local(cas: Session) -> bool:
    return bool(cas.settings.store) and "://" not in cas.settings.store
