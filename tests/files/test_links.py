"""Where symbolic links lead."""

import os
import time
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from cas.file_links import stays_inside


@pytest.mark.parametrize(
    ("links", "stays"),
    [
        ({"a": "b"}, True),
        ({"a": "."}, True),
        ({"d/a": "../b"}, True),
        ({"d/a": ".."}, True),
        ({"a": ".."}, False),
        ({"d/a": "../.."}, False),
        ({"d/a": "../../place"}, False),
        ({"a": "/etc/passwd"}, False),
        ({"a": "b/x", "b": "/"}, False),
        ({"a": "b/../x", "b": "d/e/f"}, True),
        ({"a": "b/../../x", "b": "d"}, False),
        ({"a": "b/../..", "b": "d/e"}, True),
        ({"d/a": "u/../..", "d/u": ".."}, False),
        ({"a": "a"}, False),
        ({"a": "b", "b": "a"}, False),
        ({"a": "//x"}, False),
        ({"a": "d//./x"}, True),
    ],
)
def test_a_link_stays_inside_or_not(links: dict[str, str], stays: bool) -> None:
    made = {os.fsencode(path): os.fsencode(target) for path, target in links.items()}
    assert stays_inside(next(iter(made)), made) == stays


names = st.sampled_from(["a", "b", "c", "d/a", "d/b", "d/e/a"])
targets = st.lists(st.sampled_from(["..", ".", "a", "b", "c", "d", "e"]), min_size=1, max_size=5)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(names, targets.map("/".join), min_size=1, max_size=5))
def test_what_stays_inside_does_so_for_the_system_too(links: dict[str, str]) -> None:
    """The system's own way, with directories in the place of what is not there."""
    import tempfile

    with tempfile.TemporaryDirectory() as above:
        root = Path(os.path.realpath(above)) / "root"
        (root / "d" / "e").mkdir(parents=True)
        for path, target in links.items():
            (root / path).symlink_to(target)
        made = {os.fsencode(path): os.fsencode(target) for path, target in links.items()}
        for path in links:
            if stays_inside(os.fsencode(path), made):
                assert Path(os.path.realpath(root / path)).is_relative_to(root)


def test_a_target_that_no_system_makes_is_not_followed() -> None:
    """Of a version that was made by hand: each name of a way costs the way before it."""
    began = time.process_time()
    far = b"/".join([b"a"] * 200_000)
    assert not stays_inside(b"l", {b"l": far})
    assert not stays_inside(b"l", {b"l": b"m", b"m": far})
    chain = {b"l": b"0"}
    way = b""
    for number in range(30):
        chain[b"%b%d" % (way, number)] = b"y/" * 2000 + b"%d" % (number + 1)
        way += b"y/" * 2000
    assert not stays_inside(b"l", chain)
    assert time.process_time() - began < 1
