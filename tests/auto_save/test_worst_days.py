"""Days on which a watcher is easily misled: what it says then is what somebody restores from."""

import pytest

from cas.auto_save.watch import BEGINS
from cas.catalog.auto_save_model import Policy, PolicyKind
from cas.errors import ConnectionFailed
from cas.records.changes import MovedRows, PlatformTransaction
from tests.auto_save.scene import FIRST_NUMBER, Scene
from tests.auto_save.test_watcher import products


@pytest.fixture
def scene() -> Scene:
    """Auto-save has begun, with version 1."""
    made = Scene()
    made.passes(1)
    assert made.said == ["began shop by memory", f"saved 1: {BEGINS}"]
    return made


def test_a_deletion_that_goes_on_names_the_version_before_all_of_it(scene: Scene) -> None:
    """It lasts longer than anybody waits, so there is a version in its middle, which is no way back."""
    for _ in range(150):
        scene.platform.commit(products(deleted=200))
        scene.passes(1)
    scene.passes(10)
    saved = [line for line in scene.said if line.startswith("saved")]
    assert len(saved) == 3
    assert saved[0].endswith("products; version 1 is the last one before")
    assert saved[1].endswith("products; it goes on since version 2, and version 1 is the last one before")
    assert saved[2].endswith("products; it goes on since version 3, and version 1 is the last one before")
    assert scene.catalog.version(4).metadata["before"] == "1"


def test_two_deletions_have_each_their_version_before(scene: Scene) -> None:
    scene.platform.commit(products(deleted=1204))
    scene.passes(10)
    scene.passes(300)
    scene.platform.commit(products(deleted=1100))
    scene.passes(10)
    assert (
        scene.said[-1] == "saved 3: Mass delete: 1,100 of 47,106 products; version 2 is the last one before"
    )


def test_a_deletion_elsewhere_is_another_one(scene: Scene) -> None:
    """A job cleans up what is old, and at once somebody deletes products by mistake."""
    scene.platform.records["public.sessions"] = 9000
    scene.take("with sessions")
    scene.platform.commit(MovedRows("public", "sessions", deleted=5000))
    scene.passes(10)
    scene.platform.commit(products(deleted=1204))
    scene.passes(10)
    assert scene.said[-1].endswith("products; version 3 is the last one before")


def test_an_incomplete_version_without_the_table_is_no_way_back(scene: Scene) -> None:
    scene.take("by a role that may not read all", without="public.products")
    scene.platform.commit(products(deleted=1204))
    scene.passes(10)
    assert scene.said[-1] == (
        "saved 3: Mass delete: 1,204 of 48,310 products; version 1 is the last one before"
    )


def test_an_incomplete_version_holds_nothing_already(scene: Scene) -> None:
    scene.platform.commit(products(deleted=1204))
    scene.passes(2)
    scene.take("by a role that may not read all", without="public.products")
    scene.passes(10)
    assert scene.said[-1].startswith("saved 3: Mass delete")


def test_what_is_known_by_counts_alone_is_before_all_numbers(scene: Scene) -> None:
    """A trigger was off for a while: a part has numbers, a part has none."""
    scene.platform.tells_apart = False
    scene.platform.commit(products(deleted=900))
    scene.passes(20)
    scene.take("it holds the first part")
    scene.platform.tells_apart = True
    scene.passes(20)
    scene.platform.commit(products(deleted=200))
    scene.passes(10)
    saved = scene.said[-1]
    assert saved.startswith("saved 3: Mass delete: 1,100")
    assert "version 2 is the last" not in saved


def test_a_machine_that_slept(scene: Scene) -> None:
    """Nothing was looked at meanwhile, whatever its own clock says."""
    scene.platform.tells_apart = False
    scene.passes(100)
    scene.platform.commit(products(deleted=1204))
    scene.asleep += 4 * 3600
    scene.take("by hand, after it")
    scene.asleep += 4 * 3600
    scene.policies = scene.policies[:-1]
    scene.passes(10)
    assert scene.said[-1] == (
        "saved 3: Mass delete: 1,204 of 48,310 products; version 1 is probably the last one before"
    )


def test_a_catalog_whose_clock_was_wrong(scene: Scene) -> None:
    """The last version seems to be of next year: nobody waits for that."""
    scene.asleep = 365 * 86400.0
    scene.take("of next year")
    scene.asleep = 0.0
    scene.passes(10)
    assert scene.said == ["saved 3: Every 6 h"]
    scene.passes(6 * 3600, step=60)
    scene.passes(60)
    assert scene.said == ["saved 4: Every 6 h"]


