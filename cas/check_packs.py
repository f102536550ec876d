"""Looking at packs themselves: their trailers as the store has them now, and every byte of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from cas.closure.ground import COPY_HINT, Ground, Packs
from cas.damage import DamageKind, Fault, Ledger
from cas.engine.ahead import ahead
from cas.engine.chunk_index import ChunkIndex
from cas.engine.pack_proof import PackProof
from cas.engine.places import Places, View
from cas.engine.repository import Repository
from cas.engine.trailers import Trailers
from cas.errors import CasError, CorruptData, Unsupported
from cas.format.frame import Encoding, Frame
from cas.format.names import pack_key
from cas.format.pack import HEADER_BYTES, Trailer, parse_end, parse_header
from cas.ids import CHUNK_ID_BYTES, SHORT_ID_BYTES, ChunkId, ChunkKind, PackName
from cas.limits import MIB
from cas.progress import Progress
from cas.store.interface import ObjectMissing
from cas.temporary import temporary_faults

PACKS_LABEL = "packs"
"""What progress calls the packs; their counters are packs and stored bytes."""

TRAILERS_AHEAD = 16
PACKS_AHEAD = 2
"""Requests on their way while the last answer is examined; a pack has up to 64 MiB."""

IN_MEMORY_BYTES = 128 * MIB
"""Stored bytes of all packs up to which index and ids are held in memory: about 1,000,000 records of
45 bytes each. Larger ones go to temporary files."""

_REST_BYTES = CHUNK_ID_BYTES - SHORT_ID_BYTES


def packs_of_store(
    repository: Repository,
    listed: Mapping[PackName, int],
    fresh: Iterable[PackName],
    directory: Path,
    ledger: Ledger,
    progress: Progress,
) -> Packs:
    """All listed packs in an index of their own below `directory`. The trailers of `fresh` are fetched
    from the store, whatever the local cache has; a pack whose trailer is damaged is left out."""
    wanted = frozenset(fresh)
    is_small = sum(listed.values()) <= IN_MEMORY_BYTES
    index = ChunkIndex(None if is_small else directory / "index")
    trailers = Trailers(repository.store, directory / "trailers")
    progress.entity(PACKS_LABEL, len(listed), 0)

    def fetch(name: PackName) -> tuple[Trailer, bytes] | CasError:
        try:
            if name not in wanted:
                return repository.trailers.with_tail(name)
            tail = trailers.fetch(name)
            return parse_end(tail, name, size=listed[name]), tail
        except (CorruptData, Unsupported) as error:
            return error

    readable: list[PackName] = []
    for name, found in ahead(repository.fetchers, fetch, sorted(listed), TRAILERS_AHEAD):
        progress.advance(PACKS_LABEL, 1, 0)
        if isinstance(found, CasError):
            ledger.note_error(pack_key(name), found, COPY_HINT)
            continue
        trailer, tail = found
        index.add(name, trailer)
        trailers.keep(name, tail)
        readable.append(name)
    index.settle()
    return Packs.over(repository, index, trailers, View(readable))


class ProvenGround(Ground):
    """A ground some of whose packs were read whole: there a chunk counts only with its full id.

    The second halves of all recomputed ids, 16 bytes a chunk, lie in a file below `directory` where
    the index lies in files too.
    """

    def __init__(self, packs: Packs, ledger: Ledger, known: ChunkIndex, directory: Path) -> None:
        super().__init__(packs, ledger, known)
        rows = max(len(packs.index), 1)
        self._rests = (
            np.zeros((rows, _REST_BYTES), np.uint8)
            if packs.index.is_in_memory
            else _mapped(directory / "ids", rows)
        )
        self._proven = np.zeros(rows, dtype=np.bool_)

    def prove(self, name: PackName, ids: bytes | bytearray) -> None:
        """The ids of all chunks of a pack, one after another, as they were recomputed."""
        rests = np.frombuffer(ids, np.uint8).reshape(-1, CHUNK_ID_BYTES)[:, SHORT_ID_BYTES:]
        for begin in self.first_chunks(name):
            self._rests[begin : begin + len(rests)] = rests
            self._proven[begin : begin + len(rests)] = True

    def rests(self, begin: int, end: int) -> npt.NDArray[np.uint8]:
        """The second halves of the ids of the chunks at these positions; zeros where they were not proven."""
        return self._rests[begin:end]

    def sound(self, ids: Sequence[ChunkId], places: Places) -> npt.NDArray[np.bool_]:
        sound = super().sound(ids, places)
        found = places.pack >= 0
        positions = self.positions(places)
        whole = np.frombuffer(b"".join(ids), np.uint8).reshape(-1, CHUNK_ID_BYTES)[found, SHORT_ID_BYTES:]
        same = (self._rests[positions] == whole).all(axis=1) | ~self._proven[positions]
        sound[found] &= same
        return sound

    def finding(self, chunk_id: ChunkId, places: Places, at: int) -> int:
        number = super().finding(chunk_id, places, at)
        if number >= 0:
            return number
        key = pack_key(places.packs[int(places.pack[at])])
        return self.ledger.note(key, DamageKind.HASH_MISMATCH, "a chunk is another one than was meant")


def _mapped(path: Path, rows: int) -> npt.NDArray[np.uint8]:
    """An array of zeros in a file. It is written before it is mapped: a disk that is full is an error
    here, and would be the end of the process later."""
    block = bytes(MIB)
    with temporary_faults(), path.open("wb") as file:
        for begin in range(0, rows * _REST_BYTES, MIB):
            file.write(block[: rows * _REST_BYTES - begin])
    return np.memmap(path, np.uint8, "r+", shape=(rows, _REST_BYTES)).view(np.ndarray)


class Tails:
    """Reads the trailers of packs as the store has them now."""

    def __init__(
        self, repository: Repository, ground: Ground, listed: Mapping[PackName, int], progress: Progress
    ) -> None:
        self._repository = repository
        self._ground = ground
        self._listed = listed
        self._progress = progress

    def examine(self, names: Sequence[PackName], is_over: Callable[[], bool] = lambda: False) -> int:
        """As `Bodies.examine`."""
        self._progress.entity(PACKS_LABEL, len(names), 0)
        examined = 0
        for name, error in ahead(self._repository.fetchers, self._look, names, TRAILERS_AHEAD):
            examined += 1
            self._progress.advance(PACKS_LABEL, 1, 0)
            if error is not None:
                number = self._ground.ledger.note_error(pack_key(name), error, COPY_HINT)
                if name in self._ground.packs.view.packs:
                    self._ground.flag_pack(name, number)
            if is_over():
                break
        return examined

    def _look(self, name: PackName) -> CasError | None:
        try:
            parse_end(self._repository.trailers.fetch(name), name, size=self._listed[name])
        except (CorruptData, Unsupported) as error:
            return error
        return None


class Bodies:
    """Reads packs whole: name, header, trailer, every frame, every id."""

    def __init__(
        self, repository: Repository, ground: Ground, listed: Mapping[PackName, int], progress: Progress
    ) -> None:
        self._repository = repository
        self._ground = ground
        self._ledger = ground.ledger
        self._listed = listed
        self._progress = progress
        key = repository.config.id_key
        self._proof = PackProof(ground.packs.reader, key, repository.fetchers)
        self._hashers = {kind: key.batch_hasher(kind) for kind in ChunkKind}
        self.bytes = 0
        """Stored bytes that were read."""
        self.chunks = 0
        """Chunks whose id was recomputed."""
        self.intact: set[PackName] = set()
        """Packs whose bytes are those that were stored: if a frame of them cannot be decoded, that is the
        fault of another pack."""
        self._stored_so: set[PackName] = set()

    def examine(self, names: Sequence[PackName], is_over: Callable[[], bool] = lambda: False) -> int:
        """Read these packs, or those of them that come before it is over; what is bad in them is flagged on
        the ground. Returns how many were read: one at least, where there is one."""
        self._progress.entity(PACKS_LABEL, len(names), sum(self._listed[name] for name in names))
        examined = 0
        for name, data in ahead(self._repository.fetchers, self._get, names, PACKS_AHEAD):
            examined += 1
            if isinstance(data, CasError):
                number = self._ledger.note_error(pack_key(name), data, COPY_HINT)
                if name in self._ground.packs.view.packs:
                    self._ground.flag_pack(name, number)
            else:
                self.bytes += len(data)
                self._pack(name, data)
                self._progress.advance(PACKS_LABEL, 1, len(data))
            if is_over():
                break
        return examined

    def _get(self, name: PackName) -> bytes | CasError:
        try:
            return self._repository.store.get(pack_key(name))
        except ObjectMissing:
            return CorruptData("a pack is missing", kind="missing")
        except CorruptData as error:
            return error

    def _pack(self, name: PackName, data: bytes) -> None:
        key = pack_key(name)
        damage: int | None = None
        if len(data) < self._listed[name]:
            what = f"{len(data)} bytes of {self._listed[name]}"
            damage = self._ledger.note(key, DamageKind.TRUNCATED, what, COPY_HINT)
        elif blake3(data).hexdigest() != name:
            damage = self._ledger.of_object(key)
            if damage is None:
                what = "the stored bytes are not those of the pack's name"
                damage = self._ledger.note(key, DamageKind.HASH_MISMATCH, what, COPY_HINT)
        is_in_view = name in self._ground.packs.view.packs
        try:
            parse_header(data, key)
        except (CorruptData, Unsupported) as error:
            if damage is None:
                damage = self._ledger.note_error(key, error, COPY_HINT)
        try:
            trailer = parse_end(data, key, size=len(data))
        except (CorruptData, Unsupported) as error:
            # The local cache may have it still; whoever comes without that has not.
            if damage is None:
                damage = self._ledger.note_error(key, error, COPY_HINT)
            if is_in_view:
                self._ground.flag_pack(name, damage)
            return
        if is_in_view:
            self._frames(name, data, trailer, damage)
        if damage is None and name not in self._stored_so:
            self.intact.add(name)

    def _frames(self, name: PackName, data: bytes, trailer: Trailer, damage: int | None) -> None:
        """Decode all frames and recompute all ids."""
        ids_at_once = self._proof.ids(name, data, trailer)
        if ids_at_once is not None:
            self._ground.prove(name, ids_at_once.tobytes())
            self.chunks += trailer.chunks
            return
        lengths = np.frombuffer(trailer.lengths, dtype="<u4").tolist()
        ids = bytearray()
        offset, first = HEADER_BYTES, 0
        for frame in trailer.frames:
            own = lengths[first : first + frame.chunks]
            stored = data[offset : offset + frame.stored_length]
            found = self._chunks(name, frame, stored, own)
            wanted = trailer.short_ids[first * SHORT_ID_BYTES : (first + frame.chunks) * SHORT_ID_BYTES]
            if isinstance(found, CorruptData):
                if damage is not None or not self._ground.is_bad(name, first):
                    finding = self._why(name, frame, found, damage)
                    self._flag(name, first, wanted, [False] * frame.chunks, frame.kind, finding)
                found = [ChunkId(bytes(CHUNK_ID_BYTES))] * frame.chunks
            else:
                right = [
                    chunk_id[:SHORT_ID_BYTES] == wanted[at : at + SHORT_ID_BYTES]
                    for chunk_id, at in zip(found, range(0, len(wanted), SHORT_ID_BYTES), strict=True)
                ]
                if not all(right):
                    wrong = CorruptData("a chunk does not fit its id", kind="hash-mismatch")
                    finding = self._why(name, frame, wrong, damage)
                    self._flag(name, first, wanted, right, frame.kind, finding)
            ids += b"".join(found)
            offset += frame.stored_length
            first += frame.chunks
        self._ground.prove(name, ids)
        self.chunks += first

    def _chunks(
        self, name: PackName, frame: Frame, stored: bytes, lengths: Sequence[int]
    ) -> list[ChunkId] | CorruptData:
        if len(stored) != frame.stored_length:
            return CorruptData("the pack ends before its frame", kind="truncated")
        try:
            plain = self._ground.packs.reader.decode(name, frame, stored)
        except CorruptData as error:
            return error
        ends = accumulate(lengths)
        return self._hashers[frame.kind](
            [plain[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        )

    def _why(self, name: PackName, frame: Frame, error: CorruptData, damage: int | None) -> int:
        """The finding to which a bad frame belongs: the pack's own, else the one of the base that it
        needs, else a new one: bytes that were bad when they were written."""
        if damage is not None:
            return damage
        for base in frame.bases:
            if frame.encoding is Encoding.ZSTD_DICTIONARY:
                faults = self._ground.dictionary(base)
            else:
                (plain,) = self._ground.fetch(frame.kind, (base,))
                faults = frozenset((plain,)) if isinstance(plain, Fault) else frozenset()
            for fault in faults:
                if fault.is_loss:
                    return fault.finding
        self._stored_so.add(name)
        return self._ledger.note_error(pack_key(name), error, "It was stored like this; say so to its makers")

    def _flag(
        self,
        name: PackName,
        first: int,
        short_ids: bytes,
        right: Sequence[bool],
        kind: ChunkKind,
        finding: int,
    ) -> None:
        for at, is_right in enumerate(right):
            if not is_right:
                self._ground.flag(name, first + at, 1, finding)
                chunk = short_ids[at * SHORT_ID_BYTES : (at + 1) * SHORT_ID_BYTES]
                self._ledger.chunk(finding, chunk, kind)
