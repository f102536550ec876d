"""A request is kept as JSON and comes back the same."""

import json
from dataclasses import replace

import pytest

from cas.catalog.restore_model import RestoreKind, RestoreMode
from cas.live.request import LiveRequest, MissingParents, Prefer

FULL = LiveRequest(
    mode=RestoreMode.MERGE,
    tables=("a", "b"),
    exclude=("c",),
    keys=(("a", ("1", "x")),),
    where=(("a", "price > 3"),),
    subtrees=(("tree", ("4",)),),
    columns=("price",),
    with_parents=True,
    with_children=True,
    missing_parents=MissingParents.SKIP,
    prefer=Prefer.LIVE,
    base=7,
    renamed=(("a", "b"),),
    accept_drift=True,
    allow_incomplete=True,
    safety=False,
    undoes=3,
)


@pytest.mark.parametrize("request_", [LiveRequest(), FULL])
def test_it_comes_back(request_: LiveRequest) -> None:
    assert LiveRequest.of_json(json.loads(json.dumps(request_.as_json()))) == request_


def test_what_a_newer_program_asked_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="moon"):
        LiveRequest.of_json({**FULL.as_json(), "moon": True})


def test_how_much_is_asked_for() -> None:
    assert LiveRequest().kind is RestoreKind.DATA_ONLY
    assert LiveRequest(tables=("a",)).kind is RestoreKind.SELECTED
    assert LiveRequest(undoes=3).is_narrowed
    assert not replace(FULL, keys=(), where=(), subtrees=(), columns=(), undoes=None).is_narrowed
