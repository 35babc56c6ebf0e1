"""From raw files to batches: prepared folders and loaders fit together."""

import json

import numpy as np
import pytest
from tests.unit.data.made_rows import text_of

from mgte.data import (
    DataConfig,
    DatasetConfig,
    LoadConfig,
    SamplingConfig,
    SourceConfig,
    build_loader,
    open_dataset,
    prepare_dataset,
    text_hash,
)
from mgte.text import Tokenizer

NUM_ROWS = 90


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return Tokenizer.load(tokenizer_folder)


def raw_row(row):
    return {
        "text": text_of(row, 4 + row % 80),
        "query": text_of(row, 6),
        "document": text_of(row + 2000, 4 + row % 50),
        "positives": [text_of(row + 2000, 9)],
        "negatives": [text_of(row + 1000 * n, 5 + n) for n in (3, 4, 5)],
        "positive_scores": [0.5],
        "negative_scores": [0.1, 0.2, 0.3],
    }


FIELDS = {
    "texts": ("text",),
    "pairs": ("query", "document"),
    "groups": ("query", "positives", "negatives", "positive_scores", "negative_scores"),
    "vectors": ("text",),
}


def vectors_of(texts):
    return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("prepared")
    for name, rows in (("wiki", range(60)), ("law", range(60, NUM_ROWS))):
        lines = [json.dumps(raw_row(row)) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    datasets = {}
    for kind, fields in FIELDS.items():
        sources = tuple(
            SourceConfig(
                path=f"{name}.jsonl",
                source=name,
                language=language,
                fields={field: field for field in fields},
            )
            for name, language in (("wiki", "en"), ("law", "de"))
        )
        config = DatasetConfig(kind=kind, sources=sources, teacher="t" if kind == "vectors" else "")
        encode = vectors_of if kind == "vectors" else None
        prepare_dataset(
            config, folder / kind, tokenizer=tokenizer, root=folder, encode_vectors=encode
        )
        datasets[kind] = open_dataset(folder / kind, tokenizer=tokenizer)
    return datasets


def steps_of(dataset, kind, tokenizer, num_steps, *, state=None, rank=0, world_size=1, **changes):
    settings = {"dataset": "x", "max_length": 24, "max_query_length": 24, "rows_per_batch": 8}
    with build_loader(
        dataset,
        DataConfig(**settings | {"negatives": 2} | changes),
        LoadConfig(kind=kind, random_negatives=2),
        tokenizer=tokenizer,
        seed=1,
        stage="s",
        rank=rank,
        world_size=world_size,
    ) as loader:
        if state is not None:
            loader.restore(state)
        return [loader.next_step() for _ in range(num_steps)], loader.state()


def test_every_token_of_every_text_is_read_once_per_epoch(prepared, tokenizer):
    texts = prepared["texts"]
    mixed = SamplingConfig(alpha=1.0, single_source=False, by="language")
    seen: dict[int, list[int]] = {}
    steps, state = steps_of(texts, "masked_lm", tokenizer, 60, sampling=mixed)
    for step in steps:
        (batch,) = step.batches
        for row, sequence, positions, labels in zip(
            batch.rows.tolist(), batch.sequences, batch.positions, batch.labels, strict=True
        ):
            ids = sequence.copy()
            ids[positions] = labels
            seen.setdefault(row, []).extend(ids[1:-1].tolist())
    for row in range(texts.num_rows):
        counts = np.bincount(seen[row], minlength=200)
        once = np.bincount(texts.tokens(row), minlength=200)
        # Several epochs: nothing is left out, and nothing comes from elsewhere.
        assert (counts[once == 0] == 0).all()
        assert (counts >= once).all()
    assert state["step"] == 60


@pytest.mark.parametrize("kind", ["pairs", "groups"])
def test_batches_hold_what_the_files_say(kind, prepared, tokenizer):
    by_query = {text_hash(raw_row(row)["query"]): row for row in range(NUM_ROWS)}
    steps, _ = steps_of(prepared[kind], "contrastive", tokenizer, 6)
    for step in steps:
        (batch,) = step.batches
        for index, hashed in enumerate(batch.query_hashes.tolist()):
            raw = raw_row(by_query[hashed])
            first, last = batch.cu_documents[index : index + 2].tolist()
            documents = batch.document_hashes[first:last].tolist()
            if kind == "pairs":
                assert documents == [text_hash(raw["document"])]
                continue
            assert documents[0] == text_hash(raw["positives"][0])
            assert batch.teacher_scores[first] == 0.5
            hashes = [text_hash(text) for text in raw["negatives"]]
            for place, document in enumerate(documents[1:], start=first + 1):
                score = raw["negative_scores"][hashes.index(document)]
                assert batch.teacher_scores[place] == pytest.approx(score)


def test_vectors_belong_to_their_texts(prepared, tokenizer):
    steps, _ = steps_of(prepared["vectors"], "vectors", tokenizer, 4)
    for step in steps:
        (batch,) = step.batches
        texts, vectors = prepared["vectors"].vector_rows(batch.rows)
        assert np.array_equal(batch.vectors, vectors)
        encoded = tokenizer.encode(texts, max_length=24).ids
        assert [ids.tolist() for ids in batch.sequences] == [ids.tolist() for ids in encoded]


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [("texts", "masked_lm"), ("pairs", "contrastive"), ("groups", "reranking")],
)
def test_a_run_goes_on_with_fewer_processes_where_it_stopped(dataset, kind, prepared, tokenizer):
    rows = prepared[dataset]
    straight, _ = steps_of(rows, kind, tokenizer, 12)
    four = [steps_of(rows, kind, tokenizer, 5, rank=rank, world_size=4) for rank in range(4)]
    states = [state for _, state in four]
    assert states == states[:1] * 4
    two = [
        steps_of(rows, kind, tokenizer, 7, state=states[0], rank=rank, world_size=2)[0]
        for rank in range(2)
    ]
    ranks = [[step.batches[0].rows for step in steps] for steps, _ in four]
    found = [np.concatenate(shares).tolist() for shares in zip(*ranks, strict=True)]
    ranks = [[step.batches[0].rows for step in steps] for steps in two]
    found += [np.concatenate(shares).tolist() for shares in zip(*ranks, strict=True)]
    assert found == [step.batches[0].rows.tolist() for step in straight]
