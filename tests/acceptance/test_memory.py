"""Memory does not grow with the database."""

import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import new_place
from tests.cli.running import Place, execute
from tests.servers.postgres import Databases

PROBE = """
import re, sys
from pathlib import Path
from cli.main import main
code = main(sys.argv[1:])
print(code, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
"""The peak of this program alone: what a parent had before it started does not count."""

STATUS = Path("/proc/self/status")
ROWS = "INSERT INTO bulk SELECT n, repeat(md5(n::text), 20) FROM generate_series({}, {}) n"
ADDED_MIB = 120_000 * 640 // 2**20
"""What the second version holds more than the first: 73 MiB of text."""


@pytest.mark.skipif(not STATUS.exists(), reason="the peak of a process is read from /proc, as Linux has it")
def test_more_records_cost_a_fraction_of_their_size_in_memory(
    tmp_path: Path, database: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = database()
    execute(source, "CREATE TABLE bulk (id integer PRIMARY KEY, text text)", ROWS.format(1, 40_000))
    place = new_place(tmp_path, database, source)
    monkeypatch.setattr("tests.cli.running.COMMAND", [sys.executable, "-c", PROBE])
    small = peak_mib(place, "snapshot")
    execute(source, ROWS.format(40_001, 160_000))
    large = peak_mib(place, "snapshot")
    assert large < 350
    assert large - small < 50 < ADDED_MIB, f"{small} MiB, then {large} MiB"
    assert peak_mib(place, "restore", "2", "--into", database(), "--yes") < 350


def peak_mib(place: Place, *arguments: str) -> int:
    ran = place.process(*arguments)
    code, peak = ran.out.splitlines()[-1].split()
    assert code == "0", ran
    return int(peak) // 1024
