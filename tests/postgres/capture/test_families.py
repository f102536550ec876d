"""Rule 21: rows that are written through a partition, a root or an inheritance parent."""

from tests.postgres.capture.scene import Platform, ids

PARTS = """
CREATE TABLE parts (area int, id int, name text, PRIMARY KEY (area, id)) PARTITION BY RANGE (area);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 (name text, id int NOT NULL, area int NOT NULL);
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (40) PARTITION BY RANGE (area);
CREATE TABLE parts_3a PARTITION OF parts_3 FOR VALUES FROM (20) TO (30);
CREATE TABLE parts_3b PARTITION OF parts_3 FOR VALUES FROM (30) TO (40);
INSERT INTO parts SELECT n, n, 'part ' || n FROM generate_series(0, 39) n;
"""

FAMILY = """
CREATE TABLE goods (id int PRIMARY KEY, name text);
CREATE TABLE books (pages int, PRIMARY KEY (id)) INHERITS (goods);
CREATE TABLE novels (shelf int NOT NULL, place int, PRIMARY KEY (shelf, place)) INHERITS (books);
INSERT INTO goods SELECT n, 'good ' || n FROM generate_series(1, 9) n;
INSERT INTO books SELECT n, 'book ' || n, n FROM generate_series(11, 19) n;
INSERT INTO novels SELECT n, 'novel ' || n, n, 1, n FROM generate_series(21, 29) n;
"""


def test_through_the_root(platform: Platform) -> None:
    base = platform.captured(PARTS)
    platform.run("UPDATE parts SET name = 'x' WHERE id IN (1, 11, 31); DELETE FROM parts WHERE id = 22")
    assert platform.found("parts", base).keys == [("1", "1"), ("11", "11"), ("22", "22"), ("31", "31")]


def test_through_the_partitions_themselves(platform: Platform) -> None:
    base = platform.captured(PARTS)
    platform.run("UPDATE parts_1 SET name = 'x' WHERE id = 1; DELETE FROM parts_2 WHERE id = 11")
    platform.run("INSERT INTO parts_3 VALUES (25, 100); UPDATE parts_3b SET name = 'x' WHERE id = 31")
    found = platform.found("parts", base)
    assert found.keys == [("1", "1"), ("11", "11"), ("25", "100"), ("31", "31")]
    assert found.gone == {("11", "11")}


def test_rows_that_move_between_partitions(platform: Platform) -> None:
    base = platform.captured(PARTS)
    platform.run("UPDATE parts SET area = area + 20 WHERE id IN (1, 12)")
    platform.run("UPDATE parts_3 SET area = area + 10 WHERE id = 25")
    found = platform.found("parts", base)
    assert found.keys == list(found.records) == [("21", "1"), ("32", "12"), ("35", "25")]
    assert found.more == 0


def test_a_truncated_partition(platform: Platform) -> None:
    base = platform.captured(PARTS)
    platform.run("TRUNCATE parts_3a")
    assert platform.look("parts", base) == "TRUNCATE"


def test_a_new_partition_has_no_trigger(platform: Platform) -> None:
    base = platform.captured(PARTS)
    platform.run(
        "CREATE TABLE parts_4 PARTITION OF parts FOR VALUES FROM (40) TO (50);"
        " INSERT INTO parts_4 VALUES (40, 1)"
    )
    assert platform.look("parts", base) == "a partition has no trigger: public.parts_4"
    assert platform.reason("parts") == "a partition has no trigger: public.parts_4"
    platform.install()
    assert platform.look("parts", base) == "it is captured for too short a time"
    base = platform.version()
    platform.run("UPDATE parts_4 SET name = 'x'")
    assert platform.found("parts", base).keys == [("40", "1")]


def test_a_partition_that_left_and_came_back(platform: Platform) -> None:
    base = platform.captured(PARTS)
    platform.run("ALTER TABLE parts DETACH PARTITION parts_1; ALTER TABLE parts DISABLE TRIGGER USER")
    platform.run("UPDATE parts_1 SET name = 'x' WHERE id = 1")
    platform.run("ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (0) TO (10)")
    assert isinstance(platform.look("parts", base), str)


def test_a_partition_that_only_left(platform: Platform) -> None:
    base = platform.captured(PARTS)
    platform.run("ALTER TABLE parts DETACH PARTITION parts_1")
    assert isinstance(platform.look("parts", base), str)


def test_through_an_inheritance_parent(platform: Platform) -> None:
    base = platform.captured(FAMILY)
    platform.run("UPDATE goods SET name = 'x' WHERE id IN (1, 11)")
    assert list(platform.found("goods", base).records) == ids(1)
    books = platform.found("books", base)
    assert list(books.records) == ids(11)
    assert set(books.keys) <= set(ids(1, 11))


def test_a_parent_without_the_childs_key(platform: Platform) -> None:
    base = platform.captured(FAMILY)
    platform.run("UPDATE goods SET name = 'x' WHERE id = 1000; UPDATE novels SET name = 'y' WHERE id = 22")
    assert list(platform.found("novels", base).records) == [("1", "22")]
    platform.run("DELETE FROM goods WHERE id = 21")
    assert platform.look("novels", base) == "more keys in one statement than are noted"
    assert list(platform.found("books", base).keys) == ids(21)


def test_a_parent_whose_own_rows_have_no_key(platform: Platform) -> None:
    base = platform.captured("""
        CREATE TABLE things (id text, name text);
        CREATE TABLE tools (PRIMARY KEY (id)) INHERITS (things);
        INSERT INTO things VALUES (NULL, 'nothing');
        INSERT INTO tools VALUES ('a', 'hammer'), ('b', 'saw')""")
    platform.run("UPDATE things SET name = 'x' WHERE name <> 'saw'")
    assert list(platform.found("tools", base).records) == [("a",)]


def test_a_parent_that_comes_later(platform: Platform) -> None:
    base = platform.captured(
        "CREATE TABLE tools (id int PRIMARY KEY, name text); INSERT INTO tools VALUES (1)"
    )
    platform.run(
        "CREATE TABLE things (id int, name text); ALTER TABLE tools INHERIT things;"
        " UPDATE things SET name = 'x'"
    )
    assert platform.look("tools", base) == "a parent has no trigger: public.things"
