"""Tiles of rows: what one product takes at a time."""

from collections.abc import Iterator

from mgte.inference.runtimes.prepared_linear import padded_rows
from mgte.kernels import EncodedRows

# A tile's product may read this many rows behind the tile.
PADDING_ROWS = 32


def first_rows(rows: EncodedRows, count: int) -> EncodedRows:
    """The first `count` rows."""
    scale = None if rows.scale is None else rows.scale[:count]
    return EncodedRows(values=rows.values[:count], scale=scale)


def slice_rows(rows: EncodedRows, tile: range, *, is_padded: bool = True) -> EncodedRows:
    """The rows of a tile, with the rows behind it that pad a product."""
    stop = tile.start + (padded_rows(len(tile)) if is_padded else len(tile))
    scale = None if rows.scale is None else rows.scale[tile.start : stop]
    return EncodedRows(values=rows.values[tile.start : stop], scale=scale)


def row_tiles(rows: range, most: int) -> Iterator[range]:
    """Ranges of about equal size, none above `most`, a multiple of 32."""
    if not rows:
        return
    count = -(-len(rows) // most)
    size = padded_rows(-(-len(rows) // count))
    for start in range(rows.start, rows.stop, size):
        yield range(start, min(start + size, rows.stop))


def part_of(size: int, member: int, num_members: int) -> range:
    """One of `num_members` about equal parts of `range(size)`."""
    return range(size * member // num_members, size * (member + 1) // num_members)
