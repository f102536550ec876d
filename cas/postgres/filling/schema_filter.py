"""Which steps of a schema a restore runs: without indexes, constraints, triggers, owners, or for some tables.

Leaving out a thing leaves out what is made of it: the comment on an index, the attachment of a
partition's index, a foreign key to a table that is not there. With selected tables, everything
that is no table and belongs to none (types, functions, sequences, views) is still tried, because
a table may need it; such a step may fail for want of a table that was left out, and is then noted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cas.postgres.filling.filled_views import REFRESH
from cas.postgres.filling.schema_steps import Name, Step
from cas.postgres.statements import tokens
from cas.records.target import SchemaParts

UNDEFINED = frozenset({"42P01", "42703", "42704", "42883", "3F000"})
"""A relation, column, object, function or schema does not exist."""

_NEEDS_KEY = frozenset({"42803", "42830"})
"""GROUP BY needs a primary key (a view); a foreign key needs a unique index."""

_OF_INDEXES = frozenset({"INDEX"})
_OF_CONSTRAINTS = frozenset({"CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT"})
_OF_VIEWS = frozenset({"VIEW", "RULE", "MATERIALIZED VIEW", REFRESH, "COMMENT", "ACL", "SECURITY LABEL"})
_OF_TRIGGERS = frozenset({"TRIGGER", "EVENT TRIGGER"})
_OF_PRIVILEGES = frozenset({"ACL", "DEFAULT ACL"})


def wanted(steps: Iterable[Step], parts: SchemaParts) -> list[Step]:
    """The steps to run, in order. `steps` are those of the whole schema, both sections."""
    every = _without_lost_views(list(steps))
    kept = [step for step in every if not _is_left_out(step, parts)]
    built = _built_tables(every, parts.tables) if parts.tables is not None else None
    gone = _names_made(step for step in every if _is_left_out(step, parts))
    if built is not None:
        gone |= {step.makes for step in every if step.makes and _makes_table(step)} - built
    while True:
        lost = _names_made(step for step in kept if gone.intersection(step.needs))
        lost |= {step.needs[0] for step in kept if _is_owned_by(step) and step.needs[1] in gone}
        lost -= gone
        if not lost:
            break
        gone |= lost
    gone -= _sequences_in_use(kept, gone)
    kept = [step for step in kept if step.makes not in gone and not gone.intersection(step.needs)]
    return [_adapted(step, parts, built) for step in kept]


def _without_lost_views(steps: Sequence[Step]) -> list[Step]:
    """A version of some tables may list filled views that its schema leaves out."""
    made = {step.makes for step in steps}
    return [step for step in steps if step.item.type != REFRESH or made.issuperset(step.needs)]


def is_owner_change(step: Step) -> bool:
    """Whether it is `ALTER ... OWNER TO role`: pg_dump ends such a statement with the role."""
    words = list(tokens(step.statement))
    return [token.text for token in words[-3:-1]] == ["owner", "to"] and words[0].text == "alter"


def _is_left_out(step: Step, parts: SchemaParts) -> bool:
    kind = step.item.type
    if kind in ("COMMENT", "SECURITY LABEL"):
        return not parts.triggers and _is_about_trigger(step)
    return (
        (not parts.indexes and kind in _OF_INDEXES)
        or (not parts.constraints and kind in _OF_CONSTRAINTS)
        or (not parts.triggers and kind in _OF_TRIGGERS)
        or (not parts.privileges and kind in _OF_PRIVILEGES)
        or (not parts.owners and is_owner_change(step))
    )


def _is_about_trigger(step: Step) -> bool:
    words = [token.text for token in tokens(step.statement) if token.kind != "string"]
    on = words.index("on") if "on" in words else len(words)
    return words[on + 1 : on + 2] == ["trigger"] or words[on + 1 : on + 3] == ["event", "trigger"]


def _names_made(steps: Iterable[Step]) -> set[Name]:
    """What these steps make; a key's index has the key's name, in the schema of the table."""
    made: set[Name] = set()
    for step in steps:
        if step.makes:
            made.add(step.makes)
            if step.item.type == "CONSTRAINT" and len(step.makes) == 3:
                made.add((step.makes[0], step.makes[2]))
    return made


def _built_tables(steps: Sequence[Step], selected: frozenset[Name]) -> set[Name]:
    """The selected tables, what they inherit from, and their partitions."""
    parents = {step.makes: step.needs for step in steps if step.makes and _makes_table(step)}
    attached = [step.needs for step in steps if step.item.type == "TABLE ATTACH" and len(step.needs) == 2]
    built = set(selected)
    while True:
        more = {parent for table in built for parent in parents.get(table, ())}
        more |= {leaf for root, leaf in attached if root in built}
        if more <= built:
            return built
        built |= more


def _makes_table(step: Step) -> bool:
    return step.item.type in ("TABLE", "FOREIGN TABLE") and step.makes is not None and len(step.makes) == 2


def _is_owned_by(step: Step) -> bool:
    return step.item.type == "SEQUENCE OWNED BY" and len(step.needs) == 2


def _sequences_in_use(steps: Sequence[Step], gone: set[Name]) -> set[Name]:
    """Sequences that belong to a table that is left out, and that a default of another one draws from."""
    owned = {step.needs[0] for step in steps if _is_owned_by(step)} & gone
    return {
        sequence
        for sequence in owned
        if any(
            sequence[-1] in step.statement
            for step in steps
            if sequence != step.makes
            and sequence not in step.needs
            and step.makes not in gone
            and not gone.intersection(step.needs)
        )
    }


def _adapted(step: Step, parts: SchemaParts, built: set[Name] | None) -> Step:
    tolerated: frozenset[str] = frozenset()
    if not (parts.constraints and parts.indexes):
        tolerated |= _NEEDS_KEY | (UNDEFINED if step.item.type in _OF_VIEWS else frozenset())
    if built is not None and not built.intersection((step.makes or (), *step.needs)):
        tolerated |= UNDEFINED
    placement = step.placement if parts.tablespaces else (None, *step.placement[1:])
    return replace(step, tolerated=tolerated, placement=placement)
