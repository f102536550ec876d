"""`cas store credentials set | list | remove`: credentials of single stores, sealed in the catalog."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.interface import Catalog
from cas.catalog.replicating_rules import none_such
from cas.catalog.sealing import PRIMARY
from cas.entrusted import EntrustedHead, entrust, entrusted_heads, store_place
from cas.errors import Conflict, CorruptData, InvalidInput, NotFound, PermissionDenied
from cas.sealing.opening import readable_id, unsealed
from cas.sealing.store_credentials import OPENING_KINDS
from cas.store.credentials import Credentials
from cas.store.interface import Store, StoreFault
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.given_credentials import given_credentials
from cli.session import Session, url_of
from cli.tables import cells, indented, table
from cli.words import counted, plain

Replica = Annotated[
    str | None, typer.Option(metavar="NAME", help="Those of this replica; unset: of the repository itself.")
]


@dataclass(frozen=True, slots=True)
class CredentialsShown:
    """Of one store, nothing of what they are. `replica`: None for the repository itself. `kind`: the scheme
    of the URL; empty like it where there is no such replica any more. `opened_by`: kinds of keys. `wrong`:
    why nobody can read them."""

    replica: str | None
    url: str
    kind: str
    since: str
    opened_by: tuple[str, ...]
    wrong: str


@dataclass(frozen=True, slots=True)
class AllCredentials:
    """The repository's first, then by name."""

    credentials: tuple[CredentialsShown, ...]


@dataclass(frozen=True, slots=True)
class CredentialsRemoved:
    """`replica`: None for the repository itself."""

    replica: str | None


def add_credentials(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    settings = [
        "cas store credentials set ~/offsite.credentials --replica offsite",
        "pass show offsite | cas store credentials set - --replica offsite",
        "cas store credentials set",
    ]
    command(group, "set", examples=settings)(keep)
    command(group, "list", examples=["cas store credentials list"])(show)
    command(group, "remove", examples=["cas store credentials remove --replica offsite"])(remove)
    about = "Credentials of single stores, sealed in the catalog; they win over the environment."
    app.add_typer(group, name="credentials", help=about)


def keep(
    cas: Session,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="Where they stand; - for standard input; unset: they are asked for. Of s3: lines of an AWS "
            "credentials file; of gs: the key file of a service account; of az: a connection string, an "
            "account key or a shared access signature.",
        ),
    ] = None,
    replica: Replica = None,
    untried: Annotated[
        bool,
        typer.Option("--untried", help="Of a replica: keep them without opening the store with them."),
    ] = False,
) -> ExitCode:
    """Keep the credentials of a store in the catalog, sealed, instead of earlier ones.

    The store is opened with these and no others from then on, whatever the environment says. What opens them
    is the key of the settings (CAS_KEY_FILE, CAS_KEY_COMMAND, CAS_PASSPHRASE_FILE) or a passphrase that is
    asked for. They are of this store at this URL only. Before they are kept, the store is opened with them.
    """
    if replica is None:
        url, given, repository_id, catalog = _tried_primary(cas, source, untried=untried)
    else:
        repository_id, catalog = cas.repository.id, cas.catalog
        url = catalog.replicating.replica(replica).new.url
        given = given_credentials(cas.terminal, url, source)
        if not untried:
            _try(cas.bare_replica_store(url, options=cas.options_with(given)), repository_id)
    store = store_place(repository_id, replica or PRIMARY, url)
    head = entrust(catalog, store, given, cas.secrets.new(kinds=OPENING_KINDS))
    shown = _shown(head, url)
    said = Text.assemble(
        (f"The credentials of {plain(replica or 'the repository')} are kept, sealed\n", "bold green"),
        (f"  for {plain(url)}, and opened by: {', '.join(shown.opened_by)}", "dim"),
    )
    cas.terminal.result(shown, human=said)
    return ExitCode.OK


def show(cas: Session) -> ExitCode:
    """Show which stores have credentials in the catalog, since when, and what kinds of keys open them.

    Nothing of the credentials is shown, and no key is needed where CAS_CATALOG names the catalog.
    """
    catalog: Catalog = cas.given_catalog or cas.catalog
    heads = entrusted_heads(catalog)
    urls = {one.name: one.new.url for one in catalog.replicating.replicas()} if heads else {}
    if any(head.place == PRIMARY for head in heads):
        urls[PRIMARY] = cas.store_url
    found = AllCredentials(tuple(_shown(head, urls.get(head.place, "")) for head in heads))
    cas.terminal.result(found, human=Group(*_listed(found.credentials)))
    return ExitCode.OK


def remove(cas: Session, replica: Replica = None) -> ExitCode:
    """Keep the credentials of a store no more: it is opened with those of the environment again."""
    if replica == PRIMARY:
        raise none_such(replica)
    catalog = cas.catalog if replica is not None else _catalog_somehow(cas)
    if not catalog.entrusting.forget(PRIMARY if replica is None else replica):
        raise NotFound(
            f"the catalog keeps no credentials of {replica or 'the repository'}",
            hint="`cas store credentials list` shows all",
        )
    said = f"The credentials of {plain(replica or 'the repository')} are kept no more"
    cas.terminal.result(CredentialsRemoved(replica), human=Text(said, style="bold green"))
    return ExitCode.OK


def _tried_primary(
    cas: Session, source: str | None, *, untried: bool
) -> tuple[str, Credentials, str, Catalog]:
    """URL, credentials, and the repository that was opened with them, with its catalog."""
    if cas.given_catalog is None:
        raise InvalidInput(
            "credentials of the repository itself want a catalog that is found without it",
            where="CAS_CATALOG",
            hint="Name one by CAS_CATALOG; the embedded one is found by what lies in the store",
        )
    if untried:
        raise InvalidInput(
            "the repository itself is opened with them, to know whose they are",
            where="--untried",
            hint="Leave it out",
        )
    given = given_credentials(cas.terminal, cas.store_url, source)
    repository = cas.repository_in(unsealed(cas.bare_store(options=cas.options_with(given)), cas.secrets))
    return cas.store_url, given, repository.id, cas.attached(repository)


def _try(store: Store, repository_id: str) -> None:
    """List and read. As stores raise; Conflict where another repository lies there."""
    next(store.objects(), None)
    with suppress(NotFound):
        if readable_id(store) != repository_id:
            raise Conflict("another repository lies there", where=store.url, hint="Look at the replica's URL")


def _catalog_somehow(cas: Session) -> Catalog:
    """The catalog of the repository, whose store is opened by what the environment has where what is sealed
    does not do it."""
    try:
        return cas.catalog
    except (PermissionDenied, Conflict, CorruptData, StoreFault):
        store = unsealed(cas.bare_store(options=cas.store_options), cas.secrets)
        return cas.attached(cas.repository_in(store))


def _shown(head: EntrustedHead, url: str) -> CredentialsShown:
    kind = url_of(url).split("://", 1)[0] if url else ""
    return CredentialsShown(head.place or None, url, kind, head.since, head.opened_by, head.wrong)


def _listed(found: Sequence[CredentialsShown]) -> Iterator[RenderableType]:
    yield Text.assemble((counted(len(found), "store"), "bold"), " with credentials in the catalog")
    if not found:
        return
    rows = table("store", "kind", "since", "opened by", "URL")
    for one in found:
        since = one.since[:16].replace("T", " ")
        opened = one.wrong or ", ".join(one.opened_by)
        url = one.url or "there is no such replica"
        rows.add_row(*cells([one.replica or "the repository", one.kind, since, opened, url]))
    yield indented(rows)
