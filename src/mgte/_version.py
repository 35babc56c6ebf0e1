"""The version string, alone, so that nothing must import the package root to know it."""

__version__ = "0.1.0"
