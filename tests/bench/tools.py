"""What is measured, as values: stages, and the port that each tool fills."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from tests.bench.measure import Pipeline


class Stage(StrEnum):
    """The steps of a round, in their order."""

    FIRST = "first"
    """Into an empty repository."""
    RESTORE = "restore"
    """The first version, into an empty database."""
    SECOND = "second"
    """After some records changed at random, found by the age of rows."""
    REPAIR = "repair"
    """A thousand records of one table were damaged: they come back."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one tool works in one round: a directory of its own, and the databases' URLs.

    `repository` is what is counted; `scratch` holds caches and output. `catalog` is a database
    that is empty at the round's begin, `target` one that is empty before a restore.
    """

    repository: Path
    scratch: Path
    source: str
    catalog: str
    target: str


class Tool(Protocol):
    """A program under measurement."""

    name: str
    stages: Mapping[Stage, str]
    """What it does, and how that is called in the report."""

    def missing(self) -> str:
        """Why it cannot be measured here; empty where it can."""

    def version(self) -> str: ...

    def before(self, stage: Stage, place: Place) -> Pipeline | None:
        """What must be there before a stage: an empty repository, for example. Not measured."""

    def pipeline(self, stage: Stage, place: Place) -> Pipeline: ...
