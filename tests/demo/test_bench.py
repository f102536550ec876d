"""The benchmark harness: its arithmetic, what it measures, and one whole small run of it.

It lies here since `tests/bench` is not collected: a benchmark is no test.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import captured, hours, measure, ways_back
from tests.bench.__main__ import arguments, chosen, wanted_groups
from tests.bench.captured import Captured, why_not_captured
from tests.bench.figures import Figure, Summaries, figures
from tests.bench.groups import Group, works
from tests.bench.hours import Hour, Month
from tests.bench.looking import Looking
from tests.bench.measure import Pipeline, StepFailed, run
from tests.bench.repairs import Repair
from tests.bench.samples import Sample, rotated, summarise
from tests.bench.tools import Stage
from tests.bench.ways_back import Back, Way
from tests.servers.postgres import temporary_directory

MB = 1_000_000


def sample(seconds: float = 1.0, peak: int = 100 * MB, stored: int = 170 * MB, objects: int = 10) -> Sample:
    return Sample(seconds, seconds, None, peak, stored, objects)


def python(program: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program]


class TestArithmetic:
    @given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9))
    def test_a_summary_is_the_middle_of_its_runs(self, seconds: list[float]) -> None:
        summary = summarise([sample(value) for value in seconds])
        at_most = sum(value <= summary.seconds for value in seconds)
        at_least = sum(value >= summary.seconds for value in seconds)
        assert min(at_most, at_least) >= len(seconds) / 2
        assert summary.fastest == min(seconds)
        assert summary.slowest == max(seconds)
        assert summary.runs == len(seconds)

    def test_one_outlier_does_not_move_the_result(self) -> None:
        summary = summarise([sample(2.0), sample(30.0), sample(2.2)])
        assert summary.seconds == 2.2
        assert summary.spread == pytest.approx(28 / 2.2)

    def test_server_time_is_told_only_where_every_run_knows_it(self) -> None:
        known = Sample(1, 1, 0.5, 1, 1, 1)
        assert summarise([known, known]).server_cpu_seconds == 0.5
        assert summarise([known, sample()]).server_cpu_seconds is None

    def test_nothing_measured_gives_no_number(self) -> None:
        with pytest.raises(ValueError, match="nothing"):
            summarise([])

    @given(st.lists(st.integers(), unique=True), st.integers(0, 20))
    def test_each_round_starts_with_another_tool_and_has_all(self, tools: list[int], number: int) -> None:
        order = rotated(tools, number)
        assert sorted(order) == sorted(tools)
        if tools:
            assert order[0] == tools[number % len(tools)]


SECOND_SECONDS = 6.5

PEERS: Summaries = {
    ("restic", Stage.FIRST): summarise([sample(6.0, stored=170 * MB)]),
    ("restic", Stage.SECOND): summarise([sample(SECOND_SECONDS, stored=162 * MB)]),
    ("dump", Stage.RESTORE): summarise([sample(10.0)]),
    ("dump", Stage.REPAIR): summarise([sample(10.0)]),
}


class TestFigures:
    def ours(
        self,
        *,
        seconds: float,
        stored: int,
        added: int,
        restore: float,
        peak: int,
        objects: int,
        repair: float,
        second: float,
    ) -> Summaries:
        return {
            **PEERS,
            ("cas", Stage.FIRST): summarise([sample(seconds, peak, stored, objects)]),
            ("cas", Stage.SECOND): summarise([sample(second, peak, added, 3)]),
            ("cas", Stage.RESTORE): summarise([sample(restore, peak)]),
            ("cas", Stage.REPAIR): summarise([sample(repair, peak)]),
        }

    def test_exactly_at_every_limit_is_reached(self) -> None:
        full = self.ours(
            seconds=7.8,
            stored=255 * MB,
            added=1_620_000,
            restore=13.0,
            peak=350 * MB,
            objects=33,
            repair=2.0,
            second=SECOND_SECONDS / 4,
        )
        quarter = {("cas", Stage.FIRST): summarise([sample(peak=350 * MB)])}
        found = figures(full, quarter, Repair(1000, 2.01, 5 * MB), Looking(1000, 0.3, 0.3), 3165)
        assert [figure.met for figure in found] == [True] * 15

    def test_just_above_every_limit_is_missed(self) -> None:
        full = self.ours(
            seconds=7.81,
            stored=256 * MB,
            added=1_630_000,
            restore=13.1,
            peak=351 * MB,
            objects=34,
            repair=2.1,
            second=0.0,
        )
        full = {
            **full,
            ("cas", Stage.SECOND): summarise([sample(SECOND_SECONDS / 4 + 0.01, 351 * MB, 1_630_000, 4)]),
        }
        quarter = {("cas", Stage.FIRST): summarise([sample(peak=280 * MB)])}
        found = figures(full, quarter, Repair(1000, 2.02, 5 * MB + 1), Looking(1000, 0.31, 0.31), 3165)
        assert [figure.met for figure in found] == [False] * 15

    def test_what_was_not_measured_is_neither_reached_nor_missed(self) -> None:
        for found in (figures(PEERS, {}), figures({}, {})):
            assert {(figure.met, figure.reached) for figure in found} == {(None, "")}

    def test_a_figure_without_its_peer_is_not_measured(self) -> None:
        alone = {("cas", Stage.FIRST): summarise([sample(objects=5)])}
        by_name: dict[str, Figure] = {figure.name: figure for figure in figures(alone, {})}
        assert by_name["first version, seconds: cas / restic"].met is None
        assert by_name["first version, objects written"].met is True


def met(found: list[Figure]) -> list[bool | None]:
    return [figure.met for figure in found]


class TestGroupsOfFigures:
    """Each group's limits, exactly reached and just missed."""

    def captured(self, seconds: float, stored: int, objects: int) -> Captured:
        ours = summarise([sample(seconds, stored=stored, objects=objects)])
        restic = summarise([sample(6.0, stored=162 * MB)])
        return Captured(1000, ours, ours, ours, [0.1], restic)

    def test_a_version_by_capture(self) -> None:
        assert met(self.captured(0.2, 512_000, 3).figures()) == [True] * 3
        assert met(self.captured(0.21, 513_000, 4).figures()) == [False] * 3
        reached = [figure.reached for figure in self.captured(0.2, 512_000, 3).figures()]
        assert reached == ["1/30.0", "512 (restic 162,000)", "3"]

    def test_without_restic_only_the_time_is_not_measured(self) -> None:
        ours = summarise([sample(9.0, stored=1000, objects=1)])
        assert met(Captured(1000, ours, ours, ours, [0.1], None).figures()) == [None, True, True]

    def month(self, stored: int, seconds: list[float]) -> Month:
        samples = [Hour(number, sample(one)) for number, one in enumerate(seconds)]
        return Month(720, 1000, 200 * MB, stored, 2000, 172 * MB, 900.0, samples)

    def test_a_month_of_versions(self) -> None:
        assert met(self.month(344 * MB, [1.0]).figures()) == [True]
        assert met(self.month(345 * MB, [1.0]).figures()) == [False]
        assert self.month(344 * MB, [1.0]).bytes_per_change == 200

    def test_whether_versions_get_slower(self) -> None:
        grown = self.month(1, [1.0, 1.2, 5.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.5, 4.0])
        assert grown.quarters == (1.2, 3.5)
        assert self.month(1, [2.0]).quarters == (2.0, 2.0)

    def test_ways_back(self) -> None:
        for xmin, capture, reached in ((2.0, 0.5, True), (2.01, 0.51, False)):
            seconds = {Way.SCAN: 9.0, Way.XMIN: xmin, Way.CAPTURE: capture}
            restores = {way: summarise([sample(one)]) for way, one in seconds.items()}
            found = Back(
                restores, restores, dict.fromkeys(Way, 1000), summarise([sample(10.0)]), is_equal=True
            )
            assert met(found.figures()) == [reached, reached]

    def test_what_was_not_measured_is_neither_reached_nor_missed(self) -> None:
        for found in (captured.figures(None), hours.figures(None, 720), ways_back.figures(None)):
            assert found
            assert {(figure.met, figure.reached) for figure in found} == {(None, "")}

    @pytest.mark.parametrize("read_by", ["capture", "xmin", "scan"])
    def test_a_version_that_was_read_in_another_way_is_no_sample(self, read_by: str, tmp_path: Path) -> None:
        entities = [
            {"label": "public.suppliers", "read_by": "scan", "read_reason": "other"},
            {"label": "public.products", "read_by": read_by, "read_reason": "why"},
        ]
        receipt = tmp_path / "snapshot.json"
        receipt.write_text(json.dumps({"version": {"entities": entities}}))
        assert why_not_captured(receipt) == ("" if read_by == "capture" else f"by {read_by}, why")

    def test_groups_can_be_measured_alone(self) -> None:
        assert wanted_groups(arguments([]), ["cas"]) == set(Group)
        assert wanted_groups(arguments(["--only", "hours", "back"]), ["cas"]) == {Group.HOURS, Group.BACK}
        assert wanted_groups(arguments([]), ["restic"]) == {Group.ROUNDS}
        assert Group.HOURS not in works(arguments(["--hours", "0"]))
        assert {*works(arguments([])), Group.ROUNDS, Group.MEMORY, Group.LOOKING} == set(Group)


