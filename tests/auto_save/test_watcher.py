"""What a watcher notices, when it takes a version for it, and what it survives."""

import pytest

from cas.auto_save.watch import BEGINS, Place
from cas.catalog.auto_save_model import Policy, PolicyKind, Watched
from cas.errors import ConnectionFailed
from cas.records.changes import MovedRows, PlatformName
from tests.auto_save.scene import SHOP, USUAL, Died, Scene


def products(inserted: int = 0, updated: int = 0, deleted: int = 0) -> MovedRows:
    return MovedRows("public", "products", inserted, updated, deleted)


@pytest.fixture
def scene() -> Scene:
    """Auto-save has begun, with version 1."""
    made = Scene()
    made.passes(1)
    assert made.said == ["began shop by memory", f"saved 1: {BEGINS}"]
    return made


def test_calm_is_no_occasion(scene: Scene) -> None:
    for _ in range(5):
        scene.platform.commit(products(inserted=3, updated=5, deleted=2))
        scene.passes(200)
    assert scene.said == []


def test_a_mass_deletion_names_the_last_version_before(scene: Scene) -> None:
    scene.take("by hand")
    scene.platform.commit(products(deleted=1204))
    scene.passes(4)
    assert scene.said == ["noticed Mass delete: 1,204 of 48,310 products"]
    scene.passes(4)
    assert scene.said == ["saved 3: Mass delete: 1,204 of 48,310 products; version 2 is the last one before"]
    version = scene.catalog.version(3)
    assert (version.trigger.value, version.metadata) == ("AUTO", {"auto-save": "mass-change", "before": "2"})


def test_the_version_before_is_one_that_does_not_hold_a_part_of_it(scene: Scene) -> None:
    """A version that somebody takes in the middle of a thousand deletions is no way back."""
    scene.platform.commit(products(deleted=600))
    scene.take("in the middle")
    scene.platform.commit(products(deleted=700))
    scene.passes(10)
    assert scene.said[-1].endswith("version 1 is the last one before")


def test_without_numbers_the_version_before_was_over_long_ago(scene: Scene) -> None:
    scene.platform.tells_apart = False
    scene.passes(60)
    scene.take("long before")
    scene.passes(60)
    scene.take("shortly before")
    scene.passes(2)
    scene.platform.commit(products(deleted=1204))
    scene.passes(10)
    assert scene.said[-1].endswith("version 2 is probably the last one before")


def test_many_small_transactions_are_a_mass(scene: Scene) -> None:
    for _ in range(40):
        scene.platform.commit(products(deleted=30))
        scene.passes(1)
    scene.passes(10)
    (_, saved) = scene.said
    assert saved == "saved 2: Mass delete: 1,200 of 48,310 products; version 1 is the last one before"


def test_what_never_ends_is_saved_all_the_same(scene: Scene) -> None:
    for _ in range(70):
        scene.platform.commit(products(updated=2000))
        scene.passes(1)
    assert [line.split(":")[0] for line in scene.said] == [
        "noticed Mass update",
        "saved 2",
        "noticed Mass update",
    ]


def test_several_reasons_are_one_version(scene: Scene) -> None:
    scene.platform.commit(products(inserted=12_000), MovedRows("stock", "items", inserted=340))
    scene.platform.commit(MovedRows("public", "tree_nodes", updated=1, inserted=2))
    scene.platform.schema += 1
    scene.passes(40)
    assert scene.said[-1] == (
        "saved 2: Bulk import: 12,000 new products, 340 new stock.items and 2 new tree_nodes;"
        " Structural change: tree_nodes (2 new, 1 changed); Schema change"
    )


@pytest.mark.parametrize("deleted", [9, 10, 19, 20, 30])
def test_a_percentage_of_few_means_nothing(scene: Scene, deleted: int) -> None:
    scene.policies = [Policy(PolicyKind.MASS_CHANGE, rows=1000, percent=10.0)]
    scene.platform.commit(MovedRows("public", "tree_nodes", deleted=deleted))
    scene.passes(10)
    assert bool(scene.said) == (deleted >= 20)


