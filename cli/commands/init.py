"""`cas init`: make a repository, and the catalog that belongs to it."""

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from cas.catalog.postgres import PostgresCatalog
from cas.engine.repository import Repository, create_repository
from cas.errors import Conflict, NotFound
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.words import plain


@dataclass(frozen=True, slots=True)
class InitReceipt:
    """`created` is False where an interrupted `init` was brought to its end."""

    repository_id: str
    store: str
    catalog: str
    created: bool


def add_init(app: typer.Typer) -> None:
    examples = [
        "cas init /var/backups/shop",
        "cas init s3://bucket/shop",
        "cas init gs://bucket/shop",
        "cas init 'az://container/shop?account=name'",
    ]
    command(app, "init", examples=examples)(init)


def init(
    cas: Session,
    repository: Annotated[
        str | None, typer.Argument(metavar="[STORE]", help="Directory or URL; unset: the setting CAS_STORE.")
    ] = None,
) -> ExitCode:
    """Make an empty repository in a directory or bucket, and its catalog."""
    if repository is not None:
        cas.set(store=repository)
    if cas.settings.catalog.get_secret_value():
        # A catalog that does not answer is found out before anything is made.
        PostgresCatalog(cas.catalog_url("")).close()
    else:
        _ = cas.embedded
    store = cas.store(create=True)
    try:
        create_repository(store)
        created = True
    except Conflict as conflict:
        _require_unfinished(cas, cas.repository_in(store), conflict)
        created = False
    opened = cas.repository_in(store)
    catalog = cas.attached(opened, create=True)
    receipt = InitReceipt(opened.id, store.url, catalog.url, created)
    cas.terminal.result(receipt, human=_told(receipt))
    return ExitCode.OK


def _require_unfinished(cas: Session, repository: Repository, conflict: Conflict) -> None:
    """An `init` that was interrupted left a config and no catalog; everything else is a conflict."""
    try:
        cas.attached(repository)
    except NotFound:
        if repository.numbers():
            raise Conflict(
                "there is a repository with versions already, and this catalog does not know it",
                where=repository.store.url,
                hint="`cas catalog rebuild` makes the catalog anew from the store",
            ) from conflict
        return
    raise conflict


def _told(receipt: InitReceipt) -> Text:
    done = "Made" if receipt.created else "Finished"
    return Text.assemble(
        (f"{done} repository {receipt.repository_id}\n", "bold green"),
        f"  store    {plain(receipt.store)}\n",
        f"  catalog  {plain(receipt.catalog)}\n",
        ("Next: ", "dim"),
        f"export CAS_STORE={plain(receipt.store)}, then cas snapshot --source postgresql://...",
    )
