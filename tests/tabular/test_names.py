"""Names of files for hostile names of tables."""

import time

from hypothesis import given
from hypothesis import strategies as st

from cas.tabular.names import file_names, is_safe

HOSTILE = [
    *(
        "../x",
        "a/b",
        "a\\b",
        "..",
        ".",
        "",
        "con",
        "CON.x",
        "nul",
        "lpt1",
        "A",
        "a",
        "ä",
        "x" * 300,
        "x" * 301,
    ),
    *("a:b", "-rf", "schema", "SCHEMA", "a\nb", "a.", " "),
]


@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), max_size=12))
def test_they_are_safe_and_differ_whatever_the_case(labels: list[str]) -> None:
    names = file_names(labels, "json", ("schema.json",))
    assert all(map(is_safe, names))
    assert len({name.lower() for name in (*names, "schema.json")}) == len(labels) + 1
    assert names == file_names(labels, "json", ("schema.json",))


def test_an_ordinary_label_keeps_its_name() -> None:
    assert file_names(["public.products", "public.Products"], "csv") == [
        "public.products.csv",
        "public.Products-2.csv",
    ]


def test_what_leaves_its_directory_is_not_safe() -> None:
    for name in ("../x", "a/b", "/x", "a\\b", "..", ".x", "x.", "CON", "nul.csv", "", "c:x", "x\0", "x\n"):
        assert not is_safe(name), name


def test_many_labels_of_one_stem_take_no_longer_than_others() -> None:
    began = time.process_time()
    names = file_names(["схема.таблица"] * 20_000, "jsonl")
    assert len({*names}) == len(names)
    assert time.process_time() - began < 2
