"""The scheduled jobs in infra/, as systemd and cron run them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from cli.settings import PREFIX, Settings
from tests.cli.running import COMMAND, Place

INFRA = Path(__file__).parents[2] / "infra"
UNITS = INFRA / "systemd"
JOBS = ("check", "cleanup", "replicate", "snapshot")
PROGRAM = "/usr/local/bin/cas"
SETTINGS = "/etc/cas/cas.env"
CRON = re.compile(r"(?P<when>(?:[\d*/,-]+ +){5}) *(?P<user>\S+) +(?P<command>.+)")


def unit(name: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd keep their case
    parser.read_string((UNITS / name).read_text())
    return parser


def cron_lines() -> list[dict[str, str]]:
    text = (INFRA / "crontab.example").read_text().splitlines()
    found = [CRON.fullmatch(line) for line in text if line and not re.match(r"#|[A-Z]+=", line)]
    assert all(found), "every line is a comment, a variable, or a job"
    return [line.groupdict() for line in found if line]


@pytest.fixture
def ready(cas: Place) -> Place:
    assert cas("replica", "add", "offsite", cas.directory / "offsite").code == ExitCode.OK
    return cas


def test_each_job_is_a_service_and_a_timer() -> None:
    names = {path.name for path in UNITS.iterdir()}
    assert names == {f"cas-{job}.{kind}" for job in JOBS for kind in ("service", "timer")}


@pytest.mark.parametrize("job", JOBS)
def test_a_service_runs_once_as_a_user_of_its_own(job: str) -> None:
    service = unit(f"cas-{job}.service")["Service"]
    assert (service["Type"], service["User"]) == ("oneshot", "cas")
    assert service["EnvironmentFile"] == SETTINGS
    assert service["KillMode"] == "process"
    assert (UNITS / f"cas-{job}.service").read_text().startswith("# Safe beside any other job: ")


@pytest.mark.parametrize("job", JOBS)
def test_a_timer_makes_up_for_what_it_missed(job: str) -> None:
    timer = unit(f"cas-{job}.timer")
    assert timer["Timer"]["OnCalendar"]
    assert timer["Timer"]["Persistent"] == "yes"
    assert "Unit" not in timer["Timer"], "it starts the service of its name"
    assert timer["Install"]["WantedBy"] == "timers.target"


def test_every_command_of_the_services_runs(ready: Place) -> None:
    commands = {job: shlex.split(unit(f"cas-{job}.service")["Service"]["ExecStart"]) for job in JOBS}
    for job in ("snapshot", "cleanup", "check", "replicate", *JOBS):
        program, *words = commands[job]
        assert program == PROGRAM
        ran = ready(*words)
        assert ran.code == ExitCode.OK, ran
    (status,) = ready("replica", "status", "--json").json["replicas"]
    assert status["outcome"] == "complete"
    newest = ready("versions", "--json").json["versions"][0]
    assert newest["reason"] == "by the clock"
    assert ready("retention", "show", "--json").json["last_gc"]["result"]["outcome"] == "complete"


def test_jobs_that_overlap_do_no_harm(ready: Place) -> None:
    """All four at once, twice: a second collector or copier may be refused, and nothing else."""
    assert ready("snapshot").code == ExitCode.OK
    words = [shlex.split(unit(f"cas-{job}.service")["Service"]["ExecStart"])[1:] for job in JOBS]
    started = [ready.start(*line) for line in (*words, *words)]
    codes = []
    for process in started:
        out, err = process.communicate(timeout=120)
        codes.append(process.returncode)
        assert process.returncode in (ExitCode.OK, ExitCode.CONFLICT), out + err
    assert codes.count(ExitCode.OK) >= len(JOBS), codes
    assert ready("check", "--level", "bytes").code == ExitCode.OK
    assert len(ready("versions", "--json").json["versions"]) == 3
    for line in words:
        assert ready(*line).code == ExitCode.OK


def test_cron_runs_what_systemd_runs(ready: Place, tmp_path: Path) -> None:
    """Each line, by the shell, with settings from a file alone."""
    lines = cron_lines()
    bare = [line["command"].removeprefix(f"set -a; . {SETTINGS}; cas ") for line in lines]
    units = [unit(f"cas-{job}.service")["Service"]["ExecStart"].removeprefix(f"{PROGRAM} ") for job in JOBS]
    assert sorted(bare) == sorted(units)
    assert {line["user"] for line in lines} == {"cas"}
    program, settings = tmp_path / "cas", tmp_path / "cas.env"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o700)
    settings.write_text("".join(f'{name}="{value}"\n' for name, value in ready.environment.items()))
    for line in lines:
        done = subprocess.run(
            ["/bin/sh", "-c", line["command"].replace(SETTINGS, str(settings))],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == ExitCode.OK, done
    (status,) = ready("replica", "status", "--json").json["replicas"]
    assert status["lacking"] == 0


def test_the_settings_exist() -> None:
    text = (INFRA / "cas.env.example").read_text()
    given = re.findall(r'^(?:# )?([A-Z_]+)="(.*)"$', text, re.MULTILINE)
    assert len(given) == 6
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert {name for name, _ in given} <= known | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert shlex.split(text, comments=True), "a shell can read it"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """Also their times. The program and the settings are where this machine has some."""
    made = []
    for path in sorted(UNITS.iterdir()):
        text = path.read_text().replace(PROGRAM, sys.executable).replace(SETTINGS, str(tmp_path / "env"))
        made.append(tmp_path / path.name)
        made[-1].write_text(text)
    (tmp_path / "env").write_text("")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, made)], capture_output=True, text=True
    )
    ours = [line for line in done.stderr.splitlines() if "cas-" in line]
    assert ours == [], done.stderr
    times = [unit(f"cas-{job}.timer")["Timer"]["OnCalendar"] for job in JOBS]
    assert subprocess.run(["systemd-analyze", "calendar", *times], capture_output=True).returncode == 0
