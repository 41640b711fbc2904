"""What every benchmark prints beside its figures: the machine; and what a process has used so far."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from mailwake.service.fork_server import PROCESS_NAME


def describe_machine() -> str:
    """CPU, cores, kernel and Python on one line."""
    model = "unknown CPU"
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        lines = [line for line in cpu_info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def cpu_split(pid: int) -> tuple[float, float]:
    """User and system time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / ticks, int(fields[12]) / ticks


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, together."""
    return sum(cpu_split(pid))


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def children(pid: int) -> list[int]:
    """The processes that this one started and that still run, its fork server apart."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            name, _, rest = (entry / "stat").read_text().rpartition(")")
            if int(rest.split()[1]) == pid and not name.endswith(f"({PROCESS_NAME}"):
                found.append(int(entry.name))
        except (OSError, ValueError, IndexError):
            continue
    return sorted(found)
