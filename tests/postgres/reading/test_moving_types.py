"""Text of a row that changes though the row does not: noticed when the read ends (rule 4)."""

import pytest

from cas.errors import SourceChanged
from cas.records.source import Selection
from tests.postgres.reading.platform import Records, entity_of, read, run, source
from tests.servers.postgres import Cluster, Databases

SCHEMA = (
    "CREATE SCHEMA s",
    "CREATE TYPE s.mood AS ENUM ('sad', 'ok')",
    "CREATE TYPE s.pair AS (a int, b s.mood)",
    "CREATE DOMAIN s.pairs AS s.pair[]",
    "CREATE TYPE s.span AS RANGE (subtype = float8)",
    "CREATE TABLE s.plain (id int PRIMARY KEY)",
    "INSERT INTO s.plain SELECT generate_series(1, 3000)",
    "CREATE TABLE s.moods (id int PRIMARY KEY, m s.mood)",
    "INSERT INTO s.moods SELECT g, 'sad' FROM generate_series(1, 3000) AS g",
    "CREATE TABLE s.deep (id int PRIMARY KEY, p s.pairs, n s.span)",
    "INSERT INTO s.deep SELECT g, ARRAY[ROW(g, 'ok')::s.pair] FROM generate_series(1, 3000) AS g",
    "CREATE TABLE s.names (id int PRIMARY KEY, c regclass)",
    "INSERT INTO s.names SELECT g, 's.plain' FROM generate_series(1, 3000) AS g",
    "CREATE TABLE s.parts (id int, v int) PARTITION BY LIST (v)",
    "CREATE TABLE s.part1 PARTITION OF s.parts FOR VALUES IN (1)",
    "INSERT INTO s.parts VALUES (1, 1)",
    "CREATE VIEW s.view AS SELECT 1",
)


@pytest.fixture
def url(each_cluster: Cluster, database: Databases) -> str:
    url = database(each_cluster)
    run(url, *SCHEMA)
    return url


def read_and_change(url: str, label: str, change: str) -> Records:
    """Begin to read one table, change something in the middle, end the read."""
    with source(url).snapshot(Selection()) as snapshot:
        run(url, "CREATE TABLE late (id int, v int)")
        entity = entity_of(snapshot, label)
        keys: list[bytes] = []
        payloads: list[bytes] = []
        for batch in snapshot.batches(entity):
            if not keys:
                run(url, change)
            keys.extend(batch.keys)
            payloads.extend(batch.payloads)
        snapshot.finish()
        return Records(keys, payloads)


def test_an_enum_value_that_is_renamed_is_seen_half_old_and_half_new_and_refused(url: str) -> None:
    with source(url).snapshot(Selection()) as snapshot:
        batches = snapshot.batches(entity_of(snapshot, "s.moods"))
        first = next(batches)
        run(url, "ALTER TYPE s.mood RENAME VALUE 'sad' TO 'glad'")
        rest = [payload for batch in batches for payload in batch.payloads]
        with pytest.raises(SourceChanged) as raised:
            snapshot.finish()
        assert raised.value.where == "s.deep, s.moods"
        again = read(snapshot, entity_of(snapshot, "s.moods"))
    assert first.payloads[0] == b"1\tsad"
    assert len(first.payloads) + len(rest) == 3000
    assert again.payloads[0] == b"1\tglad", "the trap is there: one snapshot, two texts"


@pytest.mark.parametrize(
    ("label", "change", "moved"),
    [
        ("s.deep", "ALTER TYPE s.pair ADD ATTRIBUTE c text", "s.deep"),
        ("s.deep", "ALTER TYPE s.mood ADD VALUE 'new'", "s.deep, s.moods"),
        ("s.names", "ALTER VIEW s.view RENAME TO seen", "table s.view"),
        ("s.names", "ALTER ROLE moving RENAME TO moved", "role moving"),
        ("s.parts", "ALTER TABLE s.parts ATTACH PARTITION public.late FOR VALUES IN (3)", "s.parts"),
        ("s.plain", "ALTER SCHEMA s RENAME TO t", "s."),
    ],
)
def test_what_moves_during_the_read_is_named_when_it_ends(
    url: str, label: str, change: str, moved: str
) -> None:
    run(url, "DROP ROLE IF EXISTS moving, moved", "CREATE ROLE moving")
    with pytest.raises(SourceChanged) as raised:
        read_and_change(url, label, change)
    assert moved in raised.value.where


@pytest.mark.parametrize(
    ("label", "there", "back"),
    [
        (
            "s.moods",
            "ALTER TYPE s.mood RENAME VALUE 'sad' TO 'glad'",
            "ALTER TYPE s.mood RENAME VALUE 'glad' TO 'sad'",
        ),
        ("s.deep", "ALTER TYPE s.pair DROP ATTRIBUTE b", "ALTER TYPE s.pair ADD ATTRIBUTE b s.mood"),
    ],
)
def test_what_moves_and_comes_back_is_noticed_too(url: str, label: str, there: str, back: str) -> None:
    """Rows that are read between show what was there between, and the end is as the beginning."""
    with source(url).snapshot(Selection()) as snapshot:
        run(url, there)
        between = read(snapshot, entity_of(snapshot, label))
        run(url, back)
        with pytest.raises(SourceChanged) as raised:
            snapshot.finish()
    assert b"ok" not in between.payloads[0]
    assert b"sad" not in between.payloads[0]
    assert label in raised.value.where


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE s.fresh (id int)",
        "INSERT INTO s.plain VALUES (100000)",
        "CREATE TYPE s.other AS ENUM ('x')",
        "ALTER DOMAIN s.pairs SET NOT NULL",
        "CREATE INDEX ON s.plain (id)",
        "GRANT SELECT ON s.plain TO PUBLIC",
        "ANALYZE",
    ],
)
def test_what_touches_no_text_does_not_disturb(url: str, change: str) -> None:
    if "DOMAIN" in change:
        run(url, "UPDATE s.deep SET p = '{}' WHERE p IS NULL")
    assert len(read_and_change(url, "s.plain", change).payloads) == 3000


def test_equal_databases_have_equal_fingerprints(each_cluster: Cluster, database: Databases) -> None:
    """Names and no oids: a restored database looks like its original."""
    fingerprints = []
    for before in ((), ("CREATE TABLE shifts_the_oids (id int)", "CREATE TYPE x AS ENUM ()")):
        url = database(each_cluster)
        run(url, *before, *SCHEMA)
        with source(url).snapshot(Selection(schemas=("s",))) as snapshot:
            fingerprints.append({entity.label: entity.fingerprint for entity in snapshot.entities})
    assert fingerprints[0] == fingerprints[1]
    assert fingerprints[0]["s.plain"] == ""
    assert fingerprints[0]["s.deep"] != fingerprints[0]["s.moods"] != ""


def test_a_table_that_is_read_cannot_be_altered_or_dropped(url: str) -> None:
    """The locks hold to the end: `lock_timeout` ends the ALTER, and the read goes on."""
    with source(url).snapshot(Selection()) as snapshot:
        for change in ("DROP TABLE s.plain", "ALTER TABLE s.part1 ADD x int", "TRUNCATE s.names"):
            with pytest.raises(Exception, match="lock timeout"):
                run(url, f"SET lock_timeout = '100ms'; {change}")
        assert len(read(snapshot, entity_of(snapshot, "s.plain")).payloads) == 3000
        snapshot.finish()
