"""Rules of retention and what they decide, as frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Keep(StrEnum):
    """What a rule wants. In the order in which people read them."""

    LAST = "last"
    """The newest versions, of each origin by itself."""
    HOURLY = "hourly"
    """The newest version of each hour that has any; so for the longer periods."""
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    WITHIN = "within"
    """All that are younger."""
    SIZE = "size"
    """The newest ones, as long as all of them together fit."""


class Origin(StrEnum):
    """On whose behalf a version was taken. Rules that count do so for each origin by itself: many safety
    versions never push out what a person made."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    """By a policy: an import, a mass change, an event, every so many hours."""
    SCHEDULED = "scheduled"
    """By a schedule; each schedule is counted by itself."""
    CONTINUOUS = "continuous"
    """As soon as anything changed."""
    SAFETY = "safety"
    """Before a restore."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One reason to keep versions. `amount`: versions of LAST, periods of HOURLY to YEARLY, seconds of
    WITHIN, bytes of SIZE. `origin`: only such versions; None: all. `schedule`: only those of this one."""

    keep: Keep
    amount: int
    origin: Origin | None = None
    schedule: str = ""


DEFAULT_RULES = (
    RetentionRule(Keep.LAST, 50),
    RetentionRule(Keep.DAILY, 30),
    RetentionRule(Keep.WEEKLY, 12),
    RetentionRule(Keep.MONTHLY, 12),
)
"""What holds until a person says otherwise."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A committed version, as far as retention looks at it.

    `source`: of which platform it is; rules look at each by itself. `is_good`: complete, and of everything;
    others never take the place of such a one. `needed_until`: a restore can be undone with it until then.
    """

    number: int
    created_at: datetime
    origin: Origin
    source: tuple[str, str]
    is_good: bool
    added_bytes: int
    stored_bytes: int
    schedule: str = ""
    protected: bool = False
    hold: str = ""
    expires_at: datetime | None = None
    """Set by hand: until then it stays, and afterwards no rule wants it."""
    needed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a version stays. `until`: when that ends by itself; None: not by the clock alone."""

    words: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one version. It goes where there is no reason to stay."""

    candidate: Candidate
    reasons: tuple[Reason, ...]

    @property
    def stays(self) -> bool:
        return bool(self.reasons)

    @property
    def until(self) -> datetime | None:
        """When all reasons of today have ended, where the clock alone ends them. It goes then, unless what
        goes before makes room for it."""
        ends = [reason.until for reason in self.reasons]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """All committed versions, newest first."""

    verdicts: Sequence[Verdict]

    @property
    def staying(self) -> list[Candidate]:
        return [one.candidate for one in self.verdicts if one.stays]

    @property
    def going(self) -> list[Candidate]:
        return [one.candidate for one in self.verdicts if not one.stays]
