"""`cas bundle show | check`: what is in a bundle, and whether it is whole. No repository is needed."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.bundles.opening import OpenBundle, opened_bundle
from cas.bundles.proving import examine
from cas.bundles.showing import Shown, shown
from cas.damage import Finding
from cas.errors import InvalidInput, PermissionDenied
from cli.bundle_secrets import OPEN_HINT, BundleSecrets
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.paths import expanded
from cli.session import Session
from cli.showing_checks import told_damage
from cli.tables import cells, facts, indented, table
from cli.watching_faces import watching
from cli.words import counted, number, plain, size

SHOWN_FINDINGS = 20

_ADDRESS = re.compile(r"(https?|s3|gs|az|memory):/", re.IGNORECASE)
"""Of a path that was an address: of its two slashes one is left."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="A bundle, as `cas export` makes it.")]


@dataclass(frozen=True, slots=True)
class BundleChecked:
    """`since`: the version whose chunks are not in it, and were not looked at; None where all is in it."""

    path: str
    version: int
    since: int | None
    findings: Sequence[Finding]
    is_clean: bool


def add_bundle(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    command(group, "show", examples=["cas bundle show shop-v12.casb"])(show)
    command(group, "check", examples=["cas bundle check shop-v12.casb"])(check)
    app.add_typer(
        group, name="bundle", help="Versions in files: what is in them, and whether they are whole."
    )


def show(cas: Session, file: File) -> ExitCode:
    """Show what is in a bundle, by what it says itself; `cas bundle check` proves it."""
    with opened(cas, file) as bundle:
        found = shown(bundle)
    cas.terminal.result(found, human=Group(*told(found)))
    return ExitCode.OK


def check(cas: Session, file: File) -> ExitCode:
    """Prove every byte of a bundle, and that all is in it that its version needs. Damage: exit code 9."""
    with opened(cas, file) as bundle, watching(cas.terminal, "check") as counters:
        findings = examine(bundle, counters)
        since = bundle.head.since
        found = BundleChecked(
            str(file), bundle.head.number, since.number if since else None, findings, not findings
        )
    cas.terminal.result(found, human=Group(*_told_check(found)))
    return ExitCode.OK if found.is_clean else ExitCode.CORRUPT


def require_file(file: Path) -> None:
    """InvalidInput for an address, which is not repeated: a link is a secret."""
    if _ADDRESS.match(str(file)):
        raise InvalidInput(
            "a bundle is read from a file, and this is an address",
            where="FILE",
            hint="Download it first: `curl -o shop.casb LINK`, or with the provider's tool",
        )


@contextmanager
def opened(cas: Session, file: Path) -> Iterator[OpenBundle]:
    """A bundle, with what opens it where it is sealed."""
    require_file(file)
    try:
        with opened_bundle(expanded(file), BundleSecrets(cas.settings, cas.terminal)) as bundle:
            yield bundle
    except PermissionDenied as error:
        if error.where.startswith("file:"):
            raise PermissionDenied(
                error.what,
                where=str(file),
                hint=OPEN_HINT,
            ) from None
        raise


def told(found: Shown) -> Iterator[RenderableType]:
    """For people."""
    sealed = "  sealed" if found.sealed else ""
    yield Text.assemble(
        (f"Version {found.version} in {plain(found.path)}", "bold"), f"  {found.kind}{sealed}"
    )
    rows = [
        ("size", f"{size(found.bytes)} in {counted(found.packs, 'pack')}"),
        ("records", number(found.records)),
        ("taken", found.created_at),
        ("database", plain(found.database)),
        ("repository", found.repository_id),
        ("checksum", found.checksum.hex()),
    ]
    rows += [("reason", plain(found.reason))] if found.reason else []
    rows += [("name", plain(found.name))] if found.name else []
    if found.since is not None:
        rows.append(("without", f"what version {found.since.number} has: it must be there to take this in"))
    yield facts(rows)
    if found.entities:
        listing = table("entity", ">records", ">bytes")
        for one in found.entities:
            listing.add_row(*cells([plain(one.label), number(one.records), size(one.payload_bytes)]))
        yield Text()
        yield indented(listing)


def _told_check(found: BundleChecked) -> Iterator[RenderableType]:
    if found.is_clean:
        yield Text(
            f"Nothing is wrong with version {found.version} in {plain(found.path)}", style="bold green"
        )
    for finding in islice(found.findings, SHOWN_FINDINGS):
        yield told_damage(finding)
    if found.since is not None:
        yield Text(
            f"  What version {found.since} has is not in it, and was not looked at: the import does",
            style="dim",
        )
