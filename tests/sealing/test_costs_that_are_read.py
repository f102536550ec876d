"""Which costs of a passphrase a reader takes from a slot, and what it calls the others."""

from dataclasses import replace

import pytest

from cas.errors import CorruptData
from cas.format.sealing import Costs, KeysHead, Slot, SlotHead, SlotKind, encode_keys, parse_keys
from tests.sealing.scenes import KEYS

TIME = "2026-01-31T12:00:00.000000+00:00"


def _with(costs: Costs) -> bytes:
    head = SlotHead(1, SlotKind.PASSPHRASE, "", TIME, bytes(16), costs)
    keys = KeysHead(KEYS.head.repository_id, 1, TIME, 1, (Slot(head, bytes(60)),))
    return encode_keys(replace(KEYS, head=keys))


@pytest.mark.parametrize("costs", [Costs(8, 1, 1), Costs(512, 1, 64), Costs(1 << 20, 64, 64)])
def test_costs_within_the_bounds_are_read(costs: Costs) -> None:
    assert parse_keys(_with(costs)).head.slots[0].head.costs == costs


@pytest.mark.parametrize(
    ("costs", "kind"),
    [
        (Costs((1 << 20) + 1, 1, 1), "limit"),
        (Costs(32, 65, 1), "limit"),
        (Costs(1024, 1, 65), "limit"),
        (Costs(31, 1, 4), "malformed"),
        (Costs(32, 0, 4), "malformed"),
        (Costs(32, 1, 0), "malformed"),
    ],
)
def test_costs_beyond_are_too_much_or_none_that_argon2_has(costs: Costs, kind: str) -> None:
    with pytest.raises(CorruptData) as caught:
        _with(costs)
    assert caught.value.kind == kind
