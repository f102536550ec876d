"""`cas export`: a version leaves, as a bundle or as files for other programs."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cas.bundles.exporting import Exported, ExportRequest, export_version
from cas.errors import InvalidInput
from cas.sealing.store import SealedStore
from cas.tabular.exporting import ExportFormat
from cli.bundle_file import HashingSink, new_file
from cli.bundle_secrets import BundleSecrets
from cli.commanding import command
from cli.commands.show import VersionArgument
from cli.exit_codes import ExitCode
from cli.exporting_for_people import export_for_people
from cli.paths import expanded
from cli.session import Session
from cli.watching_faces import watching
from cli.words import counted, plain, size

SUFFIX = ".casb"
STDOUT = "-"
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Written:
    """A bundle that was written. `path`: `-` for standard output."""

    path: str
    sha256: str
    sealed: bool
    exported: Exported


def add_export(app: typer.Typer) -> None:
    examples = [
        "cas export latest",
        "cas export 12 --output /mnt/stick/shop.casb --encrypt",
        "cas export 12 --entity products --entity suppliers",
        "cas export 12 --since 9",
        "cas export 12 --format csv --output shop.zip --entity products",
        "cas export 12 --format sqlite --output shop.sqlite",
        "cas export 12 --output - | ssh elsewhere 'cat > shop.casb'",
    ]
    command(app, "export", examples=examples)(export)


def export(
    cas: Session,
    version: VersionArgument,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; a directory is taken for its place, - for standard output. "
            "\\[default: DATABASE-vV.casb]",
            show_default=False,
        ),
    ] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Only this entity: schema.table, or table; may be repeated."),
    ] = None,
    kind: Annotated[
        ExportFormat | None,
        typer.Option(
            "--format",
            help="For other programs: jsonl and csv, as a directory or a zip; sql and sqlite, as a file. "
            "Unset: a bundle.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="W", help="Without what version W has: only a repository that has it takes this in."
        ),
    ] = None,
    encrypt: Annotated[
        bool,
        typer.Option(
            "--encrypt",
            help="Seal it: CAS_BUNDLE_PASSPHRASE_FILE, CAS_BUNDLE_KEY_FILE, or a passphrase that is asked "
            "for.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> ExitCode:
    """Write a version into one file, a bundle, which is a small repository: `cas import` takes it in, and
    `tar xf` unpacks it.

    It holds the version's records, keys and schema, and nothing of other versions but what a dictionary has
    of them: snippets of records that compression learnt from. Not sealed, whoever has the file can read it.
    """
    if kind is not None:
        if since is not None or encrypt or output == STDOUT:
            raise InvalidInput(
                "files for other programs are whole, in clear, and lie somewhere",
                where="--format",
                hint="--since, --encrypt and `--output -` go with bundles",
            )
        place = Path(output) if output else None
        return export_for_people(cas, version, kind, place, entity or (), force=force)
    if output == STDOUT and cas.terminal.as_json:
        raise InvalidInput(
            "standard output carries either the bundle or the JSON", where="--json", hint="Drop one of them"
        )
    chosen = cas.reading(version)
    before = None if since is None else cas.reading(since).number
    slots = BundleSecrets(cas.settings, cas.terminal).new() if encrypt else ()
    request = ExportRequest(tuple(entity) if entity else None, before, slots)
    if isinstance(cas.repository.store, SealedStore) and not encrypt:
        cas.terminal.warn("the repository is sealed, and this bundle is not: --encrypt seals it")
    cas.if_stopped = "Nothing was written"
    if output == STDOUT:
        written = _into(cas, chosen.number, request, HashingSink(sys.stdout.fileno()), STDOUT)
        cas.terminal.note(_told(written).plain)
        return ExitCode.OK
    path = _path(output, chosen.source_database, chosen.number)
    with new_file(path, force=force) as sink:
        written = _into(cas, chosen.number, request, sink, str(path))
    cas.terminal.result(written, human=_told(written))
    return ExitCode.OK


def _into(cas: Session, number: int, request: ExportRequest, sink: HashingSink, path: str) -> Written:
    with watching(cas.terminal, "export") as counters:
        exported = export_version(cas.repository, cas.catalog, number, sink, request, counters)
    return Written(path, sink.sha256, bool(request.slots), exported)


def _path(output: str | None, database: str, number: int) -> Path:
    name = f"{_NO_FILE_NAME.sub('-', database).strip('.-') or 'version'}-v{number}{SUFFIX}"
    path = expanded(output) if output else Path(name)
    return (path / name if path.is_dir() else path).absolute()


def _told(written: Written) -> Text:
    one = written.exported
    held = f"{counted(one.records, 'record')}, {counted(one.entities, 'entity', 'entities')}"
    return Text.assemble(
        (f"Version {one.version} is in {plain(written.path)}", "bold green"),
        f": {held}, {size(one.bytes)}",
        ", sealed" if written.sealed else "",
        f"\n  sha256 {written.sha256}",
    )
