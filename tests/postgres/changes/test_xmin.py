"""Versions by the age of rows: the same as by every row, whatever happened; and cheap, where that can be."""

from dataclasses import replace
from typing import cast

import pytest

from cas.postgres.reading import marking
from cas.records.source import Selection
from tests.postgres.changes.story import Story, changes

CHEAP = {
    "nothing": ((), (0, 0, 0)),
    "an update": (("UPDATE t SET v = 'x' WHERE id = 7",), (0, 1, 0)),
    "an update of all": (("UPDATE t SET v = v || '!'",), (0, 2000, 0)),
    "an update that changes nothing": (("UPDATE t SET v = v WHERE id < 9",), (0, 0, 0)),
    "an insert": (("INSERT INTO t VALUES (5000, 'x')",), (1, 0, 0)),
    "an insert before all": (("INSERT INTO t VALUES (-1, 'x')",), (1, 0, 0)),
    "a delete": (("DELETE FROM t WHERE id = 7",), (0, 0, 1)),
    "a delete of all": (("DELETE FROM t",), (0, 0, 2000)),
    "as many come as go": (
        ("DELETE FROM t WHERE id <= 3", "INSERT INTO t VALUES (5001), (5002), (5003)"),
        (3, 0, 3),
    ),
    "deleted and inserted again": (
        ("DELETE FROM t WHERE id = 7", "INSERT INTO t VALUES (7, 'row 7')"),
        (0, 0, 0),
    ),
    "another key": (("UPDATE t SET id = 9000 WHERE id = 7",), (1, 0, 1)),
    "savepoints": (
        (
            "BEGIN; SAVEPOINT a; UPDATE t SET v = 'a' WHERE id = 1; SAVEPOINT b;"
            " UPDATE t SET v = 'b' WHERE id = 2; ROLLBACK TO b;"
            " UPDATE t SET v = 'c' WHERE id = 3; RELEASE a; COMMIT",
        ),
        (0, 2, 0),
    ),
    "rolled back": (("BEGIN; DELETE FROM t WHERE id < 100; ROLLBACK",), (0, 0, 0)),
    "vacuumed and analyzed": (("UPDATE t SET v = 'x' WHERE id = 7", "VACUUM (FREEZE, ANALYZE) t"), (0, 1, 0)),
    "an update and a delete": (
        ("UPDATE t SET v = 'x' WHERE id = 7", "DELETE FROM t WHERE id = 8"),
        (0, 1, 1),
    ),
}


@pytest.mark.parametrize("name", list(CHEAP))
def test_what_changed_is_what_is_read(story: Story, name: str) -> None:
    statements, expected = CHEAP[name]
    story.run(*statements)
    found = story.entity(story.checked())
    assert found.read_by == "xmin", found.read_reason
    assert changes(found) == expected
    assert found.rows_read <= 2000


def test_few_rows_are_read_where_few_were_written(story: Story) -> None:
    story.run("UPDATE t SET v = 'x' WHERE id IN (3, 900)")
    found = story.entity(story.checked())
    assert (found.rows_read, found.new_chunks, changes(found)) == (2, 2, (0, 2, 0))
    assert found.read_reason == "written since version 1"


def test_keys_are_read_only_where_records_went(story: Story) -> None:
    story.run("INSERT INTO t VALUES (5000)")
    assert "all keys" not in story.entity(story.take()).read_reason
    story.run("DELETE FROM t WHERE id = 5000")
    assert "all keys" in story.entity(story.take()).read_reason


EVERY_ROW = {
    "truncated": ("TRUNCATE t", "INSERT INTO t VALUES (1, 'row 1')"),
    "rewritten": ("VACUUM FULL t",),
    "clustered": ("CLUSTER t USING t_pkey",),
    "another column": ("ALTER TABLE t ADD COLUMN more int DEFAULT 7",),
    "another type": ("ALTER TABLE t ALTER id TYPE bigint",),
    "swapped": (
        "CREATE TABLE old (id int PRIMARY KEY, v text)",
        "INSERT INTO old SELECT n, 'other ' || n FROM generate_series(1, 2000) AS n",
        "ALTER TABLE t RENAME TO gone",
        "ALTER TABLE old RENAME TO t",
    ),
}


@pytest.mark.parametrize("name", list(EVERY_ROW))
def test_a_table_that_may_be_another_one_is_read_whole(story: Story, name: str) -> None:
    story.run(*EVERY_ROW[name])
    found = story.entity(story.checked())
    assert (found.read_by, found.rows_read) == ("scan", found.records)
    assert "altered, rewritten or truncated" in found.read_reason or "definition" in found.read_reason


