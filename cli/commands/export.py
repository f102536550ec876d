"""`cas export`: a version leaves, as a bundle or as files for other programs."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cas.bundles.exporting import Exported, ExportRequest, export_version
from cas.errors import InvalidInput
from cas.limits import MAX_KEY_SLOTS
from cas.sealing.age import AgeRecipient
from cas.sealing.key_ring import Labelled
from cas.sealing.store import SealedStore
from cas.store.delivering import check_name
from cas.tabular.exporting import ExportFormat
from cli.bucket_places import bucket_place, is_bucket_url, local_path, require_outside
from cli.bundle_bucket import new_object
from cli.bundle_file import SUM_SUFFIX, HashingSink, new_file
from cli.bundle_secrets import LABEL, BundleSecrets
from cli.commanding import command
from cli.commands.show import VersionArgument
from cli.exit_codes import ExitCode
from cli.exporting_for_people import export_for_people
from cli.key_secrets import read_recipients
from cli.links import SignedLink, link_seconds, signed, tell
from cli.paths import expanded
from cli.session import Session
from cli.watching_faces import watching
from cli.words import counted, plain, size

SUFFIX = ".casb"
STDOUT = "-"
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Written:
    """A bundle that was written. `path`: `-` for standard output, a URL where it lies in a bucket."""

    path: str
    sha256: str
    sealed: bool
    exported: Exported
    link: SignedLink | None = None


def add_export(app: typer.Typer) -> None:
    examples = [
        "cas export latest",
        "cas export 12 --output /mnt/stick/shop.casb --encrypt",
        "cas export 12 --recipient age1...",
        "cas export 12 --entity products --entity suppliers",
        "cas export 12 --since 9",
        "cas export 12 --format csv --output shop.zip --entity products",
        "cas export 12 --format sqlite --output shop.sqlite",
        "cas export 12 --output s3://bucket/exports/ --encrypt --link 24h",
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
            help="Where to; a directory is taken for its place, - for standard output. A bucket: "
            "s3://bucket/prefix/, s3://bucket/prefix/NAME.casb, gs:// or az://. "
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
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RECIPIENT",
            help="Seal it for whoever has the identity of this age recipient: age1..., ssh-ed25519 or "
            "ssh-rsa; may be repeated.",
        ),
    ] = None,
    recipients_file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Seal it for the age recipients in a file, one a line."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    link: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="Of a bundle in a bucket: tell a link under which whoever has it downloads it, for 30m, "
            "24h, at most 7d.",
        ),
    ] = None,
) -> ExitCode:
    """Write a version into one file, a bundle, which is a small repository: `cas import` takes it in, and
    `tar xf` unpacks it.

    It holds the version's records, keys and schema, and nothing of other versions but what a dictionary has
    of them: snippets of records that compression learnt from. Not sealed, whoever has the file can read it.
    On its way into a bucket it needs as much room among the temporary files (TMPDIR).

    The same version gives the same bytes, sealed or not, but for age recipients: what is sealed for them is
    random each time. Whoever knows a recipient can make a bundle that opens for it: that it opens says
    nothing of who made it.
    """
    is_remote = output is not None and is_bucket_url(output)
    is_sealed = bool(encrypt or recipient or recipients_file)
    if kind is not None:
        if since is not None or is_sealed or link is not None or output == STDOUT or is_remote:
            raise InvalidInput(
                "files for other programs are whole, in clear, and lie on this machine",
                where="--format",
                hint="--since, --encrypt, --recipient, --link, `--output -` and buckets go with bundles",
            )
        place = local_path(output) if output else None
        return export_for_people(cas, version, kind, place, entity or (), force=force)
    if output == STDOUT and cas.terminal.as_json:
        raise InvalidInput(
            "standard output carries either the bundle or the JSON", where="--json", hint="Drop one of them"
        )
    if link is not None and not is_remote:
        raise InvalidInput(
            "there are links only to bundles in buckets",
            where="--link",
            hint="Name a bucket: --output s3://bucket/prefix/",
        )
    seconds = None if link is None else link_seconds(link, "--link")
    chosen = cas.reading(version)
    before = None if since is None else cas.reading(since).number
    slots = [Labelled(one, LABEL) for one in _recipients(recipient or (), recipients_file)]
    slots += BundleSecrets(cas.settings, cas.terminal).new() if encrypt else ()
    if len(slots) > MAX_KEY_SLOTS:
        raise InvalidInput(f"at most {MAX_KEY_SLOTS} keys open a bundle", where="--recipient")
    request = ExportRequest(tuple(entity) if entity else None, before, slots)
    if isinstance(cas.repository.store, SealedStore) and not slots:
        cas.terminal.warn("the repository is sealed, and this bundle is not: --encrypt seals it")
    cas.if_stopped = "Nothing was written"
    if output == STDOUT:
        written = _into(cas, chosen.number, request, HashingSink(sys.stdout.fileno()), STDOUT)
        cas.terminal.note(_told(written).plain)
        return ExitCode.OK
    name = _usual_name(chosen.source_database, chosen.number)
    if output is not None and is_remote:
        return _into_bucket(cas, chosen.number, request, output, name, seconds, force=force)
    path = _path(output, name)
    require_outside(cas, path.parent.resolve().as_uri())
    with new_file(path, force=force) as sink:
        written = _into(cas, chosen.number, request, sink, str(path))
    cas.terminal.result(written, human=_told(written))
    return ExitCode.OK


def _recipients(texts: Sequence[str], file: Path | None) -> Sequence[AgeRecipient]:
    """Each once."""
    found = [AgeRecipient.read(text, "--recipient") for text in texts]
    return list(dict.fromkeys([*found, *(read_recipients(expanded(file)) if file else ())]))


def _into_bucket(
    cas: Session,
    number: int,
    request: ExportRequest,
    url: str,
    name: str,
    seconds: int | None,
    *,
    force: bool,
) -> ExitCode:
    """`seconds`: how long the link to it holds; None: there is none. Whether one can be signed is found out
    before the work."""
    place = bucket_place(cas, url, "--output", usual_name=name)
    check_name(f"{place.name}{SUM_SUFFIX}")
    if not place.name.endswith(SUFFIX):
        raise InvalidInput(
            f"a bundle in a bucket ends with {SUFFIX}",
            where="--output",
            hint=f"End a prefix with a slash, and a name with {SUFFIX}",
        )
    require_outside(cas, place.store.url)
    cas.if_stopped = "Under the name lies nothing, or all of the bundle"
    if seconds is not None:
        signed(place, seconds)
    with new_object(place, cas.terminal, force=force) as sink:
        written = _into(cas, number, request, sink, place.url)
    if seconds is not None:
        written = replace(written, link=signed(place, seconds))
    cas.terminal.result(written, human=_told(written))
    if written.link is not None:
        tell(cas.terminal, written.link)
    return ExitCode.OK


def _into(cas: Session, number: int, request: ExportRequest, sink: HashingSink, path: str) -> Written:
    with watching(cas.terminal, "export") as counters:
        exported = export_version(cas.repository, cas.catalog, number, sink, request, counters)
    return Written(path, sink.sha256, bool(request.slots), exported)


def _usual_name(database: str, number: int) -> str:
    return f"{_NO_FILE_NAME.sub('-', database).strip('.-') or 'version'}-v{number}{SUFFIX}"


def _path(output: str | None, name: str) -> Path:
    path = expanded(local_path(output)) if output else Path(name)
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
