"""Every requirement has its tests or one honest line, and every test that is named is there.

A table `<word>.toml` answers the requirements that name this word in their last column.
"""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TABLES = sorted(Path(__file__).parent.glob("*.toml"))
REQUIREMENTS = TESTS.parents[1] / "shared" / "REQUIREMENTS.md"

ANSWERS = {"tests", "elsewhere", "later"}
KEYS = ANSWERS | {"note"}
ROW = re.compile(r"^\| (S\d-\d+) \|.*\| ([^|]*) \|$", re.MULTILINE)

each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)


def entries(table: Path) -> dict[str, dict[str, object]]:
    """TOML refuses an id that comes twice."""
    return tomllib.loads(table.read_text("utf-8"))


@cache
def names_in(file: Path) -> frozenset[str]:
    """The tests that a file defines, those in a class with its name before them."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return frozenset(name for name in found if name.split("::")[-1].startswith("test_"))


@each_table
def test_every_entry_answers_in_one_way_or_another(table: Path) -> None:
    for name, entry in entries(table).items():
        assert entry.keys() & ANSWERS, name
        assert entry.keys() <= KEYS, name
        for key in entry.keys() - {"tests"}:
            line = entry[key]
            assert isinstance(line, str), name
            assert line.strip(), name
            assert "\n" not in line, name


@each_table
def test_every_test_that_is_named_exists(table: Path) -> None:
    for name, entry in entries(table).items():
        named = entry.get("tests", ["-"])
        assert isinstance(named, list), name
        assert named, name
        assert len(named) == len(set(named)), name
        for test in entry.get("tests", ()):  # type: ignore[attr-defined]  # a list, as was just seen
            file, _, function = test.partition("::")
            assert (TESTS / file).is_file(), f"{name}: no file {file}"
            assert function in names_in(TESTS / file), f"{name}: no test {test}"


@each_table
def test_every_requirement_has_an_entry_and_every_entry_a_requirement(table: Path) -> None:
    if not REQUIREMENTS.is_file():
        pytest.skip("the list of requirements is not on this machine (../shared)")
    rows = ROW.findall(REQUIREMENTS.read_text("utf-8"))
    asked = {name for name, who in rows if re.search(rf"\b{re.escape(table.stem)}\b", who)}
    assert asked, f"no requirement names {table.stem}"
    answered = entries(table).keys()
    assert asked - answered == set(), "without an entry"
    assert answered - asked == set(), "without a requirement"
