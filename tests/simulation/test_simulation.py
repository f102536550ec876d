"""Schedules lose nothing; one seed is one schedule; and a fault that is put back shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.hunts import BY_WORK, HUNTS, SLOWLY
from tests.simulation.known_faults import KNOWN
from tests.simulation.missing_lines import MISSING, STOOD_IN_FOR

ROOT = Path(__file__).parents[2]
SCHEDULES = 200
PATIENCE_SECONDS = 280

LOSS = re.compile(r"^seed \d+: (version|a reader|the document|elsewhere|afterwards)", re.MULTILINE)


def simulate(*words: str) -> subprocess.CompletedProcess[str]:
    """As `make simulate` does: in a process of its own, in which sets of names have one order."""
    command = [sys.executable, "-m", "tests.simulation", "--processes", "1", *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_schedules_lose_nothing() -> None:
    done = simulate("--seeds", str(SCHEDULES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SCHEDULES} of {SCHEDULES} schedules" in done.stdout


def test_a_seed_is_one_schedule_call_by_call() -> None:
    first, second = simulate("--seed", "11"), simulate("--seed", "11")
    assert first.returncode == 0, first.stdout
    assert first.stdout == second.stdout
    assert len(first.stdout.splitlines()) > 50
    assert first.stdout != simulate("--seed", "12").stdout


def test_a_loss_is_told_with_the_seed_that_plays_it_again() -> None:
    fault = "marking without delta bases"
    done = simulate("--fault", fault, "--until-loss")
    assert done.returncode == 1
    (seed, what), *_ = re.findall(r"^seed (\d+): (.*)$", done.stdout, re.MULTILINE)
    again = simulate("--fault", fault, "--seed", seed)
    assert again.returncode == 1
    assert again.stdout.rstrip().endswith(what)
    assert simulate("--seed", seed).returncode == 0, "without the fault nothing is lost"


def test_every_fault_is_hunted() -> None:
    assert {*HUNTS} == {*KNOWN, *MISSING}
    assert {*STOOD_IN_FOR.values()} <= {*HUNTS}


@pytest.mark.parametrize("work", BY_WORK)
def test_faults_that_are_put_back_show(work: str) -> None:
    """In one process, since it takes as long to begin as to find most of them."""
    done = simulate("--hunt", *(fault for fault in BY_WORK[work] if fault not in SLOWLY))
    assert done.returncode == 0, done.stdout + done.stderr
    for told in done.stdout.split("hunting: ")[1:]:
        assert LOSS.search(told), told


@pytest.mark.thorough
@pytest.mark.parametrize("fault", SLOWLY)
def test_a_fault_that_is_put_back_shows_in_the_end(fault: str) -> None:
    done = simulate("--hunt", fault)
    assert done.returncode == 0, done.stdout + done.stderr
    assert LOSS.search(done.stdout)