def test_a_table_made_before_the_version_and_swapped_in_later(story: Story) -> None:
    """Its rows are older than the mark: none would be found."""
    story.run(
        "CREATE TABLE old (id int PRIMARY KEY, v text)",
        "INSERT INTO old SELECT n, 'other ' || n FROM generate_series(1, 2000) AS n",
    )
    story.take()
    story.run("ALTER TABLE t RENAME TO gone", "ALTER TABLE old RENAME TO t")
    assert story.entity(story.checked()).read_by == "scan"


@pytest.mark.parametrize(
    ("definition", "alterations"),
    [
        (
            "CREATE TABLE g (id int PRIMARY KEY, v text, w text GENERATED ALWAYS AS (v || '!') STORED)",
            (
                "ALTER TABLE g ALTER w DROP EXPRESSION",
                "ALTER TABLE g DROP v",
                "ALTER TABLE g RENAME w TO v",
            ),
        ),
        (
            "CREATE TABLE g (n int, v text, id int GENERATED ALWAYS AS (n) STORED PRIMARY KEY,"
            " other int GENERATED ALWAYS AS (-n) STORED)",
            (
                "ALTER TABLE g DROP CONSTRAINT g_pkey",
                "ALTER TABLE g RENAME id TO mid",
                "ALTER TABLE g RENAME other TO id",
                "ALTER TABLE g RENAME mid TO other",
                "ALTER TABLE g ADD PRIMARY KEY (id)",
            ),
        ),
    ],
)
def test_generated_columns_take_the_names_of_others(
    story: Story, definition: str, alterations: tuple[str, ...]
) -> None:
    """The definition is what it was, no row is written, and all records or their keys are others."""
    story.run(definition, "INSERT INTO g VALUES (1, 'a'), (2, 'b')")
    before = story.entity(story.take(), "public.g")
    story.run(*alterations)
    after = story.entity(story.checked(), "public.g")
    assert after.read_by == "scan"
    assert "altered" in after.read_reason
    assert after.root != before.root


def test_partitions_that_come_and_go_with_rows_of_earlier(story: Story) -> None:
    story.run(
        "CREATE TABLE p (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100)",
        "CREATE TABLE p2 (id int PRIMARY KEY, v text)",
        "INSERT INTO p SELECT n, 'p' FROM generate_series(1, 99) AS n",
        "INSERT INTO p2 SELECT n, 'p2' FROM generate_series(100, 199) AS n",
    )
    story.take()
    story.run("UPDATE p SET v = 'x' WHERE id = 5")
    assert story.entity(story.checked(), "public.p").read_by == "xmin"
    story.run("ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (100) TO (200)")
    attached = story.entity(story.checked(), "public.p")
    assert (attached.read_by, attached.records) == ("scan", 199)
    story.run("DELETE FROM p WHERE id = 160", "UPDATE p SET id = id + 100 WHERE id = 60")
    story.checked()
    story.run("ALTER TABLE p DETACH PARTITION p1")
    detached = story.entity(story.checked(), "public.p")
    assert (detached.read_by, detached.records, changes(detached)) == ("xmin", 100, (0, 0, 98))
    story.run("ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (100)")
    again = story.entity(story.checked(), "public.p")
    assert (again.read_by, again.records) == ("scan", 198)


def test_what_was_running_while_the_base_was_read(story: Story) -> None:
    """It is not in the base, and its numbers are lower than much that is."""
    with story.session() as slow, story.session() as other:
        slow.execute(
            "BEGIN; UPDATE t SET v = 'slow' WHERE id = 10; SAVEPOINT s; INSERT INTO t VALUES (7000, 's')"
        )
        other.execute("UPDATE t SET v = 'quick' WHERE id = 11")
        base = story.take()
        assert changes(story.entity(base)) == (0, 1, 0)
        slow.execute("DELETE FROM t WHERE id = 12; COMMIT")
    found = story.entity(story.checked())
    assert (found.read_by, changes(found)) == ("xmin", (1, 1, 1))


def test_a_prepared_transaction_is_committed_between(story: Story) -> None:
    with story.session() as session:
        session.execute("BEGIN; UPDATE t SET v = 'two phases' WHERE id = 10; PREPARE TRANSACTION 'cas test'")
        assert changes(story.entity(story.take())) == (0, 0, 0)
        session.execute("COMMIT PREPARED 'cas test'")
    assert changes(story.entity(story.checked())) == (0, 1, 0)


