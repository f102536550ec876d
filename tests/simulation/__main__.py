import os
import sys
import time

if os.environ.get("PYTHONHASHSEED") != "0":
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
from tests.simulation.tiny import tiny

tiny()
from tests.simulation.schedule import play

a = time.perf_counter()
first, n = int(sys.argv[1]), int(sys.argv[2])
steps = 0
for s in range(first, first + n):
    p = play(s, keep_trace=n == 1)
    steps += p.steps
    if n == 1:
        print("\n".join(p.trace))
    if p.loss:
        print(s, p.loss)
t = time.perf_counter() - a
print(f"{n} schedules, {steps / n:.0f} steps each, {t / n * 1e3:.1f} ms each")
