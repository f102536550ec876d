"""What is promised of the catalog and of the settings as such."""

import psycopg

from cli.settings import Settings
from tests.acceptance.conftest import History


def test_the_catalog_has_its_tables_and_indexes(history: History) -> None:
    with psycopg.connect(history.place.environment["CAS_CATALOG"]) as connection:
        count = "SELECT count(DISTINCT tablename), count(*) FROM pg_indexes WHERE schemaname = 'cas'"
        row = connection.execute(count.encode()).fetchone()
        assert row is not None
        tables, indexes = row
        assert tables >= 4
        assert indexes >= 15
        connection.execute(b"SET enable_seqscan = off")  # few rows: a scan would be quicker
        for question in ("state = 'failed'", "trigger_type = 'AUTO'", "kind = 'full'", "tags @> '{spring}'"):
            plan = connection.execute(
                f"EXPLAIN SELECT * FROM cas.versions WHERE {question}".encode()
            ).fetchall()
            assert "versions_by_" in str(plan), question


def test_time_outs_are_those_that_people_expect() -> None:
    fields = Settings.model_fields
    assert fields["connect_timeout"].default == 30
    assert fields["command_timeout"].default == 3600
