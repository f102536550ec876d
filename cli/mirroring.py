"""Copying a new version to its destinations, with progress, and what a person is told of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from cas.catalog.model import Version
from cas.catalog.replica_model import Placement, Replica
from cas.catalog.replicating_rules import NOWHERE
from cas.errors import InvalidInput
from cas.replicas.mirroring import Mirrored, copy_to_destinations
from cas.replicas.model import ReplicationReport
from cli.exit_codes import ExitCode
from cli.faults import Failure, failure_of
from cli.session import Session
from cli.watching_faces import watching
from cli.words import plain, size


@dataclass(frozen=True, slots=True)
class Copy:
    """What became of one destination. `why_not`: in one line, where it does not hold the version; `error`:
    the failure behind it, where there was one."""

    store: str
    is_held: bool
    is_lacking: bool
    copied_bytes: int
    why_not: str
    error: Failure | None


@dataclass(frozen=True, slots=True)
class Copies:
    """Of one version that was taken just now. `placement`: where it is afterwards."""

    copies: tuple[Copy, ...]
    placement: Placement

    @property
    def exit_code(self) -> ExitCode | None:
        """None where everything is where it should be."""
        return ExitCode.PARTIAL if self.placement.is_partial else None


def destinations_of(cas: Session, names: Sequence[str] | None) -> tuple[str, ...] | None:
    """What `--to` means: replicas, nothing, or None for the mirrors. NotFound, before anything is begun."""
    if not names:
        return None
    if NOWHERE in names:
        if len(set(names)) > 1:
            raise InvalidInput(
                f"{NOWHERE} stands for the primary only", where="--to", hint="Say it alone, or name replicas"
            )
        return ()
    return tuple(cas.catalog.replicating.replica(name).name for name in dict.fromkeys(names))


def bring_up_to_date(cas: Session, replica: Replica) -> ReplicationReport:
    """One run on a replica, with progress. As stores and runs raise."""
    from cas.replicas.running import replicate

    store = cas.replica_store(replica.new.url, name=replica.name)
    with watching(cas.terminal, f"replicate {replica.name}") as counters:
        return replicate(
            cas.repository,
            cas.catalog,
            replica.name,
            store,
            cache=cas.replica_cache(replica.name),
            side_by_side=True,
            progress=counters,
        )


def copy_version(cas: Session, version: Version) -> Copies:
    """To its destinations, one after the other. What goes wrong with one never fails the version, nor the
    other ones."""
    cas.if_stopped = (
        f"Version {version.number} is {version.state.value} in the primary; it is partial until "
        "`cas replicate` has run"
    )
    known = cas.catalog.replicating
    tried, placement = copy_to_destinations(
        cas.catalog, version.number, lambda name: bring_up_to_date(cas, known.replica(name))
    )
    return Copies(tuple(map(_copy, tried)), placement)


def told_copies(copies: Copies) -> Iterator[Text]:
    """A line for each store."""
    for one in copies.copies:
        name = plain(one.store)
        if one.is_held:
            yield Text(f"  {name}: copied, {size(one.copied_bytes)}", style="green")
        elif one.is_lacking:
            yield Text.assemble((f"  {name}: failed. ", "bold red"), plain(one.why_not))
        else:
            yield Text(f"  {name}: {plain(one.why_not)}", style="dim")
    if copies.placement.is_partial:
        yield Text("  It is partial until `cas replicate` has copied it there", style="yellow")


def copies_as_json(copies: Copies) -> dict[str, object]:
    return {"copies": copies.copies, **placement_as_json(copies.placement)}


def placement_as_json(placement: Placement) -> dict[str, object]:
    """Stores that hold a version, and those that should and do not."""
    return {
        "stores": {"primary": placement.primary, "replicas": placement.replicas},
        "lacks": placement.lacks,
        "is_partial": placement.is_partial,
    }


def _copy(one: Mirrored) -> Copy:
    failure = failure_of(one.error) if one.error else None
    why_not = "" if one.is_held else failure.line if failure else one.why_not
    return Copy(
        one.name,
        one.is_held,
        one.is_lacking,
        one.report.copied_bytes if one.report else 0,
        why_not,
        failure,
    )
