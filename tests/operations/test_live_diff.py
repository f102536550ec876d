"""A version compared with the running platform says what a comparison with a new version of it says."""

from collections.abc import Sequence

import pytest

from cas.diff import RecordChange, VersionDiff, diff_versions
from cas.errors import NotFound, Unsupported
from cas.live.diff import diff_live
from cas.live.differing import LiveDiff
from cas.live.planning import prepare_plan
from cas.live.request import LiveRequest
from cas.postgres.live.platform import PostgresPlatform
from cas.postgres.reading.source import PostgresSource
from cas.progress import Silent
from cas.records.source import Selection
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World
from tests.operations.scratching import execute, version_of
from tests.servers.postgres import Cluster, Databases

LATIN = "cas_live_diff_latin1"

PLATFORM = (
    "CREATE TABLE products (id serial PRIMARY KEY, name text, price numeric, made date)",
    "INSERT INTO products (name, price) SELECT 'product ' || n, n FROM generate_series(1, 3000) n",
    "CREATE TABLE prices (currency text, day date, price numeric, PRIMARY KEY (currency, day))",
    "INSERT INTO prices SELECT c, date '2026-01-01' + n, n FROM unnest(ARRAY['EUR', 'a\tb', 'Zürich']) c,"
    " generate_series(1, 5) n",
    "CREATE TABLE notes (what text)",
    "INSERT INTO notes SELECT 'note ' || n % 7 FROM generate_series(1, 60) n",
    "CREATE TABLE large (id uuid PRIMARY KEY, content text)",
    "INSERT INTO large SELECT gen_random_uuid(), repeat(n::text, 2000000) FROM generate_series(1, 3) n",
    "CREATE TABLE sales (day date PRIMARY KEY, amount integer) PARTITION BY RANGE (day)",
    "CREATE TABLE sales_a PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "INSERT INTO sales SELECT date '2026-01-01' + n, n FROM generate_series(1, 80) n",
    "CREATE TABLE empty (id integer PRIMARY KEY)",
    "SELECT lo_create(4711)",
    "SELECT lo_put(4711, 0, 'some bytes')",
)

EDITS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "records of every kind": (
        "UPDATE products SET price = price + 1, name = NULL WHERE id % 100 = 0",
        "DELETE FROM products WHERE id BETWEEN 50 AND 60 OR id = 3000",
        "INSERT INTO products (name) VALUES ('new'), (E'with \\\\ and \\t')",
        "UPDATE prices SET price = 0 WHERE currency = 'a\tb'",
        "DELETE FROM prices WHERE currency = 'Zürich' AND price > 3",
        "INSERT INTO empty VALUES (1)",
        "UPDATE sales SET amount = 0 WHERE amount = 7",
    ),
    "records without key": (
        "INSERT INTO notes VALUES ('note 3'), ('note 3'), ('other'), (NULL)",
        "DELETE FROM notes WHERE what = 'note 5'",
        "DELETE FROM notes WHERE ctid IN (SELECT ctid FROM notes WHERE what = 'note 1' LIMIT 2)",
    ),
    "large values": (
        "UPDATE large SET content = content || 'x' WHERE content LIKE '1%'",
        "DELETE FROM large WHERE content LIKE '2%'",
    ),
    "large objects": ("SELECT lo_put(4711, 5, 'other')", "SELECT lo_put(lo_create(4712), 0, 'new')"),
    "sequences": ("SELECT nextval('products_id_seq')", "CREATE SEQUENCE free"),
    "tables that come and go": (
        "DROP TABLE empty",
        "DROP TABLE prices",
        "CREATE TABLE later (id integer PRIMARY KEY)",
        "INSERT INTO later VALUES (1), (2)",
        "CREATE TABLE later_notes (what text)",
        "INSERT INTO later_notes VALUES ('a'), ('a'), ('b')",
    ),
    "columns that come": (
        "ALTER TABLE products ADD COLUMN colour text",
        "UPDATE products SET colour = 'red' WHERE id = 5",
    ),
    "columns that go": ("ALTER TABLE products DROP COLUMN made, DROP COLUMN price",),
    "columns that move": (
        "ALTER TABLE products ADD COLUMN name_ text",
        "UPDATE products SET name_ = name",
        "ALTER TABLE products DROP COLUMN name",
        "ALTER TABLE products RENAME COLUMN name_ TO name",
        "UPDATE products SET name = 'other' WHERE id = 9",
        "DELETE FROM products WHERE id = 10",
    ),
    "another type": (
        "ALTER TABLE products ALTER price TYPE text",
        "UPDATE products SET price = 'x' WHERE id = 2",
    ),
    "another key": ("ALTER TABLE prices DROP CONSTRAINT prices_pkey, ADD PRIMARY KEY (day, currency)",),
    "no key any more": ("ALTER TABLE sales DROP CONSTRAINT sales_pkey",),
    "a key at last": (
        "DELETE FROM notes",
        "ALTER TABLE notes ADD PRIMARY KEY (what)",
        "INSERT INTO notes VALUES ('a')",
    ),
    "a bag with another column": ("ALTER TABLE notes ADD COLUMN more text",),
}


def take(world: World, url: str, selection: Selection | None = None) -> int:
    request = SnapshotRequest(selection=selection or Selection())
    return take_version(world.open(), world.catalog, PostgresSource(url), request).version.number


def told(diff: LiveDiff | VersionDiff) -> list[tuple[object, Sequence[RecordChange]]]:
    """Everything that a comparison says, its records in any order."""
    return [(counts, sorted(diff.records(counts.entity), key=repr)) for counts in diff.entities()]


