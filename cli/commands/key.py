"""`cas key list | add | remove | rotate | export | restore | accept`: what opens a sealed repository."""

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.sealing import PRIMARY
from cas.errors import Conflict, InvalidInput, NotFound
from cas.format.sealing import KeysHead, SlotHead, SlotKind
from cas.sealed_places import accept, recognise, restore_keys
from cas.sealing.age import AgeRecipient
from cas.sealing.key_ring import Chance, Labelled, Unlocked, rotated, with_slot, without_slot
from cas.sealing.key_secrets import KeySecret, SlotMaker, unwrap
from cas.sealing.opening import readable_id, unsealed
from cas.sealing.recovery import CODE_BYTES, RecoveryCode
from cas.sealing.store import SealedStore
from cas.sealing.stored_keys import newest_keys
from cas.store.interface import Store
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.key_secrets import key_command, make_key_file, read_key_file, read_passphrase
from cli.paths import expanded
from cli.recovery_kit import kit_file, kit_text
from cli.session import Session
from cli.tables import cells, indented, table
from cli.words import counted, plain

Replica = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The keys of this replica; unset: those of the repository itself."),
]
Label = Annotated[str, typer.Option(metavar="TEXT", help="What people call it, as `ada's laptop`.")]


class NewKey(StrEnum):
    """What `cas key add` takes."""

    PASSPHRASE = "passphrase"  # noqa: S105 - a word
    FILE = "file"
    COMMAND = "command"
    AGE = "age"


_WHICH = {
    NewKey.FILE: "Name the file",
    NewKey.COMMAND: "Write the command line in quotes",
    NewKey.AGE: "Write the recipient, as age1...",
}


@dataclass(frozen=True, slots=True)
class KeyShown:
    """One slot. `costs`: KiB, passes and lanes of a passphrase."""

    number: int
    kind: str
    label: str
    created_at: str
    costs: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class KeysShown:
    """`number`: of the keys, which grows with each change."""

    store: str
    number: int
    changed_at: str
    keys: tuple[KeyShown, ...]


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """What a change has left. `data_keys`: with so many different keys objects are sealed by now."""

    keys: KeysShown
    data_keys: int
    removed: tuple[int, ...] = ()
    made: str = ""
    """Path of a key file that was made."""


@dataclass(frozen=True, slots=True)
class KitMade:
    """`code` opens the store. `path`: where the kit was written; empty where it was printed."""

    number: int
    code: str
    path: str
    kit: str


@dataclass(frozen=True, slots=True)
class KeysRestored:
    """`number`: of the keys that were put back."""

    store: str
    number: int


@dataclass(frozen=True, slots=True)
class KeysAccepted:
    """`number`: of the keys that count from now on; None where the store is in clear."""

    store: str
    number: int | None


def add_key(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    adding = [
        "cas key add passphrase --label 'on paper, in the safe'",
        "cas key add file /root/shop.key",
        "cas key add command '/usr/local/bin/shop-key vault'",
        "cas key add age age1... --label 'ada'",
    ]
    command(group, "list", examples=["cas key list", "cas key list --replica offsite"])(list_keys)
    command(group, "add", examples=adding)(add)
    command(group, "remove", examples=["cas key remove 2"])(remove)
    command(group, "rotate", examples=["cas key rotate", "cas key rotate --drop 2"])(rotate)
    command(group, "export", examples=["cas key export", "cas key export --output kit.txt"])(export)
    command(group, "restore", examples=["cas key restore"])(restore)
    command(group, "accept", examples=["cas key accept"])(accept_keys)
    app.add_typer(
        group, name="key", help="What opens a sealed repository: passphrases, files, commands, age."
    )


def list_keys(cas: Session, replica: Replica = None) -> ExitCode:
    """Show what opens the repository. No key is needed for that."""
    store = _bare(cas, replica)
    repository_id: str | None = None
    with suppress(NotFound):
        repository_id = readable_id(store)
    keys = newest_keys(store, repository_id)
    if keys is None:
        raise _not_sealed(store)
    found = _shown(store, keys.head)
    cas.terminal.result(found, human=_listed(found))
    return ExitCode.OK


def add(
    cas: Session,
    kind: Annotated[NewKey, typer.Argument(help="What will open the repository, too.")],
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH|COMMAND|RECIPIENT]",
            help="A file with the passphrase (unset: it is asked for); the key file, which is made where "
            "there is none; the command line; the age recipient.",
        ),
    ] = None,
    label: Label = "",
    replica: Replica = None,
) -> ExitCode:
    """Let something else open the repository, too. Nothing that is stored is written again.

    An age recipient is age1..., ssh-ed25519 or ssh-rsa: the holder of its identity opens everything
    (CAS_AGE_IDENTITY). It is public, so that somebody who can write to the store can put another store there
    that this identity opens; the catalog notices it, and a machine without the catalog does not.
    """
    store = _opened(cas, replica)
    made = ""
    if kind is NewKey.FILE and value is not None and make_key_file(expanded(value)):
        made = str(expanded(value))
    new = Labelled(_new_maker(cas, kind, value), label)
    return _changed(cas, store, replica, lambda now: with_slot(now, new, Chance()), made=made)


