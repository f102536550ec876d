"""Tree nodes on the local disk: what was read once need not be found, fetched and decoded again.

The tops of a tree differ from version to version, each in a pack of its own and as a difference to the
one before. Whoever looks through a thousand versions reads thousands of them, and the same ones the next
time.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from cas.engine.node_file import NodeFile
from cas.ids import ChunkId, IdKey
from cas.limits import MIB
from cas.tree.lookups import ReadNodes

MAX_FILE_BYTES = 256 * MIB
"""A larger file is begun anew. Above one record, a thousand versions of a large entity have about 5 MiB."""

WRITTEN_AT_ONCE_BYTES = 16 * MIB
"""What waits in memory to be written."""


class KeptNodes:
    """Nodes from `file`, and from `read` those that it lacks, which are in it after the `with` block.

    Without a file nothing is kept. For one thread; processes may share the file.
    """

    def __init__(self, read: ReadNodes, key: IdKey, file: Path | None) -> None:
        self._read = read
        self._file = NodeFile(file, key, MAX_FILE_BYTES)
        self._fresh: dict[ChunkId, bytes] = {}
        self._fresh_bytes = 0

    def __enter__(self) -> "KeptNodes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keep()
        self._file.close()

    def __call__(self, ids: Sequence[ChunkId]) -> list[bytes]:
        """The plain bytes of these nodes, each proven by its id. Raises what reading them raises."""
        found = self._file.found(ids)
        missing = [node_id for node_id in ids if node_id not in found]
        if missing:
            fresh = dict(zip(missing, self._read(missing), strict=True))
            found |= fresh
            self._take(fresh)
        return [found[node_id] for node_id in ids]

    def _take(self, fresh: dict[ChunkId, bytes]) -> None:
        self._fresh |= fresh
        self._fresh_bytes += sum(map(len, fresh.values()))
        if self._fresh_bytes > WRITTEN_AT_ONCE_BYTES:
            self._keep()

    def _keep(self) -> None:
        """Write what waits."""
        if self._fresh:
            self._file.put(self._fresh)
        self._fresh, self._fresh_bytes = {}, 0
