"""What every implementation of auto-save's memory demands and says alike."""

from collections.abc import Sequence

from cas.catalog.auto_save_model import Policy, PolicyKind
from cas.catalog.rules import MAX_DURATION, MAX_INTEGER, MAX_WORD, check_text, check_words
from cas.errors import Fenced, InvalidInput

_WANTED = {
    PolicyKind.BULK_IMPORT: {"rows"},
    PolicyKind.MASS_CHANGE: {"rows", "percent"},
    PolicyKind.STRUCTURE: {"entities"},
    PolicyKind.SCHEMA: set[str](),
    PolicyKind.EVERY: {"seconds"},
    PolicyKind.FOLLOW: {"seconds"},
    PolicyKind.LEAVE_OUT: {"entities"},
}


def check_policies(policies: Sequence[Policy], set_by: str) -> None:
    """InvalidInput for what cannot be a policy, and for two of one kind."""
    check_text("set_by", set_by, MAX_WORD)
    if len({policy.kind for policy in policies}) < len(policies):
        raise InvalidInput("two policies of one kind")
    for policy in policies:
        _check(policy)


def _check(policy: Policy) -> None:
    given = {
        name
        for name, value in (
            ("rows", policy.rows),
            ("percent", policy.percent),
            ("seconds", policy.seconds),
            ("entities", policy.entities or None),
        )
        if value is not None
    }
    if given != _WANTED[policy.kind]:
        wanted = ", ".join(sorted(_WANTED[policy.kind])) or "nothing"
        raise InvalidInput(f"a policy of kind {policy.kind} says {wanted}, and no more", where=policy.kind)
    if policy.rows is not None and not 1 <= policy.rows <= MAX_INTEGER:
        raise InvalidInput("at least one row", where=policy.kind)
    if policy.percent is not None and not 0 < policy.percent <= 100:
        raise InvalidInput("a percentage is above 0, and at most 100", where=policy.kind)
    if policy.seconds is not None and not 1 <= policy.seconds <= MAX_DURATION:
        raise InvalidInput("a time is at least a second, and at most thirty years", where=policy.kind)
    check_words("an entity's name", policy.entities)


def in_order(policies: Sequence[Policy]) -> Sequence[Policy]:
    """As people read them."""
    return sorted(policies, key=lambda policy: list(PolicyKind).index(policy.kind))


def taken_over() -> Fenced:
    return Fenced(
        "somebody else watches this platform by now",
        where="auto-save",
        hint="Nothing was lost: who watches now begins where we last kept a position",
    )
