"""Random lives of platforms: reading every row, the rows by their age, and what was noted give the same."""

import os
import random
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.postgres.changes.life import OWNER, Life
from tests.servers.postgres import Cluster, Databases

EXAMPLES = int(os.environ.get("CAS_FUZZ_EXAMPLES", "0"))
"""How many lives on each server; 0: few, and always the same."""

seeds = st.integers(0, 1 << 30)


@pytest.fixture
def platform(each_cluster: Cluster) -> Iterator[str]:
    """The URL of a database that each life empties, and a role that owns tables and is no superuser."""
    databases = Databases(each_cluster)
    with psycopg.connect(each_cluster.url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN")
        if each_cluster.major >= 15:
            connection.execute(f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}")
    try:
        url = databases()
        with psycopg.connect(url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f'GRANT CREATE ON DATABASE "{name}" TO {OWNER}'.encode())
        yield url
    finally:
        databases.drop_all()
        with psycopg.connect(each_cluster.url(), autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {OWNER}")
            connection.execute(f"DROP ROLE {OWNER}")


def machine_on(platform: str, told: Counter[str]) -> type[RuleBasedStateMachine]:
    """The rules, on the database of this URL."""

    class Machine(RuleBasedStateMachine):
        life: Life
        drawn: Counter[str]

        @initialize(seed=seeds)
        def begin(self, seed: int) -> None:
            self.drawn = Counter({"life": seed})
            self.life = Life(platform, seed, told)
            note(f"{[family.name for family in self.life.families]} {self.life.url}")

        def teardown(self) -> None:
            if hasattr(self, "life"):
                self.life.close()

        @rule(seed=seeds)
        def act(self, seed: int) -> None:
            """One thing happens. All of it from one seed: what Hypothesis draws piece by piece is too alike,
            and so are seeds."""
            self.drawn[str(seed)] += 1
            rng, life = random.Random(f"{self.drawn['life']} {seed} {self.drawn[str(seed)]}"), self.life
            note(_acted(life, rng))

    return Machine


def _acted(life: Life, rng: random.Random) -> str:
    deed = rng.choice(life.deeds)
    match deed:
        case "write":
            return life.write(rng)
        case "end":
            return life.people.end(rng)
        case "end prepared":
            return life.people.end_prepared(rng)
        case "take":
            ask = life.ask(rng)
            note(f"take {ask}")
            return life.take(rng.choice((0, 0, 1)), ask)
        case "alter":
            return life.alter(rng)
        case "between":
            return life.between(rng)
        case "span":
            return life.span(rng)
        case "keep up":
            return life.keep_up(rng)
        case "game":
            return life.game(rng)
        case "install":
            return life.install()
        case "remove":
            return life.remove(rng)
        case "lose a note":
            return life.lose_a_note(rng)
    return life.another_reader(rng)


@pytest.mark.timeout(0)
def test_random_lives(platform: str) -> None:
    told: Counter[str] = Counter()
    examples = EXAMPLES or 6
    run_state_machine_as_test(
        machine_on(platform, told),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=not EXAMPLES,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert told["capture"] > examples, told
    assert told["xmin"] > examples, told
    assert told["version by capture"] > examples, told
    print(told)
