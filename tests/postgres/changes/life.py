"""One life of a platform whose changes are read: what happens there, versions of it, and what must hold of
each."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

import psycopg

from cas.catalog.model import Version, VersionFilter, VersionState
from cas.errors import CasError
from cas.limits import NODE_CANDIDATE_BITS
from cas.postgres.capture.installing import install
from cas.postgres.capture.patience import KEYS_PER_STATEMENT, CaptureOptions
from cas.postgres.capture.pruning import LogLimits, prune
from cas.postgres.capture.removing import remove
from cas.postgres.reading.opening import Patience
from cas.postgres.reading.source import PostgresSnapshot, PostgresSource, SourceOptions
from cas.records.marks import Mark
from cas.records.model import Entity
from cas.records.source import Changed, Selection
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World
from tests.live.traps import Sprung, Trap, Trapped
from tests.postgres.changes.families import ANYWHERE, FAMILIES, GAMES, KEYS, UPKEEP, Family
from tests.postgres.changes.people import People, connected, roll_back_prepared
from tests.postgres.changes.three_ways import ThreeWays, Whole

OWNER = "fuzz_capture_owner"
HASTE = CaptureOptions(lock_timeout=0.05, attempts=1)
OPTIONS = SourceOptions(patience=Patience(lock_timeout=0.05, openings=2))
SCHEMAS = ("public", "cas_capture", "lefts", "rights", "mids", "aside")
COMMITTED = (VersionState.COMPLETE,)
BASES = 3
"""So many earlier versions are built upon in each comparison."""

TYPES = ("ALTER TYPE", "ALTER DOMAIN")

_WORDS = ("x", "y", "z", "row 1", "row 2", "")


@dataclass(frozen=True)
class Ask:
    """What a version is asked for, and what happens beside it: `meanwhile` when the table number `at` is
    read, or a whole other version into the same repository (`is_passed`), and `fault` at a call of a port."""

    selection: Selection = field(default_factory=Selection)
    scan: bool = False
    scan_every: int = 0
    at: int = 0
    meanwhile: str = ""
    is_passed: bool = False
    fault: tuple[str, int, bool] | None = None


class Life:
    """`url`: of a database of its own, as a superuser."""

    def __init__(self, url: str, seed: int, told: Counter[str]) -> None:
        rng = random.Random(seed)
        self.families: Sequence[Family] = rng.sample(FAMILIES, rng.randint(1, 3))
        self.as_owner = rng.random() < 0.5
        self.deeds = _deeds(rng)
        self.told = told
        self._asked = 0
        self.worlds = tuple(
            World(seed=seed, node_bits=rng.choice((1, 2, NODE_CANDIDATE_BITS))) for seed in (7, 8)
        )
        self.capture = replace(HASTE, keys_per_statement=rng.choice((3, KEYS_PER_STATEMENT)))
        with closing(psycopg.connect(url, autocommit=True)) as admin:
            roll_back_prepared(admin)
            _empty(admin)
        self.url = url.replace("postgres@", f"{OWNER}@") if self.as_owner else url
        self.people = People(self.url, 3)
        for family in self.families:
            for statement in family.definition:
                assert self.people.run(statement), statement
        if rng.random() < 0.9:
            self.install()
        self.take(0, Ask())

    def close(self) -> None:
        self.people.close()

    # what happens on the platform

    def write(self, rng: random.Random) -> str:
        """By somebody, in a transaction that may stay open."""
        return self.people.work(rng, self._write(rng))

    def write_at_once(self, rng: random.Random) -> str:
        """By somebody who commits each statement."""
        return "; ".join(self._run(self._write(rng)) for _ in range(rng.randint(1, 4)))

    def alter(self, rng: random.Random) -> str:
        """The definition of something, or a whole table."""
        family = rng.choice(self.families)
        statement = self._filled(
            rng, family, rng.choice((*family.alterations, *family.alterations, *ANYWHERE))
        )
        if rng.random() < 0.4:
            return self.people.work(rng, statement)
        return self._run(statement)

    def retype(self, rng: random.Random) -> str:
        """What values of a type look like, and nothing of any table."""
        known = [one for family in self.families for one in family.alterations if one.startswith(TYPES)]
        if not known:
            return self.alter(rng)
        statement = self._filled(rng, self.families[0], rng.choice(known))
        return self._run(statement)

    def keep_up(self, rng: random.Random) -> str:
        statement = self._filled(rng, rng.choice(self.families), rng.choice(UPKEEP))
        return self._run(statement)

    def game(self, rng: random.Random) -> str:
        """Something that should not be done to triggers and logs, a write, and all is well again."""
        family = rng.choice(self.families)
        table = rng.choice(family.tables)
        oid = self._one("SELECT to_regclass(%s)::oid::int8", table) or 0
        function = self._one("SELECT pg_get_functiondef(to_regprocedure(%s))", f"cas_capture.note_{oid}()")
        before, write, after = rng.choice(GAMES)
        known = {
            "t": table,
            "oid": oid,
            "o": rng.choice(("insert", "update", "delete")),
            "owner": OWNER,
            "function": function or "",
            "w": self._filled(rng, family, rng.choice(family.writes)),
        }
        done = [self._run(part.format(**known)) for part in (before, write, after)]
        self.people.run("RESET session_replication_role")
        return "; ".join(done)

    def install(self) -> str:
        with suppress(CasError):
            report = install(self.url, options=self.capture)
            return f"install: {[(one.label, one.outcome.value) for one in report.tables]}"
        return "install -- refused"

    def remove(self, rng: random.Random) -> str:
        tables = (rng.choice(rng.choice(self.families).tables),) if rng.random() < 0.5 else ()
        with suppress(CasError):
            remove(self.url, tables, HASTE)
            return f"remove {tables}"
        return f"remove {tables} -- refused"

    def lose_a_note(self, rng: random.Random) -> str:
        """Somebody holds a log while a key should be noted in it."""
        family = rng.choice(self.families)
        oid = self._one("SELECT to_regclass(%s)::oid::int8", rng.choice(family.tables)) or 0
        with closing(connected(self.url)) as other:
            with suppress(psycopg.Error):
                other.execute(f"BEGIN; LOCK TABLE cas_capture.log_{oid} IN SHARE MODE".encode())
            return f"log {oid} is held: {self.write(rng)}"

    def another_reader(self, rng: random.Random) -> str:
        """Comes, or says that it read on; others may be forgotten for it."""
        reader, limits = rng.choice(("somebody", "somebody else")), None
        match rng.randrange(4):
            case 0:
                limits = LogLimits(statements=rng.randrange(3))
            case 1:
                limits = LogLimits(keys=rng.randrange(20))
        snapshot = self._one("SELECT pg_current_snapshot()::text")
        with suppress(CasError):
            prune(self.url, reader, str(snapshot), options=HASTE, limits=limits)
        return f"{reader} has read up to {snapshot}, {limits}"

    # versions

    def between(self, rng: random.Random) -> str:
        """One thing happens between two versions, and nothing else."""
        before = self.take(0, Ask())
        deeds = (self.write_at_once, self.write_at_once, self.alter, self.retype, self.retype, self.game)
        happened = rng.choice(deeds)(rng)
        return "; ".join((before, happened, self.take(0, Ask())))

    def span(self, rng: random.Random) -> str:
        """A version while somebody has written and not yet ended, and one after an end."""
        before = (self.take(0, Ask()), self.write(rng), self.take(0, Ask()))
        return "; ".join((*before, self.people.end(rng), self.take(0, Ask())))

    def ask(self, rng: random.Random) -> Ask:
        """Anything that somebody may want of a version, most often all."""
        family = rng.choice(self.families)
        selection, meanwhile, fault = Selection(), "", None
        if rng.random() < 0.2:
            selection = Selection(tables=(rng.choice(family.tables),))
        if rng.random() < 0.2:
            meanwhile = self._filled(
                rng, family, rng.choice((*family.writes, *family.alterations, *ANYWHERE))
            )
        if rng.random() < 0.2:
            port = rng.choice(("store", "catalog", "source", "snapshot"))
            fault = (port, rng.randint(1, 4 if port == "source" else 12), rng.random() < 0.5)
        return Ask(
            selection=selection,
            scan=rng.random() < 0.1,
            scan_every=int(rng.random() < 0.15),
            at=rng.randrange(4),
            meanwhile=meanwhile,
            is_passed=rng.random() < 0.1,
            fault=fault,
        )

    def take(self, number: int, ask: Ask) -> str:
        """A version into one of the repositories: as every row says, counted from the version that it names.
        Or none, where the platform is in the way or something fails."""
        world, trap = self.worlds[number], _trap(ask)
        catalog = world.catalog
        bases = list(catalog.bases())[:BASES]
        repository = world.open(cast(Any, Trapped("store", world.store, trap)))
        looked: list[dict[str, Whole]] = []

        def beside() -> None:
            if ask.meanwhile:
                self.people.run(ask.meanwhile)
            if ask.is_passed:
                self.take(number, Ask())

        ways = ThreeWays(repository, bases, self.told)
        source = _Source(
            self.url,
            trap,
            beside,
            ask.at,
            lambda snapshot: looked.append(ways.compared(snapshot)),
        )
        self._asked += 1
        reason = f"ask {self._asked}"
        request = SnapshotRequest(
            with_schema=False,
            reason=reason,
            selection=ask.selection,
            scan=ask.scan,
            scan_every=ask.scan_every,
        )
        trap.armed = True
        version: Version | None
        try:
            version = take_version(
                repository, cast(Any, Trapped("catalog", catalog, trap)), cast(Any, source), request
            ).version
            said = f"version {version.number}"
        except (CasError, Sprung) as error:
            # An answer may be lost after the commit: then the version is there, and must be right.
            said = f"no version: {error}"
            made = [one.number for one in catalog.versions(VersionFilter(COMMITTED)) if one.reason == reason]
            version = catalog.version(made[0]) if made else None
        finally:
            trap.armed = False
        try:
            if version is not None:
                assert looked, "nothing was compared"
                self._judge(version, looked[-1], ways)
        finally:
            repository.close()
        assert not catalog.incidents(), catalog.incidents()
        return f"{said} in {number} {ask}"

    def _judge(self, version: Version, whole: dict[str, Whole], ways: ThreeWays) -> None:
        for one in version.entities:
            if one.label not in whole:
                continue
            there = whole[one.label]
            assert (one.root, one.records, one.payload_bytes) == (
                there.root,
                there.records,
                there.payload_bytes,
            ), f"{one.label} by {one.read_by}: {one.read_reason}"
            self.told[f"version by {one.read_by}"] += 1
            named = re.match(r"written since version (\d+)", one.read_reason)
            assert (named is not None) == (one.read_by in ("xmin", "capture"))
            if named:
                expected = ways.counts(int(named[1]), one.label, one.root)
                assert (one.inserted, one.updated, one.deleted) == expected, one

    # how statements are made

    def _run(self, statement: str) -> str:
        return statement if self.people.run(statement) else f"{statement} -- refused"

    def _write(self, rng: random.Random) -> str:
        family = rng.choice(self.families)
        return self._filled(rng, family, rng.choice(family.writes))

    def _filled(self, rng: random.Random, family: Family, template: str) -> str:
        return template.format(
            t=rng.choice(family.tables),
            a=rng.randrange(KEYS),
            b=rng.randrange(KEYS),
            v=rng.choice(_WORDS),
        )

    def _one(self, query: str, *values: object) -> Any:
        with suppress(psycopg.Error):
            row = self.people.quick.execute(query.encode(), values).fetchone()
            return None if row is None else row[0]
        return None


def _deeds(rng: random.Random) -> Sequence[str]:
    """What happens in a life, as often as it stands here: lives are of different kinds."""
    deeds = [*["write"] * 16, *["end"] * 6, "end prepared", *["take"] * 9]
    for deed, count in (
        ("alter", 6),
        ("between", 6),
        ("span", 4),
        ("keep up", 2),
        ("game", 3),
        ("install", 2),
        ("remove", 1),
        ("lose a note", 1),
        ("another reader", 1),
    ):
        if rng.random() < 0.6:
            deeds += [deed] * count
    if "game" in deeds or "remove" in deeds:
        deeds += ["install"]
    return deeds


def _empty(admin: psycopg.Connection) -> None:
    for schema in SCHEMAS:
        admin.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
    admin.execute("CREATE SCHEMA public")
    admin.execute(f"GRANT ALL ON SCHEMA public TO {OWNER}".encode())


def _trap(ask: Ask) -> Trap:
    def spring() -> None:
        raise Sprung("sprung")

    if ask.fault is None:
        return Trap("", 0, False, spring)
    return Trap(ask.fault[0], ask.fault[1], ask.fault[2], spring)


class _Source:
    """The platform as a version reads it; `look` sees each snapshot at its end, `beside` acts when the table
    number `at` is asked for."""

    def __init__(
        self,
        url: str,
        trap: Trap,
        beside: Callable[[], object],
        at: int,
        look: Callable[[PostgresSnapshot], None],
    ) -> None:
        self._inner = PostgresSource(url, OPTIONS)
        self._url = url
        self._trap = trap
        self._beside = beside
        self._at = at
        self._look = look

    @property
    def url(self) -> str:
        return self._inner.url

    @contextmanager
    def snapshot(self, selection: Selection, *, allow_incomplete: bool = False) -> Iterator[Any]:
        with self._inner.snapshot(selection, allow_incomplete=allow_incomplete) as snapshot:
            watched = _Snapshot(snapshot, self._beside, self._at, self._look)
            yield Trapped("snapshot", watched, self._trap)

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        tables = [(entity.schema, entity.name) for entity in entities if entity.key]
        self._trap.around("source", "kept", lambda: prune(self._url, reader, mark.snapshot, tables, HASTE))


class _Snapshot:
    def __init__(
        self,
        inner: PostgresSnapshot,
        beside: Callable[[], object],
        at: int,
        look: Callable[[PostgresSnapshot], None],
    ) -> None:
        self._inner = inner
        self._beside = beside
        self._left = at
        self._look = look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def estimate(self, entity: Entity) -> Any:
        self._step()
        return self._inner.estimate(entity)

    def changed(self, entity: Entity, since: Mark, reader: str) -> Changed | str:
        self._step()
        return self._inner.changed(entity, since, reader)

    def roles(self) -> Sequence[str]:
        """Without pg_dump, which takes longer than all the rest."""
        return ()

    def finish(self) -> None:
        """What is read while names in it move is not believed: then there is nothing to compare."""
        self._inner.finish()
        self._look(self._inner)

    def _step(self) -> None:
        if self._left == 0:
            self._beside()
        self._left -= 1
