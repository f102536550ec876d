"""On what the measurements were made."""

import os
import platform
from pathlib import Path


def description() -> dict[str, object]:
    """Cores, processor, memory, system; nothing that names the machine."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": load(),
    }


def load() -> list[float]:
    """Processes that ran or waited to, on average over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def _field(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
