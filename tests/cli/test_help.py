"""What a person meets first: help with examples, the version, completion, and no box drawn around errors."""

import itertools
import re
import subprocess
import sys

import pytest

import cas as program
from cli.commands import NAMES
from cli.exit_codes import ExitCode
from tests.cli.running import Place

COMMANDS = sorted(
    set(NAMES) - {"catalog", "capture", "auto-save", "retention", "replica", "store", "key", "bundle"}
)
"""All but those that have commands of their own."""


def test_help_lists_every_command_and_every_exit_code(bare: Place) -> None:
    ran = bare("--help")
    assert ran.code == 0
    for name in NAMES:
        assert re.search(rf"│ {name} ", ran.out), name
    words = " ".join(ran.out.split())
    for code in ExitCode:
        assert f" {code.value} {code.name.lower().replace('_', ' ')}" in words, code


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(bare: Place, name: str) -> None:
    ran = bare(name, "--help")
    assert ran.code == 0
    assert "Examples" in ran.out
    assert f"cas {name}" in ran.out.split("Examples")[1]
    for flag in ("--store", "--json", "--debug"):
        assert flag in ran.out
    assert ran.err == ""


def test_help_flows_in_a_narrow_terminal(bare: Place) -> None:
    """A line is broken where the next word has no room, and not where it is broken in the source."""
    bare.environment["COLUMNS"] = "60"
    for name in ("export", "restore", "snapshot"):
        words = bare(name, "--help").out.split("╭")[0].partition("Usage:")[2]
        for paragraph in re.split(r"\n\s*\n", words)[1:]:
            lines = [line.strip() for line in paragraph.strip().splitlines()]
            for line, following in itertools.pairwise(lines):
                assert len(line) + 1 + len(following.split(" ")[0]) > 58, (name, line, following)


def test_without_arguments_there_is_help(bare: Place) -> None:
    ran = bare.process()
    assert "snapshot" in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_a_command_is_imported_when_it_is_wanted() -> None:
    words = "import sys; import cli.main; cli.main.main({!r}); print(*sys.modules)"
    for arguments, wanted in (["--version"], False), (["get", "--help"], True):
        done = subprocess.run(
            [sys.executable, "-c", words.format(arguments)], capture_output=True, text=True, check=True
        )
        modules = set(done.stdout.splitlines()[-1].split())
        assert {"cli.commands.get" in modules, "psycopg" in modules} == {wanted}
        assert not modules & {"cli.commands.demo", "cli.commands.doctor", "cas.rebuild"}


def test_the_version_is_one_line(bare: Place) -> None:
    ran = bare.process("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"cas {program.__version__}\n", "")


def test_completion_offers_commands_and_flags(bare: Place) -> None:
    ran = bare.process(_CAS_COMPLETE="complete_bash", COMP_WORDS="cas sn", COMP_CWORD="1")
    assert ran.out.strip() == "snapshot"
    ran = bare.process(_CAS_COMPLETE="complete_bash", COMP_WORDS="cas versions --st", COMP_CWORD="2")
    assert "--state" in ran.out
    script = bare.process("--show-completion", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "Traceback" not in script.err


def test_nothing_is_made_by_asking_for_help(bare: Place) -> None:
    for name in COMMANDS:
        bare(name, "--help")
    assert not bare.home.exists()


def test_a_command_that_is_misspelt_is_guessed(bare: Place) -> None:
    ran = bare.process("snapshoot")
    assert ran.code == ExitCode.INVALID
    assert "'snapshot'" in ran.error


def test_an_ascii_terminal_is_no_reason_to_fail(cas: Place) -> None:
    assert cas("snapshot", "--name", "Zürich 北京").code == 0
    for arguments in (["versions"], ["show", "1"], ["versions", "--json"], ["snapshot", "--help"]):
        ran = cas.process(
            *arguments, LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="", PYTHONCOERCECLOCALE="0"
        )
        assert ran.code == 0, ran
        assert ran.out.isascii()