def test_what_is_left_out_is_no_reason(scene: Scene) -> None:
    """A log of events grows all day. Its structure may be a reason all the same, where somebody says so."""
    leave = Policy(PolicyKind.LEAVE_OUT, entities=("events",))
    scene.policies = [*USUAL, leave]
    scene.platform.commit(MovedRows("public", "events", inserted=50_000, deleted=50_000, truncated=True))
    scene.passes(10)
    assert scene.said == []
    scene.platform.commit(products(inserted=1000), MovedRows("public", "events", inserted=50_000))
    scene.passes(10)
    assert scene.said[-1] == "saved 2: Bulk import: 1,000 new products"
    scene.policies = [leave, Policy(PolicyKind.FOLLOW, seconds=60.0)]
    scene.platform.commit(MovedRows("public", "events", inserted=50_000))
    scene.passes(90)
    assert scene.said == []
    scene.policies = [leave, Policy(PolicyKind.STRUCTURE, entities=("events",))]
    scene.platform.commit(MovedRows("public", "events", deleted=1))
    scene.passes(10)
    assert scene.said[-1] == "saved 3: Structural change: events (1 deleted)"
    scene.policies = [leave]
    scene.passes(10)
    assert scene.said == ["turned off"]


def test_truncate(scene: Scene) -> None:
    scene.platform.commit(MovedRows("public", "products", truncated=True))
    scene.passes(10)
    assert scene.said[-1] == "saved 2: Mass delete: all 48,310 products; version 1 is the last one before"


def test_turned_off_and_on_while_it_watches(scene: Scene) -> None:
    """Nothing is taken for want of policies, and whoever looks at the watcher is told so, once."""
    policies, scene.policies = scene.policies, []
    scene.platform.commit(products(deleted=1204))
    scene.passes(20)
    assert scene.said == ["turned off"]
    scene.policies = policies
    scene.passes(10)
    said = scene.said
    assert said[0] == "turned on"
    assert said[-1].startswith("saved 2: Mass delete: 1,204")


def test_a_version_that_began_later_holds_it(scene: Scene) -> None:
    scene.platform.commit(products(deleted=1204))
    scene.passes(2)
    scene.take("announced by the application")
    scene.passes(60)
    assert scene.said == ["noticed Mass delete: 1,204 of 48,310 products", "covered by 2"]


def test_what_the_version_read_already_is_not_noticed_again(scene: Scene) -> None:
    scene.platform.commit(products(deleted=1204))
    scene.passes(7)
    assert len(scene.said) == 2
    scene.platform.commit(products(deleted=1000))
    scene.take("by hand, which sees it")
    scene.watcher = scene.another()
    scene.killed()
    scene.passes(60)
    assert scene.said == ["began shop by memory"]


def test_every_six_hours(scene: Scene) -> None:
    scene.passes(6 * 3600 + 5, step=60)
    scene.passes(6 * 3600 + 5, step=60)
    assert scene.said == ["saved 2: Every 6 h", "saved 3: Every 6 h"]
    scene.passes(3 * 3600, step=60)
    scene.take("by hand")
    scene.passes(4 * 3600, step=60)
    assert scene.said == []


def test_following(scene: Scene) -> None:
    scene.policies = [Policy(PolicyKind.FOLLOW, seconds=300.0)]
    scene.platform.commit(products(updated=3))
    scene.passes(200)
    scene.platform.commit(products(deleted=1))
    assert scene.said == []
    scene.passes(101)
    assert scene.said == ["saved 2: Every 5 min while something changes: products (3 changed, 1 deleted)"]
    scene.passes(3000)
    assert scene.said == []
    scene.platform.commit(products(inserted=1))
    scene.passes(1)
    assert scene.said == ["saved 3: Every 5 min while something changes: products (1 new)"]


def test_following_survives_its_death(scene: Scene) -> None:
    """What waits for its time is not settled."""
    scene.policies = [Policy(PolicyKind.FOLLOW, seconds=3600.0)]
    scene.platform.commit(products(updated=3))
    scene.passes(500)
    scene.killed()
    scene.passes(3600, step=10)
    assert scene.said[-1] == "saved 2: Every 1 h while something changes: products (3 changed)"


def test_killed_before_the_version(scene: Scene) -> None:
    scene.platform.commit(products(deleted=1204))
    scene.passes(2)
    scene.killed()
    scene.passes(10)
    assert scene.said[-1] == (
        "saved 2: Mass delete: 1,204 of 48,310 products; version 1 is the last one before"
    )


def test_killed_after_the_version_before_its_position_is_kept(scene: Scene) -> None:
    """The same is seen again; its transactions are in the version, as its mark tells."""
    scene.platform.commit(products(deleted=1204))
    scene.dies_after_commit = True
    with pytest.raises(Died):
        scene.passes(10)
    scene.killed()
    scene.passes(100)
    assert scene.said == ["noticed Mass delete: 1,204 of 48,310 products", "began shop by memory"]
    assert scene.catalog.version(2).reason.startswith("Mass delete")


