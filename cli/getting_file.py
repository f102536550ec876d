"""One file of a version, to standard output or to a place of its own."""

import os
import secrets
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from rich.text import Text

from cas.contents import Contents
from cas.errors import Conflict, InvalidInput, NotFound
from cas.file_contents import StoredFiles, stored_files
from cas.records.encodings import encode_text
from cas.records.files import FILE_ENCODING, FileRecord
from cas.records.model import OF_THE_DATABASE
from cli.exit_codes import ExitCode
from cli.operating_system import faults_of_files
from cli.session import Session
from cli.words import plain, size


def file_of(contents: Contents, entity: str, key: Sequence[str]) -> tuple[StoredFiles, FileRecord] | None:
    """The path that these words mean; None where they mean a record of a table, which wins over files of its
    name. NotFound where there is no such path."""
    with suppress(NotFound):
        if contents.entry(entity).entity.kind in OF_THE_DATABASE:
            return None
    try:
        stored = stored_files(contents, entity)
    except NotFound:
        return None
    if len(key) != 1:
        raise InvalidInput("a file has one path", where=" ".join(key)[:200], hint="Quote its spaces")
    return stored, stored.record(encode_text(key[0], FILE_ENCODING))


def hand_over(cas: Session, stored: StoredFiles, record: FileRecord, output: Path | None) -> ExitCode:
    """CorruptData where it is not what was read once: then there is no file, and what went to standard output
    is to be thrown away."""
    content = stored.content(record)
    if output is None:
        for piece in content:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return ExitCode.OK
    with faults_of_files(output):
        _write(output, content)
    cas.terminal.result(
        {"file": output, "bytes": record.size, "content": record.content},
        human=Text(
            f"{plain(str(output))}: {size(record.size)}, as in version {stored.contents.document.number}"
        ),
    )
    return ExitCode.OK


def _write(output: Path, content: Iterable[bytes]) -> None:
    """Whole, or not at all. What is there stays."""
    if os.path.lexists(output):
        raise Conflict("there is something already", where=str(output), hint="Give another name to -o")
    temporary = output.with_name(f".cas-restoring-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(output)
    finally:
        with suppress(OSError):
            temporary.unlink()
