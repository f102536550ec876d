"""The smallest inputs that go all the ways through a parser that were found: what the repository keeps."""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.groups import targets_of
from tests.fuzz.judging import Broken, judge
from tests.fuzz.model import Target

HOME = Path(__file__).parent / "corpus"
MOST_BYTES = 4096
"""Of an input that is kept: larger ones show little more, and a repository is read by people."""

Arc = tuple[str, int, int]
"""A file of the product, and two lines that ran one after the other."""

_OURS = tuple(str(Path(__file__).parents[2] / name) + "/" for name in ("cas", "cli"))


def keep(group: str, found: Path) -> None:
    """Take over what a run has found (`found`: its corpus of the group), beside what is kept already."""
    targets = targets_of(group)
    inputs: dict[str, set[bytes]] = {target.name: set() for target in targets}
    for path in found.iterdir():
        data = path.read_bytes()
        inputs[targets[data[0] % len(targets)].name].add(data[1:])
    for target in targets:
        home = HOME / target.name
        before = {path.read_bytes() for path in home.glob("*")}
        chosen = list(_chosen(target, inputs[target.name] | before))
        home.mkdir(parents=True, exist_ok=True)
        for path in home.glob("*"):
            path.unlink()
        for data in chosen:
            (home / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
        print(f"{target.name}: {len(chosen)} of {len(inputs[target.name])}, {sum(map(len, chosen))} bytes")


def _chosen(target: Target, inputs: Iterable[bytes]) -> Iterator[bytes]:
    """The seeds are made by the parsers' own tests, and not kept."""
    seen: set[Arc] = set()
    seeds = target.seeds()
    for data in seeds:
        seen |= _arcs(target, data)
    for data in sorted(set(inputs) - set(seeds), key=lambda data: (len(data), data)):
        if len(data) <= MOST_BYTES and not (arcs := _arcs(target, data)) <= seen:
            seen |= arcs
            yield data


def _arcs(target: Target, data: bytes) -> set[Arc]:
    arcs: set[Arc] = set()
    with _watching(arcs):
        try:
            judge(target, data)
        except Broken:
            arcs.clear()  # what is broken is no example
    return arcs


@contextmanager
def _watching(arcs: set[Arc]) -> Iterator[None]:
    last: dict[FrameType, int] = {}

    def watch(frame: FrameType, event: str, argument: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(_OURS):
            return None
        arcs.add((file, last.get(frame, 0), frame.f_lineno))
        last[frame] = frame.f_lineno
        if event == "return":
            last.pop(frame, None)
        return watch

    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(None)
