"""What is measured while a model learns agrees with measuring the finished model."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.laws.training_runs import recipe_values, write_texts

import mgte
from mgte.errors import ConfigError
from mgte.evaluate import RetrievalEvaluator
from mgte.train.metrics import read_log

DOCUMENTS = ["the tide and the moon", "bread is to bake", "a road map to read", "sea water"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pytest.importorskip("pytrec_eval")
    write_texts(tmp_path)
    (tmp_path / "dev" / "qrels").mkdir(parents=True)
    rows = [{"_id": str(number), "text": text} for number, text in enumerate(DOCUMENTS)]
    for name, lines in {"corpus": rows, "queries": [{"_id": "q", "text": "moon"}]}.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / "dev" / f"{name}.jsonl").write_text(text)
    (tmp_path / "dev" / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq\t0\t1\n")
    return tmp_path


@pytest.fixture
def values(tokenizer_folder: Path, root: Path) -> dict[str, Any]:
    values = recipe_values(
        tokenizer_folder,
        steps=2,
        schedule={"kind": "linear"},
        objective={"kind": "contrastive"},
        evaluation={"data": ["dev"], "every_steps": 1},
    )
    source = {
        "path": str(root / "texts.jsonl"),
        "source": "s",
        "language": "en",
        "fields": {"query": "text", "document": "text"},
    }
    values["datasets"] = {"texts": {"kind": "pairs", "sources": [source]}}
    values["stages"][0]["data"]["max_query_length"] = 32
    return values


def test_mgte_train_measures_what_mgte_evaluate_measures(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    evaluator = RetrievalEvaluator(root, device="cpu")
    out = tmp_path / "out"
    result = mgte.train(values, out, device="cpu", evaluators=[evaluator])
    log = read_log(out / "01-mlm" / "metrics.jsonl")
    scores = [record for record in log if record["kind"] == "evaluation"]
    assert [record["step"] for record in scores] == [1, 2]
    found = mgte.evaluate(result.model, root / "dev", split="dev").metrics
    assert scores[-1]["ndcg_at_10"] == pytest.approx(found["dense"], abs=1e-4)
    assert scores[-1]["dev/dense"] == scores[-1]["ndcg_at_10"]


def test_a_collection_that_is_not_there_is_named(values: dict[str, Any], root: Path) -> None:
    from mgte.config import from_dict, override
    from mgte.train import Recipe

    gone = from_dict(Recipe, override(values, {"stages.0.evaluation.data": ["gone"]}))
    with pytest.raises(ConfigError, match=r"stages\.mlm\.evaluation\.data: .*gone is no folder"):
        RetrievalEvaluator(root, device="cpu").check(gone.stages[0])
    here = from_dict(Recipe, values)
    RetrievalEvaluator(str(root)).check(here.stages[0])
    nothing = from_dict(Recipe, override(values, {"stages.0.evaluation": None}))
    RetrievalEvaluator().check(nothing.stages[0])
