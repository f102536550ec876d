"""Records in any order, in memory that is bounded."""

import random

import pytest

from cas.row_spool import Row, RowSpool, TwiceError


def spooled(rows: list[Row], *, is_bag: bool = False) -> list[Row]:
    with RowSpool(is_bag=is_bag, run_bytes=2000) as spool:
        for row in rows:
            spool.add(row)
        spool.finish()
        assert list(spool.rows()) == list(spool.rows())
        assert spool.records == len(rows)
        return list(spool.rows())


def test_they_come_back_by_key_from_more_runs_than_are_merged_at_once() -> None:
    rows = [Row(number.to_bytes(4, "big"), number + 1, b"x" * (number % 50)) for number in range(3000)]
    mixed = rows.copy()
    random.Random(7).shuffle(mixed)
    assert spooled(mixed) == rows
    assert spooled(rows) == rows


def test_a_key_that_stands_twice_is_found_with_its_lines() -> None:
    rows = [Row(b"%04d" % (number % 900), number + 2, b"") for number in range(901)]
    with pytest.raises(TwiceError, match="the same key as in line 2") as caught:
        spooled(rows)
    assert caught.value.line == 902


def test_a_bag_keeps_equal_records() -> None:
    rows = [Row(b"", 1, b"b"), Row(b"", 2, b"a"), Row(b"", 3, b"b")]
    assert spooled(rows, is_bag=True) == rows
