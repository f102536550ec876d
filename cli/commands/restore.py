"""`cas restore`: bring a version back, into the running platform or into an empty database."""

from typing import Annotated

import typer

from cas.errors import InvalidInput
from cas.file_plan import FileRestoreRequest
from cas.live.request import Named
from cli import flags
from cli.commanding import command
from cli.commands.planning_live import new_plan, stored_plan
from cli.commands.restores import restore_number
from cli.commands.restoring_files import restore_files_of
from cli.commands.restoring_into import IntoParts, restore_into_empty
from cli.commands.restoring_live import Consent, finish, require_somebody
from cli.exit_codes import ExitCode
from cli.scope import LiveScope
from cli.session import Session, whoami
from cli.version_choice import VersionOrNone, chosen_version

_FILES = "How files come back"


def add_restore(app: typer.Typer) -> None:
    examples = [
        "cas restore 12",
        "cas restore 12 --key products:42,43 --with-parents",
        'cas restore 12 --where "products: price > 100" --columns price --yes',
        "cas restore --plan 3",
        "cas restore latest --into postgresql://owner@db/shop_again",
        "cas restore 12 --into postgresql://owner@db/scratch --table products --dry-run",
        "cas restore 12 --files uploads=/srv/shop/uploads --yes",
    ]
    command(app, "restore", examples=examples)(restore)


def restore(
    cas: Session,
    scope: LiveScope,
    parts: IntoParts,
    version: VersionOrNone = None,
    at: flags.At = None,
    plan: Annotated[
        str | None,
        typer.Option(metavar="N", help="Instead of V: execute this plan of `cas plan`, if it still holds."),
    ] = None,
    into: flags.Into = None,
    files: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PLACE",
            help="Instead: bring files of the version back into a directory or bucket. Only shown without "
            "--yes.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    delete: Annotated[
        bool,
        typer.Option("--delete", help="And take away what the version has not.", rich_help_panel=_FILES),
    ] = False,
    links: Annotated[
        bool,
        typer.Option(
            "--links", help="Also symbolic links that lead out of the directory.", rich_help_panel=_FILES
        ),
    ] = False,
    yes: flags.Yes = False,
    dry_run: flags.DryRun = False,
    source: flags.Platform = None,
    scratch: flags.Scratch = None,
    name: flags.Name = "",
    description: flags.Description = "",
) -> ExitCode:
    """Bring a version back into the running platform, in one transaction that can be undone; or, with --into,
    fill an empty database; or, with --files, bring files back into a directory or bucket.

    What will happen is shown first, and has to be agreed to. Whatever goes wrong: nothing was changed.
    """
    if files:
        others = (*scope.given_for_live, *_given(plan=plan, into=into, scratch=scratch, name=name))
        _refuse((*others, *parts.given, *_given(description=description)), "for rows, not for files")
        how = FileRestoreRequest(delete=delete, links=links)
        number = chosen_version(cas, version, at)
        allowed = scope.allow_incomplete
        return restore_files_of(cas, number, files, how, is_agreed=yes and not dry_run, incomplete=allowed)
    _refuse(_given(delete=delete, links=links), "for files: name them with --files")
    beside = _given(source=source, scratch=scratch, name=name, description=description)
    if into is not None:
        _refuse((*scope.given_for_live, *beside), "for the running platform, which --into is not")
        _refuse(_given(plan=plan), "executed in the running platform, which --into is not")
        request = parts.request(scope, cas.settings.threads)
        chosen = chosen_version(cas, version, at)
        return restore_into_empty(cas, chosen, into, request, is_agreed=yes, dry_run=dry_run)
    _refuse(parts.given, "for an empty database: name it with --into")
    cas.set(source=source, scratch=scratch)
    consent = Consent(is_given=yes, dry_run=dry_run, is_stored=plan is not None)
    if plan is not None:
        others = (*scope.given, *_given(at=at, name=name, description=description))
        _refuse((*(["V"] if version is not None else []), *others), "in the plan already")
    require_somebody(cas, consent)
    if plan is not None:
        platform = cas.platform()
        prepared = stored_plan(cas, platform, cas.restores.restore(restore_number(plan)))
    else:
        asked = scope.request(None if scope.base is None else cas.reading(scope.base).number)
        platform = cas.platform()
        chosen = chosen_version(cas, version, at, platform.url)
        prepared = new_plan(cas, platform, chosen, asked, Named(name, description, whoami()))
    with prepared:
        return finish(cas, platform, prepared, consent)


def _given(**options: str | bool | None) -> tuple[str, ...]:
    return tuple(f"--{name}" for name, value in options.items() if value)


def _refuse(given: tuple[str, ...], why: str) -> None:
    """InvalidInput where one of these was given."""
    if given:
        verb = "is" if len(given) == 1 else "are"
        raise InvalidInput(f"{', '.join(given)} {verb} {why}", where="restore", hint="Drop one side")
