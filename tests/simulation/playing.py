"""Many schedules, on all processors: which of them lose something."""

import gc
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from traceback import format_exc

from tests.simulation.hunts import HUNTS
from tests.simulation.known_faults import put_back
from tests.simulation.schedule import begin, play
from tests.simulation.tiny import tiny

AT_ONCE = 200
"""Schedules that a process plays before it tells of them."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of some schedules, one after another."""

    played: int
    steps: int
    losses: Sequence[tuple[int, str]]


def batches(
    first: int, count: int, processes: int, fault: str = "", *, is_one_enough: bool = False
) -> Iterator[Batch]:
    """Play the schedules with these seeds; in no order. fault: one that is put back, and hunted.
    is_one_enough: a batch ends with its first loss."""
    end = first + count
    work = [(begin, min(AT_ONCE, end - begin), fault, is_one_enough) for begin in range(first, end, AT_ONCE)]
    if processes == 1:
        yield from map(_play_some, work)
        return
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=250) as pool:
        yield from pool.imap_unordered(_play_some, work)


def _play_some(work: tuple[int, int, str, bool]) -> Batch:
    first, count, fault, is_one_enough = work
    gc.set_threshold(200_000, 50, 50)  # a schedule makes many cycles, and few of them are large
    steps, losses = 0, list[tuple[int, str]]()
    seeds = range(first, first + count)
    slant = HUNTS[fault].slant if fault in HUNTS else None
    with tiny():
        for seed in seeds:
            begin(seed, slant)
        with put_back(fault):
            for seed in seeds:
                try:
                    played = play(seed, slant)
                except Exception:  # few errors survive the way to another process
                    losses.append((seed, f"it broke: {format_exc()}"))
                    continue
                steps += played.steps
                if played.loss:
                    losses.append((seed, played.loss))
                    if is_one_enough:
                        return Batch(seed + 1 - first, steps, losses)
    return Batch(count, steps, losses)


def play_all(
    first: int, count: int, processes: int, fault: str = "", *, is_one_enough: bool = False
) -> list[tuple[int, str]]:
    """All losses; tells how far it is. is_one_enough: stop at the first one."""
    began = told = time.monotonic()
    played = steps = 0
    losses: list[tuple[int, str]] = []
    for batch in batches(first, count, processes, fault, is_one_enough=is_one_enough):
        played, steps = played + batch.played, steps + batch.steps
        losses += batch.losses
        for seed, what in batch.losses:
            print(f"seed {seed}: {what}\n  again: make simulate SEED={seed}", flush=True)
        if time.monotonic() - told > 20 or played == count or (losses and is_one_enough):
            told = time.monotonic()
            rate = played / (told - began)
            print(
                f"{played:,} of {count:,} schedules, {steps:,} calls, {rate:.0f} a second, "
                f"{len(losses)} with a loss",
                flush=True,
            )
        if losses and is_one_enough:
            break
    return losses


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
