"""What a trial of a store found: plain values that the command line shows and writes as JSON."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """On one promise of a store."""

    KEPT = "kept"
    WEAK = "weak"
    """It was not kept, and what is built here does not rest on it."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise. `seen` is what happened; `meaning` is empty where it was kept."""

    promise: str
    verdict: Verdict
    seen: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one small call, made one after the other."""

    call: str
    count: int
    median_seconds: float
    p95_seconds: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """Of one object that is larger than most packs."""

    object_bytes: int
    upload_bytes_per_second: float
    download_bytes_per_second: float


@dataclass(frozen=True, slots=True)
class Links:
    """Whether links under which strangers download an object can be `signed` here: no promise, since
    repositories do without. `seen` says how, or why not."""

    signed: bool
    seen: str


@dataclass(frozen=True, slots=True)
class StoreTrial:
    """`passed`: no promise is broken, and nothing is left behind. `throughput` is None, and there are no
    latencies, where the store was too broken to be measured. `left_behind` are keys below the store's URL."""

    store: str
    passed: bool
    findings: tuple[Finding, ...]
    latencies: tuple[Latency, ...]
    throughput: Throughput | None
    links: Links
    retries: int
    left_behind: tuple[str, ...]
    seconds: float
