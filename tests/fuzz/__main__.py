"""`python -m tests.fuzz`: all parsers. `try`: search, group by group. `keep`: take over what was found."""

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.groups import GROUPS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("list", "try", "keep"), default="list")
    parser.add_argument(
        "groups", nargs="*", default=GROUPS, help="one, or a parser as people/zip; default: all"
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="of the processor, for each group")
    parser.add_argument("--home", type=Path, default=Path("fuzz-results"))
    given = parser.parse_args()
    home = given.home.absolute()
    match given.what, given.groups:
        case "list", _:
            _list()
        case "keep", groups:
            from tests.fuzz.keeping import keep  # late: what is tried must not be imported unwatched

            for group in groups:
                keep(group, home / "corpus" / group)
        case _, [group]:
            from tests.fuzz.trying import Trial  # late: atheris is not on every machine

            Trial(group, home, given.seconds).run()
        case _, groups:
            sys.exit(max([_tried(group, home, given.seconds) for group in groups]))


def _tried(group: str, home: Path, seconds: float) -> int:
    """In a process of its own; its exit code."""
    words = ["try", group, "--seconds", str(seconds), "--home", str(home)]
    return abs(subprocess.run([sys.executable, "-m", "tests.fuzz", *words], check=False).returncode)


def _list() -> None:
    from tests.fuzz.groups import targets_of  # late, as above

    for group in GROUPS:
        for target in targets_of(group):
            raises = ", ".join(sorted(kind.__name__ for kind in target.refusals))
            print(f"{group:10} {target.name:18} {raises or 'nothing'}")


if __name__ == "__main__":
    main()
