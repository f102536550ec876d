"""Running the steps of a schema: before the data in order, after the data in parallel.

After the data, building indexes and checking foreign keys is most of the work, and the steps of
different tables do not concern each other. The order is:

1. indexes and keys, side by side where their locks allow it;
2. what stands before the first foreign key in the dump, in the dump's order;
3. foreign keys, side by side;
4. the rest, in the dump's order.

Dependencies that this order breaks (an index on a view that needs a primary key) show as something
undefined in pass 1; such a step waits for its place in pass 2. A deadlock that the server resolves
is tried again.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from itertools import groupby

import psycopg

from cas.postgres.filling.faults import MAX_STATEMENT, cut, refusal
from cas.postgres.filling.schema_filter import UNDEFINED
from cas.postgres.filling.schema_steps import PLACEMENT, Name, Step
from cas.postgres.filling.work_sharing import Claim, WorkList
from cas.postgres.quoting import shown

DEADLOCK_TRIES = 5
"""How often a unit that lost a deadlock is tried. The claims exclude deadlocks between our own
steps, except through partitions, which an ALTER of their root locks too."""

_DEADLOCK = "40P01"
_DUPLICATE_SCHEMA = "42P06"
_UNKNOWN_SETTING = "42704"
_KEYS = frozenset({"INDEX", "CONSTRAINT"})
_REFERENCES = frozenset({"FK CONSTRAINT"})
_FOREIGN_KEYS = frozenset({"FK CONSTRAINT", "CHECK CONSTRAINT"})


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step that was not run, or failed as it may, and the reason in words."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """The steps of one item, which run one after the other. `place` is the first one's in the dump."""

    place: int
    steps: tuple[Step, ...]
    tries: int = 0


@dataclass(slots=True)
class _Session:
    """A connection and the placement that was last set on it."""

    connection: psycopg.Connection
    placement: list[str | None] = field(default_factory=lambda: [None, None])

    def run(self, step: Step, *, in_transaction: bool = False) -> Skipped | None:
        """Run one step. Raises psycopg.Error where it fails and may not."""
        # Inside of a transaction, a savepoint: a failure that is excused must not end the whole.
        scope = self.connection.transaction() if in_transaction else nullcontext()
        try:
            with scope:
                for place, value in enumerate(step.placement):
                    if value is not None and value != self.placement[place]:
                        self._execute(f"SET {PLACEMENT[place]} = {value}")
                        self.placement[place] = value
                self._execute(step.statement)
        except psycopg.Error as error:
            reason = _excuse(step, error)
            if reason is None:
                raise
            if _completes_view(step):
                # Until then the view is a dummy of NULLs, and must not be taken for the real one.
                self._execute(f"DROP VIEW {shown(*step.makes or ())} CASCADE")
                reason += "; gone with it is what reads it"
            return Skipped(label(step), reason)
        return None

    def _execute(self, statement: str) -> None:
        # Bytes without parameters travel by the simple query protocol, untouched.
        self.connection.execute(statement.encode("utf-8", "surrogateescape"))


