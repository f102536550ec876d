"""Each rule by itself, what none can outvote, and what holds of all plans."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.retention.model import DEFAULT_RULES, Candidate, Keep, Origin, RetentionRule
from cas.retention.planning import plan
from tests.retention.timeline import NOW, candidate, every, going, renumbered, staying

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_without_rules_everything_stays() -> None:
    found = plan(every(DAY, 500), (), NOW)
    assert not found.going
    assert {reason.words for one in found.verdicts for reason in one.reasons} == {
        "no rule lets anything go",
        "the last good version",
    }


def test_the_last_ones() -> None:
    found = plan(every(HOUR, 10), [RetentionRule(Keep.LAST, 3)], NOW)
    assert staying(found) == [8, 9, 10]
    (eighth,) = [one for one in found.verdicts if one.candidate.number == 8]
    assert [reason.words for reason in eighth.reasons] == [
        "one of the last 3 versions made by hand (2 newer)"
    ]


def test_the_last_ones_are_counted_for_each_origin_by_itself() -> None:
    """A restore a minute makes many safety versions; they push out nothing that a person made."""
    timeline = renumbered(
        every(DAY, 5), every(timedelta(minutes=1), 40, Origin.SAFETY), every(HOUR, 9, Origin.CONTINUOUS)
    )
    found = plan(timeline, [RetentionRule(Keep.LAST, 4)], NOW)
    origins = [one.origin for one in found.staying]
    assert {origin: origins.count(origin) for origin in origins} == {
        Origin.MANUAL: 4,
        Origin.SAFETY: 4,
        Origin.CONTINUOUS: 4,
    }


def test_each_schedule_is_counted_by_itself() -> None:
    nightly = [replace(one, schedule="nightly") for one in every(DAY, 6, Origin.SCHEDULED)]
    hourly = [replace(one, schedule="hourly") for one in every(HOUR, 6, Origin.SCHEDULED)]
    timeline = renumbered(nightly, hourly)
    found = plan(timeline, [RetentionRule(Keep.LAST, 2)], NOW)
    assert sorted(one.schedule for one in found.staying) == ["hourly", "hourly", "nightly", "nightly"]
    only = plan(timeline, [RetentionRule(Keep.LAST, 3, Origin.SCHEDULED, "nightly")], NOW)
    assert sorted(one.schedule for one in only.staying) in (
        ["hourly", "nightly", "nightly", "nightly"],
        ["nightly", "nightly", "nightly"],
    )


def test_a_rule_of_one_origin_wants_no_other() -> None:
    timeline = renumbered(every(HOUR, 5), every(HOUR, 5, Origin.AUTOMATIC))
    found = plan(timeline, [RetentionRule(Keep.LAST, 9, Origin.AUTOMATIC)], NOW)
    assert {one.origin for one in found.going} == {Origin.MANUAL}


def test_the_newest_of_each_day() -> None:
    found = plan(every(6 * HOUR, 20), [RetentionRule(Keep.DAILY, 3)], NOW)
    assert [f"{one.created_at:%d %H}" for one in found.staying] == ["15 12", "14 18", "13 18"]


def test_days_without_a_version_take_no_place() -> None:
    timeline = [candidate(1, 40 * DAY), candidate(2, 39 * DAY), candidate(3, 2 * DAY), candidate(4, 0 * DAY)]
    assert staying(plan(timeline, [RetentionRule(Keep.DAILY, 3)], NOW)) == [2, 3, 4]


@pytest.mark.parametrize(
    ("keep", "step", "kept"),
    [
        (Keep.HOURLY, timedelta(minutes=20), ["15 12:00", "15 11:40", "15 10:40"]),
        (Keep.WEEKLY, DAY, ["15 12:00", "08 12:00", "01 12:00"]),
        (Keep.MONTHLY, 10 * DAY, ["15 12:00", "23 12:00", "24 12:00"]),
        (Keep.YEARLY, 200 * DAY, ["15 12:00", "27 12:00", "23 12:00"]),
    ],
)
def test_longer_and_shorter_periods(keep: Keep, step: timedelta, kept: list[str]) -> None:
    found = plan(every(step, 30), [RetentionRule(keep, 3)], NOW)
    assert [f"{one.created_at:%d %H:%M}" for one in found.staying] == kept


def test_days_are_those_of_the_zone() -> None:
    """23:30 UTC is the next day in Berlin."""
    late = [replace(candidate(1, DAY), created_at=datetime(2026, 3, 13, 23, 30, tzinfo=UTC))]
    timeline = [*late, replace(candidate(2, DAY), created_at=datetime(2026, 3, 14, 9, 0, tzinfo=UTC))]
    rule = [RetentionRule(Keep.DAILY, 2)]
    assert staying(plan(timeline, rule, NOW)) == [1, 2]
    assert staying(plan(timeline, rule, NOW, ZoneInfo("Europe/Berlin"))) == [2]


def test_an_hour_that_the_clocks_repeat_is_two() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    timeline = [
        replace(candidate(at + 1, DAY), created_at=first + at * timedelta(minutes=30)) for at in range(5)
    ]
    found = plan(timeline, [RetentionRule(Keep.HOURLY, 9)], NOW, berlin)
    assert [f"{one.created_at.astimezone(berlin):%H:%M%z}" for one in reversed(found.staying)] == [
        "02:30+0200",
        "02:30+0100",
        "03:30+0100",
    ]


def test_the_young_ones_and_when_they_go() -> None:
    found = plan(every(DAY, 10), [RetentionRule(Keep.WITHIN, 3 * 86400)], NOW)
    assert staying(found) == [8, 9, 10]
    (eighth,) = [one for one in found.verdicts if one.candidate.number == 8]
    assert eighth.until == NOW + DAY


def test_what_fits() -> None:
    """100,000 bytes for the oldest, 1,000 for each later one."""
    timeline = every(DAY, 10)
    assert staying(plan(timeline, [RetentionRule(Keep.SIZE, 103_000)], NOW)) == [7, 8, 9, 10]
    assert staying(plan(timeline, [RetentionRule(Keep.SIZE, 102_999)], NOW)) == [8, 9, 10]
    assert staying(plan(timeline, [RetentionRule(Keep.SIZE, 1)], NOW)) == [10], "the last good version"


def test_two_platforms_never_push_each_other_out() -> None:
    one = every(DAY, 5)
    other = [replace(each, source=("7001", "blog")) for each in every(HOUR, 50)]
    timeline = renumbered(one, other)
    for rule in (RetentionRule(Keep.LAST, 5), RetentionRule(Keep.DAILY, 5)):
        found = plan(timeline, [rule], NOW)
        assert sum(each.source[1] == "shop" for each in found.staying) == 5
    nothing_fits = plan(timeline, [RetentionRule(Keep.SIZE, 1)], NOW)
    assert sorted(each.source[1] for each in nothing_fits.staying) == ["blog", "shop"]


def test_what_lacks_something_never_takes_the_place_of_a_good_one() -> None:
    timeline = [replace(one, is_good=one.number % 2 == 0) for one in every(HOUR, 10)]
    assert staying(plan(timeline, [RetentionRule(Keep.LAST, 2)], NOW)) == [7, 8, 9, 10]
    assert staying(plan(timeline, [RetentionRule(Keep.DAILY, 2)], NOW)) == [10]
    bad_ones_last = [replace(one, is_good=one.number <= 2) for one in every(HOUR, 10)]
    assert 2 in staying(plan(bad_ones_last, [RetentionRule(Keep.LAST, 1)], NOW))


def test_what_nothing_can_outvote() -> None:
    timeline = every(DAY, 10)
    timeline[-1] = replace(timeline[-1], protected=True)
    timeline[-2] = replace(timeline[-2], hold="case 12")
    timeline[-3] = replace(timeline[-3], needed_until=NOW + DAY)
    timeline[-4] = replace(timeline[-4], needed_until=NOW)
    found = plan(timeline, [RetentionRule(Keep.LAST, 1)], NOW)
    assert staying(found) == [1, 2, 3, 10]
    words = {one.candidate.number: one.reasons[0].words for one in found.verdicts if one.stays}
    assert words == {
        1: "protected",
        2: "held: case 12",
        3: "a restore can be undone with it",
        10: "the last good version",
    }


def test_what_is_protected_takes_no_place_of_the_last_ones() -> None:
    timeline = [replace(one, protected=one.number > 7) for one in every(DAY, 10)]
    assert staying(plan(timeline, [RetentionRule(Keep.LAST, 2)], NOW)) == [6, 7, 8, 9, 10]


def test_a_date_that_was_set_outvotes_the_rules() -> None:
    timeline = every(DAY, 10)
    timeline[-1] = replace(timeline[-1], expires_at=NOW + DAY)
    timeline[1] = replace(timeline[1], expires_at=NOW)
    timeline[2] = replace(timeline[2], expires_at=NOW, protected=True)
    found = plan(timeline, [RetentionRule(Keep.LAST, 3)], NOW)
    assert staying(found) == [1, 6, 7, 8, 10], "an expired one takes no place, a protected one stays"
    assert found.verdicts[-1].until == NOW + DAY
    last = plan([replace(timeline[0], expires_at=NOW)], DEFAULT_RULES, NOW)
    assert staying(last) == [10], "the last good version stays, whatever was set"


def test_the_newest_is_told_by_number_and_not_by_a_clock() -> None:
    """A version of a machine whose clock was ahead does not stay for ever as the last one."""
    timeline = every(HOUR, 5)
    timeline[-1] = replace(timeline[-1], created_at=NOW + 1000 * DAY)
    assert staying(plan(timeline, [RetentionRule(Keep.LAST, 2)], NOW)) == [4, 5]


def test_the_last_moment_of_all_time_and_the_first() -> None:
    """What documents say of their time is not to be believed, and must not end the planning."""
    berlin, new_york = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
    ends = [datetime(9999, 12, 31, 23, 30, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]
    timeline = [replace(candidate(at + 1, DAY), created_at=end) for at, end in enumerate(ends)]
    rules = [RetentionRule(Keep.WITHIN, 100 * 366 * 86400), RetentionRule(Keep.DAILY, 5)]
    for zone in (berlin, new_york):
        assert staying(plan(timeline, rules, NOW, zone)) == [1, 2]


_candidates = st.builds(
    Candidate,
    number=st.integers(1, 10**9),
    created_at=st.integers(0, 400 * 24).map(lambda hours: NOW - hours * HOUR),
    origin=st.sampled_from(Origin),
    source=st.sampled_from([("1", "a"), ("2", "b")]),
    is_good=st.booleans(),
    added_bytes=st.integers(0, 5000),
    stored_bytes=st.integers(0, 100_000),
    schedule=st.sampled_from(["", "nightly"]),
    protected=st.booleans(),
    hold=st.sampled_from(["", "", "a case"]),
    expires_at=st.none() | st.integers(-100, 100).map(lambda hours: NOW + hours * HOUR),
    needed_until=st.none() | st.integers(-100, 100).map(lambda hours: NOW + hours * HOUR),
)
_timelines = st.lists(_candidates, max_size=40, unique_by=lambda one: one.number)
_rules = st.lists(
    st.builds(
        RetentionRule,
        keep=st.sampled_from(Keep),
        amount=st.integers(1, 8) | st.integers(1, 200_000),
        origin=st.none() | st.sampled_from(Origin),
    ),
    max_size=4,
)


@given(_timelines, _rules)
def test_what_stays_stays_when_planned_again(timeline: list[Candidate], rules: list[RetentionRule]) -> None:
    once = plan(timeline, rules, NOW)
    assert not plan(once.staying, rules, NOW).going


@given(_timelines, _rules, _rules)
def test_more_rules_keep_more(
    timeline: list[Candidate], rules: list[RetentionRule], others: list[RetentionRule]
) -> None:
    fewer, more = plan(timeline, rules, NOW), plan(timeline, [*rules, *others], NOW)
    if rules:
        assert set(going(more)) <= set(going(fewer))
        by_others = set(staying(plan(timeline, others, NOW))) if others else set()
        assert set(staying(more)) == set(staying(fewer)) | by_others


@given(_timelines, _rules)
def test_no_platform_loses_its_last_good_version(
    timeline: list[Candidate], rules: list[RetentionRule]
) -> None:
    found = plan(timeline, rules, NOW)
    for source in {one.source for one in timeline if one.is_good}:
        newest = max(one.number for one in timeline if one.is_good and one.source == source)
        assert newest in staying(found)
    for one in found.going:
        assert not one.protected
        assert not one.hold


@given(_timelines, _rules)
def test_what_ends_by_the_clock_ends_then(timeline: list[Candidate], rules: list[RetentionRule]) -> None:
    for verdict in plan(timeline, rules, NOW).verdicts:
        if verdict.until is not None:
            later = plan([verdict.candidate], rules, verdict.until)
            assert not set(verdict.reasons) & set(later.verdicts[0].reasons)
