"""The figures to reach, computed from what was measured. What was not measured is said, not guessed."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.looking import Looking
from tests.bench.repairs import Repair
from tests.bench.samples import Summary
from tests.bench.tools import Stage

Summaries = Mapping[tuple[str, Stage], Summary]

MOST_MEMORY_BYTES = 350_000_000
OBJECT_BYTES = 8 << 20
EXTRA_OBJECTS = 3
LOCK_SECONDS = 2.0
LOCK_SECONDS_PER_RECORD = 10e-6
MOST_WAL_BYTES = 5_000_000
LOOKING_SECONDS = 0.3
MOST_BYTES_PER_CHANGE = 512


@dataclass(frozen=True, slots=True)
class Figure:
    """One promise. `reached` is empty and `met` None where a part was not measured."""

    name: str
    limit: str
    reached: str
    met: bool | None


def part(ratio: float) -> str:
    """A ratio as a part of what it is compared with: 1/30.0; one above 1 as it is."""
    return f"{ratio:.2f}" if ratio >= 1 else f"1/{1 / ratio:.1f}"


def figures(
    full: Summaries,
    quarter: Summaries,
    repair: Repair | None = None,
    looking: Looking | None = None,
    changed: int = 0,
) -> list[Figure]:
    """`quarter` holds the first version of ours at a quarter of the records; it may be empty. `repair` is
    what ours said of its repairs, `looking` what questions over many versions took. `changed`: records that
    were changed before the second version."""
    return [
        _ratio("first version, seconds: cas / restic", full, ("cas", "restic"), Stage.FIRST, "seconds", 1.3),
        _ratio(
            "first version, stored: cas / restic", full, ("cas", "restic"), Stage.FIRST, "stored_bytes", 1.5
        ),
        _ratio(
            "second version, added: cas / restic", full, ("cas", "restic"), Stage.SECOND, "stored_bytes", 0.01
        ),
        _ratio(
            "second version by age of rows, seconds: cas / restic",
            full,
            ("cas", "restic"),
            Stage.SECOND,
            "seconds",
            0.25,
        ),
        _per_change(full, changed),
        _ratio(
            "restore, seconds: cas / pg_restore -j2", full, ("cas", "dump"), Stage.RESTORE, "seconds", 1.3
        ),
        _memory(full),
        _steady_memory(full, quarter),
        *(_objects(full, stage) for stage in (Stage.FIRST, Stage.SECOND)),
        _ratio(
            "1,000 records back, seconds: cas / pg_restore --clean",
            full,
            ("cas", "dump"),
            Stage.REPAIR,
            "seconds",
            0.2,
        ),
        *_repair(repair),
        *_looking(looking),
    ]


def _repair(repair: Repair | None) -> list[Figure]:
    names = ("1,000 records back, writers locked out", "1,000 records back, bytes of the server's log")
    if repair is None:
        return [
            Figure(names[0], "at most 2 s + 10 us a record", "", None),
            Figure(names[1], "at most 5 MB", "", None),
        ]
    most = LOCK_SECONDS + LOCK_SECONDS_PER_RECORD * repair.changed
    return [
        Figure(
            names[0], f"at most {most:.2f} s", f"{repair.lock_seconds:.2f} s", repair.lock_seconds <= most
        ),
        Figure(
            names[1],
            f"at most {MOST_WAL_BYTES / 1e6:.0f} MB",
            f"{repair.wal_bytes / 1e6:.2f} MB",
            repair.wal_bytes <= MOST_WAL_BYTES,
        ),
    ]


def _looking(looking: Looking | None) -> list[Figure]:
    limit = f"at most {LOOKING_SECONDS * 1000:.0f} ms"
    names = ("`cas get` among many versions, warm", "`cas history` over many versions, warm")
    if looking is None:
        return [Figure(name, limit, "", None) for name in names]
    return [
        Figure(f"{name} ({looking.versions})", limit, f"{seconds * 1000:.0f} ms", seconds <= LOOKING_SECONDS)
        for name, seconds in zip(names, (looking.get_seconds, looking.history_seconds), strict=True)
    ]


def _ratio(
    name: str, full: Summaries, tools: tuple[str, str], stage: Stage, quantity: str, most: float
) -> Figure:
    ours, theirs = (full.get((tool, stage)) for tool in tools)
    limit = f"at most {most:g}"
    if ours is None or theirs is None or not getattr(theirs, quantity):
        return Figure(name, limit, "", None)
    ratio = getattr(ours, quantity) / getattr(theirs, quantity)
    return Figure(name, limit, f"{ratio:.4f}" if most < 0.1 else f"{ratio:.2f}", ratio <= most)


def _per_change(full: Summaries, changed: int) -> Figure:
    name, limit = "second version, stored bytes per changed record", f"at most {MOST_BYTES_PER_CHANGE}"
    ours = full.get(("cas", Stage.SECOND))
    if ours is None or not changed:
        return Figure(name, limit, "", None)
    each = ours.stored_bytes / changed
    return Figure(name, limit, f"{each:.0f}", each <= MOST_BYTES_PER_CHANGE)


def _memory(full: Summaries) -> Figure:
    peaks = [summary.peak_bytes for (tool, _), summary in full.items() if tool == "cas"]
    limit = f"at most {MOST_MEMORY_BYTES / 1e6:.0f} MB"
    if not peaks:
        return Figure("peak memory of any step", limit, "", None)
    return Figure(
        "peak memory of any step", limit, f"{max(peaks) / 1e6:.0f} MB", max(peaks) <= MOST_MEMORY_BYTES
    )


def _steady_memory(full: Summaries, quarter: Summaries) -> Figure:
    name, limit = "peak memory, first version: all / a quarter of the records", "0.8 to 1.2"
    large, small = full.get(("cas", Stage.FIRST)), quarter.get(("cas", Stage.FIRST))
    if large is None or small is None:
        return Figure(name, limit, "", None)
    ratio = large.peak_bytes / small.peak_bytes
    return Figure(name, limit, f"{ratio:.2f}", 0.8 <= ratio <= 1.2)


def _objects(full: Summaries, stage: Stage) -> Figure:
    name, limit = f"{stage} version, objects written", "1 per 8 MiB stored + 3"
    ours = full.get(("cas", stage))
    if ours is None:
        return Figure(name, limit, "", None)
    most = ours.stored_bytes / OBJECT_BYTES + EXTRA_OBJECTS
    return Figure(name, limit, f"{ours.objects} of {most:.1f}", ours.objects <= most)
