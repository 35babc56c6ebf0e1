"""Finds the compiled kernels beside the package and asks whether this machine can run them."""

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ABI_VERSION = 1
_SWITCH = "MGTE_KERNELS"


@dataclass(frozen=True, slots=True)
class LoadedLibrary:
    """The outcome of the search.

    Attributes:
        library: The shared object; None if it cannot be used.
        reason: Why not, as the end of a sentence; empty if it can.
        has_bfloat16: Whether the bfloat16 attention kernel runs on this processor.
    """

    library: ctypes.CDLL | None
    reason: str = ""
    has_bfloat16: bool = False


def is_available() -> bool:
    """Whether the compiled kernels are built, switched on and supported by this processor."""
    return load_library().library is not None


@cache
def load_library() -> LoadedLibrary:
    """Load the compiled kernels, once per process. `MGTE_KERNELS=0` switches them off."""
    if os.environ.get(_SWITCH, "1") == "0":
        return LoadedLibrary(None, f"are switched off by {_SWITCH}=0")
    paths = sorted(Path(__file__).parent.glob("_native*.so"))
    if not paths:
        return LoadedLibrary(None, "are not built (no C compiler at installation)")
    try:
        library = ctypes.CDLL(str(paths[0]))
        version = library.mgte_abi_version()
    except (OSError, AttributeError) as error:
        return LoadedLibrary(None, f"cannot be loaded: {error}")
    if version != _ABI_VERSION:
        return LoadedLibrary(None, f"are of build {version}, this package needs {_ABI_VERSION}")
    features = library.mgte_cpu_features()
    if not features & 1:
        return LoadedLibrary(None, "need a processor with AVX-512 (F, BW, VL, DQ)")
    return LoadedLibrary(library, has_bfloat16=bool(features & 2))