def remove(
    cas: Session,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Of `cas key list`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    replica: Replica = None,
) -> ExitCode:
    """Let a key open the repository no more.

    Who has a copy of the old keys and this secret can still open what lies in the store now and what is
    written later. `cas key rotate` ends the latter.
    """
    if not yes and not cas.terminal.is_interactive:
        raise InvalidInput(
            "removing a key wants to be confirmed, and nobody can be asked", where="key", hint="Add --yes"
        )
    store = _opened(cas, replica)
    slots = [slot.head for slot in store.keys.unlocked.head.slots if slot.head.number == number]
    if slots and not yes:
        named = _name(slots[0])
        if cas.terminal.ask(f"To remove key {named}, type its number: ").strip() != str(number):
            cas.terminal.note("Nothing was done")
            return ExitCode.DECLINED
    return _changed(cas, store, replica, lambda now: without_slot(now, number, Chance()), removed=(number,))


def rotate(
    cas: Session,
    drop: Annotated[
        list[int] | None,
        typer.Option(metavar="NUMBER", help="A key that shall open it no more; may be repeated."),
    ] = None,
    replica: Replica = None,
) -> ExitCode:
    """Seal what is written from now on with a new key. What is stored stays as it is, and stays readable.

    Every key is wrapped anew, for which its secret is needed: from the settings, or asked for. Keys whose
    secret is not at hand have to be dropped, as recovery kits that lie in a safe, and age recipients whose
    identity somebody else has; `cas key add age` makes these again.
    """
    store = _opened(cas, replica)
    going = tuple(drop or ())
    secrets = _every_secret(cas, store.keys.unlocked, going)
    return _changed(cas, store, replica, lambda now: rotated(now, secrets, going, Chance()), removed=going)


def export(
    cas: Session,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there; unset: print it.")
    ] = None,
    label: Label = "recovery kit",
    replica: Replica = None,
) -> ExitCode:
    """Make a recovery kit: a code for paper that opens the repository when all else is lost.

    It is a key of its own, which `cas key remove` takes back.
    """
    store = _opened(cas, replica)
    chance = Chance()
    code = RecoveryCode(chance.entropy(CODE_BYTES))
    with kit_file(output) if output is not None else nullcontext() as write:
        changed = store.keys.change(lambda now: with_slot(now, Labelled(code, label), chance))
        slot = changed.head.slots[-1].head
        text = kit_text(store.url, changed.head.repository_id, slot, code.text())
        if write is not None:
            write(text)
    recognise(store, cas.catalog, replica or PRIMARY)
    made = KitMade(slot.number, code.text(), str(output or ""), text)
    said = Text(f"Written to {output}. Print it, put it in a safe, delete the file") if output else Text(text)
    cas.terminal.result(made, human=said)
    return ExitCode.OK


def restore(
    cas: Session,
    replica: Replica = None,
    repository: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Of the repository, where not even the config says it any more."),
    ] = None,
) -> ExitCode:
    """Put back the keys that were seen last, where they were deleted, damaged or exchanged in the store.

    The catalog has a copy, which is no more worth to a thief than the one in the store.
    """
    if repository is not None and not re.fullmatch(r"[0-9a-f]{32}", repository):
        raise InvalidInput("an id has 32 hex digits", where="--repository")
    store = _bare(cas, replica)
    catalog = cas.catalog_of(store, repository) if replica is None else cas.catalog
    number = restore_keys(store, catalog, cas.secrets, replica or PRIMARY)
    done = KeysRestored(store.url, number)
    cas.terminal.result(done, human=Text(f"Keys {number} are back in {plain(store.url)}", style="bold green"))
    return ExitCode.OK


