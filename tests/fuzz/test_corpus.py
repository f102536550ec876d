"""What the search has kept is judged again, and costs no memory that an input only declares."""

import tracemalloc
from pathlib import Path

import pytest

from tests.fuzz.groups import GROUPS, targets_of
from tests.fuzz.judging import judge
from tests.fuzz.model import Target

HERE = Path(__file__).parent
TARGETS = {target.name: target for group in GROUPS for target in targets_of(group)}
FOUND = sorted(HERE.glob("found/*/*"))


def kept(target: Target) -> list[bytes]:
    """The corpus of a parser, and the inputs that once broke it."""
    files = sorted((*HERE.glob(f"corpus/{target.name}/*"), *HERE.glob(f"found/{target.name}/*")))
    return [*target.seeds(), *(file.read_bytes() for file in files)]


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_broke_a_parser(path: Path) -> None:
    judge(TARGETS[path.parent.name], path.read_bytes())


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_what_is_kept_of_a_parser(target: Target) -> None:
    inputs = kept(target)
    assert {judge(target, data) for data in inputs}, "no input at all"


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_memory_is_bounded(target: Target) -> None:
    inputs = kept(target)
    judge(target, inputs[0])
    tracemalloc.start()
    try:
        for data in inputs:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            judge(target, data)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < target.memory, data[:200]
    finally:
        tracemalloc.stop()


def test_each_kept_input_is_of_a_parser_that_is_tried() -> None:
    homes = {path.name for kind in ("corpus", "found") for path in HERE.glob(f"{kind}/*")}
    assert homes <= TARGETS.keys()
    assert len(TARGETS) == sum(len(targets_of(group)) for group in GROUPS)
