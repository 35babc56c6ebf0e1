"""Losses as pure functions of tensors; they return sums and counts, never means."""

from mgte.losses.sums import LossSum

__all__ = ["LossSum"]
