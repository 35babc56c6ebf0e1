"""Which queries and documents compete in a contrastive batch: of this process, or of all."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mgte.data import ContrastiveBatch
from mgte.losses import PairColumns, PairTexts
from mgte.train.gather import gather_rows, share_sizes
from mgte.train.world import World


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Competition:
    """Everything that competes, by number.

    Attributes:
        world: Processes whose texts compete.
        texts: Hashes, owners and positives of all pairs.
        columns: Where this process's pairs stand among all.
        offsets: Where the documents of each of this process's queries start, and the total.
        first_document: Column of this process's first document.
        num_queries: Queries of each process.
        num_documents: Documents of each process.
    """

    world: World
    texts: PairTexts
    columns: PairColumns
    offsets: Tensor
    first_document: int
    num_queries: tuple[int, ...]
    num_documents: tuple[int, ...]

    @property
    def own_positives(self) -> Tensor:
        """Places of the positives among this process's documents."""
        return self.offsets[:-1]


def compete(batch: ContrastiveBatch, world: World) -> Competition:
    """Number the queries and documents that compete; a collective.

    Args:
        batch: This process's share.
        world: Processes whose texts compete.

    Returns:
        The numbers.
    """
    sizes = share_sizes([len(batch.queries), len(batch.documents)], world)
    num_queries, num_documents = zip(*sizes, strict=True)
    offsets = torch.from_numpy(batch.cu_documents.astype(np.int64)).to(world.device)
    own_queries = torch.stack([_on(batch.query_hashes, world), offsets.diff()], dim=1)
    queries, per_query = gather_rows(own_queries, world, num_queries).unbind(1)
    documents = gather_rows(_on(batch.document_hashes, world), world, num_documents)
    pairs = torch.arange(queries.shape[0], device=world.device)
    positives = per_query.cumsum(0) - per_query
    start = sum(num_queries[: world.rank])
    own = pairs[start : start + len(batch.queries)]
    return Competition(
        world=world,
        texts=PairTexts(
            queries=queries,
            documents=documents,
            owners=pairs.repeat_interleave(per_query),
            positives=positives,
        ),
        columns=PairColumns(positives=positives[own], own=own),
        offsets=offsets,
        first_document=sum(num_documents[: world.rank]),
        num_queries=num_queries,
        num_documents=num_documents,
    )


def _on(hashes: np.ndarray[tuple[int, ...], np.dtype[np.int64]], world: World) -> Tensor:
    return torch.from_numpy(hashes.astype(np.int64)).to(world.device)
