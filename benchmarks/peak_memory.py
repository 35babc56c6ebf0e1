"""Largest resident memory of this process."""

import resource
from pathlib import Path


def peak_kilobytes() -> int:
    """Kilobytes.

    `getrusage` of a child starts from the size of its parent; the kernel's own mark does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:", 1)[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
