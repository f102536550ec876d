"""The README's five minutes, as a reader types them."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def commands() -> list[str]:
    """The lines of the blocks that are marked as shell, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


def test_the_tour_runs_from_top_to_bottom_in_an_empty_home(tmp_path: Path) -> None:
    script = "set -eu\n" + "\n".join(f"echo '$ {line}'\n{line}" for line in commands())
    environment = {
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = done.stdout
    assert len(commands()) >= 10
    for command in commands():
        assert f"$ {command}" in shown
    tour = shown.split("$ cas versions\n", 1)[1]
    assert "before the spring import" in tour
    assert "public.products 42" in tour


def test_the_two_commands_stand_first_and_exist() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.index("make run") < text.index("make test") < text.index("## Five minutes")
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^run:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
