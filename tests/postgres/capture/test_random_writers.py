"""Random writers over several connections: what capture says turns the old state into the new one."""

from contextlib import ExitStack

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres.capture.scene import Found, Key, Platform, looked, writer

TABLES = """
CREATE TABLE items (id int PRIMARY KEY, name text);
CREATE TABLE parts (area int, id text, name text, PRIMARY KEY (area, id)) PARTITION BY RANGE (area);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (4);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (4) TO (8) PARTITION BY RANGE (area);
CREATE TABLE parts_1a PARTITION OF parts_1 FOR VALUES FROM (4) TO (8);
"""

WRITERS = 3
NUMBERS = st.integers(0, 7)

_DML = (
    "INSERT INTO items VALUES ({0}, '{1}')",
    "INSERT INTO items VALUES ({0}, '{1}') ON CONFLICT (id) DO UPDATE SET name = '{1}'",
    "UPDATE items SET name = '{1}' WHERE id % 3 = {0} % 3",
    "UPDATE items SET id = {1} WHERE id = {0}",
    "UPDATE items SET id = id WHERE id > {0}",
    "DELETE FROM items WHERE id = {0}",
    "DELETE FROM items WHERE id > {0}",
    "MERGE INTO items i USING (SELECT {0} AS id) s ON i.id = s.id WHEN MATCHED THEN DELETE"
    " WHEN NOT MATCHED THEN INSERT VALUES (s.id, '{1}')",
    "INSERT INTO parts VALUES ({0}, '{1}') ON CONFLICT DO NOTHING",
    "UPDATE parts SET area = {1} WHERE area = {0}",
    "UPDATE parts SET name = '{1}' WHERE id = '{0}'",
    "UPDATE parts_1 SET name = '{1}'",
    "DELETE FROM parts_0 WHERE id = '{0}'",
    "DELETE FROM parts WHERE area = {0}",
)

_ENDS = (
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT one",
    "ROLLBACK TO one",
    "RELEASE one",
    "PREPARE TRANSACTION '{0}'",
)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, WRITERS - 1), st.sampled_from(_DML), NUMBERS, NUMBERS),
        st.tuples(st.integers(0, WRITERS - 1), st.sampled_from(_ENDS), NUMBERS, NUMBERS),
        st.tuples(st.just(-1), st.just("version"), NUMBERS, NUMBERS),
        st.tuples(st.just(-2), st.sampled_from(("COMMIT PREPARED", "ROLLBACK PREPARED")), NUMBERS, NUMBERS),
    ),
    max_size=40,
)

State = dict[str, dict[Key, str]]


def state(connection: psycopg.Connection) -> State:
    """All rows of both tables, by key, as records are written."""
    items = connection.execute("SELECT id::text, concat_ws(E'\\t', id, name) FROM items").fetchall()
    parts = connection.execute(
        "SELECT area::text, id, concat_ws(E'\\t', area, id, name) FROM parts"
    ).fetchall()
    return {"items": {row[:1]: row[1] for row in items}, "parts": {row[:2]: row[2] for row in parts}}


def compared(platform: Platform, base: str, old: State) -> tuple[str, State]:
    """A version: what capture says of both tables, held against all rows; its snapshot and its state."""
    with platform.reading() as connection:
        snapshot = str(connection.execute("SELECT pg_current_snapshot()::text").fetchall()[0][0])
        connection.execute("SET LOCAL search_path = public, pg_catalog")
        new = state(connection)
        connection.execute("SET LOCAL search_path = pg_catalog")
        for table, rows in new.items():
            found = looked(connection, table, base)
            assert isinstance(found, Found), found
            before, noted = old[table], set(found.keys)
            differ = {key for key in rows.keys() | before.keys() if rows.get(key) != before.get(key)}
            left = differ - noted
            assert left <= before.keys() - rows.keys(), "only keys that were left for others are not noted"
            assert found.records == {key: rows[key] for key in found.keys if key in rows}
            applied = {key: row for key, row in before.items() if key not in noted} | found.records
            assert applied == rows | {key: before[key] for key in left}
            assert len(before) + found.more == len(rows) == len(applied) - len(left)
    platform.prune(snapshot)
    return snapshot, new


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_random_writers(platform: Platform, steps: list[tuple[int, str, int, int]]) -> None:
    if not platform.run("SELECT to_regclass('items')")[0][0]:
        platform.run(TABLES)
        platform.install()
    prepared: set[int] = set()
    with ExitStack() as opened:
        writers = [opened.enter_context(writer(platform)) for _ in range(WRITERS)]
        for connection in writers:
            connection.execute("SET lock_timeout = '20ms'")
        base = platform.version()
        with platform.reading() as connection:
            connection.execute("SET LOCAL search_path = public, pg_catalog")
            old = state(connection)
        for who, what, one, other in steps:
            if who == -1:
                base, old = compared(platform, base, old)
            elif who == -2:
                if one in prepared:
                    platform.run(f"{what} '{one}'")
                    prepared.remove(one)
            else:
                _write(writers[who], what, one, other, prepared)
        for connection in writers:
            connection.execute("COMMIT")
        base, old = compared(platform, base, old)
        for number in prepared:
            platform.run(f"COMMIT PREPARED '{number}'")
        compared(platform, base, old)


def _write(connection: psycopg.Connection, what: str, one: int, other: int, prepared: set[int]) -> None:
    """A statement; a transaction begins where there is none, and ends where it fails."""
    if what.startswith("PREPARE") and one in prepared:
        return
    try:
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            connection.execute("BEGIN")
        connection.execute(what.format(one, other).encode())
        if what.startswith("PREPARE"):
            prepared.add(one)
    except psycopg.Error:
        connection.execute("ROLLBACK")
