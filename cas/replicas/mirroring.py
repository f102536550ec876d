"""Copying a version to its destinations, in the run that took it.

    begin      catalog: the version's destinations, with its number       (crash: a version that failed)
    commit     catalog: the version is complete, and partial              (crash: partial)
    copy       each destination: a run of cas/replicas/running.py         (crash: partial)
    copied     catalog, in that run: one destination less lacks it

Nothing says that a version is partial: it follows from its destinations and from what counts as copied. So
whoever replicates later makes it whole, and nobody needs to know why it was not.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cas.catalog.interface import Catalog
from cas.catalog.replica_model import Placement
from cas.errors import CasError, NotFound
from cas.replicas.model import ReplicationReport

NOT_WANTED = "its rules do not keep this version"
NOT_CLEAR = "it was not copied; `cas replicate` says why"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What became of one destination. `is_held`: it holds the version. Else `error`, or the first problem of
    the `report`, is why; `is_lacking`: it should."""

    name: str
    is_held: bool
    is_lacking: bool
    report: ReplicationReport | None
    error: CasError | None

    @property
    def why_not(self) -> str:
        """In words, where it does not hold the version."""
        if self.is_held:
            return ""
        if self.error is not None:
            return str(self.error)
        if self.report is not None and self.report.problems:
            problem = self.report.problems[0]
            return f"{problem.what} ({problem.object})"
        return NOT_CLEAR if self.is_lacking else NOT_WANTED


def copy_to_destinations(
    catalog: Catalog, number: int, copy: Callable[[str], ReplicationReport]
) -> tuple[tuple[Mirrored, ...], Placement]:
    """What became of each destination, by name, and where the version is then. `copy`: brings one replica up
    to date. What it raises of ours fails that destination, and not the others; anything else ends the work,
    and the version stays partial. NotFound for a version that nobody knows."""
    found = placement_of(catalog, number)
    if not found.destinations:
        return (), found
    tried = [(name, *_tried(copy, name)) for name in found.destinations]
    found = placement_of(catalog, number)
    mirrored = [
        Mirrored(name, name in found.replicas, name in found.lacks, report, error)
        for name, report, error in tried
    ]
    return tuple(mirrored), found


def placement_of(catalog: Catalog, number: int) -> Placement:
    """NotFound."""
    found = catalog.replicating.placements([number])
    if number not in found:
        raise NotFound("there is no such version", where=f"version {number}")
    return found[number]


def _tried(
    copy: Callable[[str], ReplicationReport], name: str
) -> tuple[ReplicationReport | None, CasError | None]:
    try:
        return copy(name), None
    except CasError as error:
        return None, error