class SchemaRunner:
    """Runs steps on connections that `connect` opens: pinned, in autocommit mode, texts in UTF8.

    `skipped` grows with what was passed over.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection], jobs: int) -> None:
        self._connect = connect
        self._jobs = jobs
        self.skipped: list[Skipped] = []
        self._lost_items: set[int] = set()
        self._lost_names: set[Name] = set()

    def run(self, steps: Sequence[Step]) -> None:
        """All steps, one after the other, over one connection. Raises CasError for the first failure."""
        if not steps:
            return
        with closing(self._connect()) as connection:
            session = _Session(connection)
            for step in steps:
                self._run(session, step)

    def run_within(self, connection: psycopg.Connection, steps: Sequence[Step]) -> None:
        """All steps, inside of the transaction that the connection is in."""
        session = _Session(connection)
        for step in steps:
            self._run(session, step, in_transaction=True)

    def run_after_data(self, steps: Sequence[Step], sizes: Mapping[Name, int]) -> None:
        """Steps of the post-data section. `sizes` are the tables' bytes: the largest start first."""
        units = _units(steps)
        keys = [unit for unit in units if _is_all_of(unit, _KEYS)]
        foreign = [unit for unit in units if _is_all_of(unit, _FOREIGN_KEYS)]
        # Checks that were not validated stand before the attachment of index partitions, on which the
        # unique keys of partitioned tables wait, and with them foreign keys.
        first = next((unit.place for unit in foreign if _is_all_of(unit, _REFERENCES)), len(steps))
        parallel = {unit.place for unit in (*keys, *foreign)}
        light = [unit for unit in units if unit.place not in parallel]
        deferred = self._side_by_side(keys, sizes, may_wait=True)
        before = [unit for unit in light if unit.place < first]
        self.run([step for unit in sorted((*before, *deferred), key=_place) for step in unit.steps])
        self._side_by_side(foreign, sizes, may_wait=False)
        self.run([step for unit in light if unit.place > first for step in unit.steps])

    def _run(self, session: _Session, step: Step, *, in_transaction: bool = False) -> None:
        if self._is_lost(step):
            return
        try:
            skipped = session.run(step, in_transaction=in_transaction)
        except psycopg.Error as error:
            raise _failure(step, error) from error
        self._note(step, skipped)

    def _note(self, step: Step, skipped: Skipped | None) -> None:
        if skipped is None:
            return
        self.skipped.append(skipped)
        if step.tolerated:
            self._lost_items.add(id(step.item))
            if step.makes is not None:
                self._lost_names.add(step.makes)

    def _is_lost(self, step: Step) -> bool:
        """Whether it speaks of something that was skipped, which was noted then."""
        return id(step.item) in self._lost_items or not self._lost_names.isdisjoint(step.needs)

    def _side_by_side(
        self, units: Sequence[_Unit], sizes: Mapping[Name, int], *, may_wait: bool
    ) -> list[_Unit]:
        """Run units over several connections; returns those that need something that is not there yet."""
        if not units:
            return []
        ordered = sorted(units, key=lambda unit: -max(sizes.get(name, 0) for name in _tables(unit)))
        work = WorkList((unit, _claim(unit)) for unit in ordered)
        workers = min(self._jobs, len(units))
        connections: list[psycopg.Connection] = []
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._work, work, connections, may_wait) for _ in range(workers)]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                # After a failure or Ctrl-C an index may still be building for an hour.
                work.stop()
                for connection in connections:
                    with suppress(psycopg.Error):
                        connection.cancel_safe(timeout=5)
        return [unit for future in futures for unit in future.result()]

    def _work(
        self, work: WorkList[_Unit], connections: list[psycopg.Connection], may_wait: bool
    ) -> list[_Unit]:
        deferred: list[_Unit] = []
        try:
            with closing(self._connect()) as connection:
                connections.append(connection)
                session = _Session(connection)
                while (task := work.take()) is not None:
                    unit, claim = task
                    rest, waits = self._run_unit(session, unit, may_wait, work)
                    work.finish(unit, claim, rest=rest)
                    deferred += waits
        finally:
            work.stop()
        return deferred

    def _run_unit(
        self, session: _Session, unit: _Unit, may_wait: bool, work: WorkList[_Unit]
    ) -> tuple[_Unit | None, list[_Unit]]:
        """Returns what is to be tried again, and what is to wait for its place in the dump."""
        for done, step in enumerate(unit.steps):
            if self._is_lost(step):
                continue
            try:
                skipped = session.run(step)
            except psycopg.Error as error:
                rest = replace(unit, place=unit.place + done, steps=unit.steps[done:], tries=unit.tries + 1)
                if work.is_stopped:  # cancelled by us, for another one's failure
                    return None, []
                if error.sqlstate == _DEADLOCK and rest.tries < DEADLOCK_TRIES:
                    return rest, []
                if may_wait and error.sqlstate in UNDEFINED:
                    return None, [rest]
                raise _failure(step, error) from error
            self._note(step, skipped)
        return None, []


def label(step: Step) -> str:
    """What a step is about, for people: `INDEX public.product_name_idx`."""
    item = step.item
    return f"{item.type} {item.schema}.{item.name}" if item.schema else f"{item.type} {item.name}"


def _units(steps: Sequence[Step]) -> list[_Unit]:
    numbered = groupby(enumerate(steps), key=lambda pair: id(pair[1].item))
    groups = [list(group) for _, group in numbered]
    return [_Unit(group[0][0], tuple(step for _, step in group)) for group in groups]


def _place(unit: _Unit) -> int:
    return unit.place


def _is_all_of(unit: _Unit, types: frozenset[str]) -> bool:
    """Whether the unit is of these types, and all its locks are known."""
    return unit.steps[0].item.type in types and all(step.needs for step in unit.steps)


def _tables(unit: _Unit) -> frozenset[Name]:
    return frozenset(name for step in unit.steps for name in step.needs)


def _claim(unit: _Unit) -> Claim:
    """CREATE INDEX lets others build indexes on its table; every ALTER TABLE wants it alone."""
    is_index = all(step.statement[:6].upper() == "CREATE" for step in unit.steps)
    return Claim(shared=_tables(unit)) if is_index else Claim(exclusive=_tables(unit))


def _excuse(step: Step, error: psycopg.Error) -> str | None:
    """Why this failure of this step is none; None where it is one."""
    if error.sqlstate in step.tolerated:
        return f"it needs what was left out: {error.diag.message_primary}"
    if error.sqlstate == _DUPLICATE_SCHEMA and step.item.type == "SCHEMA":
        return "the schema is there already"
    if error.sqlstate == _UNKNOWN_SETTING and step.statement[:4].upper() == "SET ":
        return "this server has no such setting"
    return None


def _completes_view(step: Step) -> bool:
    """pg_dump makes a view whose query needs a primary key in two steps, the second being its rule."""
    return step.item.type == "RULE" and step.item.name.endswith("_RETURN") and step.makes is not None


def _failure(step: Step, error: psycopg.Error) -> Exception:
    return refusal(error, doing=label(step), where=cut(step.statement, MAX_STATEMENT))
