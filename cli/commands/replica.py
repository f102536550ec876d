"""`cas replica add | set | remove | status | verify`: other stores that hold the versions, too."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer
from rich.console import Group
from rich.text import Text

from cas.catalog.replica_model import NewReplica
from cas.catalog.replicating_rules import SPOKEN, check_new, name_taken
from cas.check import CheckLevel
from cas.entrusted import entrust, store_place
from cas.errors import Conflict, InvalidInput, NotFound
from cas.format.names import CONFIG
from cas.replicas.model import ReplicaStatus
from cas.replicas.status import replica_statuses
from cas.replicas.verifying import verify_replica
from cas.retention.words import parse_rule, rule_text
from cas.sealed_places import recognise
from cas.sealing.key_ring import Labelled
from cas.sealing.opening import newly_sealed, readable_id, sealed_alike, unsealed
from cas.sealing.store import SealedStore
from cas.sealing.store_credentials import OPENING_KINDS
from cas.store.interface import Store
from cas.store.locking import LockingStore
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.given_credentials import given_credentials
from cli.session import Session, url_of, whoami
from cli.showing_check import told
from cli.showing_replicas import statuses
from cli.watching_faces import watching
from cli.words import counted, plain

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the replica.")]


@dataclass(frozen=True, slots=True)
class ReplicasShown:
    """By name."""

    replicas: tuple[ReplicaStatus, ...]


def add_replica(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    examples = [
        "cas replica add offsite /mnt/nas/shop",
        "cas replica add offsite 's3://other-bucket/shop?region=eu-west-1' --retention 'daily 365'",
        "cas replica add mirror /mnt/second/shop --mirror",
        "cas replica add vault 's3://locked-bucket/shop' --object-lock 30",
        "cas replica add vault s3://theirs/shop --credentials ~/theirs.credentials",
    ]
    command(group, "add", examples=examples)(add)
    changes = ["cas replica set offsite --mirror", "cas replica set offsite --disable"]
    command(group, "set", examples=changes)(change)
    removals = ["cas replica remove offsite", "cas replica remove offsite --lost"]
    command(group, "remove", examples=removals)(remove)
    command(group, "status", examples=["cas replica status", "cas replica status --json"])(status)
    command(group, "verify", examples=["cas replica verify offsite --level bytes"])(verify)
    app.add_typer(group, name="replica", help="Copies in other stores; `cas replicate` fills them.")


def add(
    cas: Session,
    name: Name,
    place: Annotated[str, typer.Argument(metavar="URL", help="An empty directory or prefix of a bucket.")],
    retention: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="What it keeps: last 50, daily 365, within 90d; may be repeated. Unset: as the primary.",
        ),
    ] = None,
    object_lock: Annotated[
        int | None,
        typer.Option(
            metavar="DAYS",
            help="For so many days at least nobody can delete what is kept; the bucket must allow that.",
        ),
    ] = None,
    encrypt: Annotated[
        bool,
        typer.Option(
            "--encrypt",
            help="Seal it, with keys of its own: CAS_KEY_FILE, CAS_KEY_COMMAND, CAS_AGE_IDENTITY or "
            "CAS_PASSPHRASE_FILE, or a passphrase that is asked for. Unset: sealed where the primary is, "
            "with its keys.",
        ),
    ] = False,
    in_clear: Annotated[
        bool, typer.Option("--in-clear", help="Let it hold in clear what is sealed in the primary.")
    ] = False,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="New versions are copied to it in the run that takes them.")
    ] = False,
    credentials: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With credentials of its own, which the catalog keeps, sealed: the path of a file, or - for "
            "standard input. See `cas store credentials set --help`.",
        ),
    ] = None,
) -> ExitCode:
    """Make another store hold the versions, too. Nothing is copied before `cas replicate`, or before the next
    version where it is a mirror.

    It can be sealed where the primary is not: so a copy at another provider says nothing to it.
    """
    rules = [parse_rule(text, "--retention") for text in retention] if retention else None
    url = _with_lock(url_of(place), object_lock)
    check_new(NewReplica(name, url))
    primary, catalog = cas.repository, cas.catalog  # which says whether the primary is what it was
    _refuse_the_primary(primary.store.url, url)
    if any(replica.new.name == name for replica in catalog.replicating.replicas()):
        raise name_taken(name)
    if encrypt and in_clear:
        raise InvalidInput("sealed or in clear", where="--in-clear", hint="Say one of them")
    given = given_credentials(cas.terminal, url, credentials) if credentials is not None else None
    keys = cas.secrets.new(kinds=OPENING_KINDS) if given else ()
    bare = cas.bare_replica_store(url, create=True, options=cas.options_with(given))
    if isinstance(bare, LockingStore):
        bare.require_locking()
    _require_room(bare, primary.id)
    store = _sealed(cas, bare, encrypt=encrypt, in_clear=in_clear)
    days = store.lock_days if isinstance(store, LockingStore) else 0
    texts = tuple(map(rule_text, rules)) if rules else None
    kind = ("sealed " if isinstance(store, SealedStore) else "") + ("mirror" if mirror else "replica")
    new = NewReplica(name, store.url, texts, days, whoami(), mirror)
    # Known as sealed before it is filled: it must never be one that came without keys.
    catalog.sealing.forget(name)
    recognise(store, catalog, name)
    catalog.entrusting.forget(name)
    if given is not None:
        entrust(catalog, store_place(primary.id, name, store.url), given, keys)
    catalog.replicating.add(new)
    cas.terminal.result(
        new,
        human=Group(
            Text(f"{name} is a {kind} from now on", style="bold green"),
            Text(f"  {plain(store.url)}", style="dim"),
            Text(
                "  `cas replicate` fills it; from that URL alone everything comes back",
                style="dim",
            ),
        ),
    )
    return ExitCode.OK


def change(
    cas: Session,
    name: Name,
    mirror: Annotated[
        bool | None,
        typer.Option(
            "--mirror/--no-mirror",
            help="Whether new versions are copied to it in the run that takes them.",
            show_default=False,
        ),
    ] = None,
    enable: Annotated[
        bool | None,
        typer.Option(
            "--enable/--disable",
            help="Whether `cas replicate` without a name and snapshots copy to it.",
            show_default=False,
        ),
    ] = None,
) -> ExitCode:
    """Say when a replica is copied to. What it holds, and what it should hold already, stays as it is."""
    if mirror is None and enable is None:
        raise InvalidInput(
            "nothing would change",
            where="cas replica set",
            hint="Add --mirror, --no-mirror, --enable or --disable",
        )
    changed = cas.catalog.replicating.change(name, mirror=mirror, enabled=enable).new
    kind = "mirror" if changed.mirror else "replica"
    able = "enabled" if changed.enabled else "disabled"
    cas.terminal.result(changed, human=Text(f"{name} is a {kind}, and {able}", style="bold green"))
    return ExitCode.OK


def remove(
    cas: Session,
    name: Name,
    lost: Annotated[
        bool,
        typer.Option(
            "--lost", help="The store itself is gone, with the only copies of versions if it had some."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Of --lost: without being asked.")] = False,
) -> ExitCode:
    """Know a replica no more. Nothing that it holds is deleted.

    Refused where it has the only copy of a version: of what the primary has forgotten, and no other enabled
    replica holds.
    """
    known = cas.catalog.replicating
    replica = known.replica(name)
    if lost and not yes and not _agrees(cas, name):
        cas.terminal.note("Nothing was done")
        return ExitCode.DECLINED
    only = known.remove(name, lost=lost)
    cas.catalog.sealing.forget(name)
    cas.catalog.entrusting.forget(name)
    shutil.rmtree(cas.replica_cache(name), ignore_errors=True)
    left = "It is gone" if lost else "What it holds is left as it is"
    told = [
        Text(f"{name} is no replica any more", style="bold green"),
        Text(f"  {left}: {plain(replica.new.url)}", style="dim"),
    ]
    if only:
        told.append(Text(f"  Lost with it: {counted(len(only), 'version')} ({_some(only)})", style="yellow"))
    shown = {field.name: getattr(replica.new, field.name) for field in fields(replica.new)} | {"lost": only}
    cas.terminal.result(shown, human=Group(*told))
    return ExitCode.OK


def _agrees(cas: Session, name: str) -> bool:
    """Whether somebody says that a replica is lost. InvalidInput where nobody can be asked."""
    if not cas.terminal.is_interactive:
        raise InvalidInput(
            "giving up a replica wants to be confirmed, and nobody can be asked",
            where="--lost",
            hint="Add --yes",
        )
    only = cas.catalog.replicating.only_copies(name)
    if only:
        what = f"{name} has the only copy of {counted(len(only), 'version')}: {_some(only)}"
        cas.terminal.note(what, style="yellow")
    return cas.terminal.ask(f"Type {name}, the replica that is lost: ").strip() == name


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:SPOKEN])) + (" ..." if len(numbers) > SPOKEN else "")


def status(cas: Session) -> ExitCode:
    """Show how far each replica is behind, its last run, and when it was verified. No replica is asked."""
    found = tuple(replica_statuses(cas.catalog))
    cas.terminal.result(ReplicasShown(found), human=Group(*statuses(found, cas.catalog.now())))
    return ExitCode.OK


def verify(
    cas: Session,
    name: Name,
    level: Annotated[
        CheckLevel,
        typer.Option(
            help="structure: all trees, and where each record lies; packs: also every trailer; "
            "bytes: also every stored byte."
        ),
    ] = CheckLevel.STRUCTURE,
) -> ExitCode:
    """Prove from the replica alone that it holds what it should. Exit code 9 where it does not."""
    replica = cas.catalog.replicating.replica(name)
    cas.if_stopped = "Nothing was changed; a verification only reads"
    store = cas.replica_store(replica.new.url, name=name)
    with watching(cas.terminal, f"verify {name}") as counters:
        report = verify_replica(
            cas.repository,
            cas.catalog,
            name,
            store,
            level=level,
            cache=cas.replica_cache(name),
            progress=counters,
        )
    cas.terminal.result(report, human=Group(*told(report)))
    return ExitCode.OK if report.is_clean else ExitCode.CORRUPT


def _with_lock(url: str, days: int | None) -> str:
    if days is None:
        return url
    if not url.startswith("s3://"):
        raise InvalidInput(
            "only a bucket can lock its objects",
            where="--object-lock",
            hint="Name a bucket: s3://bucket/prefix",
        )
    if "object_lock=" in url:
        raise InvalidInput("the URL says already for how long", where="--object-lock", hint="Say it once")
    return f"{url}{'&' if '?' in url else '?'}object_lock={days}"


def _refuse_the_primary(primary: str, url: str) -> None:
    """InvalidInput where a replica would lie in the primary's own place, or one of them inside the other."""
    (ours, ours_path), (other, other_path) = _place(primary), _place(url)
    if ours == other and (ours_path.startswith(other_path) or other_path.startswith(ours_path)):
        raise InvalidInput(
            "that is the place of the repository itself, or inside of it, or around it",
            where=url,
            hint="A replica lies somewhere else, at best with somebody else",
        )


