"""An id is the keyed hash of the whole chunk, in however many steps it is computed."""

import pytest
from blake3 import blake3

from cas.ids import ChunkKind
from tests.engine.packs import KEY


@pytest.mark.parametrize("length", [0, 1, 2046, 2047, 2048, 4094, 4095, 8191, 8192, 8193, 100_000])
def test_an_id_does_not_depend_on_the_way_it_is_computed(length: int) -> None:
    plain = bytes(at % 251 for at in range(length))
    key = KEY.derive("cas 1 chunk record")
    expected = blake3(plain, key=key).digest()
    assert KEY.hasher(ChunkKind.RECORD)(plain) == expected
    assert KEY.batch_hasher(ChunkKind.RECORD)([plain]) == [expected]
    assert KEY.batch_hasher(ChunkKind.RECORD)([b"short", plain])[1] == expected
