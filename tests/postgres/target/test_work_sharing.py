"""Units that several threads share: all run once, and none beside another that wants the same table."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from cas.postgres.connecting import ConnectionOptions
from cas.postgres.filling.connections import Connections
from cas.postgres.filling.schema_restore import SchemaRunner
from cas.postgres.filling.schema_steps import steps
from cas.postgres.filling.work_sharing import Claim, WorkList
from cas.records.source import SchemaItem
from tests.postgres.target.moving import ask
from tests.servers.postgres import Cluster, Databases

tables = st.frozensets(st.sampled_from([("a",), ("b",), ("c",)]), max_size=3)
claims = st.builds(Claim, shared=tables, exclusive=tables)


class Watch:
    """Notes what runs at the same time, and complains where it must not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, Claim] = {}
        self.ran: list[int] = []

    def enter(self, unit: int, claim: Claim) -> None:
        with self._lock:
            for other in self._running.values():
                assert not claim.exclusive & (other.shared | other.exclusive)
                assert not other.exclusive & (claim.shared | claim.exclusive)
            self._running[unit] = claim
            self.ran.append(unit)

    def leave(self, unit: int) -> None:
        with self._lock:
            del self._running[unit]


@settings(deadline=None, max_examples=30)
@given(st.lists(claims, max_size=12), st.integers(1, 4))
def test_all_units_run_once_and_none_beside_one_that_excludes_it(units: list[Claim], workers: int) -> None:
    work = WorkList(enumerate(units))
    watch = Watch()

    def worker() -> None:
        while (task := work.take()) is not None:
            unit, claim = task
            watch.enter(unit, claim)
            time.sleep(0)
            watch.leave(unit)
            work.finish(unit, claim)

    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(worker) for _ in range(workers)]:
            future.result(timeout=30)
    assert sorted(watch.ran) == list(range(len(units)))


def test_a_unit_that_was_given_back_is_handed_out_again() -> None:
    work = WorkList([("first", Claim(exclusive=frozenset({("t",)})))])
    task = work.take()
    assert task is not None
    work.finish(*task, rest="rest")
    assert work.take() == ("rest", task[1])


def test_nothing_is_handed_out_after_a_stop() -> None:
    work = WorkList([("unit", Claim())])
    work.stop()
    assert work.take() is None


def test_indexes_of_one_table_are_built_at_the_same_time(cluster: Cluster, database: Databases) -> None:
    """Each of the two waits until it sees the other at work."""
    url = database()
    ask(
        url,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1);"
        "CREATE FUNCTION meet(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN"
        " FOR n IN 1..500 LOOP"
        "  IF (SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX meet%') = 2"
        "  THEN RETURN 1; END IF;"
        "  PERFORM pg_sleep(0.02), pg_stat_clear_snapshot(); END LOOP;"
        " RAISE 'alone'; END $$",
    )
    items = [
        SchemaItem("post-data", "INDEX", "public", n, f"CREATE INDEX meet_{n} ON public.t (public.meet(a))")
        for n in ("one", "two")
    ]
    connections = Connections(url, ConnectionOptions(), maintenance_mib=16)
    SchemaRunner(connections.open, jobs=2).run_after_data(list(steps(items)), {})
    assert ask(url, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'") == [(2,)]


def test_a_deadlock_with_somebody_else_is_tried_again(cluster: Cluster, database: Databases) -> None:
    url = database()
    ask(url, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int)")
    items = [
        SchemaItem(
            "post-data", "FK CONSTRAINT", "public", "b f",
            "ALTER TABLE ONLY public.b ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES public.a(id)",
        )
    ]  # fmt: skip
    connections = Connections(url, ConnectionOptions(), maintenance_mib=16)

    def other() -> None:
        # Locks the parent, and asks for the child when our ALTER TABLE holds it and waits for the parent.
        ask(
            url,
            "BEGIN; SET deadlock_timeout = '10s'; LOCK TABLE a IN EXCLUSIVE MODE; SELECT pg_sleep(0.5);"
            " LOCK TABLE b IN EXCLUSIVE MODE; COMMIT",
        )

    with ThreadPoolExecutor(1) as pool:
        blocking = pool.submit(other)
        while ask(url, "SELECT count(*) FROM pg_locks WHERE relation = 'a'::regclass") == [(0,)]:
            time.sleep(0.01)
        SchemaRunner(connections.open, jobs=2).run_after_data(list(steps(items)), {})
        blocking.result(timeout=30)
    assert ask(url, "SELECT count(*) FROM pg_constraint WHERE conname = 'f'") == [(1,)]
