"""What is left of a version that lacks something can be restored, and what is lost can be let go."""

from dataclasses import replace

import pytest

from cas.catalog.model import VersionState
from cas.errors import Conflict, NotFound
from cas.forgetting import forget
from cas.format.config import encode_config, parse_config
from cas.format.names import CONFIG, pack_key
from cas.format.pack import HEADER_BYTES
from cas.garbage.collecting import collect_garbage
from cas.ids import ID_KEY_BYTES, IdKey
from cas.noting import catch_up
from cas.repair.config import bring_config, needs_config
from cas.repair.model import Holder
from cas.repair.remaining import take_rest
from cas.store.memory import MemoryStore
from tests.engine.memory_source import integer_key
from tests.engine.scenes import World, expected
from tests.repair.mending import flip, holders, mended, nothing_is_wrong
from tests.replicas.offsite import EDITIONS, Offsite


def test_a_version_of_all_that_is_left_and_the_old_one_goes() -> None:
    done = ranges = 0
    for at in range(200):
        world = Offsite()
        names = sorted(world.packs())
        if at // 4 == len(names):
            break
        key = pack_key(names[at // 4])
        flip(world.store, key, len(world.store.get(key)) * (at % 4) // 5 + HEADER_BYTES)
        report = mended(world, [])
        losses = {one.version: one for one in report.lost}
        if 3 not in losses or losses[3].what:
            continue
        done += 1
        rest = take_rest(world.open(), world.catalog, 3, created_by="a person")
        assert rest.loss == losses[3]
        number = rest.version.number
        assert rest.version.state is VersionState.INCOMPLETE
        assert rest.version.omissions == (("public.products", f"{losses[3].records} records are lost"),)
        (lost,) = losses[3].entities
        left = world.records(number)["public.products"]
        wanted = expected(EDITIONS[3])["public.products"]
        assert len(left) == len(wanted) - lost.records
        assert set(left.items()) <= set(wanted.items())
        ranges += len(lost.ranges)
        if not lost.ranges:
            keys = {integer_key(int(key)) for (key,) in lost.keys}
            assert wanted.keys() - left.keys() == keys
        assert rest.version.original_bytes == sum(map(len, left.values()))  # type: ignore[arg-type]
        following = world.take_next()
        heard = catch_up(world.open(), world.catalog)
        forget(world.open(), world.catalog, dict.fromkeys(losses, "lossy"), heard)
        collect_garbage(world.open(), world.catalog, max_share=1.0)
        assert world.records(number)["public.products"] == left
        nothing_is_wrong(world, following)
    assert done > 2
    assert ranges


def test_a_whole_version_has_no_rest(world: Offsite) -> None:
    with pytest.raises(Conflict, match="lacks nothing"):
        take_rest(world.open(), world.catalog, 2)


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_lost_config_comes_back(world: Offsite, how: str) -> None:
    whole = world.store.get(CONFIG)
    assert not needs_config(world.store)
    if how == "missing":
        world.store.delete(CONFIG)
    else:
        flip(world.store, CONFIG)
    assert needs_config(world.store)

    assert bring_config(world.store, holders(world), world.environment).holder == "offsite"
    assert world.store.get(CONFIG) == whole
    assert mended(world).is_whole


def test_a_config_of_another_repository_is_not_believed(world: Offsite) -> None:
    other = World(seed=9)
    other.take(EDITIONS[1])
    world.store.delete(CONFIG)
    with pytest.raises(NotFound, match="whose key made"):
        bring_config(world.store, [Holder("wrong", other.store)], world.environment)
    assert needs_config(world.store)


def test_a_config_with_another_key_is_not_believed(world: Offsite) -> None:
    """Whoever forges one knows the repository's id from any document."""
    true = parse_config(world.store.get(CONFIG))
    forger = MemoryStore("forger")
    forger.put(CONFIG, encode_config(replace(true, id_key=IdKey(bytes(ID_KEY_BYTES)))))
    world.store.delete(CONFIG)
    with pytest.raises(NotFound, match="whose key made"):
        bring_config(world.store, [Holder("forger", forger)], world.environment)
    among = [Holder("forger", forger), *holders(world)]
    assert bring_config(world.store, among, world.environment).holder == "offsite"
