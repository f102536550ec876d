"""What a catalog remembers of the keys of sealed stores."""

from cas.catalog.sealing import PRIMARY, SeenKeys
from tests.catalog.stages import Stage

FIRST, SECOND = SeenKeys(1, b"first keys"), SeenKeys(2, b"second keys")


def test_nothing_was_ever_sealed(stage: Stage) -> None:
    assert stage.catalog.sealing.seen(PRIMARY) is None
    assert stage.catalog.sealing.seen("offsite") is None


def test_each_place_has_its_own_keys(stage: Stage) -> None:
    sealing = stage.catalog.sealing
    sealing.note(PRIMARY, SECOND)
    sealing.note("offsite", FIRST)
    assert sealing.seen(PRIMARY) == SECOND
    assert sealing.seen("offsite") == FIRST
    sealing.forget("offsite")
    assert sealing.seen("offsite") is None
    assert sealing.seen(PRIMARY) == SECOND


def test_older_keys_never_replace_newer_ones(stage: Stage) -> None:
    sealing = stage.catalog.sealing
    sealing.note(PRIMARY, FIRST)
    sealing.note(PRIMARY, SECOND)
    sealing.note(PRIMARY, FIRST)
    sealing.note(PRIMARY, SeenKeys(2, b"others of the same number"))
    assert sealing.seen(PRIMARY) == SECOND
