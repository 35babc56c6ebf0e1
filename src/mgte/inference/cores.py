"""How many cores this process may use: the container's CPU quota, not the machine's size."""

import math
import os
from functools import cache
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


@cache
def available_cores() -> int:
    """Cores by affinity mask and container quota (cgroup v2, then v1), at least 1."""
    return max(1, min(_affinity(), _quota(_CGROUP) or 1 << 20))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path) -> int | None:
    """Quota in whole cores, rounded down as a core that is throttled holds all others up."""
    v2, v1 = root / "cpu.max", root / "cpu"
    try:
        if v2.exists():
            limit, period = v2.read_text().split()
        else:
            limit = (v1 / "cpu.cfs_quota_us").read_text().strip()
            period = (v1 / "cpu.cfs_period_us").read_text().strip()
    except (OSError, ValueError):
        return None
    if limit in ("max", "-1"):
        return None
    return max(1, math.floor(int(limit) / int(period)))
