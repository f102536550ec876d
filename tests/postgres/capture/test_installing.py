"""Installing twice, removing, and that nothing is left."""

import pytest

from cas.errors import InvalidInput, NotFound
from cas.postgres.capture.installing import installation_sql
from cas.postgres.capture.removing import remove
from cas.postgres.capture.status import status
from cas.records.capture import CaptureState, Outcome
from tests.postgres.capture.scene import Platform, ids, writer

SHOP = """
CREATE TABLE items (id bigint PRIMARY KEY, name text);
CREATE TABLE tags (id text[], item bigint, PRIMARY KEY (id, item));
CREATE TABLE events (what text);
CREATE TABLE parts (area int, id int, PRIMARY KEY (area, id)) PARTITION BY RANGE (area);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
"""

EVERYTHING = """
SELECT 'class ' || relname || ' ' || relkind::text || ' ' || relpersistence::text FROM pg_class
WHERE relname !~ '^pg_'
UNION ALL SELECT 'type ' || typname FROM pg_type UNION ALL SELECT 'function ' || proname FROM pg_proc
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger UNION ALL SELECT 'schema ' || nspname FROM pg_namespace
UNION ALL SELECT 'comment ' || description FROM pg_description WHERE objoid >= 16384
ORDER BY 1
"""


def outcomes(report: object) -> dict[str, Outcome]:
    return {one.name: one.outcome for one in report.tables}  # type: ignore[attr-defined]


def test_twice_and_away(any_platform: Platform) -> None:
    any_platform.run(SHOP)
    before = any_platform.run(EVERYTHING)
    made = any_platform.install()
    assert outcomes(made) == {
        "items": Outcome.INSTALLED,
        "tags": Outcome.INSTALLED,
        "events": Outcome.SKIPPED,
        "parts": Outcome.INSTALLED,
    }
    assert set(outcomes(any_platform.install()).values()) == {Outcome.UNCHANGED, Outcome.SKIPPED}
    assert any_platform.run(EVERYTHING) != before
    gone = remove(any_platform.url, options=any_platform.options)
    assert set(outcomes(gone).values()) == {Outcome.REMOVED}
    assert gone.is_complete
    assert any_platform.run(EVERYTHING) == before
    assert remove(any_platform.url, options=any_platform.options).tables == []


def test_some_tables_only(platform: Platform) -> None:
    platform.run(SHOP)
    platform.install("items", "t*s")
    states = {one.name: one.state for one in status(platform.url, platform.options).tables}
    assert states == {
        "items": CaptureState.CAPTURED,
        "tags": CaptureState.CAPTURED,
        "events": CaptureState.ABSENT,
        "parts": CaptureState.ABSENT,
    }
    remove(platform.url, ["tags"], platform.options)
    assert platform.reason("tags") == "not captured"
    assert platform.reason("items") == ""
    with pytest.raises(NotFound):
        remove(platform.url, ["tags"], platform.options)
    with pytest.raises(InvalidInput):
        platform.install("itmes")


def test_a_table_that_was_dropped_meanwhile(platform: Platform) -> None:
    platform.captured(SHOP)
    platform.run("DROP TABLE tags")
    gone = remove(platform.url, options=platform.options)
    assert gone.is_complete
    assert platform.run("SELECT to_regnamespace('cas_capture')") == [(None,)]


def test_what_somebody_else_put_there_stays(platform: Platform) -> None:
    platform.captured(SHOP)
    platform.run("CREATE TABLE cas_capture.mine (a int)")
    gone = remove(platform.url, options=platform.options)
    assert gone.leftovers == ["table cas_capture.mine"]
    platform.run("DROP TABLE cas_capture.mine")
    assert remove(platform.url, options=platform.options).is_complete
    assert platform.run("SELECT to_regnamespace('cas_capture')") == [(None,)]


def test_a_writer_is_not_waited_for_without_end(platform: Platform) -> None:
    platform.captured(SHOP)
    with writer(platform) as one:
        one.execute("BEGIN")
        one.execute("INSERT INTO items VALUES (1)")
        gone = remove(platform.url, options=platform.options)
        assert outcomes(gone)["items"] is Outcome.BUSY
        assert not gone.is_complete
        one.execute("COMMIT")
    assert remove(platform.url, options=platform.options).is_complete


def test_tables_of_somebody_else(platform: Platform) -> None:
    platform.as_admin("CREATE TABLE foreigners (id int PRIMARY KEY); GRANT ALL ON foreigners TO PUBLIC")
    (one,) = platform.install().tables
    assert one.outcome is Outcome.SKIPPED
    assert one.reason == "the connected role does not own public.foreigners"


def test_the_statements_that_are_shown_are_those_that_are_run(platform: Platform) -> None:
    """But for the seal: a log that somebody made by hand is not believed."""
    platform.run(SHOP)
    platform.run("; ".join(installation_sql(platform.url, options=platform.options)))
    assert platform.reason("items").startswith("the log lost rows in a crash")
    base = platform.version()
    assert platform.reason("items") == ""
    base = platform.version()
    platform.run("INSERT INTO items VALUES (1)")
    assert platform.found("items", base).keys == ids(1)


def test_status_tells_of_the_log(platform: Platform) -> None:
    platform.captured(SHOP)
    platform.run("INSERT INTO items VALUES (1); INSERT INTO items VALUES (2)")
    found = status(platform.url, platform.options)
    assert found.is_whole
    assert found.readers == 1
    (items,) = [one for one in found.tables if one.name == "items"]
    assert items.log_rows == 2
    assert items.log_bytes > 0
    assert items.oldest.startswith("20")
    assert items.oldest.endswith("Z")
