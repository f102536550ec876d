"""Random lives of random platforms: whatever is restored, undone, edited meanwhile or fails, holds."""

import os
import random
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.live.asking import asked
from tests.live.life import OWNER, Life
from tests.live.shapes import shaped
from tests.servers.postgres import Cluster, Databases

EXAMPLES = int(os.environ.get("CAS_FUZZ_EXAMPLES", "0"))
"""How many lives; 0: few, and always the same."""

seeds = st.integers(0, 1 << 30)
DEEDS = ("take", "open", "end", *["restore"] * 6, "undo", "undo the last", "undo the last")


@pytest.fixture(scope="module")
def platform(cluster: Cluster) -> Iterator[str]:
    """The URL of a database that each life empties, with a role that owns tables and is no superuser."""
    databases = Databases(cluster)
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN")
    try:
        yield databases()
    finally:
        databases.drop_all()
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute(f"DROP ROLE {OWNER}")


def machine_on(platform: str) -> type[RuleBasedStateMachine]:
    """The rules, on the database of this URL."""

    class Machine(RuleBasedStateMachine):
        life: Life
        drawn: Counter[str]

        @initialize(seed=seeds)
        def begin(self, seed: int) -> None:
            shape = shaped(random.Random(seed))
            note(str(shape))
            self.life = Life(platform, shape, seed)
            self.drawn = Counter({"life": seed})

        def teardown(self) -> None:
            if hasattr(self, "life"):
                self.life.close()

        @rule(seed=seeds)
        def act(self, seed: int) -> None:
            """A few edits and a deed. All from one seed: what Hypothesis draws piece by piece is too alike,
            and so are seeds."""
            self.drawn[str(seed)] += 1
            rng, life = random.Random(f"{self.drawn['life']} {seed} {self.drawn[str(seed)]}"), self.life
            seed = rng.randrange(1 << 30)
            life.edit(seed, rng.randrange(20))
            deed, ask = rng.choice(DEEDS), asked(rng)
            note(f"{deed} {ask}")
            match deed:
                case "take":
                    life.take()
                case "open":
                    life.edit_open(seed % 2, seed, 3)
                case "end":
                    life.end_open(seed % 2, commit=rng.random() < 0.7)
                case "restore":
                    life.restore(ask)
                case "undo":
                    life.undo(ask, any_of=True)
                case "undo the last":
                    life.undo(ask, any_of=False)

    return Machine


@pytest.mark.timeout(0)
def test_random_lives(platform: str) -> None:
    run_state_machine_as_test(
        machine_on(platform),
        settings=settings(
            max_examples=EXAMPLES or 20,
            stateful_step_count=10,
            deadline=None,
            derandomize=not EXAMPLES,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
