"""The five workloads as token id sequences: what is asked of an encoder, by length.

* W1: short queries, lognormal with mean 12 tokens;
* W2: passages, mean 130, standard deviation 90, at most 512;
* W3: 80 % passages of W2, 20 % documents of 1,000 to 4,000 tokens;
* W4: one document of 8,192 tokens;
* W5: query and passage pairs for a reranker, 12 + 130 tokens.

Counts are smaller than the lengths' statistics need, so that a run of everything ends in minutes;
the figures count real tokens only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TITLES = {
    "W1": "short queries (mean 12 tokens)",
    "W2": "passages (mean 130, max 512)",
    "W3": "80 % passages, 20 % documents of 1k to 4k tokens",
    "W4": "one document of 8,192 tokens",
    "W5": "rerank pairs (12 + 130 tokens)",
}
_COUNTS = {"W1": 256, "W2": 64, "W3": 15, "W4": 1, "W5": 64}
_QUICK_COUNTS = {"W1": 64, "W2": 16, "W3": 10, "W4": 1, "W5": 16}
_FIRST_PLAIN_ID = 1000
_LONG = 1000


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Token ids to be encoded.

    Attributes:
        name: "W1" to "W5".
        sequences: Token ids of each text.
    """

    name: str
    sequences: list[list[int]]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence."""
        return [len(sequence) for sequence in self.sequences]

    @property
    def warm_up(self) -> list[list[int]]:
        """What an engine runs once before it is timed: all, or a part where all takes long."""
        if max(self.lengths) <= _LONG:
            return self.sequences
        return [sequence[:_LONG] for sequence in sorted(self.sequences, key=len)[:2]]

    @property
    def num_tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(self.lengths)


def build_workload(
    name: str, *, vocab_size: int, max_tokens: int, quick: bool, seed: int = 0
) -> Workload:
    """The same sequences for every engine.

    Args:
        name: "W1" to "W5".
        vocab_size: Ids are drawn from here.
        max_tokens: Longest sequence of the model; longer ones are cut.
        quick: Whether to draw a quarter as many.
        seed: Of lengths and ids; calibration takes another one.

    Returns:
        The workload.
    """
    random = np.random.default_rng([seed, int(name[1])])
    count = (_QUICK_COUNTS if quick else _COUNTS)[name]
    lengths = np.minimum(_lengths(name, count, random), max_tokens)
    return Workload(
        name=name,
        sequences=[
            random.integers(_FIRST_PLAIN_ID, vocab_size - 100, length).tolist()
            for length in lengths
        ],
    )


def _lengths(name: str, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    if name == "W1":
        # A lognormal of mean m has the location ln(m) - sigma^2 / 2.
        sigma = 0.5
        drawn = random.lognormal(np.log(12) - sigma**2 / 2, sigma, count)
        return np.clip(drawn.round(), 3, 64).astype(np.int64)
    if name == "W2":
        return _passages(count, random)
    if name == "W3":
        num_long = count // 5
        documents = random.integers(1000, 4001, num_long)
        return np.concatenate([_passages(count - num_long, random), documents])
    if name == "W4":
        return np.array([8192])
    return 12 + _passages(count, random)


def _passages(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """A gamma distribution has the mean and the deviation without negative lengths."""
    shape = (130 / 90) ** 2
    drawn = random.gamma(shape, 130 / shape, count)
    return np.clip(drawn.round(), 8, 500).astype(np.int64)
