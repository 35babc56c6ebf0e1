"""transfer_tokens: the token table of one tokenizer made from that of another.

A checkpoint then serves other languages or subjects without losing what it knows: entries that
both tokenizers have keep their vectors, and a new entry starts where the old pieces of its text
are.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mgte.text import Piece, Tokenizer, vocabulary_pieces


def transfer_tokens(
    table: Float[Tensor, "old_tokens dim"],
    old: Tokenizer,
    new: Tokenizer,
    *,
    rows: int,
) -> Float[Tensor, "new_tokens dim"]:
    """Token vectors for a new tokenizer.

    1. Special tokens by role (cls, sep, pad, unknown).
    2. The same text at the same place (start of a word, or within one): the old vector.
    3. Else the mean over the pieces that the old tokenizer reads the text as, unknown ones left
       out; where nothing is left, the mean over the whole old table.

    Args:
        table: Vectors of the old tokenizer's entries.
        old: The old tokenizer.
        new: The new tokenizer.
        rows: Rows of the new table; those beyond the vocabulary are zero.

    Returns:
        The new table.

    Raises:
        ConfigError: A tokenizer is of a kind that does not show its entries.

    Source: Gee et al. 2022, Fast Vocabulary Transfer for Language Model Compression, section 3.
    """
    sources = _sources(old, new)
    result = table.new_zeros(rows, table.shape[1])
    result[: new.vocab_size] = table[: old.vocab_size].mean(0)
    lengths = torch.tensor([len(ids) for ids in sources])
    flat = torch.tensor([token for ids in sources for token in ids], dtype=torch.long)
    known = lengths.nonzero()[:, 0]
    # Sums by segment: as many additions as there are pieces, in a fixed order.
    owners = torch.arange(len(sources)).repeat_interleave(lengths)
    sums = table.new_zeros(rows, table.shape[1]).index_add_(0, owners, table[flat])
    result[known] = sums[known] / lengths[known, None].to(table.dtype)
    return result


def _sources(old: Tokenizer, new: Tokenizer) -> list[list[int]]:
    """Old entries by new entry."""
    places: dict[Piece, int] = {}
    for token_id, piece in enumerate(vocabulary_pieces(old)):
        places.setdefault(piece, token_id)
    # One token may play several roles: <s> is cls and bos.
    specials = {
        token_id: old.role_ids[role]
        for role, token_id in reversed(new.role_ids.items())
        if role in old.role_ids
    }
    wanted = vocabulary_pieces(new)
    unread = [
        number
        for number, piece in enumerate(wanted)
        if piece.text and not piece.is_special and piece not in places
    ]
    read = old.encode_bare([wanted[number].text for number in unread])
    by_pieces = dict(zip(unread, read, strict=True))
    sources = []
    for number, piece in enumerate(wanted):
        found: list[int]
        if number in specials:
            found = [specials[number]]
        elif piece in places:
            found = [places[piece]]
        else:
            ids = by_pieces.get(number, ())
            found = [int(token) for token in ids if token not in old.special_ids]
        sources.append(found)
    return sources
