"""What somebody asks of a restore, drawn first and made concrete when the platform is known."""

import random
from dataclasses import dataclass

from cas.catalog.restore_model import RestoreMode
from cas.live.request import LiveRequest, MissingParents, Prefer
from tests.live.looking import Moment, Row
from tests.live.shapes import Shape, Table

SCOPES = ("everything", "tables", "tables", "keys", "keys", "columns", "some columns", "subtree")
RELATIONS = ("", "", "", "", "", "", "parents", "children", "both", "create", "null", "skip")


@dataclass(frozen=True)
class Fault:
    """What goes wrong, at which call of which port."""

    kind: str
    port: str
    at: int
    after: bool
    only: str = ""


@dataclass(frozen=True)
class Ask:
    """`which` and `base` choose among the versions that there are; `between` edits happen between plan and
    execution, of which `seed` says what they are."""

    mode: RestoreMode
    scope: str
    relations: str
    prefer: Prefer
    which: int
    base: int
    seed: int
    between: int
    ends: bool
    """Whether open transactions commit before the execution."""
    safety: bool
    fault: Fault | None

    def request(self, shape: Shape, live: Moment, version: Moment, base: int) -> LiveRequest | None:
        """None where there is nothing of this kind to ask for."""
        rng = random.Random(self.seed)
        some = rng.sample(shape.tables, rng.randint(1, min(2, len(shape.tables))))
        tables: tuple[str, ...] = ()
        keys: tuple[tuple[str, Row], ...] = ()
        subtrees: tuple[tuple[str, Row], ...] = ()
        columns: tuple[str, ...] = ()
        if self.scope in ("tables", "some columns"):
            tables = tuple(table.label for table in some)
        if self.scope in ("columns", "some columns"):
            columns = (rng.choice([n for table in some for n in table.names if n not in table.key]),)
        if self.scope == "keys":
            keys = tuple(
                (table.label, key)
                for table in some
                if table.key
                for key in _keys(table, live, version, rng, rng.randint(1, 3))
            )
        if self.scope == "subtree":
            own = {key.child for key in shape.keys if key.child == key.parent}
            trees = [table for table in shape.tables if table.label in own and table.key]
            subtrees = tuple(
                (tree.label, key)
                for tree in trees[:1]
                for key in _keys(tree, live, version, rng, rng.randint(1, 2))
            )
        if self.scope in ("keys", "subtree") and not (keys or subtrees):
            return None
        return LiveRequest(
            mode=self.mode,
            tables=tuple(map(escaped, tables)),
            keys=keys,  # type: ignore[arg-type]  # keys hold no NULL
            subtrees=subtrees,  # type: ignore[arg-type]
            columns=columns,
            with_parents=self.relations in ("parents", "both"),
            with_children=self.relations in ("children", "both"),
            missing_parents=MissingParents(self.relations)
            if self.relations in ("create", "null", "skip")
            else MissingParents.REFUSE,
            prefer=self.prefer,
            base=base if self.mode is RestoreMode.MERGE else None,
            safety=self.safety,
        )


def escaped(label: str) -> str:
    """A pattern that matches this label alone."""
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in label)


def _keys(table: Table, live: Moment, version: Moment, rng: random.Random, count: int) -> list[Row]:
    there = {*live.tables[table.label], *version.tables[table.label]}
    known = sorted({tuple(row[at] for at in table.places(table.key)) for row in there}, key=repr)
    known.append(tuple(next(c for c in table.columns if c.name == name).values[-1] for name in table.key))
    return [rng.choice(known) for _ in range(count)]


def asked(rng: random.Random) -> Ask:
    """Anything."""
    return Ask(
        mode=rng.choice((RestoreMode.EXACT, RestoreMode.EXACT, *RestoreMode)),
        scope=rng.choice(SCOPES),
        relations=rng.choice(RELATIONS),
        prefer=rng.choice(tuple(Prefer)),
        which=rng.randrange(10),
        base=rng.randrange(10),
        seed=rng.randrange(1 << 30),
        between=rng.choice((0, 0, 0, 1, 3)),
        ends=rng.random() < 0.5,
        safety=rng.random() < 0.8,
        fault=_fault(rng) if rng.random() < 0.4 else None,
    )


ERRORS = ("error", "refusal", "interrupt", "cancel")
STEPS = (
    "commit",
    "commit",
    "check",
    "apply",
    "set_sequences",
    "read_back",
    "transaction_id",
    "is_as_it_was",
    "count",
    "moved",
)
MOVES = ("complete", "complete", "complete", "committing", "planned", "start", "enter", "safety", "keep_keys")


def _fault(rng: random.Random) -> Fault:
    after = rng.random() < 0.5
    match rng.randrange(6):
        case 0:
            port = rng.choice(("transaction", "restores"))
            return Fault(rng.choice(ERRORS), port, rng.randint(1, 24), after)
        case 1:
            port = rng.choice(("look", "catalog", "store"))
            return Fault(rng.choice(ERRORS[:2]), port, rng.randint(1, 12), after)
        case 2:
            return Fault("kill", "transaction", rng.randint(1, 20), after)
        case 3:
            return Fault(rng.choice(("kill", "error")), "transaction", 1, after, rng.choice(STEPS))
        case 4:
            return Fault("unknown", "transaction", 1, after, "commit")
        case _:
            return Fault(rng.choice(ERRORS), "restores", 1, after, rng.choice(MOVES))
