"""What a replica lets go, and what it never does."""

from dataclasses import replace

import pytest
from blake3 import blake3

from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import VersionKind
from cas.catalog.replica_model import NewReplica
from cas.check import CheckLevel, check_repository
from cas.errors import Conflict
from cas.format.document import PackRef, encode_document
from cas.format.names import pack_key, version_key
from cas.format.notes import Note, NoteField
from cas.garbage.marking import mark
from cas.ids import PackName
from cas.noting import say
from cas.progress import Silent
from cas.rebuild import rebuild_catalog
from cas.replicas.status import replica_statuses
from cas.replicas.verifying import verify_replica
from tests.replicas.offsite import EDITIONS, NAME, Offsite


def packs(world: Offsite) -> set[str]:
    return {key[-64:] for key in world.objects("packs/")}


def test_what_the_primary_forgets_goes_here_too(world: Offsite) -> None:
    world.copy()
    world.drop(1, 2)
    report = world.copy()
    assert report.forgotten == report.deleted_documents == (1, 2)
    assert report.deleted_packs
    assert packs(world) == world.packs()
    assert report.stored_bytes == sum(info.size for info in world.replica.objects())
    world.must_be_enough(3)
    assert world.copy().deleted_bytes == 0


def test_packs_that_a_collection_has_only_condemned_stay(world: Offsite) -> None:
    """They may live again: a session that began before may have used them."""
    world.copy()
    session = world.session(world.open(), parent=3)
    world.drop(1, 2)
    assert world.catalog.collecting.condemned()
    before = packs(world)
    report = world.copy()
    assert report.deleted_documents == (1, 2)
    assert before <= packs(world)
    session.abandon(RuntimeError("enough"))
    world.collect()
    assert world.copy().deleted_packs
    world.must_be_enough(3)


