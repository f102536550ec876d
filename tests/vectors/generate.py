"""Write all vectors: `python -m tests.vectors.generate`. A test holds the files equal to what this makes."""

from collections.abc import Iterator

from tests.vectors import bundles, documents, frames, keys, nodes, packs, sealing
from tests.vectors.model import HOME, Vector, to_text

EXAMPLE = HOME / "bundle" / "example.casb"
"""The vector bundle/example as the file that it is, to be opened by whoever has no reader of vectors."""


def scenarios() -> Iterator[Vector]:
    yield from documents.vectors()
    yield from nodes.vectors()
    yield from packs.vectors()
    yield from frames.vectors()
    yield from keys.vectors()
    yield from sealing.vectors()
    yield from bundles.vectors()


def main() -> None:
    for old in HOME.glob("*/*.vector"):
        old.unlink()
    count = 0
    for vector in scenarios():
        path = HOME / vector.of / f"{vector.name}.vector"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(to_text(vector))
        count += 1
        if (vector.of, vector.name) == ("bundle", "example"):
            EXAMPLE.write_bytes(vector.data)
    print(f"{count} vectors")


if __name__ == "__main__":
    main()
