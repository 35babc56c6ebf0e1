"""Methods: how examples of each kind become tokens, a loss, and metrics."""

from mgte.evaluate.fine_tuning.methods.build import build_method
from mgte.evaluate.fine_tuning.methods.method import Item, Measured, Method, Outputs

__all__ = ["Item", "Measured", "Method", "Outputs", "build_method"]
