"""Which counts are unusual: told by earlier versions, and by limits that somebody has set."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.anomalies import (
    FEWEST_RECORDS,
    FEWEST_VERSIONS,
    WINDOW,
    AnomalyRules,
    Counts,
    baseline,
    find_anomalies,
    ranked,
)
from cas.catalog.model import Anomaly, CountKind

OFF = AnomalyRules(window=0)
amounts = st.integers(0, 10**9)
histories = st.lists(amounts, min_size=FEWEST_VERSIONS, max_size=WINDOW)


def deleted(count: int, before: int = 48_310) -> Counts:
    return Counts(0, 0, count, before)


def quiet(*counts: int) -> list[Counts]:
    return [deleted(count) for count in counts]


def kinds(found: Sequence[Anomaly]) -> list[str]:
    return [one.kind.value for one in found]


def why(now: Counts, history: Sequence[Counts], rules: AnomalyRules | None = None, **more: str) -> str:
    (found,) = find_anomalies("products", now, history, rules or AnomalyRules(), **more)  # type: ignore[arg-type]
    return found.why


@st.composite
def some_counts(draw: st.DrawFn) -> Counts:
    gone = draw(amounts)
    changed = draw(amounts)
    return Counts(draw(amounts), changed, gone, gone + changed + draw(amounts))


@given(some_counts(), st.integers(FEWEST_VERSIONS, WINDOW))
def test_what_is_always_so_is_never_unusual(now: Counts, versions: int) -> None:
    assert find_anomalies("t", now, [now] * versions, AnomalyRules()) == ()


@given(histories, amounts, st.integers(1, 1000))
def test_what_is_unusual_is_so_in_any_size(history: list[int], count: int, times: int) -> None:
    small = baseline(history)
    large = baseline([value * times for value in history])
    assert small is not None
    assert large is not None
    assert large.usual == small.usual * times
    assert large.limit <= small.limit * times * (1 + 1e-9)
    if count > small.limit:
        assert count * times >= large.limit * (1 - 1e-9)


@given(
    st.lists(st.integers(0, 1000), min_size=FEWEST_VERSIONS - 1, max_size=WINDOW - 1),
    st.integers(10**4, 10**6),
    st.integers(10**7, 10**15),
)
def test_a_single_day_unlike_the_others_moves_little(usual: list[int], large: int, huge: int) -> None:
    """However far out it is, what is usual stays what the other days were."""
    one, other = baseline([*usual, large]), baseline([huge, *usual])
    assert one is not None
    assert one == other
    assert one.usual == max(usual)
    assert one.limit <= 10 * max(usual) + FEWEST_RECORDS


@given(histories)
def test_nothing_below_what_was_there_twice_is_unusual(history: list[int]) -> None:
    known = baseline(history)
    assert known is not None
    assert sorted(history)[-2] == known.usual < known.limit


@given(st.lists(amounts, max_size=FEWEST_VERSIONS - 1))
def test_few_versions_do_not_tell_what_is_usual(history: list[int]) -> None:
    assert baseline(history) is None
    now = Counts(10**6, 10**6, 10**6, 10**8)
    assert find_anomalies("t", now, [now] * len(history), AnomalyRules()) == ()


def test_a_history_of_zeros_does_not_mark_a_few() -> None:
    history = quiet(*[0] * 20)
    assert find_anomalies("t", deleted(FEWEST_RECORDS), history, AnomalyRules()) == ()
    assert why(deleted(FEWEST_RECORDS + 1), history) == "21 of 48,310 products deleted; usually none"


def test_a_mass_deletion_is_told_in_words_with_counts() -> None:
    (found,) = find_anomalies("products", deleted(1204), quiet(3, 0, 12, 5, 12, 7, 0, 90), AnomalyRules())
    assert found == Anomaly(
        "products",
        CountKind.DELETED,
        1204,
        48_310,
        12,
        "1,204 of 48,310 products deleted; usually at most 12",
    )


def test_each_kind_has_its_own_history() -> None:
    history = [Counts(1000 + at, 50, 0, 10_000) for at in range(10)]
    assert find_anomalies("t", Counts(1500, 60, 3, 10_000), history, AnomalyRules()) == ()
    assert kinds(find_anomalies("t", Counts(60, 1500, 40, 10_000), history, AnomalyRules())) == [
        "deleted",
        "updated",
    ]
    now = Counts(9000, 0, 0, 10_000)
    assert why(now, history) == "9,000 products inserted where 10,000 were; usually at most 1,008"


def test_a_wide_spread_is_usual() -> None:
    """Median 500, and half of the days further from it than 250."""
    history = quiet(*range(0, 1001, 50))
    known = baseline([one.deleted for one in history])
    assert known is not None
    assert known.limit == pytest.approx(500 + 6 * 1.4826 * 250)
    assert find_anomalies("t", deleted(2700), history, AnomalyRules()) == ()
    assert kinds(find_anomalies("t", deleted(2730), history, AnomalyRules())) == ["deleted"]


def test_an_import_every_night_among_hourly_versions_is_usual_from_the_third_on() -> None:
    day = [0, 3] * 12
    now = Counts(0, 10_000, 0, 50_000)

    def history(nights: int) -> list[Counts]:
        values = [*[value for _ in range(nights) for value in (*day, 10_500)], *day]
        return [Counts(0, value, 0, 50_000) for value in reversed(values)]

    assert [bool(find_anomalies("t", now, history(nights), AnomalyRules())) for nights in range(4)] == [
        True,
        True,
        False,
        False,
    ]


def test_only_the_newest_versions_of_the_window_count() -> None:
    history = quiet(*[0] * 10, *[5000] * 10)
    assert why(deleted(400), history, AnomalyRules(window=10)).endswith("usually none")
    assert find_anomalies("t", deleted(400), history, AnomalyRules(window=20)) == ()
    assert why(deleted(400), history, AnomalyRules(window=1)).endswith("usually none"), "but never too few"


def test_limits_of_a_person_know_no_history() -> None:
    history = quiet(*[5000] * 10)
    rules = AnomalyRules(records=1000)
    assert why(deleted(5000), history, rules) == "5,000 of 48,310 products deleted; the limit is 1,000"
    assert find_anomalies("t", deleted(1000), [], rules) == ()
    assert why(deleted(1001), [], rules).endswith("deleted; the limit is 1,000")
    assert kinds(find_anomalies("t", Counts(2000, 2000, 0, 9000), [], rules)) == ["updated", "inserted"]


def test_a_limit_in_percent_says_nothing_of_a_few() -> None:
    rules = replace(OFF, percent=2.5)
    assert find_anomalies("t", deleted(FEWEST_RECORDS - 1, 40), [], rules) == ()
    assert find_anomalies("t", deleted(25, 1000), [], rules) == ()
    assert why(deleted(26, 1000), [], rules) == "26 of 1,000 products deleted; the limit is 2.5 %"
    assert why(Counts(500, 0, 0, 0), [], rules) == "500 products inserted where 0 were; the limit is 2.5 %"


def test_all_reasons_are_told() -> None:
    told = why(deleted(30_000), quiet(*[4] * 9), AnomalyRules(records=100, percent=50), remark="so it is")
    assert told == (
        "30,000 of 48,310 products deleted; usually at most 4; the limit is 100; the limit is 50 %; so it is"
    )


def test_half_of_an_entity_that_is_hardly_known() -> None:
    few = quiet(0, 0)
    assert why(deleted(500, 1000), few) == (
        "500 of 1,000 products deleted; half of them or more, and too few versions tell what is usual"
    )
    assert find_anomalies("t", deleted(499, 1000), few, AnomalyRules()) == ()
    assert find_anomalies("t", deleted(19, 19), few, AnomalyRules()) == ()
    assert find_anomalies("t", Counts(1000, 1000, 0, 1000), few, AnomalyRules()) == ()
    assert find_anomalies("t", deleted(1000, 1000), quiet(*[1000] * 7), AnomalyRules()) == ()


def test_an_entity_that_is_gone_is_unusual_whatever_its_size_once_it_is_known() -> None:
    (found,) = find_anomalies("old", deleted(1, 1), quiet(*[0] * 9), AnomalyRules(), is_gone=True)
    assert found == Anomaly(
        "old", CountKind.DELETED, 1, 1, 0, "old is gone with its 1 record; at least 9 versions had it"
    )
    limited = AnomalyRules(records=200)
    (found,) = find_anomalies("old", deleted(300, 300), quiet(*[0] * 9), limited, is_gone=True)
    assert found.why == "old is gone with its 300 records; at least 9 versions had it; the limit is 200"


def test_a_table_that_came_and_went_is_unusual_where_it_was_large() -> None:
    assert find_anomalies("import", deleted(19, 19), [], AnomalyRules(), is_gone=True) == ()
    (found,) = find_anomalies("import", deleted(300, 300), [], AnomalyRules(), is_gone=True)
    assert found.why == "import is gone with its 300 records; too few versions tell what is usual"
    assert found.usual is None


def test_nothing_is_marked_where_nothing_is_asked_for() -> None:
    now = Counts(10**9, 10**9, 10**9, 2 * 10**9)
    assert find_anomalies("t", now, [Counts(0, 0, 0, 10)] * 30, OFF) == ()


def test_what_went_comes_before_what_changed_and_what_came() -> None:
    def one(kind: CountKind, count: int) -> Anomaly:
        return Anomaly("t", kind, count, 10**6, None, "why")

    found = [
        one(CountKind.INSERTED, 900),
        one(CountKind.DELETED, 5),
        one(CountKind.UPDATED, 70),
        one(CountKind.DELETED, 60),
    ]
    assert [(a.kind.value, a.count) for a in ranked(found)] == [
        ("deleted", 60),
        ("deleted", 5),
        ("updated", 70),
        ("inserted", 900),
    ]
