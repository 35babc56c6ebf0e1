"""What is trained on: real texts as token ids, put into batches, masked or paired."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mgte.data import ContrastiveBatch, MaskedBatch
from mgte.text import Tokenizer, read_corpus, read_qrels, read_queries

MASK_PROBABILITY = 0.3
# Padding, first and last token of the tokenizer below.
SPECIAL_IDS = (0, 101, 102)
# Folder and fields of each collection, under the shared folder's data/.
_TEXTS = (
    ("scifact_beir/corpus.jsonl.gz", ("title", "text")),
    ("gesetze_de/laws_1500_2k-60k_chars.jsonl.gz", ("text",)),
    ("long_tech_docs_pep_rustrfc/docs.jsonl.gz", ("text",)),
)
_NUM_CHARACTERS = 16_000

Ids = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Token ids of the texts, and how they were made.

    Attributes:
        ids: Token ids per text, special tokens included.
        mask_id: The mask token.
        vocab_size: Tokens are drawn from below this.
    """

    ids: list[Ids]
    mask_id: int
    vocab_size: int

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self.ids]


def read_rows(shared: Path, *, count: int, max_length: int) -> Rows:
    """Texts of three collections, mixed by their sizes: abstracts, laws, technical documents.

    Args:
        shared: Folder with `data/`.
        count: Texts.
        max_length: Longer texts are cut.

    Returns:
        Their token ids, in a fixed random order.
    """
    texts = []
    for name, fields in _TEXTS:
        with gzip.open(shared / "data" / name, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        # A prefix holds more tokens than are kept, and tokenising books would take minutes.
        texts += [" ".join(row[field] for field in fields)[:_NUM_CHARACTERS] for row in rows]
    order = np.random.default_rng(0).permutation(len(texts))[:count]
    tokenizer = load_tokenizer(shared)
    encoded = tokenizer.encode([texts[row] for row in order], max_length=max_length)
    return Rows(
        ids=[np.asarray(ids, np.int32) for ids in encoded.ids],
        mask_id=103,
        vocab_size=30_522,
    )


def load_tokenizer(shared: Path) -> Tokenizer:
    """BERT's English tokenizer, as the shared folder has it."""
    return Tokenizer.load(shared / "data" / "tokenizers" / "bert_base_uncased_gte_small")


def random_batches(rows: Rows, batch_rows: int, count: int) -> list[list[Ids]]:
    """Batches as a shuffled data loader puts them together."""
    order = np.random.default_rng(1).permutation(len(rows.ids))
    return _cut(rows, order.tolist(), batch_rows)[:count]


def grouped_batches(rows: Rows, batch_rows: int, count: int) -> list[list[Ids]]:
    """Batches as transformers groups them by length, evenly from all lengths."""
    from transformers.trainer_pt_utils import LengthGroupedSampler

    generator = torch.Generator().manual_seed(1)
    sampler = LengthGroupedSampler(batch_rows, lengths=rows.lengths, generator=generator)
    batches = [b for b in _cut(rows, list(sampler), batch_rows) if len(b) == batch_rows]
    by_size = sorted(batches, key=lambda batch: sum(map(len, batch)))
    places = np.linspace(0, len(by_size) - 1, 2 * count + 1)[1::2].round().astype(int)
    return [by_size[place] for place in places]


def mask(batch: list[Ids], rows: Rows, seed: int) -> MaskedBatch:
    """Mask 30 % of the tokens, 80/10/10; the first and last token of a text stay."""
    random = np.random.default_rng(seed)
    sequences, positions, labels = [], [], []
    for ids in batch:
        inner = np.arange(1, len(ids) - 1)
        chosen = np.sort(inner[random.random(len(inner)) < MASK_PROBABILITY])
        if not len(chosen):
            chosen = inner[:1]
        kind = random.random(len(chosen))
        masked = ids.copy()
        masked[chosen[kind < 0.8]] = rows.mask_id
        drawn = chosen[(kind >= 0.8) & (kind < 0.9)]
        masked[drawn] = random.integers(1000, rows.vocab_size, len(drawn))
        sequences.append(masked)
        positions.append(chosen.astype(np.int64))
        labels.append(ids[chosen].astype(np.int64))
    return MaskedBatch(
        sequences=tuple(sequences),
        positions=tuple(positions),
        labels=tuple(labels),
        rows=np.arange(len(batch), dtype=np.int64),
        source="mixed",
    )


def hybrid_batches(
    shared: Path, *, queries_per_batch: int, negatives: int, count: int
) -> list[ContrastiveBatch]:
    """SciFact's training queries with a positive and random documents as negatives."""
    folder = shared / "data" / "scifact_beir"
    documents = {document.doc_id: document.full_text for document in read_corpus(folder)}
    qrels = read_qrels(folder, split="train")
    pairs = [
        (query.text, next(iter(qrels[query.query_id])))
        for query in read_queries(folder)
        if query.query_id in qrels
    ]
    random, tokenizer = np.random.default_rng(2), load_tokenizer(shared)
    batches = []
    for number in range(count):
        chosen = random.choice(len(pairs), queries_per_batch, replace=False)
        texts = []
        for index in chosen:
            others = random.choice(list(documents), negatives, replace=False)
            texts += [documents[pairs[index][1]], *(documents[str(other)] for other in others)]
        encoded = tokenizer.encode([pairs[index][0] for index in chosen], max_length=64)
        found = tokenizer.encode(texts, max_length=512)
        batches.append(_contrastive(encoded.ids, found.ids, negatives, number, len(texts)))
    return batches


def _contrastive(
    queries: Any, documents: Any, negatives: int, number: int, num_documents: int
) -> ContrastiveBatch:
    return ContrastiveBatch(
        queries=tuple(np.asarray(ids, np.int32) for ids in queries),
        documents=tuple(np.asarray(ids, np.int32) for ids in documents),
        cu_documents=np.arange(0, num_documents + 1, negatives + 1, dtype=np.int64),
        # All texts count as different, so that both sides have the same candidates.
        query_hashes=np.arange(len(queries), dtype=np.int64) + 10_000 * number,
        document_hashes=np.arange(num_documents, dtype=np.int64) + 10_000_000 + 10_000 * number,
        teacher_scores=np.full(num_documents, np.nan, np.float32),
        rows=np.arange(len(queries), dtype=np.int64),
        source="scifact",
    )


def num_tokens(sequences: Any) -> int:
    """Real tokens of some sequences."""
    return sum(map(len, sequences))


def padded(sequences: Any, pad_id: int = 0) -> dict[str, torch.Tensor]:
    """Input ids and mask, padded to the longest."""
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad_id, dtype=torch.int64)
    attention_mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.from_numpy(np.asarray(sequence, np.int64))
        attention_mask[row, : len(sequence)] = 1
    return {"input_ids": ids, "attention_mask": attention_mask}


def padded_labels(batch: MaskedBatch) -> torch.Tensor:
    """Labels of a padded masked batch; -100 where nothing is predicted."""
    labels = torch.full((len(batch.sequences), max(map(len, batch.sequences))), -100)
    for row, (places, tokens) in enumerate(zip(batch.positions, batch.labels, strict=True)):
        labels[row, torch.from_numpy(places)] = torch.from_numpy(tokens)
    return labels


def _cut(rows: Rows, order: list[int], batch_rows: int) -> list[list[Ids]]:
    return [
        [rows.ids[row] for row in order[start : start + batch_rows]]
        for start in range(0, len(order), batch_rows)
    ]
