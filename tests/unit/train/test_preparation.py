"""What a run prepares is told: rows that were left out, tokens that were cut, the teacher."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.laws.training_runs import recipe_values, run_here

from mgte.config import override
from mgte.data import open_dataset
from mgte.errors import CheckpointError, ConfigError
from mgte.model import EncoderConfig, HeadConfig, build_model, init_weights
from mgte.store import EmbeddingSettings, save_model
from mgte.train import load_teacher


def test_rows_that_were_left_out_are_told(
    tokenizer_folder: Path, root: Path, tmp_path: Path
) -> None:
    texts = (root / "texts.jsonl").read_text()
    (root / "texts.jsonl").write_text(texts + texts.splitlines()[0] + '\n{"text": "ab"}\n')
    values = override(
        recipe_values(tokenizer_folder, steps=1, schedule={"kind": "constant"}),
        {"datasets.texts.min_characters": 3},
    )
    told: list[str] = []
    for _ in range(2):  # prepared, and prepared before
        told.clear()
        run_here(values, tmp_path / "out", root, report=told.append)
        (tmp_path / "out" / "01-mlm" / "DONE").unlink()
        (line,) = (text for text in told if text.startswith("dataset texts: "))
        assert "40 of 42 raw rows kept; left out: " in line
        assert line.count(" 1 ") == 2


def test_tokens_that_were_cut_are_those_of_all_steps(
    tokenizer_folder: Path, root: Path, tmp_path: Path
) -> None:
    values = recipe_values(tokenizer_folder, steps=6, schedule={"kind": "linear"})
    fields = {"query": "text", "document": "text"}
    source = {**values["datasets"]["texts"]["sources"][0], "fields": fields}
    stage = {**values["stages"][0], "objective": {"kind": "contrastive"}}
    stage["data"] = {**stage["data"], "max_length": 8, "max_query_length": 8}
    values = {**values, "datasets": {"texts": {"kind": "pairs", "sources": [source]}}}

    def dropped(every: int, out: Path) -> list[int]:
        told: list[dict[str, Any]] = []
        logged = {**values, "stages": [{**stage, "log_every": every}]}
        run_here(logged, out, root, sinks=(told.append,))
        return [record["tokens_dropped"] for record in told if record["kind"] == "step"]

    each = dropped(1, tmp_path / "each")
    assert all(a < b for a, b in zip([0, *each], each, strict=False))
    assert dropped(3, tmp_path / "some") == [each[0], each[2], each[5]]
    done = json.loads((tmp_path / "some" / "01-mlm" / "DONE").read_text())
    assert done["tokens_dropped"] == each[-1]


@pytest.fixture
def teacher(tiny_config: EncoderConfig, tokenizer_folder: Path, generator: Any, root: Path) -> Path:
    model = build_model(tiny_config, HeadConfig(), pooling="mean", family="gte")
    init_weights(model, tiny_config, generator=generator)
    settings = EmbeddingSettings(pooling="mean", prompts={"document": "the "})
    return save_model(
        model,
        root / "teacher",
        "sentence-transformers",
        tokenizer=tokenizer_folder,
        settings=settings,
    )


def test_a_recipe_brings_its_teacher_with_it(
    teacher: Path, tokenizer_folder: Path, root: Path, tmp_path: Path
) -> None:
    values = recipe_values(tokenizer_folder, steps=1, schedule={"kind": "constant"})
    values["datasets"]["texts"] |= {"kind": "vectors", "teacher": "teacher"}
    stage = {**values["stages"][0], "objective": {"kind": "embedding_distillation"}}
    run_here({**values, "stages": [stage]}, tmp_path / "out", root)
    texts, vectors = open_dataset(tmp_path / "out" / "data" / "texts").vector_rows(np.arange(5))
    assert np.allclose(vectors, load_teacher(str(teacher), device="cpu")(texts), atol=2e-3)


def test_a_teacher_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="teacher: missing"):
        load_teacher("")
    with pytest.raises(CheckpointError, match="nobody/nothing"):
        load_teacher("nobody/nothing", device="cpu")
