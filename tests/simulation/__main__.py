"""make simulate: plays schedules, or one of them again, call by call.

python -m tests.simulation --seeds 100000 [--first 0] [--fault NAME]
python -m tests.simulation --seed 4711 [--fault NAME]
python -m tests.simulation --hunt NAME ...
"""

import argparse
import os
import sys
from collections.abc import Sequence

from tests.simulation.hunts import HUNTS
from tests.simulation.known_faults import KNOWN, put_back
from tests.simulation.missing_lines import MISSING
from tests.simulation.playing import play_all, processors
from tests.simulation.schedule import begin, play
from tests.simulation.tiny import tiny


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, help="how many; default 100,000, or what a fault shows in")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="only this one, with all its calls")
    parser.add_argument("--processes", type=int, default=processors())
    parser.add_argument("--until-loss", action="store_true", help="stop at the first one")
    parser.add_argument("--fault", default="", choices=["", *KNOWN, *MISSING], help="put back a known fault")
    parser.add_argument("--hunt", nargs="+", choices=[*HUNTS], help="put back these, each until it shows")
    asked = parser.parse_args()
    if asked.hunt:
        return _hunt(asked.hunt, asked.processes)
    if asked.seeds is None:
        asked.seeds = HUNTS[asked.fault].schedules if asked.fault in HUNTS else 100_000
    if asked.seed is None:
        losses = play_all(
            asked.first, asked.seeds, asked.processes, asked.fault, is_one_enough=asked.until_loss
        )
        return 1 if losses else 0
    with tiny():
        slant = HUNTS[asked.fault].slant if asked.fault in HUNTS else None
        begin(asked.seed, slant)
        with put_back(asked.fault):
            played = play(asked.seed, slant, keep_trace=True)
    print("\n".join(played.trace))
    print(f"{played.steps} calls; {played.loss or 'nothing was lost'}")
    return 1 if played.loss else 0


def _hunt(faults: Sequence[str], processes: int) -> int:
    """Tells where each shows first."""
    hidden = []
    for fault in faults:
        print(f"hunting: {fault}", flush=True)
        if not play_all(0, HUNTS[fault].schedules, processes, fault, is_one_enough=True):
            hidden.append(fault)
    print(f"not found: {'; '.join(hidden) or 'none'}")
    return 1 if hidden else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set of names is part of a schedule.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
