"""Many omissions are told in a few lines."""

from cli.showing_omissions import omissions_by_reason


def test_one_line_for_each_reason() -> None:
    logs = [(f"cas_capture.log_{number}", "the change log of cas itself") for number in range(8)]
    few = [("far.a", "a foreign table"), ("far.b", "a foreign table")]
    assert omissions_by_reason([few[0], *logs, few[1]]) == [
        ("far.a, far.b", "a foreign table"),
        ("cas_capture.log_0 and 7 more", "the change log of cas itself"),
    ]


def test_names_of_strangers_do_no_harm() -> None:
    ((names, reason),) = omissions_by_reason([("a\x1b[31m\n", "b\x07")])
    assert "\x1b" not in names + reason
    assert "\n" not in names + reason
    assert "\x07" not in reason