def accept_keys(
    cas: Session,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    replica: Replica = None,
) -> ExitCode:
    """Say that the keys of the store, or that it has none, are right, whatever the catalog has seen before.

    Only where you know why: the repository was moved to a copy with keys of its own, or to one in clear. Who
    can write to the store can bring it about, too, that this is asked.
    """
    store = unsealed(_bare(cas, replica), cas.secrets)
    catalog = cas.catalog_of(store) if replica is None else cas.catalog
    place = replica or PRIMARY
    seen = catalog.sealing.seen(place)
    was = f"keys {seen.number}" if seen else "no keys"
    now = f"sealed with keys {store.keys.number}" if isinstance(store, SealedStore) else "in clear"
    if not yes:
        if not cas.terminal.is_interactive:
            raise InvalidInput(
                "this wants to be confirmed, and nobody can be asked", where="key", hint="Add --yes"
            )
        cas.terminal.note(f"The catalog has seen {was} of {store.url}, which is {now}")
        if cas.terminal.ask("To accept that, type accept: ").strip() != "accept":
            cas.terminal.note("Nothing was done")
            return ExitCode.DECLINED
    accept(store, catalog, place)
    done = KeysAccepted(store.url, store.keys.number if isinstance(store, SealedStore) else None)
    said = f"{plain(store.url)} is {now}, and that is right"
    cas.terminal.result(done, human=Text(said, style="bold green"))
    return ExitCode.OK


def _new_maker(cas: Session, kind: NewKey, value: str | None) -> SlotMaker:
    if value is None and kind is not NewKey.PASSPHRASE:
        raise InvalidInput(f"which {kind.value}?", where="key add", hint=_WHICH[kind])
    match kind:
        case NewKey.PASSPHRASE:
            return read_passphrase(expanded(value)) if value else cas.secrets.new_passphrase()
        case NewKey.FILE:
            return read_key_file(expanded(value or ""))
        case NewKey.COMMAND:
            return key_command(value or "", "key add")
        case NewKey.AGE:
            return AgeRecipient.read(value or "", "key add")


def _every_secret(cas: Session, unlocked: Unlocked, going: Sequence[int]) -> Sequence[KeySecret]:
    """Those of the settings, and the passphrases of slots that they do not open, asked for one by one."""
    secrets: list[KeySecret] = list(cas.secrets.settled())
    secrets += cas.secrets.typed
    for slot in unlocked.head.slots:
        head = slot.head
        if head.kind is not SlotKind.PASSPHRASE or head.number in going:
            continue
        if not any(unwrap(one, slot, unlocked.head.repository_id) for one in secrets):
            asked = cas.secrets.ask_for(f"key {_name(head)}")
            secrets += [asked] if asked else []
    return secrets


def _changed(
    cas: Session,
    store: SealedStore,
    replica: str | None,
    change: Callable[[Unlocked], Unlocked],
    *,
    removed: Sequence[int] = (),
    made: str = "",
) -> ExitCode:
    unlocked = store.keys.change(change)
    recognise(store, cas.catalog, replica or PRIMARY)
    found = _shown(store, unlocked.head)
    result = KeysChanged(found, len(unlocked.contents.data_keys), tuple(removed), made)
    lines: list[RenderableType] = [_listed(found)]
    if made:
        lines.append(Text(f"  {plain(made)} is new. Keep a copy of it somewhere else", style="yellow"))
    if removed:
        lines.append(Text("  Replicas have keys of their own: --replica NAME", style="dim"))
    cas.terminal.result(result, human=Group(*lines))
    return ExitCode.OK


def _bare(cas: Session, replica: str | None) -> Store:
    if replica is None:
        return cas.bare_store()
    return cas.bare_replica_store(cas.catalog.replicating.replica(replica).new.url, name=replica)


def _opened(cas: Session, replica: str | None) -> SealedStore:
    """A sealed store whose keys the catalog knows as the newest ones."""
    if replica is None:
        _ = cas.catalog
        store = cas.repository.store
    else:
        store = cas.replica_store(cas.catalog.replicating.replica(replica).new.url, name=replica)
    if not isinstance(store, SealedStore):
        raise _not_sealed(store)
    if not store.keys.are_there:
        raise Conflict("the sealed store has no config yet", where=store.url)
    return store


def _not_sealed(store: Store) -> NotFound:
    return NotFound(
        "the repository is not sealed, and has no keys",
        where=store.url,
        hint="`cas init --encrypt` makes a sealed one; `cas replica add --encrypt` a sealed copy of this one",
    )


def _shown(store: Store, head: KeysHead) -> KeysShown:
    keys = tuple(
        KeyShown(
            one.number,
            one.kind.value,
            one.label,
            one.created_at,
            (one.costs.memory_kib, one.costs.passes, one.costs.lanes) if one.costs else None,
        )
        for one in (slot.head for slot in head.slots)
    )
    return KeysShown(store.url, head.number, head.created_at, keys)


def _listed(found: KeysShown) -> RenderableType:
    rows = table(">key", "kind", "label", "since")
    for one in found.keys:
        rows.add_row(*cells([str(one.number), one.kind, one.label, one.created_at[:16].replace("T", " ")]))
    head = Text.assemble((counted(len(found.keys), "key"), "bold"), f" of {plain(found.store)}")
    return Group(head, indented(rows))


def _name(head: SlotHead) -> str:
    return f"{head.number} ({head.label or head.kind.value})"