class TestMeasuring:
    def test_peak_memory_is_the_programs_and_not_the_harness(self, tmp_path: Path) -> None:
        ballast = bytearray(200 * MB)
        ballast[::4096] = b"x" * len(ballast[::4096])
        cost = run(Pipeline([python("pass")]), errors=tmp_path / "errors")
        assert cost.peak_bytes < 50 * MB
        large = run(Pipeline([python("x = b'x' * 100_000_000")]), errors=tmp_path / "errors")
        assert 100 * MB < large.peak_bytes < 150 * MB

    def test_time_of_children_counts_and_sleep_does_not(self, tmp_path: Path) -> None:
        busy = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
        child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
        cost = run(Pipeline([python(child)]), errors=tmp_path / "errors")
        assert 0.3 <= cost.cpu_seconds <= cost.seconds + 0.2
        asleep = run(Pipeline([python("import time; time.sleep(0.5)")]), errors=tmp_path / "errors")
        assert asleep.seconds >= 0.5
        assert asleep.cpu_seconds < 0.3

    def test_a_pipeline_passes_its_bytes_on_and_ends_with_its_slowest(self, tmp_path: Path) -> None:
        source = python("import sys; sys.stdout.write('record\\n' * 100_000)")
        count = python("import sys; print(len(sys.stdin.read()))")
        output = tmp_path / "count"
        run(Pipeline([source, count], {}, output), errors=tmp_path / "errors")
        assert output.read_text() == "700000\n"

    @pytest.mark.parametrize("place", [0, 1])
    def test_a_program_that_fails_anywhere_is_named_with_its_words(self, place: int, tmp_path: Path) -> None:
        commands = [python("pass"), python("import sys; sys.stdin.read()")]
        commands[place] = python("import sys; sys.exit('no room left')")
        with pytest.raises(StepFailed, match="ended with 1: no room left"):
            run(Pipeline(commands), errors=tmp_path / "errors")

    def test_a_program_that_hangs_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(measure, "LONGEST_SECONDS", 0.5)
        started = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):
            run(Pipeline([python("import time; time.sleep(60)")]), errors=tmp_path / "errors")
        assert time.monotonic() - started < 10

    def test_every_new_or_rewritten_file_counts_as_written(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        (tmp_path / "same").write_bytes(b"12345")
        (tmp_path / "deep" / "rewritten").write_bytes(b"12345")
        before = measure.stored(tmp_path)
        (tmp_path / "deep" / "new").write_bytes(b"123")
        (tmp_path / "deep" / "rewritten").write_bytes(b"1234567")
        after = measure.stored(tmp_path)
        assert after.written_since(before) == 2
        assert after.bytes - before.bytes == 5


def test_peers_that_are_not_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tools, left_out = chosen(arguments(["--peers-only"]), tmp_path)
    assert left_out["restic"] == "no program 'restic' on this machine"
    assert left_out["borg"] == "no program 'borg' on this machine"
    assert [tool.name for tool in tools] == ["dump", "zstd"]
    assert "Python's zstandard" in tools[1].stages[Stage.FIRST]


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """Not pytest's: another pytest of the same user clears old ones away, and with them a running server."""
    with temporary_directory() as directory:
        yield directory


def test_a_small_run_against_the_peers_that_are_here(short_directory: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--records", "2000", "--runs", "1", "--peers-only"]
    done = subprocess.run(
        [*command, "--directory", str(short_directory), "--output", str(short_directory / "out")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in short_directory.iterdir()] == ["out"]
    found = json.loads(next((short_directory / "out").glob("*.json")).read_text())
    measured = {(median["tool"], median["stage"]): median for median in found["medians"]}
    assert {("copy", "first"), ("dump", "first"), ("zstd", "first"), ("dump", "restore")} <= set(measured)
    for peer in ("restic", "borg"):
        # Either measured in full or named as left out, whatever this machine has.
        stages = {stage for tool, stage in measured if tool == peer}
        assert (stages == {"first", "second"}) != (peer in found["left_out"])
    assert len(found["noise_seconds"]) == 3
    assert found["restored_equal"] == {"dump": True}
    assert found["rows"]["products"] == 2000
    assert measured["dump", "first"]["stored_bytes"] > 100_000
    assert "Left out: cas" in done.stdout
    ElementTree.parse(next((short_directory / "out").glob("*.svg")))


def test_a_small_version_by_capture(short_directory: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--records", "2000", "--runs", "1", "--only", "capture"]
    done = subprocess.run(
        [*command, "--directory", str(short_directory), "--output", str(short_directory / "out")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in short_directory.iterdir()] == ["out"]
    found = json.loads(next((short_directory / "out").glob("*.json")).read_text())
    measured = found["groups"]["capture"]
    assert measured["changed"] == 2
    assert measured["ours"]["stored_bytes"] > measured["idle"]["stored_bytes"] > 0
    assert min(measured["ours"]["seconds"], measured["start"]["seconds"], *measured["running"]) > 0
    assert len(found["noise_seconds"]) == 2
    assert {figure["name"].partition(",")[0] for figure in found["figures"]} == {"version by capture"}
    assert {one["tool"] for one in found["medians"]} <= {"copy"}
    ElementTree.parse(next((short_directory / "out").glob("*.svg")))
