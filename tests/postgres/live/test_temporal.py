"""Keys and foreign keys over time, which PostgreSQL 18 has."""

import pytest

from cas.errors import Conflict
from cas.live.request import LiveRequest
from tests.postgres.live.breaking import Stepping
from tests.postgres.live.scene import OWNER, Scene

MADE = """
CREATE TABLE price (item int4range, during daterange, v text, PRIMARY KEY (item, during WITHOUT OVERLAPS));
CREATE TABLE sale (id int PRIMARY KEY, item int4range, at daterange,
  CONSTRAINT priced FOREIGN KEY (item, PERIOD at) REFERENCES price (item, PERIOD during));
INSERT INTO price VALUES ('[1,2)', '[2024-01-01,2024-07-01)', 'old'),
  ('[1,2)', '[2024-07-01,2025-01-01)', 'old'),
  ('[2,3)', '[2024-01-01,2025-01-01)', 'old'), ('[3,4)', '[2024-01-01,2025-01-01)', 'stays');
INSERT INTO sale VALUES (1, '[1,2)', '[2024-06-01,2024-08-01)'), (2, '[2,3)', '[2024-02-01,2024-02-02)'),
  (3, NULL, '[2020-01-01,2021-01-01)')
"""


def test_records_come_back_by_their_very_key(scene18: Scene) -> None:
    """A key of the version may overlap others that are live."""
    scene18.run(MADE)
    version = scene18.take()
    scene18.run(
        "UPDATE price SET v = 'new' WHERE item = '[2,3)'; DELETE FROM sale WHERE id = 1;"
        "DELETE FROM price WHERE item = '[1,2)';"
        " INSERT INTO price VALUES ('[1,2)', '[2024-03-01,2024-11-01)', 'x');"
        "INSERT INTO price VALUES ('[1,5)', '[2024-01-01,2025-01-01)', 'overlaps in the wrong column')"
    )
    scene18.restored(version)


def test_a_period_without_a_whole_parent_is_refused(scene18: Scene) -> None:
    scene18.run(MADE)
    version = scene18.take()
    scene18.run("DELETE FROM sale; DELETE FROM price WHERE during = '[2024-07-01,2025-01-01)'")
    with scene18.planned(version, LiveRequest(tables=("public.sale",))) as plan:
        plan.refused(Conflict)
    scene18.run("DELETE FROM price")
    with scene18.planned(version, LiveRequest(tables=("public.sale",))) as plan:
        plan.refused(Conflict)


def test_a_parent_that_somebody_needs_is_not_taken(scene18: Scene) -> None:
    scene18.run(MADE)
    version = scene18.take()
    scene18.run(
        "INSERT INTO price VALUES ('[1,2)', '[2025-01-01,2026-01-01)', 'later');"
        "INSERT INTO sale VALUES (9, '[1,2)', '[2024-12-01,2025-02-01)')"
    )
    with scene18.planned(version, LiveRequest(tables=("public.price",))) as plan:
        plan.refused(Conflict)


def test_no_parent_in_time_goes_before_the_commit(scene18: Scene) -> None:
    if scene18.actor == OWNER:
        pytest.skip(
            "without session_replication_role foreign keys are dropped, which locks out readers and writers"
            " of the parent alike: nobody can come between"
        )
    scene18.run(MADE)
    version = scene18.take()
    scene18.run("DELETE FROM sale")
    raised = []

    def go(_: object) -> None:
        try:
            scene18.as_admin(
                "SET lock_timeout = 200; SET session_replication_role = replica; DELETE FROM price"
            )
        except Exception as error:
            raised.append(type(error).__name__)

    platform = Stepping(scene18.platform, "transaction_id", go)
    with scene18.planned(version, LiveRequest(tables=("public.sale",)), platform) as plan:
        plan.run()
    assert raised == ["LockNotAvailable"]