def _place(url: str) -> tuple[tuple[str, ...], str]:
    """What tells two places apart, whatever else the URLs say: server and path, with a slash at its end."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme == "file":
        return ("file",), f"{Path(path).resolve()}/"
    endpoint = next((unquote(one) for one in parts.query.split("&") if one.startswith("endpoint=")), "")
    return (parts.scheme, parts.netloc, endpoint.rstrip("/")), f"{path.strip('/')}/".lstrip("/")


def _require_room(store: Store, repository_id: str) -> None:
    """Conflict where another repository lies there, or something else."""
    try:
        found = readable_id(store)
    except NotFound:
        if next(store.objects(), None) is not None:
            raise Conflict(
                "something lies there that is no repository",
                where=store.url,
                hint="Choose an empty directory or prefix",
            ) from None
        return
    if found != repository_id:
        raise Conflict(
            "another repository lies there", where=store.url, hint="Choose an empty directory or prefix"
        )


def _sealed(cas: Session, bare: Store, *, encrypt: bool, in_clear: bool) -> Store:
    """The store of a replica as it will be filled. Its config is put now, so that nothing is ever put into it
    that is not sealed: a crash before leaves keys, which the next `add` makes anew."""
    primary = cas.repository.store
    there = unsealed(bare, cas.secrets)
    if isinstance(there, SealedStore) or in_clear or not (encrypt or isinstance(primary, SealedStore)):
        return there
    if any(True for _ in bare.objects(CONFIG)):
        raise Conflict(
            "what lies there is in clear, and is not sealed afterwards",
            where=bare.url,
            hint="Choose an empty directory or prefix",
        )
    if encrypt:
        new = newly_sealed(bare, cas.secrets, [Labelled(secret, "") for secret in cas.secrets.new()])
        new.put(CONFIG, primary.get(CONFIG), create_only=True)
        return new
    assert isinstance(primary, SealedStore)
    return sealed_alike(bare, primary)
