"""What of a version comes back: keys, columns, branches of a tree, modes; and nothing else."""

import pytest

from cas.catalog.restore_model import RestoreMode
from cas.errors import Conflict, InvalidInput, NotFound
from cas.live.request import LiveRequest, Prefer
from tests.live.shop import Rows, Shop

SCHEMA = """
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree, name text, price int);
INSERT INTO tree SELECT n, nullif(n / 2, 0), 'node ' || n, n FROM generate_series(1, 31) AS n;
CREATE TABLE log (what text);
INSERT INTO log SELECT 'line ' || n % 3 FROM generate_series(1, 10) AS n;
"""


@pytest.fixture(autouse=True)
def platform(shop: Shop) -> None:
    shop.run(SCHEMA)
    shop.take()


def tree(shop: Shop, where: str = "true") -> Rows:
    return shop.rows(f"SELECT id, parent, name, price FROM tree WHERE {where} ORDER BY id")


def counted(shop: Shop, request: LiveRequest, version: int = 1) -> tuple[int, int, int]:
    receipt = shop.restore(request, version)
    return receipt.inserted, receipt.updated, receipt.deleted


def test_a_branch_comes_back_as_it_was(shop: Shop) -> None:
    """Changed, deleted, added below it, and moved out of it; what is elsewhere stays."""
    branch = "id IN (5, 10, 11, 20, 21, 22, 23)"
    before = tree(shop, branch)
    shop.run(
        """
        UPDATE tree SET name = 'changed' WHERE id IN (10, 12);
        DELETE FROM tree WHERE id = 20;
        UPDATE tree SET parent = 3 WHERE id = 11;
        INSERT INTO tree VALUES (50, 10, 'new', 0), (51, 6, 'elsewhere', 0);
        """
    )
    assert counted(shop, LiveRequest(subtrees=(("tree", ("5",)),))) == (1, 2, 1)
    assert tree(shop, branch) == before
    assert tree(shop, "id IN (12, 50, 51)") == [(12, 6, "changed", 12), (51, 6, "elsewhere", 0)]


def test_a_table_that_does_not_refer_to_itself_has_no_branches(shop: Shop) -> None:
    shop.run("CREATE TABLE flat (id int PRIMARY KEY); INSERT INTO flat VALUES (1)")
    shop.take()
    with pytest.raises(InvalidInput, match="itself"):
        shop.plan(LiveRequest(subtrees=(("flat", ("1",)),)), 2)


def test_keys_are_those_that_were_named(shop: Shop) -> None:
    shop.run("UPDATE tree SET price = 0; DELETE FROM tree WHERE id = 31")
    request = LiveRequest(keys=(("tree", ("3",)), ("tree", ("31",)), ("tree", ("404",))))
    assert counted(shop, request) == (1, 1, 0)
    assert tree(shop, "price > 0") == [(3, 1, "node 3", 3), (31, 15, "node 31", 31)]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (LiveRequest(keys=(("tree", ("x",)),)), InvalidInput),
        (LiveRequest(keys=(("log", ("1",)),)), InvalidInput),
        (LiveRequest(keys=(("nothing", ("1",)),)), NotFound),
        (LiveRequest(tables=("nothing",)), InvalidInput),
        (LiveRequest(columns=("nothing",)), InvalidInput),
        (LiveRequest(columns=("id",)), InvalidInput),
        (LiveRequest(columns=("what",)), InvalidInput),
        (LiveRequest(where=(("tree", "true"),)), InvalidInput),
        (LiveRequest(mode=RestoreMode.MERGE), InvalidInput),
    ],
)
def test_what_cannot_be_meant_is_refused_and_recorded(
    shop: Shop, request_: LiveRequest, error: type[Exception]
) -> None:
    with pytest.raises(error):
        shop.plan(request_)
    failed = shop.world.catalog.restores.restore(1)
    assert (failed.state.value, failed.error_step) == ("failed", "plan")
    assert failed.error_text


