"""Masking as in BERT: which tokens are predicted, and what stands in their place.

Every token's fate is a hash of its row's key and its place, so it depends neither on the process
nor on the other rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import IntArray, TokenArray
from mgte.data.config import Scheduled
from mgte.data.scheduled import check_at_least, largest
from mgte.data.seeds import WordArray, integers, uniforms
from mgte.data.text_frame import mask_id
from mgte.errors import ConfigError
from mgte.text import Tokenizer

# Draws per token: whether it is predicted, what becomes of it, and which random token.
_DRAWS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskingConfig:
    """How texts are masked.

    Attributes:
        mask_probability: Share of tokens that are predicted.
        replace_mask: Share of those that become the mask token.
        replace_random: Share of those that become a random token; the rest stay.
    """

    mask_probability: Scheduled = 0.3
    replace_mask: float = 0.8
    replace_random: float = 0.1

    def __post_init__(self) -> None:
        check_at_least(self.mask_probability, 0.0, "mask_probability")
        if not 0 < largest(self.mask_probability) <= 1:
            shown = largest(self.mask_probability)
            raise ConfigError(f"mask_probability: got {shown:g}, expected above 0 and up to 1")
        shares = (self.replace_mask, self.replace_random)
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise ConfigError(
                f"replace_mask, replace_random: got {shares[0]:g} and {shares[1]:g}, "
                "expected shares that sum to at most 1"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MaskRule:
    """What masking must know of a vocabulary.

    Attributes:
        mask_id: Id of the mask token.
        special_ids: Ids that are never masked, ascending, the mask token among them.
        regular_ids: All other ids, from which random tokens are drawn.
        replace_mask: Share of predicted tokens that become the mask token.
        replace_random: Share of them that become a random token.
    """

    mask_id: int
    special_ids: IntArray
    regular_ids: IntArray
    replace_mask: float
    replace_random: float


def mask_rule(tokenizer: Tokenizer, config: MaskingConfig) -> MaskRule:
    """Masking rule of a tokenizer.

    Args:
        tokenizer: The tokenizer.
        config: Shares.

    Returns:
        The rule.

    Raises:
        ConfigError: The tokenizer has no mask token.
    """
    mask = mask_id(tokenizer)
    special = np.array(sorted(tokenizer.special_ids | {mask}), dtype=np.int64)
    return MaskRule(
        mask_id=mask,
        special_ids=special,
        regular_ids=np.setdiff1d(np.arange(tokenizer.vocab_size), special),
        replace_mask=config.replace_mask,
        replace_random=config.replace_random,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MaskedTokens:
    """Masked sequences.

    Attributes:
        sequences: Token ids after masking.
        positions: Masked positions of each sequence, ascending.
        labels: The tokens that stood there.
    """

    sequences: tuple[TokenArray, ...]
    positions: tuple[IntArray, ...]
    labels: tuple[IntArray, ...]


def can_mask(tokens: NDArray[np.int32], rule: MaskRule) -> bool:
    """Whether a sequence holds a token that may be masked."""
    return not bool(np.isin(tokens, rule.special_ids).all())


def mask_tokens(
    sequences: Sequence[TokenArray],
    row_keys: WordArray,
    rule: MaskRule,
    probability: float,
    *,
    forced: int | None = None,
) -> MaskedTokens:
    """Mask sequences.

    Each regular token is predicted with the given probability; of those, shares become the mask
    token, a random regular token, or stay.

    Args:
        sequences: Token ids, special tokens included; they stay as they are.
        row_keys: A seed per sequence, uint64.
        rule: The rule.
        probability: Share of tokens that are predicted.
        forced: A sequence of which at least one token is predicted, whatever is drawn: the one
            that was closest to it.

    Returns:
        The masked sequences.

    Source: Devlin et al., arXiv 1810.04805, section 3.1, task 1.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    tokens = np.concatenate([np.zeros(0, np.int32), *sequences])
    keys = np.repeat(row_keys, lengths)
    places = np.arange(len(tokens)) - np.repeat(bounds[:-1], lengths)
    draws = uniforms(keys, places * _DRAWS)
    draws[np.isin(tokens, rule.special_ids)] = np.inf
    is_masked = draws < probability
    if forced is not None:
        first, last = bounds[forced], bounds[forced + 1]
        closest = first + int(np.argmin(draws[first:last]))
        is_masked[closest] |= np.isfinite(draws[closest])
    chosen = np.flatnonzero(is_masked)
    labels = tokens[chosen].astype(np.int64)
    keys, counters = keys[chosen], places[chosen] * _DRAWS
    fates = uniforms(keys, counters + 1)
    random_ids = rule.regular_ids[integers(keys, counters + 2, len(rule.regular_ids))]
    replaced = np.where(fates < rule.replace_mask + rule.replace_random, random_ids, labels)
    replaced = np.where(fates < rule.replace_mask, rule.mask_id, replaced)
    masked = tokens.copy()
    masked[chosen] = replaced
    cuts = np.searchsorted(chosen, bounds)
    spans = list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
    return MaskedTokens(
        sequences=tuple(np.split(masked, bounds[1:-1])) if len(sequences) else (),
        positions=tuple(places[chosen[first:last]] for first, last in spans),
        labels=tuple(labels[first:last] for first, last in spans),
    )
