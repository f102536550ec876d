"""`python -m tests.reference_sealing`: lists and restores the versions of a sealed store."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests import reference_sealing as reference
from tests.engine.scenes import PRODUCTS
from tests.sealing.scenes import IDENTITY_FILE, KEY_FILE, PASSPHRASE
from tests.sealing.sealed_life import CODE, GOOD, Bucket, Life, life_in, require_records


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return life_in(tmp_path_factory.mktemp("sealed"))


def command(bucket: Bucket, way: str, *more: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.reference_sealing", str(bucket.root), way, *more],
        input=typed,
        capture_output=True,
        text=True,
        cwd=Path(reference.__file__).parents[1],
        check=False,
    )


@pytest.mark.parametrize("kind", GOOD)
def test_the_command_restores_with_each_secret(
    kind: str, life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY_FILE.content + b"\n")
    identities = tmp_path / "identities"
    identities.write_bytes(IDENTITY_FILE)
    ways = {"file": f"file:{file}", "command": f"command:{life.after.command}", "age": f"age:{identities}"}
    typed = {"passphrase": PASSPHRASE.text + "\n", "recovery": CODE.text().lower() + "\n"}
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed.get(kind, "")))
    out = tmp_path / "out"
    assert reference.main([str(life.after.root), ways.get(kind, kind), "4", str(out)]) == 0
    lines = (out / f"{PRODUCTS.label}.copy").read_bytes().splitlines()
    require_records(lines, life.after.states[3], PRODUCTS)


def test_the_command_lists_and_refuses_in_a_process_of_its_own(life: Life) -> None:
    listed = command(life.after, "passphrase", typed=PASSPHRASE.text + "\n")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["1", "2", "3", "4"]
    wrong = command(life.after, "passphrase", typed="a wrong passphrase\n")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("error: locked")


@pytest.mark.parametrize("way", ["colour", "command:false", "file:/nowhere"])
def test_the_command_says_what_is_wrong_with_a_way(
    way: str, life: Life, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reference.main([str(life.after.root), way]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert reference.main([str(life.after.root)]) == 2
