"""The ids of records without storing them: what a session would call them."""

from collections.abc import Iterator, Sequence

from cas.format.large import encode_large
from cas.ids import ChunkId, ChunkKind, IdKey
from cas.limits import LARGE_VALUE_BYTES


class RecordIds:
    """Gives payloads their ids. Thread-safe."""

    def __init__(self, key: IdKey) -> None:
        self._records = key.batch_hasher(ChunkKind.RECORD)
        self._piece = key.hasher(ChunkKind.PIECE)
        self._large = key.hasher(ChunkKind.LARGE)

    def of(self, payloads: Sequence[bytes]) -> tuple[list[ChunkId], list[int]]:
        """Ids, and the positions of LARGE ones."""
        if max(map(len, payloads), default=0) <= LARGE_VALUE_BYTES:
            return self._records(payloads), []
        large = [at for at, payload in enumerate(payloads) if len(payload) > LARGE_VALUE_BYTES]
        ids = self._records([b"" if len(p) > LARGE_VALUE_BYTES else p for p in payloads])
        for at in large:
            ids[at] = self._of_large(payloads[at])
        return ids, large

    def _of_large(self, payload: bytes) -> ChunkId:
        pieces = [self._piece(piece) for piece in pieces_of(payload)]
        return self._large(encode_large(len(payload), pieces))


def pieces_of(payload: bytes) -> Iterator[bytes]:
    """A large value, cut."""
    return (payload[at : at + LARGE_VALUE_BYTES] for at in range(0, len(payload), LARGE_VALUE_BYTES))
