"""When the steps of a schema run: before the data, after them, or at the very end."""

from cas.postgres.filling.filled_views import REFRESH
from cas.postgres.filling.schema_steps import Step
from cas.postgres.statements import tokens

PRIVILEGES = frozenset({"ACL", "DEFAULT ACL"})
"""Types of items that come after everything that runs as an object's owner."""


def is_after_data(step: Step) -> bool:
    """Privileges too, of which some stand in the pre-data section."""
    return step.item.section == "post-data" or step.item.type in PRIVILEGES


def is_held(step: Step) -> bool:
    """Whether it has a time of its own, behind the rest of the post-data section."""
    return step.item.type in PRIVILEGES | {REFRESH} or is_event_trigger(step)


def is_event_trigger(step: Step) -> bool:
    if step.item.type == "EVENT TRIGGER":
        return True
    words = [token.text for token in tokens(step.statement) if token.kind == "word"]
    return step.item.type in ("COMMENT", "SECURITY LABEL") and words[2:4] == ["event", "trigger"]
