"""A process's share of a batch: contiguous rows, so that shares laid end to end are the batch."""

from dataclasses import replace

import numpy as np

from mgte.data import Batch, ContrastiveBatch, MaskedBatch, RerankBatch


def share_of(batch: Batch, rank: int, size: int) -> Batch:
    """Rows that one of several processes holds."""
    rows = np.array_split(np.arange(len(batch.rows)), size)[rank]
    first, last = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
    own = slice(first, last)
    if isinstance(batch, MaskedBatch):
        return replace(
            batch,
            sequences=batch.sequences[own],
            positions=batch.positions[own],
            labels=batch.labels[own],
            rows=batch.rows[own],
        )
    if isinstance(batch, ContrastiveBatch):
        start, stop = int(batch.cu_documents[first]), int(batch.cu_documents[last])
        return replace(
            batch,
            queries=batch.queries[own],
            documents=batch.documents[start:stop],
            cu_documents=batch.cu_documents[first : last + 1] - start,
            query_hashes=batch.query_hashes[own],
            document_hashes=batch.document_hashes[start:stop],
            teacher_scores=batch.teacher_scores[start:stop],
            rows=batch.rows[own],
        )
    if isinstance(batch, RerankBatch):
        start, stop = int(batch.cu_candidates[first]), int(batch.cu_candidates[last])
        return replace(
            batch,
            pairs=batch.pairs[start:stop],
            token_types=batch.token_types[start:stop],
            cu_candidates=batch.cu_candidates[first : last + 1] - start,
            labels=batch.labels[start:stop],
            teacher_scores=batch.teacher_scores[start:stop],
            rows=batch.rows[own],
        )
    return replace(
        batch, sequences=batch.sequences[own], vectors=batch.vectors[own], rows=batch.rows[own]
    )
