"""Ragged lists as tables: one row per list, the rest filled."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def to_table(
    values: Float[Tensor, " items"], offsets: Int[Tensor, " rows_plus_1"], fill: float
) -> Float[Tensor, "rows longest"]:
    """Lists laid end to end, as rows of a table. Differentiable.

    Args:
        values: Items of all lists.
        offsets: Where each list starts, and the total.
        fill: What stands behind the end of a shorter list.

    Returns:
        One row per list, at least one column.
    """
    lengths = offsets.diff()
    rows = list_of_item(offsets)
    columns = torch.arange(values.shape[0], device=values.device) - offsets[:-1][rows]
    longest = max(1, int(lengths.max())) if lengths.numel() else 1
    table = values.new_full((lengths.shape[0], longest), fill)
    return table.index_put((rows, columns), values)


def list_of_item(offsets: Int[Tensor, " rows_plus_1"]) -> Int[Tensor, " items"]:
    """To which list each item belongs.

    Args:
        offsets: Where each list starts, and the total.

    Returns:
        Number of the list, per item.
    """
    numbers = torch.arange(offsets.shape[0] - 1, device=offsets.device)
    return numbers.repeat_interleave(offsets.diff())
