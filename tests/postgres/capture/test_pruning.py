"""The log is kept for whoever builds upon it, and no longer."""

from datetime import timedelta

import pytest

from cas.errors import CasError
from cas.postgres.capture.pruning import LogLimits, prune
from tests.postgres.capture.scene import Platform, ids

ITEMS = "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT generate_series(1, 50)"


def statements(platform: Platform) -> int:
    (row,) = platform.run("SELECT 'items'::regclass::oid::int8")
    return int(
        str(platform.run(f"SELECT count(*) FROM cas_capture.log_{row[0]} WHERE operation <> 'S'")[0][0])
    )


def test_two_repositories_each_get_all(platform: Platform) -> None:
    platform.captured(ITEMS)
    first, second = platform.version("first"), platform.version("second")
    platform.version()  # a third one
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    later = platform.version("first")
    assert statements(platform) == 1
    assert platform.look("items", first, "first") != platform.look("items", later, "first")
    found = platform.look("items", second, "second")
    assert not isinstance(found, str)
    assert found.keys == ids(1)
    platform.version("second")
    assert statements(platform) == 1  # the third one has not read it
    platform.version()
    assert statements(platform) == 0


def test_who_comes_too_late_is_told(platform: Platform) -> None:
    """Its base is older than what was pruned before its position was known."""
    platform.captured(ITEMS)
    late = platform.now()
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    platform.version()
    assert statements(platform) == 0
    platform.prune(late, "late")
    assert str(platform.look("items", late, "late")).startswith("the log was pruned further")


def test_who_never_comes_back_is_forgotten(platform: Platform) -> None:
    platform.captured(ITEMS)
    gone = platform.version("gone")
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    young = LogLimits(age=timedelta(seconds=0))
    assert platform.prune(platform.now()).forgotten == 0
    assert statements(platform) == 1
    pruned = prune(platform.url, "a repository", platform.now(), options=platform.options, limits=young)
    assert pruned.forgotten >= 1
    platform.version()
    assert statements(platform) == 0
    assert str(platform.look("items", gone, "gone")).startswith("the log was pruned further")


def test_a_log_that_grew_too_large_is_kept_for_the_caller_only(platform: Platform) -> None:
    platform.captured(ITEMS)
    gone = platform.version("gone")
    platform.run("UPDATE items SET name = 'x' WHERE id = 1; UPDATE items SET name = 'x' WHERE id = 2")
    base = platform.now()
    few = LogLimits(statements=1)
    pruned = prune(platform.url, "a repository", base, options=platform.options, limits=few)
    assert (pruned.forgotten, pruned.deleted) == (1, 2)
    assert str(platform.look("items", gone, "gone")).startswith("the log was pruned further")
    assert platform.found("items", base).keys == []


def test_a_version_of_some_tables_moves_only_these(platform: Platform) -> None:
    base = platform.captured(ITEMS + "; CREATE TABLE others (id int PRIMARY KEY)")
    platform.run("UPDATE items SET name = 'x' WHERE id = 1; INSERT INTO others VALUES (7)")
    prune(platform.url, "a repository", platform.now(), [("public", "items")], platform.options)
    assert str(platform.look("items", base)).startswith("the log was pruned further")
    assert platform.found("others", base).keys == ids(7)


def test_a_log_that_cannot_be_read_does_not_hold_up_the_others(platform: Platform) -> None:
    platform.captured("CREATE TABLE broken (id int PRIMARY KEY);" + ITEMS)
    (row,) = platform.run("SELECT 'broken'::regclass::oid::int8")
    platform.run(f"ALTER TABLE cas_capture.log_{row[0]} DROP COLUMN operation")
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    base = platform.now()
    with pytest.raises(CasError):
        platform.prune(base)
    platform.run("UPDATE items SET name = 'x' WHERE id = 2")
    assert platform.found("items", base).keys == ids(2)


def test_a_platform_without_capture(platform: Platform) -> None:
    platform.run(ITEMS)
    assert platform.prune(platform.now()).deleted == 0
