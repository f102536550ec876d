"""A trial from its first object to the removal of its last."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cas.errors import CasError
from cas.probing import consistency, contents, racing
from cas.probing.linking import links_of
from cas.probing.measuring import latencies, throughput
from cas.probing.model import Finding, Latency, StoreTrial, Throughput, Verdict
from cas.probing.place import Broken, Place
from cas.progress import Progress, Silent
from cas.store.interface import Store
from cas.store.options import StoreOptions

PREFIX = ".cas-test-"
"""Of everything that a trial writes, with a random end."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that a store must do. `meaning`: what follows if it does not, judged as `failing`."""

    name: str
    check: Callable[[Place], str]
    meaning: str
    failing: Verdict = Verdict.BROKEN


_NOT_AT_ALL = "this store must not hold a repository"
_ONE_WRITER = (
    "two writers can both win, so two versions may get one number, and one of them is lost: this store must "
    "not hold a repository"
)
_LATE = (
    "who collects garbage may miss what a version needs, and who reads may miss what is there: this store "
    "must not hold a repository"
)

PROMISES = (
    Promise("reads", contents.reads_back, f"what is kept is damaged: {_NOT_AT_ALL}"),
    Promise("ranges", contents.reads_ranges, f"packs are read in ranges: {_NOT_AT_ALL}"),
    Promise("keys", contents.takes_all_keys, f"objects overwrite each other: {_NOT_AT_ALL}"),
    Promise("order", contents.lists_in_order, f"listings go on from where they broke off: {_NOT_AT_ALL}"),
    Promise("create-only", racing.leaves_alone, _ONE_WRITER),
    Promise("one winner", racing.has_one_winner, _ONE_WRITER),
    Promise("create-only, large", racing.leaves_large_alone, _ONE_WRITER),
    Promise(
        "one winner, large",
        racing.has_one_winner_of_large,
        "two writers can both win an object that goes up in parts. Only packs are that large, and each is "
        "named by the hash of its bytes, so two writers of one name have the same: a repository is safe, and "
        "other programs that rely on it are not",
        Verdict.WEAK,
    ),
    Promise(
        "whole objects", contents.replaces_whole, f"a reader may take a part for the whole: {_NOT_AT_ALL}"
    ),
    Promise("read at once", consistency.reads_at_once, f"a version may miss its own packs: {_NOT_AT_ALL}"),
    Promise(
        "gone at once",
        consistency.deletes_at_once,
        "what was given back may be used again, and room is not freed: do not collect garbage in this store",
    ),
    Promise("listed at once", consistency.lists_at_once, _LATE),
    Promise("unlisted at once", consistency.unlists_at_once, _LATE),
)
"""In the order in which they are tried: what later ones rest on comes first."""


def trial_options(options: StoreOptions) -> StoreOptions:
    """How stores are opened for a trial: parts early, and a connection for every racer."""
    return replace(
        options,
        multipart_threshold_bytes=racing.MULTIPART_BYTES,
        part_bytes=racing.PART_BYTES,
        connections=max(options.connections, 2 * racing.RACERS),
    )


def fresh_prefix() -> str:
    """Where a trial writes: a segment of keys that nothing else has."""
    return f"{PREFIX}{os.urandom(8).hex()}"


def try_store(
    open_store: Callable[[], Store],
    prefix: str,
    progress: Progress | None = None,
    *,
    left: Callable[[tuple[str, ...]], None] = lambda _keys: None,
    retries: Callable[[], int] = lambda: 0,
) -> StoreTrial:
    """Try a store out, below a fresh `prefix` of it, and remove what was written.

    `open_store` opens it anew, as another process would. What is written is removed whatever happens, an
    interruption included; `left` is told what could not be. Raises what the very first calls raise, since
    then there is nothing to try (no such bucket, no rights); whatever fails later is a finding.
    """
    progress = progress or Silent()
    began = time.monotonic()
    writer, reader = open_store(), open_store()
    place = Place(writer, reader, prefix)
    behind: tuple[str, ...] = ()
    try:
        progress.phase("first object")
        _begin(place)
        findings = tuple(_tried(place, promise, progress) for promise in PROMISES)
        times, speed, unmeasured = _measured(place, progress)
        links = links_of(reader, prefix)
    finally:
        progress.phase("tidying up")
        behind = place.remove()
        if behind:
            left(behind)
        writer.close()
        reader.close()
    findings = (*findings, *unmeasured)
    return StoreTrial(
        store=reader.url,
        passed=not behind and all(finding.verdict is not Verdict.BROKEN for finding in findings),
        findings=findings,
        latencies=times,
        throughput=speed,
        links=links,
        retries=retries(),
        left_behind=behind,
        seconds=time.monotonic() - began,
    )


def _begin(place: Place) -> None:
    """List, write and read once: what fails here is no matter of promises."""
    place.listed()
    place.reader.get(place.put("first", b"the first object of a trial"))


def _tried(place: Place, promise: Promise, progress: Progress) -> Finding:
    progress.phase(promise.name)
    try:
        return Finding(promise.name, Verdict.KEPT, promise.check(place))
    except Broken as broken:
        return Finding(promise.name, promise.failing, str(broken), promise.meaning)
    except CasError as error:
        return Finding(promise.name, promise.failing, str(error.what), promise.meaning)


def _measured(
    place: Place, progress: Progress
) -> tuple[tuple[Latency, ...], Throughput | None, tuple[Finding, ...]]:
    """Figures; or why there are none."""
    progress.phase("measuring")
    try:
        return latencies(place), throughput(place), ()
    except (Broken, CasError) as error:
        seen = error.what if isinstance(error, CasError) else str(error)
        return (), None, (Finding("figures", Verdict.BROKEN, seen, "it cannot be measured"),)