def live(
    world: World, url: str, number: int = 1, entity: str | None = None, *, is_new: bool = True
) -> LiveDiff:
    platform = PostgresPlatform(url)
    return diff_live(world.open(), platform, number, Silent(), entity=entity, live_is_new=is_new)


@pytest.mark.parametrize("edits", EDITS)
def test_as_a_new_version_would_say(database: Databases, edits: str) -> None:
    world, url = World(), database()
    version_of(url, *PLATFORM, world=world)
    execute(url, *EDITS[edits])
    with live(world, url) as found, live(world, url, is_new=False) as turned:
        assert take(world, url) == 2
        expected = diff_versions(world.open(), 1, 2)
        assert found.labels == expected.labels
        assert told(found) == told(expected)
        assert told(found) == told(expected), "as often as asked"
        assert told(turned) == told(diff_versions(world.open(), 2, 1))
        assert any(not counts.is_equal for counts in found.entities()) == bool(EDITS[edits])


def test_on_an_older_server(database: Databases, cluster15: Cluster) -> None:
    world, url = World(), database(cluster15)
    version_of(url, *PLATFORM, world=world)
    execute(url, *EDITS["records of every kind"])
    with live(world, url) as found:
        take(world, url)
        assert told(found) == told(diff_versions(world.open(), 1, 2))


def test_one_entity_by_its_name(database: Databases) -> None:
    world, url = World(), database()
    version_of(url, *PLATFORM, world=world)
    execute(url, *EDITS["tables that come and go"], "SELECT nextval('products_id_seq')")
    execute(url, "CREATE SCHEMA other", "CREATE TABLE other.later (id integer PRIMARY KEY)")
    for name, label in (
        ("products", "public.products"),
        ("public.notes", "public.notes"),
        ("prices", "public.prices"),
        ("public.later", "public.later"),
        ("later_notes", "public.later_notes"),
        ("sequences", "sequences"),
    ):
        with live(world, url, entity=name) as found:
            assert found.labels == (label,)
    with live(world, url, entity="prices") as found:
        assert [(one.removed, one.only_in) for one in found.entities()] == [(15, "old")]
    with pytest.raises(NotFound, match="more than one entity is called later"):
        live(world, url, entity="later")
    with pytest.raises(NotFound, match="neither side"):
        live(world, url, entity="nothing")


def test_a_version_of_some_tables_speaks_of_those(database: Databases) -> None:
    world, url = World(), database()
    execute(url, *PLATFORM)
    take(world, url, Selection(tables=("products", "pri*")))
    execute(url, *EDITS["tables that come and go"], "DELETE FROM products WHERE id < 5", "DELETE FROM notes")
    with live(world, url) as found:
        counts = {one.entity: (one.removed, one.only_in) for one in found.entities()}
    assert counts == {"public.prices": (15, "old"), "public.products": (4, ""), "sequences": (0, "")}
    execute(url, "DROP TABLE products")
    with live(world, url) as found:
        assert {one.entity: one.removed for one in found.entities()} == {
            "public.prices": 15,
            "public.products": 3000,
            "sequences": 1,
        }


def test_what_a_version_left_out_on_purpose_is_no_difference(database: Databases) -> None:
    world, url = World(), database()
    execute(url, *PLATFORM)
    take(world, url, Selection(exclude=("notes", "large")))
    with live(world, url) as found:
        assert not [one for one in found.entities() if not one.is_equal]
        assert "public.notes" not in found.labels
    execute(url, "DROP TABLE notes")
    with live(world, url) as found:
        assert not [one for one in found.entities() if not one.is_equal]


def test_definitions_alone_hold_no_records(database: Databases) -> None:
    world, url = World(), database()
    execute(url, *PLATFORM)
    take_version(world.open(), world.catalog, PostgresSource(url), SnapshotRequest(with_data=False))
    with live(world, url) as found:
        take(world, url)
        assert told(found) == told(diff_versions(world.open(), 1, 2))


def test_one_moment_whatever_is_written_meanwhile(database: Databases) -> None:
    world, url = World(), database()
    version_of(url, *PLATFORM, world=world)

    class Writing(Silent):
        """Writes into every table as soon as the first is compared."""

        def entity(self, label: str, records: int, payload_bytes: int) -> None:
            if label == "public.empty":
                execute(url, "DELETE FROM products", "DELETE FROM sales", "DELETE FROM notes")

    with diff_live(world.open(), PostgresPlatform(url), 1, Writing()) as found:
        assert not [one for one in found.entities() if not one.is_equal]


def test_texts_are_compared_and_not_their_bytes(database: Databases, cluster: Cluster) -> None:
    world, url = World(), database()
    here = "CREATE TABLE t (id integer PRIMARY KEY, name text)"
    records = "INSERT INTO t SELECT n, 'Z' || chr(252) || n FROM generate_series(1, 20) n"
    execute(url, here, records, "UPDATE t SET name = 'other' WHERE id = 7")
    execute(
        cluster.url(),
        f"CREATE DATABASE {LATIN} ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0",
    )
    try:
        version_of(cluster.url(LATIN), here, records, world=world)
    finally:
        execute(cluster.url(), f"DROP DATABASE {LATIN}")
    with live(world, url) as found:
        (counts,) = found.entities()
        assert (counts.added, counts.removed, counts.changed) == (0, 0, 1)
        assert [(one.key, one.fields[0].old) for one in found.records("public.t")] == [(("7",), "Zü7")]
    with pytest.raises(Unsupported, match="LATIN1, and the platform's in UTF8"):
        prepare_plan(world.open(), PostgresPlatform(url), 1, LiveRequest(), Silent())
