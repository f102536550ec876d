"""What a restore into the running platform writes is noted as everything else."""

from cas.postgres.capture.changes import CapturedChanges
from cas.postgres.capture.installing import install
from cas.postgres.capture.pruning import prune
from cas.postgres.capture.reading import captured
from tests.postgres.capture.scene import OPTIONS, Platform, found_in, ids, table_of
from tests.postgres.live.scene import Scene


def test_a_restore_is_captured(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT generate_series(1, 9)"
    )
    install(scene.url, options=OPTIONS)
    version = scene.take()
    scene.run(
        "DELETE FROM items WHERE id < 3; UPDATE items SET name = 'x' WHERE id = 5;"
        " INSERT INTO items VALUES (77)"
    )
    platform = Platform(scene.cluster, scene.admin, scene.url)
    base = platform.now()
    prune(scene.url, "a repository", base, options=OPTIONS)
    scene.restore(version)
    assert scene.run("SELECT count(*)::int, count(name)::int FROM items") == [(9, 0)]
    with platform.reading() as connection:
        table = table_of(connection, "items")
        changes = captured(connection, table, base, "a repository")
        assert isinstance(changes, CapturedChanges), changes
        found = found_in(table, changes)
    assert found.keys == ids(1, 2, 5, 77)
    assert found.gone == set(ids(77))
