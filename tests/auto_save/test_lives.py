"""Any life of a platform and of those who watch it: whatever was worth a version is in one."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from cas.catalog.model import VersionFilter, VersionState
from cas.errors import ConnectionFailed
from cas.records.changes import MovedRows
from tests.auto_save.scene import FIRST_NUMBER, Died, Scene

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("delete"), st.sampled_from([1, 400, 1000, 6000])),
        st.tuples(st.just("insert"), st.sampled_from([1, 500, 3000])),
        st.tuples(st.just("structure"), st.just(1)),
        st.tuples(st.just("alter"), st.just(1)),
        st.tuples(st.just("wait"), st.sampled_from([1, 3, 7, 40, 90])),
        st.tuples(st.just("by hand"), st.just(1)),
        st.tuples(st.just("incomplete"), st.just(1)),
        st.tuples(st.just("sleep"), st.sampled_from([30, 4000])),
        st.tuples(st.just("kill"), st.just(1)),
        st.tuples(st.just("die after commit"), st.just(1)),
        st.tuples(st.just("break"), st.integers(1, 3)),
        st.tuples(st.just("down"), st.sampled_from([1, 20])),
        st.tuples(st.just("another"), st.just(1)),
    ),
    max_size=30,
)


def lived(scene: Scene, step: str, count: int) -> None:
    platform = scene.platform
    match step:
        case "delete":
            platform.commit(MovedRows("public", "products", deleted=count))
        case "insert":
            platform.commit(MovedRows("public", "products", inserted=count))
        case "structure":
            platform.commit(MovedRows("public", "tree_nodes", updated=count))
        case "alter":
            platform.schema += 1
            platform.commit()  # it is a transaction too
        case "wait":
            waited(scene, count)
        case "by hand":
            if not scene.broken:
                scene.take()
        case "incomplete":
            if not scene.broken:
                scene.take(without="public.products")
        case "sleep":
            scene.asleep += count
        case "kill":
            scene.killed()
        case "die after commit":
            scene.dies_after_commit = True
        case "break":
            scene.broken = [ConnectionFailed("no store")] * count
        case "down":
            platform.is_down = True
            waited(scene, count)
            platform.is_down = False
        case "another":
            with suppress(Died):
                scene.another().look()


def waited(scene: Scene, seconds: float) -> None:
    end = scene.seconds + seconds
    while scene.seconds < end:
        try:
            scene.passes(end - scene.seconds, step=2 if seconds < 100 else 10)
        except Died:
            scene.killed()


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, tells_apart=st.booleans())
def test_what_was_worth_a_version_is_in_one(steps: list[tuple[str, int]], tells_apart: bool) -> None:
    scene = Scene()
    scene.platform.tells_apart = tells_apart
    for step, count in steps:
        lived(scene, step, count)
    waited(scene, 2000)  # longer than the longest wait after failures
    committed = scene.platform.committed
    versions = scene.catalog.versions(VersionFilter(limit=1000))
    marks = {
        version.number: base.mark for version in versions if (base := scene.catalog.base(version.number))
    }
    whole = [version.number for version in versions if version.state is VersionState.COMPLETE]
    newest = marks[max(whole)]
    for number, transaction in enumerate(committed, FIRST_NUMBER):
        is_worth = not transaction.moved or any(
            one.name == "tree_nodes" or one.deleted >= 1000 or one.inserted >= 1000
            for one in transaction.moved
        )
        assert newest.sees(number) or not is_worth, f"transaction {number} is in no version"
    for number, transaction in enumerate(committed, FIRST_NUMBER):
        if any(one.deleted >= 1000 for one in transaction.moved):
            holding = min(one for one in marks if marks[one].sees(number))
            before = scene.catalog.version(holding).metadata.get("before")
            assert before is None or not marks[int(before)].sees(number), f"{before} is no way back"
    for version in versions:
        before = version.metadata.get("before")
        if before is not None and version.number in marks:
            assert int(before) < version.number
            assert marks[int(before)].xmin < marks[version.number].xmin, "nothing happened between the two"
            labels = {one.label for one in scene.catalog.version(int(before)).entities}
            assert "public.products" in labels, "it does not hold what was deleted"
    count = len(versions)
    waited(scene, 600)
    assert len(scene.catalog.versions(VersionFilter(limit=1000))) == count, "versions without a reason"
