"""The least that anybody must do who takes a version out of a repository: read its packs, decode every frame,
recompute every id, write one file.

    python prove_packs.py REPOSITORY FILE
"""

import sys
from pathlib import Path

from cas.engine.repository import Repository
from cas.format.names import pack_key
from cas.format.pack import HEADER_BYTES, parse_end
from cas.ids import SHORT_ID_BYTES, ChunkKind
from cas.store.local import LocalStore


def main(directory: str, file: str) -> None:
    repository = Repository(LocalStore(Path(directory)), None)
    hashers = {kind: repository.config.id_key.batch_hasher(kind) for kind in ChunkKind}
    reader = repository.reader()
    with open(file, "wb") as out:
        for name in sorted(repository.packs()):
            data = repository.store.get(pack_key(name))
            trailer = parse_end(data)
            lengths = memoryview(trailer.lengths).cast("I").tolist()
            at, first = HEADER_BYTES, 0
            for frame in trailer.frames:
                plain = reader.decode(name, frame, data[at : at + frame.stored_length])
                plains, begin = [], 0
                for length in lengths[first : first + frame.chunks]:
                    plains.append(plain[begin : begin + length])
                    begin += length
                found = b"".join(one[:SHORT_ID_BYTES] for one in hashers[frame.kind](plains))
                end = first + frame.chunks
                if found != trailer.short_ids[first * SHORT_ID_BYTES : end * SHORT_ID_BYTES]:
                    sys.exit(f"{name} is damaged")
                at, first = at + frame.stored_length, end
            out.write(data)
    repository.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
