"""Random sequences of operations give equal outcomes and equal listings on every implementation."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cas.catalog.checking import CheckLevel, PackFound, VersionFound
from cas.catalog.cleaning import Cleanup, CleanupKind, CleanupOutcome, CleanupResult
from cas.catalog.model import (
    Anomaly,
    CountKind,
    SessionHandle,
    Trigger,
    Version,
    VersionFilter,
    VersionKind,
    VersionResult,
    VersionState,
)
from cas.catalog.replica_model import NewReplica, Replica, RunOutcome, RunResult
from cas.errors import CasError
from cas.format.notes import Note, NoteField, Notes, Setting
from cas.ids import PackName
from tests.catalog.conftest import postgres_stage_on
from tests.catalog.stages import MemoryStage, PostgresStage, Stage, let_go
from tests.catalog.values import REPOSITORY, adopted, new_version, pack, result
from tests.servers.postgres import Cluster

SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)

small = st.integers(min_value=0, max_value=5)
words = st.sampled_from(["", "import", "Größe", "50%", "nightly run"])
tags = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple)


@dataclass
class Run:
    """One stage and the sessions that were begun on it, in order."""

    stage: Stage
    sessions: list[SessionHandle] = field(default_factory=list)
    pins: list[UUID] = field(default_factory=list)
    collectors: list[UUID] = field(default_factory=list)
    copiers: list[UUID] = field(default_factory=list)
    cleaners: list[UUID] = field(default_factory=list)

    def session(self, turn: int) -> UUID:
        return self.sessions[turn % len(self.sessions)].id if self.sessions else UUID(int=2**127 + turn)

    def collect(self) -> None:
        self.collectors.append(self.stage.collecting.begin())

    def collector(self, turn: int) -> UUID:
        """The last one more often than others."""
        ours = self.collectors
        return ours[turn % len(ours) if turn > 2 else -1] if ours else UUID(int=2**127 + turn)

    def copy(self, replica: str) -> None:
        self.copiers.append(self.stage.replicating.begin(replica))

    def copier(self, turn: int) -> UUID:
        """The last one more often than others."""
        ours = self.copiers
        return ours[turn % len(ours) if turn > 2 else -1] if ours else UUID(int=2**127 + turn)

    def clean(self, kind: CleanupKind) -> None:
        self.cleaners.append(self.stage.cleaning.begin(kind))

    def cleaner(self, turn: int) -> UUID:
        return self.cleaners[-1 - turn % len(self.cleaners)] if self.cleaners else UUID(int=2**127 + turn)

    def pin(self, version: int) -> None:
        self.pins.append(self.stage.keeping.pin(version, "a reader"))

    def go_while_it_is_read(self, version: int) -> list[int]:
        self.pin(version)
        self.forget(version)
        return let_go(self.stage.keeping, version)

    def go(self, names: list[PackName]) -> object:
        """A whole collection, as far as others let it."""
        collector, collecting = self.collector(0), self.stage.collecting
        collecting.condemn(collector, names, {})
        announced = collecting.announced() or collecting.announce(collector, names, "a token")
        return announced and list(collecting.doom(collector, announced.journal))

    def write_again(self, names: list[PackName], seed: int) -> int:
        """One pack in place of these."""
        collector, collecting = self.collector(0), self.stage.collecting
        collecting.upload(collector, pack(seed))
        return collecting.replace(collector, [pack(seed).name], names)

    def forget(self, version: int) -> bool:
        return self.stage.keeping.forget(version, "a rule", heard=self.stage.keeping.heard())

    def pinned(self, turn: int) -> UUID:
        return self.pins[turn % len(self.pins)] if self.pins else UUID(int=2**127 + turn)

    def live(self, count: int) -> list[Any]:
        return sorted(self.stage.catalog.live_packs())[:count]


Operation = Callable[[Run], object]


def varied(seed: int, state: VersionState = VersionState.COMPLETE) -> VersionResult:
    """Some are counted, and some of these are unusual."""
    made = result(seed, state=state)
    if seed % 3 == 0:
        return made
    first = replace(made.entities[0], inserted=seed, updated=0, deleted=2)
    counted = replace(made, entities=(first, *made.entities[1:]))
    unusual = Anomaly(first.label, CountKind.DELETED, 2, 10, None, f"2 of 10 in {seed}")
    return counted if seed % 3 == 1 else replace(counted, anomalies=(unusual,))


@st.composite
def begins(draw: st.DrawFn) -> Operation:
    new = new_version(
        draw(words),
        trigger=draw(st.sampled_from(Trigger)),
        kind=draw(st.sampled_from(VersionKind)),
        name=draw(words),
        description=draw(words),
        tags=draw(tags),
        parent=draw(st.none() | st.integers(1, 6)),
        destinations=draw(st.sampled_from([None, None, (), ("a",), ("a", "b")])),
    )
    new = replace(new, protected=draw(st.booleans()))

    def begin(run: Run) -> object:
        session = run.stage.catalog.begin(new)
        run.sessions.append(session)
        return session.number, session.epoch, session.view

    return begin


@st.composite
def whole_versions(draw: st.DrawFn) -> Operation:
    """From begin to commit, so that there is something to list, to build on and to condemn."""
    begin, seed = draw(begins()), draw(st.integers(1, 12))

    def take(run: Run) -> object:
        catalog = run.stage.catalog
        begin(run)
        session = run.sessions[-1].id
        catalog.describe_source(session, f"db{seed % 2}", "18", f"s{seed % 3}")
        catalog.register_pack(session, pack(100 + len(run.sessions)))
        return without_times(catalog.commit(session, varied(seed), journal=0))

    return take


@st.composite
def steps(draw: st.DrawFn) -> Operation:
    """One step of a session, of the collector, or of a rebuild."""
    turn, seed, number = draw(small), draw(st.integers(1, 12)), draw(st.integers(1, 8))
    state = draw(st.sampled_from([VersionState.COMPLETE, VersionState.INCOMPLETE]))
    choices: list[Operation] = [
        lambda run: run.stage.catalog.register_pack(run.session(turn), pack(seed)),
        lambda run: run.stage.catalog.prepare(run.session(turn)),
        lambda run: run.stage.catalog.renew(run.session(turn)),
        lambda run: run.stage.catalog.commit(run.session(turn), varied(seed, state), journal=seed % 2),
        lambda run: run.stage.catalog.commit(run.session(turn), varied(seed, state), journal=0),
        lambda run: run.stage.catalog.fail(run.session(turn), "TIMEOUT", f"because of {seed}"),
        lambda run: run.stage.catalog.describe_source(run.session(turn), f"db{seed % 2}", "18", "s"),
        lambda run: run.stage.catalog.adopt([adopted(number, seed, seed + 1)], journal=seed % 3),
        lambda run: run.stage.catalog.adopt([], journal=seed % 3, journaled=run.live(2)),
        lambda run: run.stage.lapse(),
        lambda run: run.stage.condemn(run.live(1)),
        lambda run: run.stage.fence(run.session(turn)) if run.sessions else None,
    ]
    return draw(st.sampled_from(choices))


@st.composite
def keeping(draw: st.DrawFn) -> Operation:
    """What people say, readers, and versions that go."""
    number, turn, at = draw(st.integers(1, 3)), draw(small), draw(st.integers(1, 3))
    said: list[Note | Setting] = [
        Note(number, NoteField.PROTECTED, draw(st.booleans())),
        Note(number, NoteField.HOLD, draw(st.sampled_from(["", "a case"]))),
        Note(number, NoteField.EXPIRES_AT, draw(st.sampled_from([None, SOME_TIME.isoformat()]))),
        Note(number, NoteField.FORGOTTEN, "a rule elsewhere"),
        Setting("rules", draw(st.sampled_from([None, (), ("last 1",)]))),
    ]
    note = draw(st.sampled_from(said))
    choices: list[Operation] = [
        lambda run: run.stage.keeping.note([note], lambda given: notes(given, note)).number,
        lambda run: run.stage.keeping.take_notes(notes(at, note)),
        lambda run: run.stage.keeping.take_notes(notes(at, Note(number, NoteField.PROTECTED, value=False))),
        lambda run: run.stage.keeping.note([], lambda given: notes(given, *map(lifted, range(1, 7)))).number,
        lambda run: run.pin(number),
        lambda run: run.go_while_it_is_read(number),
        lambda run: run.stage.keeping.unpin(run.pinned(turn)),
        lambda run: run.stage.keeping.renew_pin(run.pinned(turn)),
        lambda run: run.forget(number),
        lambda run: run.forget(number),
        lambda run: let_go(run.stage.keeping, number),
        lambda run: let_go(run.stage.keeping, number),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def collecting(draw: st.DrawFn) -> Operation:
    """Steps of a collector, perhaps of one that is over."""
    turn, journal, seed = draw(small), draw(st.integers(1, 3)), draw(st.integers(200, 212))
    seeds = draw(st.lists(st.integers(101, 104) | st.integers(1, 4), max_size=4))
    names = [pack(seed).name for seed in seeds]
    choices: list[Operation] = [
        lambda run: run.collect(),
        lambda run: run.collect(),
        lambda run: run.stage.collecting.renew(run.collector(turn)),
        lambda run: list(run.stage.collecting.ripe(run.collector(turn))),
        lambda run: run.stage.collecting.end(run.collector(turn)),
        lambda run: run.stage.collecting.condemn(run.collector(turn), names, {}),
        lambda run: run.stage.collecting.condemn(run.collector(turn), names, dict.fromkeys(names, 9)),
        lambda run: run.stage.collecting.spare(run.collector(turn), names),
        lambda run: run.stage.collecting.announce(run.collector(turn), names, "a token"),
        lambda run: run.stage.collecting.announce(run.collector(turn), names, "a token"),
        lambda run: list(run.stage.collecting.doom(run.collector(turn), journal)),
        lambda run: run.stage.collecting.deleted(run.collector(turn), names),
        lambda run: run.go(names),
        lambda run: run.write_again(names, seed),
        lambda run: run.stage.collecting.upload(run.collector(turn), pack(seed)),
        lambda run: run.stage.collecting.replace(run.collector(turn), names[:1], names[1:]),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def checking(draw: st.DrawFn) -> Operation:
    """What checks have found, in any order."""
    at = SOME_TIME + timedelta(hours=draw(st.integers(1, 4)))
    level, damage = draw(st.sampled_from(CheckLevel)), draw(st.sampled_from(["", "", "bad", "worse"]))
    numbers = draw(st.lists(st.integers(1, 5), max_size=3, unique=True))
    count, is_known = draw(st.integers(0, 4)), draw(st.booleans())
    stands = draw(st.none() | st.integers(0, 3))
    is_read_back = draw(st.integers(0, 4)) == 0

    def packs(run: Run) -> None:
        found = [PackFound(name, level, damage) for name in [*run.live(count), pack(1).name]]
        run.stage.checking.keep_packs(at, found)

    def versions(run: Run) -> None:
        needs = frozenset(run.live(count)) if is_known else None
        stood = None if stands is None else frozenset([*run.live(stands), pack(2).name])
        found = [VersionFound(each, level, damage, needs, stood, is_read_back) for each in numbers]
        run.stage.checking.keep_versions(at, found)

    return draw(st.sampled_from([packs, versions]))


@st.composite
def replicating(draw: st.DrawFn) -> Operation:
    """Replicas and runs on them, perhaps of one that is over."""
    turn, name = draw(small), draw(st.sampled_from(["a", "b"]))
    new = NewReplica(
        name, f"memory://{draw(st.sampled_from('xy'))}", draw(st.sampled_from([None, ("last 1",)]))
    )
    numbers = draw(st.lists(st.integers(1, 5), max_size=4))
    result = RunResult(draw(st.sampled_from(RunOutcome)), "so", turn, 10, 3, 4, b"state")
    choices: list[Operation] = [
        lambda run: run.stage.replicating.add(new),
        lambda run: run.stage.replicating.add(new),
        lambda run: list(run.stage.replicating.remove(name, lost=turn > 1)),
        lambda run: run.stage.replicating.change(name, mirror=turn > 0).new,
        lambda run: run.stage.replicating.change(name, enabled=turn > 0).new,
        lambda run: run.stage.replicating.waive(run.copier(turn), numbers),
        lambda run: run.copy(name),
        lambda run: run.copy(name),
        lambda run: run.stage.replicating.renew(run.copier(turn)),
        lambda run: run.stage.replicating.end(run.copier(turn), result),
        lambda run: run.stage.replicating.abandon(run.copier(turn), "enough"),
        lambda run: list(run.stage.replicating.copied(run.copier(turn), numbers)),
        lambda run: list(run.stage.replicating.copied(run.copier(turn), numbers)),
        lambda run: run.stage.replicating.forgotten(run.copier(turn), numbers),
        lambda run: run.stage.replicating.locked(run.copier(turn), SOME_TIME),
        lambda run: run.stage.replicating.verified(name, "packs", is_clean=turn > 1),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def cleaning(draw: st.DrawFn) -> Operation:
    """Runs of both kinds, perhaps of one that is over."""
    turn, kind = draw(st.integers(0, 2)), draw(st.sampled_from(CleanupKind))
    texts = st.sampled_from(["", "so", "a \x00 sign"])
    result = CleanupResult(draw(st.sampled_from(CleanupOutcome)), draw(texts), turn, 2, draw(small) - 2)
    choices: list[Operation] = [
        lambda run: run.clean(kind),
        lambda run: run.stage.cleaning.end(run.cleaner(turn), result),
    ]
    return draw(st.sampled_from(choices))


def cleanup_without_times(one: Cleanup) -> object:
    return one.ended_at is not None, one.succeeded_at is not None, one.result


def replica_without_times(replica: Replica) -> object:
    moments = (replica.started_at, replica.ended_at, replica.succeeded_at, replica.locked_at)
    verified = replica.verified
    return (
        replica.new,
        [moment is not None for moment in moments],
        (replica.is_running, replica.result, verified and (verified.level, verified.is_clean)),
    )


def notes(number: int, *said: Note | Setting) -> Notes:
    return Notes(REPOSITORY, number, SOME_TIME.isoformat(timespec="microseconds"), "ada", said)


def lifted(version: int) -> Note:
    return Note(version, NoteField.PROTECTED, value=False)


@st.composite
def filters(draw: st.DrawFn) -> VersionFilter:
    return VersionFilter(
        states=tuple(draw(st.lists(st.sampled_from(VersionState), max_size=2))),
        triggers=tuple(draw(st.lists(st.sampled_from(Trigger), max_size=2))),
        kinds=tuple(draw(st.lists(st.sampled_from(VersionKind), max_size=2))),
        tags=draw(tags),
        text=draw(words | st.sampled_from(["GRÖSSE", "%", "2", "run"])),
        limit=draw(st.integers(1, 4)),
        before=draw(st.none() | st.integers(1, 8)),
        unusual=draw(st.booleans()),
        partial=draw(st.booleans()),
    )


def without_times(value: object) -> object:
    """Times differ between two catalogs; whether there is one, and all else, must not."""
    if not isinstance(value, Version):
        return value
    return replace(
        value,
        created_at=SOME_TIME,
        finished_at=None if value.finished_at is None else SOME_TIME,
        duration_seconds=None if value.duration_seconds is None else 0.0,
        forgotten_at=None if value.forgotten_at is None else SOME_TIME,
        error_text=re.sub(r"[\d-]+ [\d:]+ UTC", "then", value.error_text),
    )


def outcome(operation: Operation, run: Run) -> object:
    try:
        return without_times(operation(run))
    except CasError as error:
        return type(error)


def seen(run: Run, asked: list[VersionFilter]) -> list[object]:
    """All that can be asked of a catalog."""
    catalog = run.stage.catalog
    numbers = sorted(catalog.known_numbers())
    whole = [without_times(catalog.version(number)) for number in numbers]
    moments = [catalog.version(number).created_at for number in numbers]
    pages = [*asked, VersionFilter()]
    pages += [VersionFilter(since=moment) for moment in moments] + [VersionFilter(until=m) for m in moments]
    listed = [[without_times(version) for version in catalog.versions(page)] for page in pages]
    newest = [without_times(catalog.latest(*source)) for source in ((), ("s1",), ("s2", "db1"), ("", "db0"))]
    newest.append(without_times(catalog.latest("s1", "db1", [VersionKind.FULL, VersionKind.SELECTED])))
    asked_of = [("table", "public.products"), ("table", "public.suppliers"), ("sequences", "sequences")]
    pasts = [
        [list(past) for past in catalog.entity_pasts(number, asked_of, limit)]
        for number in numbers
        for limit in (1, 3)
    ]
    keeping = run.stage.keeping
    kept = [keeping.heard(), keeping.setting("rules"), keeping.forgotten(), keeping.gone(), catalog.bases()]
    collecting = run.stage.collecting
    packs = [list(collecting.condemned()), collecting.announced(), list(collecting.doomed())]
    cleaned = {kind: cleanup_without_times(one) for kind, one in run.stage.cleaning.last().items()}
    checking = run.stage.checking
    checked = [replace(check, made_at=SOME_TIME) for check in checking.packs()]
    needing = [list(checking.needing([check.name])) for check in checked]
    walked = {number: when[1:] for number, when in checking.walked().items()}
    copies = run.stage.replicating
    held = [
        (
            replica_without_times(one),
            sorted((number, since is not None) for number, since in copies.held(one.name).items()),
        )
        for one in copies.replicas()
    ]
    partial = [one.number for one in catalog.versions(VersionFilter(partial=True))]
    owed = {name: list(lacking) for name, lacking in copies.owed().items()}
    only = [list(copies.only_copies(one.name)) for one in copies.replicas()]
    away = [dict(copies.packs()), copies.may_live(), held, copies.placements(numbers), partial, owed, only]
    rest = [kept, packs, checked, walked, checking.versions(numbers), needing, away]
    rest += [cleaned, collecting.awaited()]
    return [numbers, whole, listed, newest, pasts, catalog.live_packs(), catalog.journal(), *rest]


@pytest.fixture(scope="module")
def lasting_stage(cluster: Cluster) -> Iterator[PostgresStage]:
    with postgres_stage_on(cluster) as made:
        yield made


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(whole_versions(), max_size=3),
    st.lists(
        begins()
        | steps()
        | steps()
        | keeping()
        | keeping()
        | collecting()
        | collecting()
        | checking()
        | replicating()
        | replicating()
        | cleaning()
        | cleaning(),
        min_size=3,
        max_size=24,
    ),
    st.lists(filters(), max_size=3),
)
def test_memory_and_postgresql_agree(
    lasting_stage: PostgresStage,
    first: list[Operation],
    operations: list[Operation],
    asked: list[VersionFilter],
) -> None:
    lasting_stage.empty()
    in_memory, in_postgres = Run(MemoryStage()), Run(lasting_stage)
    for operation in first + operations:
        assert outcome(operation, in_memory) == outcome(operation, in_postgres)
    assert seen(in_memory, asked) == seen(in_postgres, asked)
