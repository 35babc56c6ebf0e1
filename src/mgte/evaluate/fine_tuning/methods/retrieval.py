"""Retrieval: a text and what belongs to it become near vectors; others of the batch are negatives.

Source: the dual encoders of github izhx/nlu-evals, engine/run_retrieval.py: first token, cosine,
one direction.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from mgte.evaluate.fine_tuning.classification_metrics import average_precision
from mgte.evaluate.fine_tuning.config import Setting
from mgte.evaluate.fine_tuning.examples import Example, LinkedExample
from mgte.evaluate.fine_tuning.methods.method import Item, Measured, Outputs, worst_items
from mgte.evaluate.fine_tuning.network import Reading
from mgte.evaluate.fine_tuning.pools import Pool, linked_pool
from mgte.evaluate.records import WorstItem
from mgte.search import nearest_rows
from mgte.text import Tokenizer

DEPTH = 20


class RetrievalMethod:
    """Unit vectors of texts.

    Args:
        tokenizer: The encoder's tokenizer.
        setting: Lengths and temperature.
    """

    reading: Reading = "vectors"
    num_outputs = 0
    main_metric = "accuracy"

    def __init__(self, tokenizer: Tokenizer, setting: Setting) -> None:
        self._tokenizer = tokenizer
        self._setting = setting

    def prepare(self, examples: Sequence[Example], *, is_training: bool) -> list[Item]:
        """See `Method.prepare`: two sequences, the text and what belongs to it."""
        linked = cast("Sequence[LinkedExample]", examples)
        queries = self.encode([example.first for example in linked], is_query=True)
        documents = self.encode([example.second for example in linked], is_query=False)
        return [
            Item(sequences=(query.sequences[0], document.sequences[0]), example=number)
            for number, (query, document) in enumerate(zip(queries, documents, strict=True))
        ]

    def encode(self, texts: Sequence[str], *, is_query: bool) -> list[Item]:
        """Items of single texts, for pools.

        Args:
            texts: Texts.
            is_query: Whether they are queries, which may be shorter.

        Returns:
            One item per text.
        """
        setting = self._setting
        limit = setting.max_query_length if is_query else setting.max_length
        encoded = self._tokenizer.encode(list(texts), max_length=limit)
        return [Item(sequences=(ids,), example=number) for number, ids in enumerate(encoded.ids)]

    def loss(self, outputs: Tensor, items: Sequence[Item]) -> Tensor:
        """See `Method.loss`: every text against what belongs to all texts of the batch."""
        scores = outputs[0::2] @ outputs[1::2].T / self._setting.temperature
        return cross_entropy(scores, torch.arange(len(items), device=scores.device))

    def measure(
        self, examples: Sequence[Example], items: Sequence[Item], outputs: Sequence[Outputs]
    ) -> Measured:
        """See `Method.measure`: what belongs to the examples is the pool."""
        pool = linked_pool(cast("Sequence[LinkedExample]", examples))
        queries = np.stack([output[0] for output in outputs])
        rows = {
            row: number for number, (row,) in reversed([*enumerate(map(tuple, pool.positives))])
        }
        documents = np.stack([outputs[rows[row]][1] for row in range(len(pool.documents))])
        return measure_pool(pool, queries, documents)


def measure_pool(
    pool: Pool,
    queries: NDArray[np.float32],
    documents: NDArray[np.float32],
    *,
    main_metric: str = "accuracy",
) -> Measured:
    """Metrics of searching a pool exactly.

    Args:
        pool: What is searched for what.
        queries: Vectors of the queries, `[num_queries, dim]`.
        documents: Vectors of the candidates, `[num_documents, dim]`.
        main_metric: The metric that items are told by.

    Returns:
        "accuracy" (the best candidate is right), "recall_at_20" and "map_at_20".
    """
    best = [ranking.rows for ranking in nearest_rows(queries, documents, DEPTH)]
    relevant = [
        np.isin(row, list(positives)) for row, positives in zip(best, pool.positives, strict=True)
    ]
    precision = [
        average_precision(hits, len(positives), depth=DEPTH)
        for hits, positives in zip(relevant, pool.positives, strict=True)
    ]
    recall = [
        float(hits.sum()) / len(positives)
        for hits, positives in zip(relevant, pool.positives, strict=True)
    ]

    values = {
        "accuracy": [float(hits[0]) for hits in relevant],
        "recall_at_20": recall,
        "map_at_20": precision,
    }

    def describe(number: int) -> WorstItem:
        return WorstItem(
            item_id=pool.query_ids[number],
            value=precision[number],
            text=pool.queries[number],
            expected=pool.documents[min(pool.positives[number])],
            found=pool.documents[int(best[number][0])],
        )

    return Measured(
        metrics={name: float(np.mean(numbers)) for name, numbers in values.items()},
        num_items=len(pool.queries),
        per_item={
            f"{number}:{query_id}": values[main_metric][number]
            for number, query_id in enumerate(pool.query_ids)
        },
        worst=worst_items(precision, describe),
        facts={"candidates": len(pool.documents)},
    )
