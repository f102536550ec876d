"""Random lives of restores: equal outcomes on every implementation, and what a tiny model knows holds."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cas.catalog.restore_model import (
    MeasuredRestore,
    Restore,
    RestoreFilter,
    RestoreKind,
    RestoreMode,
    RestoreState,
)
from cas.errors import CasError
from tests.catalog.conftest import postgres_stage_on
from tests.catalog.restore_values import HASH, committed_version, done, new_restore, planned
from tests.catalog.stages import MemoryStage, PostgresStage, Stage
from tests.catalog.values import new_version
from tests.servers.postgres import Cluster

SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)
OVER = (RestoreState.FAILED, RestoreState.CANCELLED, RestoreState.COMPLETED, RestoreState.UNDONE)


@dataclass
class Model:
    """What must hold whatever is done: of each restore its last state, and what it may never become."""

    states: dict[int, RestoreState] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)
    """A request to stop them was accepted."""
    starts: list[int] = field(default_factory=list)

    def look(self, stage: Stage) -> None:
        listed = {restore.number: restore for restore in stage.restores.restores(RestoreFilter())}
        assert set(self.states) <= set(listed)
        for number, restore in listed.items():
            before = self.states.get(number)
            if before in OVER:
                assert restore.state is before or (before, restore.state) == (
                    RestoreState.COMPLETED,
                    RestoreState.UNDONE,
                )
            if number in self.stopped:
                assert restore.transaction_id is None
            if restore.state in (RestoreState.COMPLETED, RestoreState.UNDONE):
                assert restore.transaction_id is not None
            if restore.undone_by is not None:
                assert listed[restore.undone_by].undoes == number
            self.states[number] = restore.state
        assert len(self.starts) == len(set(self.starts))


@dataclass
class Run:
    """One stage with two versions that can be restored and one that cannot."""

    stage: Stage
    model: Model = field(default_factory=Model)

    def __post_init__(self) -> None:
        for _ in range(2):
            committed_version(self.stage)
        self.stage.catalog.begin(new_version())


Operation = Callable[[Run], object]
numbers = st.integers(1, 4)


@st.composite
def begins(draw: st.DrawFn) -> Operation:
    new = replace(
        new_restore(draw(st.sampled_from([1, 1, 2, 2, 3, 4]))),
        kind=draw(st.sampled_from(RestoreKind)),
        mode=draw(st.sampled_from(RestoreMode)),
        name=draw(st.sampled_from(["", "Größe", "50%"])),
        undoes=draw(st.none() | numbers),
    )
    return lambda run: run.stage.restores.begin(new)


@st.composite
def advances(draw: st.DrawFn) -> Operation:
    """The next thing that its holder would do, several times."""
    number, seed, times = draw(numbers), draw(st.integers(1, 3)), draw(st.integers(1, 6))

    def advance(run: Run) -> object:
        return [_advance(run, number, seed) for _ in range(times)]

    return advance


def _advance(run: Run, number: int, seed: int) -> Restore:
    restores = run.stage.restores
    found = restores.restore(number)
    if found.state is RestoreState.PENDING:
        restores.planned(number, planned(seed))
    elif found.state is RestoreState.PLANNED:
        _start(run, number)
    elif found.state is RestoreState.SAFETY:
        restores.enter(number, RestoreState.RESTORING)
    elif found.state is RestoreState.RESTORING:
        restores.enter(number, RestoreState.VERIFYING)
    elif found.transaction_id is None:
        restores.committing(number, seed, done(seed))
    else:
        restores.complete(number, done(seed))
    return restores.restore(number)


def _start(run: Run, number: int) -> object:
    started = run.stage.restores.start(number, HASH)
    run.model.starts.append(number)
    return started


def _request_cancel(run: Run, number: int) -> object:
    found = run.stage.restores.request_cancel(number)
    run.model.stopped.add(number)
    return found


@st.composite
def steps(draw: st.DrawFn) -> Operation:
    """Anything, at any time."""
    number, seed = draw(numbers), draw(st.integers(1, 3))
    is_so, state = draw(st.booleans()), draw(st.sampled_from(RestoreState))
    choices: list[Operation] = [
        lambda run: run.stage.restores.planned(number, planned(seed)),
        lambda run: _start(run, number),
        lambda run: run.stage.restores.start(number, "another"),
        lambda run: run.stage.restores.renew(number),
        lambda run: run.stage.restores.step(number, f"step {seed}", "text"),
        lambda run: run.stage.restores.enter(number, state),
        lambda run: run.stage.restores.progress(number, "public.products", seed),
        lambda run: run.stage.restores.safety(number, seed),
        lambda run: run.stage.restores.committing(number, seed, done(seed)),
        lambda run: run.stage.restores.complete(number, done(seed)),
        lambda run: run.stage.restores.fail(number, "TIMEOUT", "apply", "because", rolled_back=is_so),
        lambda run: run.stage.restores.cancelled(number, "because"),
        lambda run: _request_cancel(run, number),
        lambda run: run.stage.restores.resolve(number, is_so, "asked"),
        lambda run: run.stage.lapse(),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def filters(draw: st.DrawFn) -> RestoreFilter:
    return RestoreFilter(
        states=tuple(draw(st.lists(st.sampled_from(RestoreState), max_size=2))),
        kinds=tuple(draw(st.lists(st.sampled_from(RestoreKind), max_size=2))),
        mode=draw(st.none() | st.sampled_from(RestoreMode)),
        version=draw(st.none() | st.integers(1, 2)),
        text=draw(st.sampled_from(["", "GRÖSSE", "%", "2", "tester"])),
        limit=draw(st.integers(1, 4)),
        before=draw(st.none() | numbers),
    )


def without_times(value: Any) -> Any:
    """Times differ between two catalogs; whether there is one, and all else, must not."""
    if isinstance(value, list):
        return [without_times(one) for one in value]
    if isinstance(value, MeasuredRestore):
        return replace(value, duration_seconds=0, steps=tuple((name, 0.0) for name, _ in value.steps))
    if not isinstance(value, Restore):
        return value
    moments = [name for name in Restore.__slots__ if isinstance(getattr(value, name), datetime)]
    steps_then = tuple(
        replace(step, started_at=SOME_TIME, finished_at=step.finished_at and SOME_TIME)
        for step in value.steps
    )
    changed: dict[str, Any] = {
        **dict.fromkeys(moments, SOME_TIME),
        "duration_seconds": None if value.duration_seconds is None else 0.0,
        "error_text": re.sub(r"[\d-]+ [\d:]+ UTC", "then", value.error_text),
        "steps": steps_then,
    }
    return replace(value, **changed)


def outcome(operation: Operation, run: Run) -> object:
    try:
        return without_times(operation(run))
    except CasError as error:
        return type(error), re.sub(r"[\d-]+ [\d:]+ UTC", "then", str(error))


def seen(run: Run, asked: list[RestoreFilter]) -> list[object]:
    """All that can be asked of the restores."""
    restores = run.stage.restores
    whole = [restores.restore(one.number) for one in restores.restores(RestoreFilter())]
    pages = [*asked, *(RestoreFilter(since=one.created_at) for one in whole)]
    pages += [RestoreFilter(until=one.created_at) for one in whole]
    listed = [list(restores.restores(page)) for page in pages]
    asked_for = [whole, listed, list(restores.unresolved()), list(restores.measured())]
    return [without_times(found) for found in asked_for]


@pytest.fixture(scope="module")
def lasting_stage(cluster: Cluster) -> Iterator[PostgresStage]:
    with postgres_stage_on(cluster) as made:
        yield made


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(begins() | advances() | advances() | steps() | steps(), min_size=4, max_size=20),
    st.lists(filters(), max_size=3),
)
def test_memory_and_postgresql_agree(
    lasting_stage: PostgresStage, operations: list[Operation], asked: list[RestoreFilter]
) -> None:
    lasting_stage.empty()
    in_memory, in_postgres = Run(MemoryStage()), Run(lasting_stage)
    for operation in [lambda run: run.stage.restores.begin(new_restore(1)), *operations]:
        assert outcome(operation, in_memory) == outcome(operation, in_postgres)
        in_memory.model.look(in_memory.stage)
        in_postgres.model.look(in_postgres.stage)
    assert seen(in_memory, asked) == seen(in_postgres, asked)
