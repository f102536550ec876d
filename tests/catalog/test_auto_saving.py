"""What auto-save remembers: the same in every implementation."""

import pytest

from cas.catalog.auto_save_model import Policy, PolicyKind, Watched
from cas.errors import Fenced, InvalidInput
from cas.records.changes import PlatformName
from tests.catalog.stages import Stage

SHOP = PlatformName("7001", "shop")
STOCK = PlatformName("7001", "stock")

ALL = [
    Policy(PolicyKind.BULK_IMPORT, rows=1000),
    Policy(PolicyKind.MASS_CHANGE, rows=500, percent=2.5),
    Policy(PolicyKind.STRUCTURE, entities=("tree_nodes", "stock.*")),
    Policy(PolicyKind.SCHEMA),
    Policy(PolicyKind.EVERY, seconds=21600.0),
    Policy(PolicyKind.FOLLOW, seconds=60.0),
    Policy(PolicyKind.LEAVE_OUT, entities=("sessions", "logs.*")),
]


def test_policies_in_their_order(stage: Stage) -> None:
    saving = stage.auto_saving
    assert saving.policies() == []
    saving.set_policies(ALL[3:], set_by="ann")
    saving.set_policies(ALL[2::-1], set_by="ann")
    assert saving.policies() == ALL
    other = Policy(PolicyKind.EVERY, seconds=1.5)
    saving.set_policies([other], set_by="bob")
    assert saving.policies() == [*ALL[:4], other, *ALL[5:]]
    assert saving.drop_policies([PolicyKind.SCHEMA, PolicyKind.EVERY]) == [
        PolicyKind.SCHEMA,
        PolicyKind.EVERY,
    ]
    assert saving.drop_policies([PolicyKind.SCHEMA, PolicyKind.FOLLOW]) == [PolicyKind.FOLLOW]
    assert saving.policies() == [*ALL[:3], ALL[6]]


@pytest.mark.parametrize(
    "wrong",
    [
        Policy(PolicyKind.BULK_IMPORT),
        Policy(PolicyKind.BULK_IMPORT, rows=0),
        Policy(PolicyKind.BULK_IMPORT, rows=1 << 63),
        Policy(PolicyKind.BULK_IMPORT, rows=1, percent=1.0),
        Policy(PolicyKind.MASS_CHANGE, rows=1),
        Policy(PolicyKind.MASS_CHANGE, rows=1, percent=0.0),
        Policy(PolicyKind.MASS_CHANGE, rows=1, percent=100.1),
        Policy(PolicyKind.MASS_CHANGE, rows=1, percent=float("nan")),
        Policy(PolicyKind.STRUCTURE),
        Policy(PolicyKind.STRUCTURE, entities=("",)),
        Policy(PolicyKind.STRUCTURE, entities=("a\x00",)),
        Policy(PolicyKind.SCHEMA, rows=1),
        Policy(PolicyKind.EVERY),
        Policy(PolicyKind.EVERY, seconds=0.5),
        Policy(PolicyKind.FOLLOW, seconds=float("inf")),
        Policy(PolicyKind.LEAVE_OUT),
    ],
)
def test_what_cannot_be_a_policy(stage: Stage, wrong: Policy) -> None:
    good = ALL[4] if wrong.kind is PolicyKind.SCHEMA else ALL[3]
    with pytest.raises(InvalidInput):
        stage.auto_saving.set_policies([good, wrong], set_by="ann")
    assert stage.auto_saving.policies() == []


def test_two_of_one_kind(stage: Stage) -> None:
    with pytest.raises(InvalidInput, match="two policies"):
        stage.auto_saving.set_policies([ALL[0], ALL[0]], set_by="ann")


def test_one_watches_and_the_others_wait(stage: Stage) -> None:
    saving = stage.auto_saving
    assert saving.claim(SHOP, "ann", 60) is None
    assert saving.claim(SHOP, "ann", 60) is None
    claim = saving.claim(SHOP, "bob", 60)
    assert claim is not None
    assert claim.holder == "ann"
    assert 0 < (claim.until - stage.catalog.now()).total_seconds() <= 60
    assert saving.claim(STOCK, "bob", 60) is None
    saving.release(SHOP, "bob")
    assert saving.claim(SHOP, "bob", 60) is not None
    saving.release(SHOP, "ann")
    assert saving.claim(SHOP, "bob", 60) is None
    assert saving.claim(SHOP, "ann", 60) is not None


def test_a_claim_runs_out(stage: Stage) -> None:
    saving = stage.auto_saving
    saving.claim(SHOP, "ann", 60)
    stage.lapse()
    assert saving.claim(SHOP, "bob", 60) is None
    claim = saving.claim(SHOP, "ann", 60)
    assert claim is not None
    assert claim.holder == "bob"


def test_a_position_outlives_its_watcher(stage: Stage) -> None:
    saving = stage.auto_saving
    assert saving.watched(SHOP) is None
    saving.claim(SHOP, "ann", 60)
    assert saving.watched(SHOP) is None
    saving.keep(SHOP, "ann", Watched("here", "as it was"))
    saving.keep(SHOP, "ann", Watched("there", "as it is"))
    saving.release(SHOP, "ann")
    saving.claim(SHOP, "bob", 60)
    assert saving.watched(SHOP) == Watched("there", "as it is")
    assert saving.watched(STOCK) is None


def test_who_lost_its_claim_keeps_nothing(stage: Stage) -> None:
    saving = stage.auto_saving
    with pytest.raises(Fenced):
        saving.keep(SHOP, "ann", Watched("here", "so"))
    saving.claim(SHOP, "ann", 60)
    stage.lapse()
    saving.keep(SHOP, "ann", Watched("late, but nobody else came", "so"))
    saving.claim(SHOP, "bob", 60)
    with pytest.raises(Fenced):
        saving.keep(SHOP, "ann", Watched("too late", "so"))
    found = saving.watched(SHOP)
    assert found is not None
    assert found.position == "late, but nobody else came"
