"""Sequences of a version that somebody made by hand."""

import pytest

from cas.contents import open_contents
from cas.errors import CorruptData
from cas.live.sequences_plan import stored_sequences
from cas.records.sequences import SEQUENCES, SequenceState, encode_sequence
from tests.engine.scenes import World


@pytest.mark.parametrize("payload", [b"", b"s\t1", b"s\tone\tt", b"s\t1\tt\tmore", b"s\t01\tt"])
def test_what_is_no_sequence_is_damage(payload: bytes) -> None:
    good = SequenceState(b'"public"."s"', 7, True)
    world = World()
    world.take({SEQUENCES: {1: encode_sequence(good)}})
    world.take({SEQUENCES: {1: payload}})
    repository = world.open()
    assert stored_sequences(open_contents(repository, 1)) == {good.name: good}
    with pytest.raises(CorruptData):
        stored_sequences(open_contents(repository, 2))
    repository.close()
