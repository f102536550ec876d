"""Retention of one repository: its rules, its plan for now, and what lets versions go by it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from cas.catalog.interface import Catalog
from cas.catalog.paging import every_version
from cas.catalog.restore_model import RestoreFilter, RestoreState
from cas.catalog.restores import Restores
from cas.catalog.rules import COMMITTED
from cas.errors import InvalidInput
from cas.format.notes import Setting
from cas.retention.candidates import candidates
from cas.retention.model import DEFAULT_RULES, Candidate, RetentionPlan, RetentionRule
from cas.retention.planning import plan
from cas.retention.words import parse_rule, rule_text

RULES = "retention.rules"
"""Name of the setting."""

AUTOMATIC = "retention.automatic"
"""Name of the setting that says whether scheduled runs clean up: on, which is the default, or off."""

UNDO_KEPT = timedelta(days=30)
"""So long a restore can be undone at least, where nothing says until when."""

PAGE = 1000

_RELYING = (RestoreState.SAFETY, RestoreState.RESTORING, RestoreState.VERIFYING, RestoreState.COMPLETED)


def rules_of(catalog: Catalog) -> tuple[RetentionRule, ...]:
    """Those that were set, else the default. InvalidInput where a later release has set what this one does
    not know."""
    given = catalog.keeping.setting(RULES)
    return DEFAULT_RULES if given is None else tuple(parse_rule(text, RULES) for text in given)


def rules_setting(rules: Sequence[RetentionRule] | None) -> Setting:
    """What to say so that these rules hold; None: the default."""
    return Setting(RULES, None if rules is None else tuple(map(rule_text, rules)))


def is_automatic(catalog: Catalog) -> bool:
    """Whether scheduled runs clean up. InvalidInput where a later release has set what this one does not
    know."""
    given = catalog.keeping.setting(AUTOMATIC)
    if given not in (None, ("on",), ("off",)):
        raise InvalidInput(
            f"cleaning up is set to {', '.join(given)!r}",
            where=AUTOMATIC,
            hint="Upgrade this program, or say `cas retention on` or `cas retention off`",
        )
    return given != ("off",)


def automatic_setting(*, on: bool) -> Setting:
    """What to say so that scheduled runs clean up, or do not."""
    return Setting(AUTOMATIC, ("on" if on else "off",))


def known(catalog: Catalog, restores: Restores) -> list[Candidate]:
    """All versions that retention decides about."""
    return candidates(every_version(catalog, COMMITTED), _undoable(restores, catalog.now()))


def plan_now(
    catalog: Catalog, restores: Restores, rules: Sequence[RetentionRule], zone: tzinfo = UTC
) -> RetentionPlan:
    """What stays and what goes, by the catalog's clock."""
    return plan(known(catalog, restores), rules, catalog.now(), zone)


def why_it_goes(rules: Sequence[RetentionRule]) -> str:
    """What is kept of a version that no rule wants."""
    return f"no rule wants it: {', '.join(map(rule_text, rules))}"


def _undoable(restores: Restores, now: datetime) -> dict[int, datetime]:
    """Safety versions of restores that are at work or can still be undone, and until when."""
    found: dict[int, datetime] = {}
    before: int | None = None
    while True:
        page = restores.restores(RestoreFilter(_RELYING, limit=PAGE, before=before))
        for one in page:
            if one.safety_version is not None:
                # One at work is not finished: what it needs is told anew with each plan.
                until = one.undo_until or (one.finished_at or now) + UNDO_KEPT
                found[one.safety_version] = max(until, found.get(one.safety_version, until))
        if len(page) < PAGE:
            return found
        before = page[-1].number
