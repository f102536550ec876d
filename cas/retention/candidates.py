"""Versions of the catalog as retention looks at them."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from cas.catalog.model import Trigger, Version, VersionState
from cas.catalog.rules import COMMITTED, WHOLE
from cas.retention.model import Candidate, Origin

SCHEDULE = "schedule"
"""Key of a version's metadata: the schedule that it was taken by."""

POLICIES = "auto-save"
"""Key of a version's metadata: the kinds of the policies that it was taken for."""

_FOLLOWED = "follow"


def origin_of(version: Version) -> Origin:
    """On whose behalf it was taken. What was taken for several policies is not continuous."""
    if version.trigger is Trigger.SYSTEM:
        return Origin.SAFETY
    if version.trigger is Trigger.MANUAL:
        return Origin.MANUAL
    if version.metadata.get(SCHEDULE):
        return Origin.SCHEDULED
    is_followed = version.metadata.get(POLICIES, "") == _FOLLOWED
    return Origin.CONTINUOUS if is_followed else Origin.AUTOMATIC


def candidates(versions: Iterable[Version], undoable: Mapping[int, datetime]) -> list[Candidate]:
    """Those that are committed and not forgotten. `undoable`: versions with which a restore can be undone,
    and until when."""
    return [
        Candidate(
            number=version.number,
            created_at=version.created_at,
            origin=origin_of(version),
            source=(version.source_system_identifier, version.source_database),
            is_good=version.state is VersionState.COMPLETE and version.kind in WHOLE,
            added_bytes=version.added_bytes or 0,
            stored_bytes=version.stored_bytes or 0,
            schedule=version.metadata.get(SCHEDULE, "") if version.trigger is Trigger.AUTO else "",
            protected=version.protected,
            hold=version.hold,
            expires_at=version.expires_at,
            needed_until=undoable.get(version.number),
        )
        for version in versions
        if version.state in COMMITTED
    ]