def test_where_it_is_not_known_what_happened_a_version_is_taken(scene: Scene) -> None:
    scene.passes(100)
    scene.platform.commit(products(deleted=1))
    scene.platform.commit(products(deleted=1))
    scene.platform.kept_from = 2
    scene.killed()
    scene.passes(3)
    assert scene.said == ["began shop by memory", "saved 2: Not seen what happened: the log was pruned"]
    scene.passes(100)
    assert scene.said == []


def test_what_goes_wrong_is_tried_again_later_and_later(scene: Scene) -> None:
    scene.broken = [ConnectionFailed("no store") for _ in range(3)]
    scene.platform.commit(products(deleted=1204))
    scene.passes(60)
    assert scene.said[1:] == [
        "failed: no store; again in 5 s",
        "failed: no store; again in 10 s",
        "failed: no store; again in 20 s",
        "saved 5: Mass delete: 1,204 of 48,310 products; version 1 is the last one before",
    ]
    scene.platform.is_down = True
    scene.passes(2)
    assert scene.said == ["failed: the platform does not answer; again in 5 s"]


def test_a_platform_that_is_down_at_first(scene: Scene) -> None:
    scene.platform.is_down = True
    scene.killed()
    scene.passes(3)
    scene.platform.commit(products(deleted=1204))
    scene.platform.is_down = False
    scene.passes(20)
    assert [line.split(":")[0] for line in scene.said] == [
        "failed",
        "began shop by memory",
        "noticed Mass delete",
        "saved 2",
    ]


def test_one_watches_and_another_waits(scene: Scene) -> None:
    other = scene.another()
    for _ in range(5):
        scene.passes(10)
        other.look()
    assert scene.said == ["waits for watcher 1"]
    scene.watcher.close()
    scene.platform.commit(products(deleted=1204))
    other.look()
    scene.seconds += 6
    other.look()
    assert [line.split(":")[0] for line in scene.said] == [
        "began shop by memory",
        "noticed Mass delete",
        "saved 2",
    ]


def test_who_slept_too_long_keeps_nothing(scene: Scene) -> None:
    sleeper, scene.watcher = scene.watcher, scene.another()
    scene.seconds += 100
    scene.passes(5)
    scene.platform.commit(products(deleted=1204))
    scene.passes(10)
    assert len(scene.said) == 3
    sleeper.look()
    assert scene.said == ["waits for watcher 2"]


def test_versions_of_another_platform_are_none_of_its_business(scene: Scene) -> None:
    """A repository may hold several: the last version before, and how old the last one is."""
    scene.passes(3600, step=60)
    scene.take("of another one", platform=PlatformName("7001", "stock"))
    scene.platform.commit(products(deleted=1204))
    scene.passes(10)
    assert scene.said[-1].endswith("version 1 is the last one before")
    scene.passes(5 * 3600, step=60)
    scene.take("of another one", platform=PlatformName("7001", "stock"))
    scene.passes(3600 + 60, step=60)
    assert scene.said == ["saved 5: Every 6 h"]


def test_looking_once(scene: Scene) -> None:
    """As from a scheduler: what is to be done is done at once, and what goes wrong is the caller's."""
    scene.watcher.close()
    scene.platform.commit(products(deleted=1204))
    watcher = scene.another()
    watcher.look(at_once=True)
    watcher.close()
    assert scene.said[-1].startswith("saved 2: Mass delete")
    scene.another().look(at_once=True)
    assert scene.said == ["began shop by memory"]
    scene.platform.is_down = True
    scene.passes(61)
    with pytest.raises(ConnectionFailed):
        scene.another().look(at_once=True)


def test_a_position_that_nobody_understands(scene: Scene) -> None:
    scene.catalog.auto_saving.claim(SHOP, "watcher 1", 60)
    kept = scene.catalog.auto_saving.watched(SHOP)
    assert kept is not None
    for position, said in (
        ("of another program", "not a position of auto-save: 'of another program'"),
        (Place("of another feed", scene.catalog.now()).text(), "not a position"),
    ):
        scene.catalog.auto_saving.keep(SHOP, "watcher 1", Watched(position, kept.schema_state))
        scene.seconds += 61
        scene.watcher = scene.another()
        scene.passes(3)
        assert scene.said[1][len("saved 2: ") :] == f"Not seen what happened: {said}"
        scene.watcher.close()
        scene.catalog.auto_saving.claim(SHOP, "watcher 1", 0)
