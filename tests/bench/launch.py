"""Run one pipeline and say what it cost. A program of its own: `python -I -S launch.py`, spec on stdin.

It stands between the harness and the measured programs because Linux counts the memory of the
process that starts a program towards that program's peak: here that is a few megabytes, whatever
the harness has loaded. Only the standard library is imported, and little of it.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    spec = json.load(sys.stdin)
    environment = {**os.environ, **spec["environment"]}
    running: list[subprocess.Popen[bytes]] = []
    with open(spec["errors"], "wb") as errors, open(spec["output"], "wb") as output:
        started = time.perf_counter()
        for place, command in enumerate(spec["commands"]):
            last = place == len(spec["commands"]) - 1
            process = subprocess.Popen(
                command,
                stdin=running[-1].stdout if running else subprocess.DEVNULL,
                stdout=output if last else subprocess.PIPE,
                stderr=errors,
                env=environment,
            )
            if running and running[-1].stdout is not None:
                running[-1].stdout.close()
            running.append(process)
        processes = []
        for process in running:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu = usage.ru_utime + usage.ru_stime
            processes.append({"code": process.returncode, "cpu": cpu, "peak": usage.ru_maxrss * PEAK_UNIT})
        seconds = time.perf_counter() - started
    json.dump({"seconds": seconds, "processes": processes}, sys.stdout)


PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which the system counts ru_maxrss."""

if __name__ == "__main__":
    main()
