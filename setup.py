"""Builds the optional compiled kernels; without a C compiler the installation goes on without."""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("src/mgte/kernels/native")


class OptionalBuild(build_ext):
    """Compiles plain C for ctypes; there is no Python module inside."""

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """No PyInit function: the library is loaded by ctypes."""
        return list(ext.export_symbols or [])


setup(
    ext_modules=[
        Extension(
            "mgte.kernels._native",
            sources=sorted(str(path) for path in NATIVE.glob("*.c")),
            depends=sorted(str(path) for path in NATIVE.glob("*.h")),
            # A kernel raises its own target; flags of this machine would break others.
            extra_compile_args=["-std=c11", "-O3", "-fvisibility=hidden", "-Wno-psabi"],
            optional=True,
        )
    ],
    cmdclass={"build_ext": OptionalBuild},
)