def test_a_version_may_need_packs_that_are_condemned(world: Offsite) -> None:
    """It was begun before they were condemned, and committed afterwards."""
    world.take(EDITIONS[4])

    class Late:
        """A writer's catalog: a collection condemns between its beginning and its commit."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.catalog, name)

        def describe_source(self, *arguments: str) -> None:
            world.drop(1, 2, 3)
            world.catalog.describe_source(*arguments)  # type: ignore[arg-type]

    version = world.take(EDITIONS[1], catalog=Late())  # type: ignore[arg-type]
    condemned = set(world.catalog.collecting.condemned())
    assert condemned
    needed = world.copy()
    assert needed.versions == (4, version.number)
    assert condemned <= packs(world)
    assert check_repository(world.open(world.replica), level=CheckLevel.BYTES).lost_versions == ()
    assert world.records(version.number, world.replica) == world.records(version.number)


def test_rules_of_its_own_keep_more() -> None:
    world = Offsite(rules=("last 9",))
    world.copy()
    world.drop(1, 2)
    gone = packs(world) - world.packs()
    assert gone, "the primary has them no more"
    report = world.copy()
    assert (report.forgotten, report.deleted_packs) == ((), 0)
    assert gone <= packs(world)
    world.must_be_enough(1, 2, 3)
    world.take(EDITIONS[4])
    world.copy()
    world.must_be_enough(1, 2, 3, 4)


def test_rules_of_its_own_keep_less() -> None:
    world = Offsite(rules=("last 2",))
    report = world.copy()
    assert report.versions == (2, 3)
    world.take(EDITIONS[4])
    report = world.copy()
    assert (report.versions, report.forgotten, report.deleted_documents) == ((4,), (2,), (2,))
    world.must_be_enough(3, 4)
    assert world.records(1) == world.records(1), "the primary has it still"
    world.drop(1, 2)
    report = world.copy()
    assert report.deleted_packs
    world.must_be_enough(3, 4)


def test_what_people_protect_stays_whatever_the_rules_say() -> None:
    world = Offsite(rules=("last 1",))
    say(world.open(), world.catalog, "ada", [Note(1, NoteField.HOLD, "case 4711")])
    assert world.copy().versions == (1, 3)
    world.take(EDITIONS[4])
    assert world.copy().forgotten == (3,)
    world.must_be_enough(1, 4)


def test_what_a_replica_has_forgotten_is_not_copied_again() -> None:
    world = Offsite(rules=("last 1",))
    world.copy()
    world.take(EDITIONS[4])
    world.copy()
    assert world.held() == [4]
    say(world.open(), world.catalog, "ada", [Note(3, NoteField.HOLD, "too late")])
    report = world.copy()
    assert (report.versions, report.problems) == ((), ())
    assert world.held() == [4]


def test_the_highest_document_stays_until_there_is_a_higher_one(world: Offsite) -> None:
    """By it a lost catalog knows which numbers were given."""
    world.take(EDITIONS[4])
    rows = world.catalog._rows.versions
    rows[4] = replace(rows[4], kind=VersionKind.SELECTED)  # else it were the last good one
    world.copy()
    world.drop(3, 4)
    report = world.copy()
    assert (report.forgotten, report.deleted_documents) == ((4,), ()), "3 is the last good one"
    assert world.objects("versions/")[-1] == version_key(4)
    world.take(EDITIONS[5])
    assert 4 in world.copy().deleted_documents
    world.must_be_enough(5)


def test_another_document_under_the_number_is_left_alone(world: Offsite) -> None:
    world.copy()
    world.drop(1)
    world.replica.put(version_key(1), b"somebody else's")
    report = world.copy()
    assert [one.object for one in report.problems] == [version_key(1)]
    assert world.replica.get(version_key(1)) == b"somebody else's"


def test_where_the_replica_lacks_something_nothing_is_deleted_and_new_versions_come(world: Offsite) -> None:
    world = Offsite(rules=("last 9",))
    world.copy()
    needed = world.packs()
    world.drop(1, 2)
    lost = sorted(needed - world.packs())[0]
    world.replica.delete(pack_key(lost))
    world.take(EDITIONS[4])
    before = packs(world)
    report = world.copy()
    assert report.versions == (4,)
    assert len(report.problems) == 1
    assert "Nothing was deleted" in report.problems[0].hint
    assert before <= packs(world)
    assert not verify_replica(
        world.open(), world.catalog, NAME, world.replica, level=CheckLevel.STRUCTURE
    ).is_clean


def test_documents_that_nobody_believes(world: Offsite) -> None:
    """A run that lost its lease put one of a version that is forgotten; it goes."""
    document = world.store.get(version_key(1))
    world.drop(1)
    world.replica.put(version_key(1), document)
    report = world.copy()
    assert report.deleted_documents == (1,)
    world.must_be_enough(2, 3)


def test_a_replica_with_rules_that_is_added_again_keeps_what_it_has() -> None:
    world = Offsite(rules=("last 9",))
    world.copy()
    world.drop(1, 2)
    world.copy()
    before = packs(world)
    with pytest.raises(Conflict, match="only copy of 2 versions"):
        world.catalog.replicating.remove(NAME)
    world.catalog.replicating.remove(NAME, lost=True)
    world.catalog.replicating.add(NewReplica(NAME, "memory://replica", ("last 9",)))
    report = world.copy()
    assert (report.versions, report.unknown) == ((3,), (1, 2))
    assert packs(world) == before
    assert world.records(1, world.replica)


def test_after_the_catalog_was_lost_nothing_goes_that_it_does_not_know() -> None:
    world = Offsite(rules=("last 9",))
    world.copy()
    world.drop(1, 2)
    world.copy()
    world.catalog = MemoryCatalog(world.clock)
    rebuild_catalog(world.open(), world.catalog)
    world.catalog.replicating.add(NewReplica(NAME, "memory://replica"))
    before = world.objects()
    report = world.copy()
    assert report.unknown == (1, 2)
    assert set(before) == set(world.objects())


def test_how_far_it_is_behind(world: Offsite) -> None:
    (status,) = replica_statuses(world.catalog)
    assert (status.versions, status.lacking, status.outcome) == (0, 3, None)
    assert status.behind_seconds is not None
    assert status.behind_seconds > 0
    world.copy()
    (status,) = replica_statuses(world.catalog)
    assert (status.versions, status.lacking, status.behind_seconds) == (3, 0, None)
    world.take(EDITIONS[4])
    (status,) = replica_statuses(world.catalog)
    assert (status.versions, status.lacking) == (3, 1)


@pytest.mark.parametrize("level", list(CheckLevel))
def test_verifying_is_remembered(world: Offsite, level: CheckLevel) -> None:
    world.copy()
    report = verify_replica(world.open(), world.catalog, NAME, world.replica, level=level)
    assert report.is_clean
    verified = world.catalog.replicating.replica(NAME).verified
    assert verified is not None
    assert (verified.level, verified.is_clean) == (level.value, True)
    key = world.objects("packs/")[0]
    data = bytearray(world.replica.get(key))
    data[60] ^= 1
    world.replica.put(key, bytes(data))
    report = verify_replica(world.open(), world.catalog, NAME, world.replica, level=CheckLevel.BYTES)
    assert [finding.object for finding in report.findings] == [key]
    verified = world.catalog.replicating.replica(NAME).verified
    assert verified is not None
    assert not verified.is_clean


def test_a_version_that_counts_and_is_gone_is_found(world: Offsite) -> None:
    world.copy()
    world.replica.delete(version_key(2))
    report = verify_replica(world.open(), world.catalog, NAME, world.replica, level=CheckLevel.STRUCTURE)
    assert report.lost_versions == (2,)


def test_packs_that_a_document_lists_and_nothing_needs_may_be_gone(world: Offsite) -> None:
    """The primary's collection took one; the replica has none of the journals that say so."""
    document = world.open().document(3)
    useless = PackRef(PackName("ab" * 32), 100, 1, holds_nodes=False)
    packs = tuple(sorted((*document.packs, useless), key=lambda pack: pack.name))
    data = encode_document(replace(document, packs=packs))
    world.store.put(version_key(3), data)
    rows = world.catalog._rows.versions
    rows[3] = replace(rows[3], document_hash=blake3(data).digest())
    world.copy()

    def verified() -> bool:
        return verify_replica(
            world.open(), world.catalog, NAME, world.replica, level=CheckLevel.STRUCTURE
        ).is_clean

    assert not verified(), "nothing was ever collected"
    world.drop(1, 2)
    world.copy()
    assert world.catalog.journal() == 1
    assert verified()
    world.must_be_enough(3)


def test_a_pack_of_the_replica_that_is_too_short(world: Offsite) -> None:
    world.copy()
    world.take(EDITIONS[4])
    needed = mark(world.open(), [4], [4], world.packs(), world.packs(), Silent()).needed
    key = next(key for key in world.objects("packs/") if key[-64:] in needed)
    data = world.replica.get(key)
    world.replica.put(key, data[:-1])
    report = world.copy()
    assert [one.object for one in report.problems] == [key]
    assert "of the replica has" in report.problems[0].what
    assert report.versions == (), "it needs that pack"
    world.replica.delete(key)
    assert world.copy().versions == (4,)
    world.must_be_enough(1, 2, 3, 4)
