"""The README's five minutes, as a reader types them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from shlex import quote

ROOT = Path(__file__).parents[2]


def commands() -> list[str]:
    """The lines of the blocks that are marked as shell, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


def test_the_tour_runs_from_top_to_bottom_in_an_empty_home(tmp_path: Path) -> None:
    script = "set -eu\n" + "\n".join(f"echo {quote('$ ' + line)}\n{line}" for line in commands())
    environment = {
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = done.stdout
    assert len(commands()) >= 10
    for command in commands():
        assert f"$ {command}" in shown
    tour = shown.split("$ cas versions\n", 1)[1]
    assert "before the spring import" in tour
    assert "public.products 42" in tour
    story = shown.split("$ cas demo --accident\n", 1)[1]
    assert "(tree_nodes 2)" in story, "the story names the category that the demo deletes"
    deleted, plan, restored, listed, undone = (
        story.split(f"$ cas {begin}", 1)[1].split("\n$ ", 1)[0]
        for begin in ("diff latest live", "plan latest", "restore latest", "restores", "undo 2")
    )
    (inserted,) = re.findall(r"\((\d+) inserted, 0 updated, 0 deleted\)", restored)
    assert "removed" in deleted
    assert f"{inserted} records" in plan
    assert "completed" in listed
    assert f"(0 inserted, 0 updated, {inserted} deleted)" in undone
    saving = shown.split("$ cas auto-save on", 1)[1]
    assert "after any change of tree_nodes" in saving
    assert "Auto-save begins" in done.stderr
    event, followed = saving.split("$ cas event", 1)[1].split("$ cas follow", 1)
    assert " is complete: " in event
    assert "Version" not in followed.split("\n$ ", 1)[0], "nothing changed since the event"
    keeping = shown.split("$ cas retention show", 1)[1]
    assert "Kept as usual: last 50, daily 30, weekly 12, monthly 12" in keeping
    assert "Version 1 is held: case 4711" in keeping
    simulated, forgotten = keeping.split("$ cas retention simulate", 1)[1].split("$ cas forget --dry-run", 1)
    assert len(re.findall(r"^  20\d\d-", simulated, re.MULTILINE)) == 15
    previewed, cleaned = forgotten.split("$ cas gc --dry-run", 1)[1].split("$ cas cleanup", 1)
    assert re.search(r"Nothing goes: all \d+ versions stay", forgotten.split("$ cas gc", 1)[0])
    assert "are needed" in previewed or "would go" in previewed
    assert re.search(r"Nothing goes: all \d+ versions stay", cleaned)
    assert re.search(r"last gc +20\d\d-", cleaned.split("$ cas retention show", 1)[1])
    checked, listed = shown.split("$ cas check --budget 10m", 1)[1].split("$ cas versions", 1)
    assert "a full round takes 1 run like this one" in checked
    numbers = re.findall(r"^ *\d+  20\d\d-.*$", listed.split("\n$ ", 1)[0], re.MULTILINE)
    assert numbers
    assert all(" valid 20" in line for line in numbers), "all of it was read within the budget"
    assert "read whole, none longer ago than" in listed
    assert "This store keeps its promises" in shown.split("$ cas store test\n", 1)[1]
    copied, worst_day = shown.split("$ cas replicate\n", 1)[1].split("$ cas catalog rebuild", 1)
    assert re.search(r"offsite: \d+ versions copied", copied)
    assert "last 100, daily 365" in copied
    assert "up to date" in copied
    together = copied.split("$ cas replica add second", 1)[1]
    assert "second is a mirror from now on" in together
    assert "second: copied, " in together
    assert re.search(r"stores +the primary, second *$", together, re.MULTILINE)
    assert "No version matches" in together, "none is partial"
    assert "second is a mirror, and disabled" in together
    assert "0 stores with credentials in the catalog" in together
    (versions,) = re.findall(r"^offsite: (\d+) versions", copied, re.MULTILINE)
    assert f"{versions} versions taken in" in worst_day
    assert "held: case 4711" in worst_day
    assert (tmp_path / "worst-day").is_dir()
    sealing = worst_day.split("$ cas replica add elsewhere", 1)[1].split("$ cas stats\n", 1)[0]
    assert "elsewhere is a sealed replica from now on" in sealing
    assert "Nothing is wrong" in sealing
    assert "Made sealed repository" in sealing
    assert "1 key of file://" in sealing
    assert "CAS_RECOVERY_CODE=" in (tmp_path / "recovery-kit.txt").read_text()
    for copy, names in (("offsite", {"packs", "config"}), ("elsewhere", {"packs", "config", "keys"})):
        assert {path.name for path in (tmp_path / copy).iterdir()} >= names
    whole = b"".join(path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*") if path.is_file())
    assert b"repository_id" in whole
    assert not [word for word in (b"CASPACK", b"products", b"spring", b"tree_nodes") if word in whole]
    room, mended = worst_day.split("$ cas stats\n", 1)[1].split("$ cas repair --dry-run", 1)
    assert f"hold {versions} versions" in room
    assert "of the quota are taken" in room
    assert mended.count("Nothing is missing or damaged") == 2


def test_the_story_of_the_category_takes_six_commands() -> None:
    text = (ROOT / "README.md").read_text()
    story = text.split("## Someone deleted a category", 1)[1]
    (block,) = re.findall(r"^```sh\n(.*?)^```", story, re.DOTALL | re.MULTILINE)[:1]
    assert len(block.splitlines()) == 6


def test_auto_save_is_turned_on_in_three_commands() -> None:
    text = (ROOT / "README.md").read_text()
    section = text.split("## Turn on auto-save", 1)[1]
    (block,) = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[:1]
    assert len(block.splitlines()) == 3


def test_the_two_commands_stand_first_and_exist() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.index("make run") < text.index("make test") < text.index("## Five minutes")
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^run:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
