"""One life of a platform and its repository: edits, versions, restores, undos, and what must hold of each."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import psycopg

from cas.catalog.restore_model import Restore, RestoreFilter, RestoreMode, RestoreState
from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.errors import CasError, ConnectionFailed, OutcomeUnknown
from cas.limits import SESSION_LEASE_SECONDS
from cas.live import executing
from cas.live.executing import execute_plan
from cas.live.plan import RestorePlan
from cas.live.prepared import PreparedPlan
from cas.live.request import LiveRequest
from cas.live.restoring import plan_restore, resolve_outcomes
from cas.live.sequences_plan import stored_sequences
from cas.live.undoing import plan_undo
from cas.postgres.live.locking import LockPatience
from cas.postgres.live.platform import PlatformOptions, PostgresPlatform
from cas.postgres.reading.source import PostgresSource
from cas.progress import Silent
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World
from tests.live import expecting
from tests.live.asking import Ask, Fault
from tests.live.editing import connected, edit, fill
from tests.live.expecting import Changes, Keys, Tables
from tests.live.held import held_rows
from tests.live.looking import Moment, Row, dangling, look
from tests.live.shapes import Shape, definition
from tests.live.traps import Sprung, Trap, Trapped, TrappedPlatform
from tests.live.verdicts import Verdict, Wanted, bare_name, difference, untouched_kept

OWNER = "fuzz_owner"
PATIENCE = LockPatience(timeout=0.1, attempts=2, pause=0.01, later=0.3)
OPEN = (RestoreState.PENDING, RestoreState.SAFETY, RestoreState.RESTORING, RestoreState.VERIFYING)


@dataclass
class Done:
    """A restore that happened, and what an undo of it must do."""

    number: int
    before: Moment
    written: Keys
    sequences: Mapping[str, tuple[tuple[int, bool], tuple[int, bool]]]
    has_safety: bool


@dataclass
class Life:
    """`url`: of an empty database."""

    url: str
    shape: Shape
    seed: int
    world: World = field(default_factory=World)
    versions: dict[int, Moment] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        executing.ASK_PAUSE_SECONDS = 0.01
        self.admin = connected(self.url)
        self.admin.execute("DROP SCHEMA IF EXISTS public CASCADE")
        self.admin.execute("CREATE SCHEMA public")
        if self.shape.as_owner:
            self.admin.execute(f"GRANT ALL ON SCHEMA public TO {OWNER}")
            self.admin.execute(f"SET ROLE {OWNER}")
        for statement in definition(self.shape):
            self.admin.execute(statement.encode())
        self.admin.execute("RESET ROLE")
        fill(self.admin, self.shape, self.seed)
        self.sessions: dict[int, psycopg.Connection] = {}
        role = self.url.replace("postgres@", f"{OWNER}@") if self.shape.as_owner else self.url
        self.platform = PostgresPlatform(role, PlatformOptions(patience=PATIENCE))
        self.take()

    def close(self) -> None:
        for session in (*self.sessions.values(), self.admin):
            session.close()

    # what happens

    def edit(self, seed: int, count: int) -> None:
        edit(self.admin, self.shape, seed, count)

    def edit_open(self, number: int, seed: int, count: int) -> None:
        """Edits of a session whose transaction stays open."""
        session = self.sessions.get(number)
        if session is None:
            session = self.sessions[number] = connected(self.url)
            session.autocommit = False
        edit(session, self.shape, seed, count)

    def end_open(self, number: int, *, commit: bool) -> None:
        session = self.sessions.pop(number, None)
        if session is not None:
            with suppress(psycopg.Error):  # a deferred constraint may refuse
                session.commit() if commit else session.rollback()
            session.close()

    def take(self) -> int:
        """A version, which holds what the platform holds."""
        before = self.look()
        repository = self.world.open()
        try:
            receipt = take_version(
                repository, self.world.catalog, PostgresSource(self.url), SnapshotRequest(with_schema=False)
            )
            number = receipt.version.number
            assert held_rows(repository, number) == before.tables
        finally:
            repository.close()
        self.versions[number] = before
        return number

    def look(self) -> Moment:
        return look(self.admin, self.shape)

    def restore(self, ask: Ask) -> None:
        """Plan, perhaps edits, execute; and compare with what a correct restore does."""
        numbers = sorted(self.versions)
        number, base = numbers[ask.which % len(numbers)], numbers[ask.base % len(numbers)]
        version, start = self.versions[number], self.look()
        request = ask.request(self.shape, start, version, base)
        if request is None:
            return
        exactly = not ask.relations
        plain = self._plain(request)
        keys = expecting.keys_in_scope(self.shape, plain, start.tables, version.tables)
        wanted = Wanted(
            version,
            (
                lambda live: expecting.changes(
                    self.shape, live, version.tables, self.versions[base].tables, plain, keys
                )
            )
            if exactly
            else None,
            lambda now, found: expecting.sequences(self.shape, now, version, plain, found),
            plain,
        )
        trap, platform = self._trapped(ask.fault)
        repository = self.world.open(cast(Any, Trapped("store", self.world.store, trap)))
        trap.armed = True
        catalog = cast(Any, Trapped("catalog", self.world.catalog, trap))
        restores = cast(Any, Trapped("restores", self.world.catalog.restores, trap))
        nonsense = expecting.is_nonsense(self.shape, plain)

        def make() -> PreparedPlan:
            return plan_restore(repository, catalog, restores, platform.as_port(), number, request, Silent())

        try:
            self._run(ask, wanted, start, trap, platform, (repository, catalog, restores), make, nonsense)
        finally:
            repository.close()

    def undo(self, ask: Ask, *, any_of: bool) -> None:
        """Take a restore back: the last one that did something and still stands, or any."""
        of = self.world.catalog.restores.restore
        standing = [
            done
            for done in self.done
            if any(done.written.values()) and of(done.number).state is RestoreState.COMPLETED
        ]
        candidates = self.done if any_of else standing[-1:]
        if not candidates:
            return
        done = candidates[ask.which % len(candidates)]
        record = self.world.catalog.restores.restore(done.number)
        start = self.look()
        trap, platform = self._trapped(ask.fault)
        repository = self.world.open(cast(Any, Trapped("store", self.world.store, trap)))
        trap.armed = True
        catalog = cast(Any, Trapped("catalog", self.world.catalog, trap))
        restores = cast(Any, Trapped("restores", self.world.catalog.restores, trap))
        labels = [label for label, keys in done.written.items() if keys]
        request = LiveRequest(tables=tuple(labels))

        def changes(live: Tables) -> dict[str, Changes]:
            return expecting.changes(self.shape, live, done.before.tables, None, request, done.written)

        def sequences(now: Moment, _: Mapping[str, Changes]) -> dict[str, tuple[int, bool]]:
            made = dict(now.sequences)
            for name, (before, after) in done.sequences.items():
                made[name] = before if made[name] == after else made[name]
            return made

        def make() -> PreparedPlan:
            return plan_undo(repository, catalog, restores, platform.as_port(), done.number, Silent())

        nonsense = (
            record.state is not RestoreState.COMPLETED
            or not done.has_safety
            or not (labels or done.sequences)
        )
        wanted = Wanted(done.before, changes, sequences, LiveRequest(undoes=done.number))
        try:
            self._run(ask, wanted, start, trap, platform, (repository, catalog, restores), make, nonsense)
        finally:
            repository.close()
        after = self.world.catalog.restores.restore(done.number)
        if after.state is not record.state:
            assert after.state is RestoreState.UNDONE
            assert self.done[-1].number == after.undone_by

    # how it is driven

    def _plain(self, request: LiveRequest) -> LiveRequest:
        """With labels instead of patterns."""
        labels = tuple(
            table.label
            for table in self.shape.tables
            if any(
                pattern.replace("[[]", "[").replace("[*]", "*") == table.label for pattern in request.tables
            )
        )
        return LiveRequest(**{**_given(request), "tables": labels})

    def _trapped(self, fault: Fault | None) -> tuple[Trap, TrappedPlatform]:
        def act() -> None:
            assert fault is not None
            match fault.kind:
                case "error":
                    raise Sprung("sprung")
                case "refusal":
                    raise ConnectionFailed("nobody answers", where="a trap")
                case "interrupt":
                    raise KeyboardInterrupt
                case "unknown":
                    raise OutcomeUnknown("the connection was lost", where="a trap")
                case "cancel":
                    with suppress(CasError):
                        self.world.catalog.restores.request_cancel(self._last())
                case _:
                    self._kill(platform.backend)

        trap = (
            Trap("", 0, False, act)
            if fault is None
            else Trap(fault.port, fault.at, fault.after, act, fault.only)
        )
        self.locked: Moment | None = None

        def on_lock() -> None:
            self.locked = self.look()

        platform = TrappedPlatform(self.platform, trap, on_lock)
        return trap, platform

    def _kill(self, backend: int) -> None:
        self.admin.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])

    def _gone(self, backend: int) -> None:
        """Wait until the server has ended a session that was closed."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        for _ in range(1000):
            if not self.admin.execute(query, [backend]).fetchall()[0][0]:
                return
            time.sleep(0.005)

    def _last(self) -> int:
        """The newest restore's number; 0 where there is none."""
        newest = self.world.catalog.restores.restores(RestoreFilter(limit=1))
        return newest[0].number if newest else 0

    def _run(
        self,
        ask: Ask,
        wanted: Wanted,
        start: Moment,
        trap: Trap,
        platform: TrappedPlatform,
        ports: tuple[Repository, Any, Any],
        make: Callable[[], PreparedPlan],
        nonsense: bool,
    ) -> None:
        before = self._last()
        failed: BaseException | None = None
        try:
            prepared = make()
        except (Exception, KeyboardInterrupt) as error:
            failed = error
        if failed is not None:
            # with relations, a merge may reach a table that has no key to merge by
            reaches = wanted.changes is None and wanted.request.mode is RestoreMode.MERGE
            assert nonsense or trap.sprung or reaches, f"planning failed: {failed!r}"
            assert trap.sprung or isinstance(failed, CasError), repr(failed)
            assert self.look() == start
            for number in range(before + 1, self._last() + 1):
                self._settled(number)
                self._told(number)
            return
        with prepared:
            assert not nonsense, "this should have been refused"
            verdict = Verdict(self.shape, prepared.plan, wanted, start)
            verdict.planned_rightly()
            self.edit(ask.seed, ask.between)
            if ask.ends:
                for number in sorted(self.sessions):
                    self.end_open(number, commit=True)
            middle = self.look()
            self._execute(prepared, verdict, middle, trap, platform, ports)

    def _execute(
        self,
        prepared: PreparedPlan,
        verdict: Verdict,
        middle: Moment,
        trap: Trap,
        platform: TrappedPlatform,
        ports: tuple[Repository, Any, Any],
    ) -> None:
        plan, (repository, catalog, restores) = prepared.plan, ports
        error: BaseException | None = None
        held = self._held_locks()
        try:
            execute_plan(repository, catalog, restores, platform.as_port(), prepared, Silent())
        except (Exception, KeyboardInterrupt) as raised:
            error = raised
        self._gone(platform.backend)
        end = self.look()
        assert end.around == middle.around, "a trigger fired, or something else was altered"
        assert not dangling(self.admin, self.shape)
        if plan.is_blocked:
            assert error is not None
            assert end == middle
            with suppress(CasError):  # it may be cancelled already
                self.world.catalog.restores.request_cancel(plan.number)
            return
        self._settled(plan.number)
        record = self.world.catalog.restores.restore(plan.number)
        if error is None:
            assert record.state is RestoreState.COMPLETED
        if record.state is not RestoreState.COMPLETED:
            assert end == middle, f"{record.state} and yet something changed; {error!r}"
            self._told(plan.number)
            if not trap.sprung:
                verdict.justified(error, middle, held)
            return
        if error is not None:
            assert trap.sprung, repr(error)
        untouched_kept(middle, end)
        verdict.done_rightly(middle, end)
        if verdict.was_whole(end):
            self._same_root(verdict.wanted.version)
        self._safe(record)
        self._remember(plan, record, middle, end)

    def _held_locks(self) -> set[str]:
        """Relations that open sessions have written or drawn from."""
        rows = self.admin.execute(
            "SELECT DISTINCT c.relname::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
            " WHERE l.pid = ANY (%s) AND l.mode <> 'AccessShareLock'",
            [[session.info.backend_pid for session in self.sessions.values()]],
        ).fetchall()
        return {name for (name,) in rows}

    def _same_root(self, version: Moment) -> None:
        """Another version of a platform that is a whole one again has its checksum."""
        first = next((number for number, moment in self.versions.items() if moment is version), None)
        if first is None:
            return
        second = self.take()
        repository = self.world.open()
        try:
            checksums = {open_contents(repository, n).document.checksum for n in (first, second)}
        finally:
            repository.close()
        assert len(checksums) == 1, "the same records have another checksum"

    def _safe(self, record: Restore) -> None:
        """The safety version is the platform as it was under the lock."""
        if record.safety_version is None:
            return
        assert self.locked is not None
        repository = self.world.open()
        try:
            held = held_rows(repository, record.safety_version)
            drawn = stored_sequences(open_contents(repository, record.safety_version))
        finally:
            repository.close()
        for label, rows in held.items():
            assert rows == self.locked.tables[label], f"the safety version has other rows of {label}"
        for name, state in drawn.items():
            value = self.locked.sequences[bare_name(name.decode())]
            assert value == (state.last_value, state.is_called), f"the safety version has another {name!r}"

    def _settled(self, number: int) -> None:
        """Whoever held the restore is gone; what is open is asked from the platform."""
        restores = self.world.catalog.restores
        if restores.restore(number).state in OPEN:
            self.world.clock.moment += timedelta(seconds=2 * SESSION_LEASE_SECONDS)
            resolve_outcomes(restores, self.platform)
        assert restores.restore(number).state not in OPEN

    def _told(self, number: int) -> None:
        """The record says why nothing happened."""
        record = self.world.catalog.restores.restore(number)
        if record.state is RestoreState.PLANNED:
            return
        assert record.state in (RestoreState.FAILED, RestoreState.CANCELLED), record.state
        assert record.error_text
        if record.state is RestoreState.FAILED:
            assert record.error_code
        assert record.records_inserted is None or record.state is RestoreState.CANCELLED

    def _remember(self, plan: RestorePlan, record: Restore, middle: Moment, end: Moment) -> None:
        written: dict[str, set[Row]] = {}
        for table in self.shape.tables:
            places = table.places(table.key)
            made = difference(places, middle.tables[table.label], end.tables[table.label])
            written[table.label] = {
                tuple(row[at] for at in places) if places else row
                for pair in made.moved
                for row in pair
                if row is not None
            }
        names = [bare_name(one.name) for one in plan.sequences]
        sequences = {name: (middle.sequences[name], end.sequences[name]) for name in names}
        self.done.append(Done(plan.number, middle, written, sequences, record.safety_version is not None))


def _given(request: LiveRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in LiveRequest.__dataclass_fields__}
