"""What a plan will do: that is the plan, run later."""

from datetime import timedelta

from cas.retention.model import DEFAULT_RULES, Keep, Origin, RetentionRule
from cas.retention.planning import plan
from cas.retention.simulating import simulate
from tests.retention.timeline import NOW, every, renumbered

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


def test_with_nothing_new_only_the_clock_lets_versions_go() -> None:
    rules = [RetentionRule(Keep.WITHIN, 14 * 86400)]
    weeks = list(simulate(every(DAY, 20), rules, NOW, 4, as_last_week=False))
    assert [len(week.going) for week in weeks] == [6 + 7, 6, 0, 0]
    assert [week.staying for week in weeks] == [7, 1, 1, 1], "the last good version"
    assert [week.assumed for week in weeks] == [0, 0, 0, 0]
    assert [week.end for week in weeks] == [NOW + WEEK, NOW + 2 * WEEK, NOW + 3 * WEEK, NOW + 4 * WEEK]


def test_versions_as_in_the_last_week_push_the_old_ones_out() -> None:
    weeks = list(simulate(every(DAY, 30), [RetentionRule(Keep.LAST, 30)], NOW, 5))
    assert [len(week.going) for week in weeks] == [7, 7, 7, 7, 2]
    assert [week.staying + week.assumed for week in weeks] == [30] * 5


def test_each_origin_comes_as_it_came() -> None:
    timeline = renumbered(every(DAY, 7), every(HOUR, 24 * 7, Origin.CONTINUOUS))
    (week,) = simulate(timeline, [RetentionRule(Keep.LAST, 500)], NOW, 1)
    assert week.staying == len(timeline)
    assert week.assumed == 7 + 24 * 7


def test_what_goes_now_is_what_the_plan_says() -> None:
    """The simulation is the executor's own plan: its first day's end is that plan, run then."""
    timeline = renumbered(every(DAY, 400), every(HOUR, 300, Origin.AUTOMATIC))
    (week,) = simulate(timeline, DEFAULT_RULES, NOW, 1, as_last_week=False)
    at_once = {one.number for one in plan(timeline, DEFAULT_RULES, NOW).going}
    assert at_once
    assert at_once <= set(week.going)
    rest = [one for one in timeline if one.number not in week.going]
    assert not plan(rest, DEFAULT_RULES, week.end).going


def test_a_minute_of_versions_for_fifteen_weeks() -> None:
    """As many as anybody will have, and bounded however long it goes on."""
    timeline = every(timedelta(minutes=1), 7 * 24 * 60, Origin.CONTINUOUS)
    weeks = list(simulate(timeline, DEFAULT_RULES, NOW, 15))
    assert all(week.staying + week.assumed <= 50 + 30 + 12 + 12 for week in weeks)
    assert weeks[-1].assumed > 60
