"""`cas import`: the version of a bundle, or of files of records, comes into the repository."""

from dataclasses import dataclass
from typing import Annotated
from zipfile import is_zipfile

import typer
from rich.console import Group
from rich.text import Text

from cas.bundles.importing import Imported, ImportRequest, import_bundle
from cas.bundles.showing import shown
from cas.errors import InvalidInput
from cli import flags
from cli.commanding import command
from cli.commands.bundle import File, opened, require_file, told
from cli.exit_codes import ExitCode
from cli.importing_for_people import import_for_people
from cli.session import Session, whoami
from cli.watching_faces import watching
from cli.words import counted, plain, size


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What has come of a bundle."""

    path: str
    imported: Imported


def add_import(app: typer.Typer) -> None:
    examples = [
        "cas import shop-v12.casb",
        "cas import shop-v12.casb --yes --json",
        'cas import shop-csv --edited --reason "new prices"',
    ]
    command(app, "import", examples=examples)(import_)


def import_(
    cas: Session,
    file: File,
    again: Annotated[
        bool, typer.Option("--again", help="Make a version though one that holds the same is there.")
    ] = False,
    yes: flags.Yes = False,
    edited: Annotated[
        bool,
        typer.Option("--edited", help="Of files of records: rows were changed since the export."),
    ] = False,
    name: flags.Name = "",
    reason: flags.Reason = "",
) -> ExitCode:
    """Take the version in a bundle, or in files that `cas export` wrote as jsonl or csv, into the repository,
    as a new version.

    All of it is proven before anything is changed. Of a bundle of this repository only what is not there yet
    is stored; one of another repository is read like a database, and compared afterwards. Whose a bundle is
    is not proven: one that opens by an age identity can be made by whoever knows the recipient.
    """
    require_file(file)
    if file.is_dir() or is_zipfile(file):
        return import_for_people(cas, file, edited=edited, name=name, reason=reason)
    if edited or name or reason:
        raise InvalidInput(
            "a bundle is taken in as it is, with its own name and reason",
            where=str(file),
            hint="--edited, --name and --reason go with files of records",
        )
    with opened(cas, file) as bundle:
        if not (yes or cas.terminal.is_interactive):
            raise InvalidInput(
                "an import wants to be confirmed, and nobody can be asked", where="import", hint="Add --yes"
            )
        repository, catalog = cas.repository, cas.catalog
        if not yes:
            cas.terminal.beside(Group(*told(shown(bundle))))
            answer = cas.terminal.ask(
                f"Type {bundle.head.number}, the number of the version, to take it in: "
            )
            if answer.strip() != str(bundle.head.number):
                cas.terminal.note("Nothing was done")
                return ExitCode.DECLINED
        request = ImportRequest(whoami(), again)
        cas.if_stopped = "No version was made; the versions before are untouched"
        with watching(cas.terminal, "import") as counters:
            found = import_bundle(repository, catalog, bundle, request, counters)
    cas.terminal.result(ImportResult(str(file), found), human=_told(found, str(file)))
    return ExitCode.OK


def _told(found: Imported, path: str) -> Text:
    version = found.version
    if version is None:
        return Text.assemble(
            (f"Version {found.equal} holds what is in {plain(path)}", "bold green"),
            ": nothing was done. Another version is made with --again",
        )
    return Text.assemble(
        (f"Version {version.number} is {version.state.value}", "bold green"),
        f": version {found.original} of {plain(path)}",
        " of another repository" if found.translated else "",
        f", {counted(found.records, 'record')}\n",
        f"  {counted(found.new_records, 'new record')}, {size(version.added_bytes)} added",
        f"\n  See it: cas show {version.number}",
    )