def test_rows_that_were_copied_frozen(story: Story) -> None:
    with story.session() as session:
        session.execute("BEGIN; CREATE TABLE f (id int PRIMARY KEY)")
        with session.cursor().copy("COPY f FROM STDIN (FREEZE)") as copy:
            copy.write(b"1\n2\n")
        session.execute("COMMIT")
    story.take()
    story.run("INSERT INTO f VALUES (3)")
    assert changes(story.entity(story.checked(), "public.f")) == (1, 0, 0)


def test_a_label_of_an_enum_is_renamed(story: Story) -> None:
    """No row is written, and every row is another text."""
    story.run("CREATE TYPE mood AS ENUM ('low', 'high')", "ALTER TABLE t ADD COLUMN m mood DEFAULT 'low'")
    story.take()
    story.run("ALTER TYPE mood RENAME VALUE 'low' TO 'deep'")
    found = story.entity(story.checked())
    assert found.read_by == "scan"
    assert "definition" in found.read_reason


def test_names_of_other_things_may_be_renamed(story: Story) -> None:
    story.run("CREATE TABLE n (id int PRIMARY KEY, c regclass)", "INSERT INTO n VALUES (1, 't')")
    story.take()
    story.run("ALTER TABLE t RENAME TO u")
    found = story.entity(story.checked(), "public.n")
    assert (found.read_by, found.new_chunks) == ("scan", 1)


def test_a_table_without_a_key_is_always_read_whole(story: Story) -> None:
    story.run("CREATE TABLE b (v text)", "INSERT INTO b VALUES ('x'), ('x')")
    story.take()
    found = story.entity(story.checked(), "public.b")
    assert (found.read_by, found.read_reason) == ("scan", "no primary key")


def test_the_base_is_the_newest_version_that_holds_the_entity(story: Story) -> None:
    """A version of a part, or of the schema alone, lies between."""
    story.run("CREATE TABLE u (id int PRIMARY KEY)", "INSERT INTO u VALUES (1)")
    second = story.take()
    story.run("UPDATE t SET v = 'x' WHERE id = 1", "INSERT INTO u VALUES (2)")
    part = story.take(selection=Selection(tables=("public.u",)))
    assert changes(story.entity(part, "public.u")) == (1, 0, 0)
    story.run("INSERT INTO u VALUES (3)")
    whole = story.checked()
    assert changes(story.entity(whole)) == (0, 1, 0)
    assert story.entity(whole).read_reason == f"written since version {second.number}"
    assert story.entity(whole, "public.u").read_reason == f"written since version {part.number}"


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("started", "2001-01-01", "started again"),
        ("timeline", 77, "failover"),
        ("in_recovery", True, "failover"),
        ("database_oid", 1, "of this database"),
        ("system_identifier", "1", "of this database"),
        ("xmin", 1 << 50, "before the earlier read"),
    ],
)
def test_another_history_is_another_platform(
    story: Story, monkeypatch: pytest.MonkeyPatch, field: str, value: object, why: str
) -> None:
    """As after a restart, a failover, a copy of the database or an older state of its disk."""
    catalog = story.world.catalog
    real = catalog.bases()
    odd = [replace(base, mark=replace(base.mark, **{field: value})) for base in real]  # type: ignore[arg-type]
    monkeypatch.setattr(catalog, "bases", lambda limit=20: odd)
    found = story.entity(story.take())
    assert found.read_by == "scan"
    assert why in found.read_reason


@pytest.mark.parametrize("column", ["pair", "pair[]"])
def test_an_attribute_that_went_and_came_empties_rows_that_nobody_wrote(story: Story, column: str) -> None:
    value = "ROW(1, 'x')::pair" if column == "pair" else "ARRAY[ROW(1, 'x')::pair]"
    story.run(
        "CREATE TYPE pair AS (a int, b text)",
        f"CREATE TABLE c (id int PRIMARY KEY, v {column})",
        f"INSERT INTO c VALUES (1, {value})",
    )
    story.take()
    story.run("ALTER TYPE pair DROP ATTRIBUTE b", "ALTER TYPE pair ADD ATTRIBUTE b text")
    found = story.entity(story.checked(), "public.c")
    assert (found.read_by, found.new_chunks) == ("scan", 1)
    assert "composite" in found.read_reason


