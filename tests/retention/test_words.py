"""Rules as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.errors import InvalidInput
from cas.retention.model import DEFAULT_RULES, Keep, Origin, RetentionRule
from cas.retention.words import parse_rule, rule_text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("last 50", RetentionRule(Keep.LAST, 50)),
        ("LAST=50", RetentionRule(Keep.LAST, 50)),
        ("within 30d", RetentionRule(Keep.WITHIN, 30 * 86400)),
        ("within 2 w of safety", RetentionRule(Keep.WITHIN, 14 * 86400, Origin.SAFETY)),
        ("size 100GB", RetentionRule(Keep.SIZE, 100 * 10**9)),
        ("size 1GiB", RetentionRule(Keep.SIZE, 1 << 30)),
        ("size 123", RetentionRule(Keep.SIZE, 123)),
        ("last 100 of scheduled", RetentionRule(Keep.LAST, 100, Origin.SCHEDULED)),
        (
            "daily 7 of scheduled my nightly one",
            RetentionRule(Keep.DAILY, 7, Origin.SCHEDULED, "my nightly one"),
        ),
    ],
)
def test_what_people_write(text: str, rule: RetentionRule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "last",
        "50",
        "last -1",
        "last 0",
        "last 100001",
        "last 5d",
        "daily 5d",
        "within 30",
        "within 0d",
        "within 99999999d",
        "size 5d",
        "never 3",
        "last 5 of nobody",
        "last 5 of manual nightly",
        "last 5; daily 3",
        "within 30d of",
        "last 9999999999999999999999",
        "last \N{ARABIC-INDIC DIGIT FIVE}",
    ],
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_rule(text, "--keep")
    assert caught.value.where == "--keep"
    assert caught.value.hint


_amounts = {
    Keep.WITHIN: st.integers(1, 50_000).map(lambda minutes: minutes * 60),
    Keep.SIZE: st.integers(1, 1 << 60),
}


@given(st.data(), st.sampled_from(Keep), st.none() | st.sampled_from(Origin))
def test_every_rule_is_read_as_it_is_written(data: st.DataObject, keep: Keep, origin: Origin | None) -> None:
    amount = data.draw(_amounts.get(keep, st.integers(1, 100_000)))
    schedule = (
        data.draw(st.sampled_from(["", "nightly", "of the night"])) if origin is Origin.SCHEDULED else ""
    )
    rule = RetentionRule(keep, amount, origin, schedule)
    assert parse_rule(rule_text(rule)) == rule


def test_the_rules_that_hold_by_default() -> None:
    assert [rule_text(rule) for rule in DEFAULT_RULES] == ["last 50", "daily 30", "weekly 12", "monthly 12"]