def test_a_column_comes_back_and_the_others_stay(shop: Shop) -> None:
    shop.run("UPDATE tree SET price = 0, name = 'edited' WHERE id < 4; DELETE FROM tree WHERE id = 31")
    shop.run("INSERT INTO tree VALUES (90, NULL, 'new', 9)")
    assert counted(shop, LiveRequest(columns=("price",))) == (0, 3, 0)
    assert tree(shop, "id < 4") == [(1, None, "edited", 1), (2, 1, "edited", 2), (3, 1, "edited", 3)]
    assert tree(shop, "id > 30") == [(90, None, "new", 9)]


DAMAGE = """
UPDATE tree SET price = -1 WHERE id IN (1, 2);
DELETE FROM tree WHERE id IN (30, 31);
INSERT INTO tree VALUES (40, 1, 'new', 0);
INSERT INTO log VALUES ('more'), ('more');
DELETE FROM log WHERE what = 'line 0';
"""


@pytest.mark.parametrize(
    ("mode", "counts"),
    [
        (RestoreMode.EXACT, (2 + 3, 2, 1 + 2)),
        (RestoreMode.MISSING, (2 + 3, 0, 0)),
        (RestoreMode.CHANGED, (0, 2, 0)),
    ],
)
def test_a_mode_does_its_part_and_no_more(
    shop: Shop, mode: RestoreMode, counts: tuple[int, int, int]
) -> None:
    shop.run(DAMAGE)
    damaged = tree(shop), shop.rows("SELECT what FROM log ORDER BY 1")
    receipt = shop.restore(LiveRequest(mode=mode))
    assert (receipt.inserted, receipt.updated, receipt.deleted) == counts
    shop.undo(receipt.restore.number)
    assert (tree(shop), shop.rows("SELECT what FROM log ORDER BY 1")) == damaged


def test_a_merge_takes_the_damage_back_and_keeps_what_was_edited_after_it(shop: Shop) -> None:
    shop.run("UPDATE tree SET price = -price WHERE id < 20; DELETE FROM tree WHERE id = 31")
    assert shop.take() == 2
    shop.run(
        """
        UPDATE tree SET name = 'edited' WHERE id = 5;
        DELETE FROM tree WHERE id = 30;
        INSERT INTO tree VALUES (60, 1, 'new', 6);
        """
    )
    request = LiveRequest(mode=RestoreMode.MERGE, tables=("tree",))
    assert counted(shop, request) == (1, 19, 0)
    assert tree(shop, "id = 30") == [], "what was deleted later stays deleted"
    assert tree(shop, "id IN (4, 5, 31, 60)") == [
        (4, 2, "node 4", 4),
        (5, 2, "edited", 5),
        (31, 15, "node 31", 31),
        (60, 1, "new", 6),
    ]


def test_what_both_sides_changed_is_a_conflict_that_somebody_decides(shop: Shop) -> None:
    shop.run("UPDATE tree SET price = 100 WHERE id < 4")
    shop.take()
    shop.run("UPDATE tree SET price = 7 WHERE id = 2")
    request = LiveRequest(mode=RestoreMode.MERGE, tables=("tree",))
    plan = shop.plan(request)
    assert plan.is_blocked
    assert plan.entities[0].conflicts == 1
    with pytest.raises(Conflict, match="both live and in the version"):
        shop.restore(request)
    live = LiveRequest(mode=RestoreMode.MERGE, tables=("tree",), prefer=Prefer.LIVE)
    receipt = shop.restore(live)
    assert [row[3] for row in tree(shop, "id < 4")] == [1, 7, 3]
    shop.undo(receipt.restore.number)
    shop.restore(LiveRequest(mode=RestoreMode.MERGE, tables=("tree",), prefer=Prefer.VERSION, base=2))
    assert [row[3] for row in tree(shop, "id < 4")] == [1, 2, 3]