CONDITION = """UPDATE pg_extension SET extconfig = ARRAY['config'::regclass::oid], extcondition = ARRAY['{}']
               WHERE extname = 'plpgsql'"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("WHERE NOT builtin", "WHERE builtin"),
        ("WHERE id IN (SELECT id FROM public.chosen)", ""),
    ],
)
def test_an_extension_decides_anew_which_rows_count(story: Story, before: str, after: str) -> None:
    """No row of the table is written: its own condition is another one, or asks another table."""
    story.run(
        "CREATE TABLE chosen AS SELECT 1 AS id",
        "CREATE TABLE config (id int PRIMARY KEY, builtin bool)",
        "INSERT INTO config VALUES (1, true), (2, false)",
        "ALTER EXTENSION plpgsql ADD TABLE config",
        CONDITION.format(before),
    )
    first = story.take()
    story.run(CONDITION.format(after) if after else "UPDATE chosen SET id = 2")
    second = story.checked()
    found = story.entity(second, "public.config")
    assert (found.read_by, found.records, found.new_chunks) == ("scan", 1, 1)
    assert "an extension decides" in found.read_reason
    assert found.root != story.entity(first, "public.config").root


def test_storage_that_is_not_postgresqls_own_is_read_whole(story: Story) -> None:
    story.run(
        "CREATE FUNCTION other(internal) RETURNS table_am_handler"
        " LANGUAGE internal AS 'heap_tableam_handler'",
        "CREATE ACCESS METHOD other TYPE TABLE HANDLER other",
        "CREATE TABLE o (id int PRIMARY KEY, v text) USING other",
        "INSERT INTO o VALUES (1, 'x'), (2, 'y')",
    )
    story.take()
    story.run("UPDATE o SET v = 'z' WHERE id = 2")
    found = story.entity(story.checked(), "public.o")
    assert found.read_by == "scan"
    assert "another way of storing rows" in found.read_reason


def test_a_version_of_a_part_puts_no_check_off(story: Story) -> None:
    story.run("CREATE TABLE b (v text)")
    read = []
    for number in range(4):
        story.take(scan_every=3, selection=Selection(tables=("public.b",)))
        story.run(f"UPDATE t SET v = 'edition {number}' WHERE id = 1")
        read.append(story.entity(story.take(scan_every=3)).read_by)
    assert "scan" in read


def test_a_mark_that_is_too_old_is_not_used(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages of transactions count to 2^31 and then begin anew."""
    monkeypatch.setattr("cas.postgres.reading.marking.MAX_AGE", 3)
    story.run(*[f"INSERT INTO t VALUES ({3000 + number})" for number in range(5)])
    found = story.entity(story.checked())
    assert (found.read_by, found.read_reason) == ("scan", "too many transactions since the earlier read")


def test_a_wrong_reading_is_found_and_told(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if rows could hide: the check compares, every row wins, and the keys are named."""
    story.run("UPDATE t SET v = 'hidden' WHERE id IN (4, 5)", "UPDATE t SET v = 'seen' WHERE id = 6")
    real = marking.condition_since
    monkeypatch.setattr(
        "cas.postgres.reading.source.condition_since",
        lambda *given: cast(bytes, real(*given)) + b" AND r.v <> 'hidden'",
    )
    wrong = story.take(scan_every=1)
    (incident,) = story.world.catalog.incidents()
    assert (incident.version, incident.incident.label) == (wrong.number, "public.t")
    assert incident.incident.examples == ("4", "5")
    monkeypatch.undo()
    assert story.take(scan=True).checksum == wrong.checksum


def test_a_row_that_came_without_a_trace_is_counted(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows are there than were and were written: then every row is read, and it is told."""
    story.run("INSERT INTO t VALUES (5000, 'x')")
    monkeypatch.setattr("cas.postgres.reading.source.condition_since", lambda *_: b"false")
    found = story.take()
    assert story.entity(found).read_by == "scan"
    (incident,) = story.world.catalog.incidents()
    assert "2,001 records are there, 2,000 were expected" in incident.incident.what
    monkeypatch.undo()
    assert story.take(scan=True).checksum == found.checksum


def test_every_so_often_every_row_is_read_and_compared(story: Story) -> None:
    read = []
    for number in range(7):
        story.run(f"UPDATE t SET v = 'edition {number}' WHERE id = {number}")
        version = story.take(scan_every=3)
        read.append(story.entity(version).read_by)
        assert changes(story.entity(version)) == (0, 1 if number else 0, 0)
    assert read == ["xmin", "xmin", "scan", "xmin", "xmin", "scan", "xmin"]
    assert not story.world.catalog.incidents()