def test_killed_in_the_middle_of_many_small_deletions() -> None:
    """Whenever it is killed: what it looked at within a minute is summed with what comes after."""
    for calm in range(50, 70):
        scene = Scene()
        scene.passes(calm)
        scene.platform.commit(products(deleted=600))
        scene.passes(15)
        scene.watcher = scene.another()
        scene.platform.commit(products(deleted=600))
        scene.seconds += 61
        scene.passes(10)
        assert scene.said[-1].startswith("saved 2: Mass delete: 1,200"), calm


def test_following_for_hours_makes_no_mass_of_what_trickles(scene: Scene) -> None:
    scene.policies = [
        Policy(PolicyKind.MASS_CHANGE, rows=1000, percent=10.0),
        Policy(PolicyKind.FOLLOW, seconds=6 * 3600.0),
    ]
    for _ in range(60):
        scene.platform.commit(products(deleted=20))
        scene.passes(100, step=20)
    assert scene.said == []
    scene.passes(6 * 3600, step=60)
    assert scene.said == ["saved 2: Every 6 h while something changes: products (1,200 deleted)"]


def test_what_waits_for_hours_takes_no_room(scene: Scene) -> None:
    """The store is down, the platform is not."""
    scene.platform.commit(products(deleted=1204))
    scene.broken = [ConnectionFailed("no store")] * 1000
    for _ in range(300):
        scene.platform.commit(products(updated=5))
        scene.passes(20, step=5)
    assert scene.watcher._watch is not None
    assert len(scene.watcher._watch.noticing._looks) < 20
    scene.broken = []
    scene.passes(400)
    assert "Mass delete: 1,204" in scene.said[-1]


def test_changes_that_a_reason_does_not_name_are_in_no_version_before_them(scene: Scene) -> None:
    """Of many tables a reason names three: another number of rows in the others is the same text."""
    for number in range(6):
        scene.platform.commit(MovedRows("public", f"t{number}", inserted=90_000 - 17_000 * number))
    scene.passes(2)
    scene.take("by hand, in the middle")
    scene.platform.commit(MovedRows("public", "t5", inserted=2000))
    scene.passes(60)
    assert scene.said[-1].startswith("saved 3: Bulk import")


def test_who_could_not_begin_lets_others() -> None:
    scene = Scene()
    scene.platform.is_half_down = True
    scene.watcher.look()
    assert scene.said == ["failed: the platform does not answer; again in 5 s"]
    scene.watcher.close()
    scene.platform.is_half_down = False
    scene.another().look()
    assert scene.said == ["began shop by memory", f"saved 1: {BEGINS}"]


def test_turned_off_it_takes_nothing(scene: Scene) -> None:
    scene.policies = []
    scene.platform.commit(products(deleted=2000))
    scene.platform.commit(products(deleted=1))
    scene.platform.kept_from = 2
    scene.platform.schema += 1
    scene.passes(100)
    assert scene.said == ["turned off"]


def test_names_that_are_no_text(scene: Scene) -> None:
    """Of a server that knows bytes and no characters; the catalog keeps such a name with a sign instead."""
    label = "public.caf\udce9"
    scene.platform.records[label] = 300
    scene.take("with it")
    scene.passes(2)
    scene.platform.commit(MovedRows("public", "caf\udce9", deleted=60))
    scene.passes(10)
    assert scene.said[-1].startswith("saved 3: Mass delete: 60 of 300 caf?")


def test_emptying_what_was_empty_is_nothing(scene: Scene) -> None:
    """As import jobs do with their staging tables, every minute."""
    scene.platform.records["public.staging"] = 0
    scene.take("with an empty staging table")
    scene.passes(2)
    for _ in range(5):
        scene.platform.commit(MovedRows("public", "staging", inserted=5, truncated=True))
        scene.passes(60)
    assert scene.said == []


def test_what_another_history_numbers_alike_is_not_held(scene: Scene) -> None:
    """After a crash the server gives the numbers of forgotten commits again; its logs are empty then."""
    for _ in range(5):
        scene.platform.commit(products(updated=1))
    scene.take("it has seen these")
    scene.passes(3)
    scene.platform.committed = scene.platform.committed[:-3]
    scene.platform.committed.append(PlatformTransaction((products(deleted=1204),), FIRST_NUMBER + 2))
    scene.platform.crashed = True
    scene.passes(10)
    (said,) = scene.said
    assert said.startswith("saved 3: Not seen what happened: the log was emptied; Mass delete: 1,204")


def test_following_takes_its_time_with_the_schema_too(scene: Scene) -> None:
    scene.policies = [Policy(PolicyKind.FOLLOW, seconds=600.0)]
    for _ in range(10):
        scene.platform.schema += 1
        scene.passes(60)
    scene.passes(60)
    assert [line.split(":")[0] for line in scene.said if line.startswith("saved")] == ["saved 2"]
