"""Damage to one table, and what a restore into the running database says that it cost to mend it."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

REPAIRED = "products"
DAMAGED_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class Repair:
    """What one repair by ours said of itself: records that changed, how long writers were locked out, and
    bytes of the server's log."""

    changed: int
    lock_seconds: float
    wal_bytes: int


def damage(url: str, seed: int) -> int:
    """Overwrite a field of some records at random; how many."""
    with psycopg.connect(url, autocommit=True) as connection:
        (highest,) = connection.execute("SELECT max(id) FROM products").fetchall()[0]
        chosen = random.Random(seed).sample(range(1, highest + 1), min(DAMAGED_RECORDS, highest))
        updated = connection.execute(
            "UPDATE products SET name = 'damaged ' || id WHERE id = ANY (%s)", [chosen]
        )
        return updated.rowcount


def repair_of(output: Path) -> Repair:
    """From the JSON that `cas restore` printed. KeyError where it says none of it."""
    result: Mapping[str, Any] = json.loads(output.read_text())["receipt"]
    changed = sum(result[name] for name in ("inserted", "updated", "deleted"))
    return Repair(changed, result["lock_seconds"], result["wal_bytes"])


def middle(repairs: Sequence[Repair]) -> Repair | None:
    """Medians, each quantity for itself."""
    if not repairs:
        return None
    return Repair(
        round(median(one.changed for one in repairs)),
        median(one.lock_seconds for one in repairs),
        round(median(one.wal_bytes for one in repairs)),
    )
