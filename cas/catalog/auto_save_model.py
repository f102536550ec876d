"""When versions are taken without being asked for, as frozen values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DEFAULT_ROWS = 1000
DEFAULT_PERCENT = 10.0
DEFAULT_HOURS = 6


class PolicyKind(StrEnum):
    """What lets a version be taken. In the order in which people read them."""

    BULK_IMPORT = "bulk-import"
    """Many rows were inserted."""
    MASS_CHANGE = "mass-change"
    """Many rows of one entity were updated, or deleted."""
    STRUCTURE = "structure"
    """Anything happened to an entity that others hang on, like a taxonomy's."""
    SCHEMA = "schema"
    """A table, column, constraint or type is another one."""
    EVERY = "every"
    """The last version is so old."""
    FOLLOW = "follow"
    """Anything happened, and the last version is so old."""
    LEAVE_OUT = "leave-out"
    """No reason by itself: what happens to these entities is none for BULK_IMPORT, MASS_CHANGE and FOLLOW."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One reason to take a version. Only what its kind asks for is set.

    `rows`: at least so many, for BULK_IMPORT and MASS_CHANGE. `percent`: or so much of an entity, for
    MASS_CHANGE. `seconds`: for EVERY and FOLLOW. `entities`: patterns as a selection's, for STRUCTURE and
    LEAVE_OUT.
    """

    kind: PolicyKind
    rows: int | None = None
    percent: float | None = None
    seconds: float | None = None
    entities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Watched:
    """Up to where somebody who watched a platform has seen to it that nothing is lost: everything before is
    in a version, or no reason for one. `position`: of its feed, of no meaning here."""

    position: str
    schema_state: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Who watches a platform, and until when nobody else may, by the catalog's clock, UTC."""

    holder: str
    until: datetime
