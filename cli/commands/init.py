"""`cas init`: make a repository, and the catalog that belongs to it."""

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from cas.catalog.sealing import PRIMARY
from cas.engine.repository import Repository, create_repository
from cas.entrusted import entrust, store_place
from cas.errors import Conflict, InvalidInput, NotFound
from cas.sealing.key_ring import Labelled
from cas.sealing.opening import newly_sealed, unsealed
from cas.sealing.store import SealedStore
from cas.sealing.store_credentials import OPENING_KINDS
from cas.store.credentials import Credentials
from cas.store.interface import Store
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.given_credentials import given_credentials
from cli.session import Session
from cli.words import plain


@dataclass(frozen=True, slots=True)
class InitReceipt:
    """`created` is False where an interrupted `init` was brought to its end. `keys`: what opens it; none
    where it is not sealed."""

    repository_id: str
    store: str
    catalog: str
    created: bool
    keys: tuple[str, ...] = ()


def add_init(app: typer.Typer) -> None:
    examples = [
        "cas init /var/backups/shop",
        "cas init s3://bucket/shop --encrypt",
        "cas init gs://bucket/shop",
        "cas init 'az://container/shop?account=name'",
    ]
    command(app, "init", examples=examples)(init)


def init(
    cas: Session,
    repository: Annotated[
        str | None, typer.Argument(metavar="[STORE]", help="Directory or URL; unset: the setting CAS_STORE.")
    ] = None,
    encrypt: Annotated[
        bool,
        typer.Option(
            "--encrypt",
            help="Seal everything, with CAS_KEY_FILE, CAS_KEY_COMMAND, CAS_AGE_IDENTITY or "
            "CAS_PASSPHRASE_FILE; without any of them a passphrase is asked for. Who loses all keys loses "
            "everything.",
        ),
    ] = False,
    credentials: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With credentials of its own, which the catalog at CAS_CATALOG keeps, sealed: the path of a "
            "file, or - for standard input. See `cas store credentials set --help`.",
        ),
    ] = None,
) -> ExitCode:
    """Make an empty repository in a directory or bucket, and its catalog."""
    if repository is not None:
        cas.set(store=repository)
    # A catalog that does not answer is found out before anything is made.
    _ = cas.given_catalog or cas.embedded
    given = _given(cas, credentials) if credentials is not None else None
    secrets = cas.secrets.new(kinds=OPENING_KINDS) if given else ()
    bare = cas.bare_store(create=True, options=cas.options_with(given) if given else None)
    store = _sealed(cas, bare) if encrypt else unsealed(bare, cas.secrets)
    try:
        create_repository(store)
        created = True
    except Conflict as conflict:
        _require_unfinished(cas, cas.repository_in(store), conflict)
        created = False
    opened = cas.repository_in(store)
    catalog = cas.attached(opened, create=True)
    if given is not None:
        entrust(catalog, store_place(opened.id, PRIMARY, cas.store_url), given, secrets)
    sealed = opened.store if isinstance(opened.store, SealedStore) else None
    keys = tuple(slot.head.kind.value for slot in sealed.keys.unlocked.head.slots) if sealed else ()
    receipt = InitReceipt(opened.id, store.url, catalog.url, created, keys)
    cas.terminal.result(receipt, human=_told(receipt))
    return ExitCode.OK


def _given(cas: Session, source: str) -> Credentials:
    if cas.given_catalog is None:
        raise InvalidInput(
            "credentials of the repository itself want a catalog that is found without it",
            where="--credentials",
            hint="Name one by CAS_CATALOG",
        )
    return given_credentials(cas.terminal, cas.store_url, source)


def _sealed(cas: Session, bare: Store) -> Store:
    cas.terminal.warn(
        "what opens a sealed repository cannot be replaced: without any of its keys nothing and nobody "
        "brings the data back. Make a recovery kit, too, with `cas key export`"
    )
    return newly_sealed(bare, cas.secrets, [Labelled(secret, "") for secret in cas.secrets.new()])


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
        (f"{done} {'sealed ' if receipt.keys else ''}repository {receipt.repository_id}\n", "bold green"),
        f"  store    {plain(receipt.store)}\n",
        f"  catalog  {plain(receipt.catalog)}\n",
        f"  keys     {', '.join(receipt.keys)}\n" if receipt.keys else "",
        ("Next: ", "dim"),
        f"export CAS_STORE={plain(receipt.store)}, then cas snapshot --source postgresql://...",
    )
