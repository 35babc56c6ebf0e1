"""Every point of the curve is what a search of such vectors measures; texts are embedded once."""

from pathlib import Path

import numpy as np
import pytest
from tests.unit.evaluate.conftest import write_folder

import mgte
from mgte.errors import ConfigError, DataError
from mgte.evaluate import RetrievalConfig, read_collection
from mgte.evaluate.curve import CurveConfig, measure_curve
from mgte.evaluate.quantized_vectors import PRECISIONS
from mgte.evaluate.subjects import EmbedderSubject, Subject
from mgte.evaluate.suite import build_task, read_suite
from mgte.evaluate.tasks import TaskContext
from mgte.inference import Embedder


class Counted:
    """An encoder that counts its texts."""

    def __init__(self, encoder) -> None:
        self._encoder = encoder
        self.texts: list[str] = []

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def encode(self, texts, **options):
        self.texts += texts
        return self._encoder.encode(texts, **options)


@pytest.fixture
def encoder(dense_folder) -> Counted:
    return Counted(EmbedderSubject(Embedder.load(str(dense_folder))))


def test_every_point_is_measured(encoder, dense_folder, beir_folder) -> None:
    collection = read_collection(beir_folder)
    results = measure_curve(encoder, collection, CurveConfig(widths=(8, 32)))
    assert [result.variant for result in results] == [
        f"dense@{width}/{precision}" for width in (8, 32) for precision in PRECISIONS
    ]
    assert len(encoder.texts) == 3 + 5
    by_variant = {result.variant: result for result in results}
    for width in (8, 32):
        config = RetrievalConfig(dim=width, top_k=100)
        expected = mgte.evaluate(dense_folder, beir_folder, config=config).modes["dense"]
        result = by_variant[f"dense@{width}/float32"]
        assert result.metrics == pytest.approx(expected.metrics)
        assert result.per_item == pytest.approx(
            {query: values["ndcg_at_10"] for query, values in expected.per_query.items()}
        )
    sizes = [by_variant[f"dense@32/{name}"].facts["bytes_per_document"] for name in PRECISIONS]
    assert sizes == [128, 64, 32, 4, 36]
    for result in results:
        assert result.facts["ms_per_query"] > 0
        assert result.facts["precision"] in PRECISIONS
        assert result.facts["width"] in (8, 32)
        assert result.interval[0] <= result.main <= result.interval[1]


def test_widths_of_the_model_are_the_default(encoder, beir_folder) -> None:
    config = CurveConfig(precisions=("binary",), main_metric="recall_at_5")
    results = measure_curve(encoder, read_collection(beir_folder), config, name="small")
    assert [result.variant for result in results] == [f"dense@{w}/binary" for w in encoder.widths]
    assert results[0].main_metric == "recall_at_5"
    assert results[0].task == "small"


def test_a_query_does_not_find_itself(encoder, tmp_path) -> None:
    folder = write_folder(
        tmp_path / "own",
        {"a": ("", "the moon"), "b": ("", "the sea")},
        {"a": "the moon"},
        {"a": {"b": 1}},
    )
    for result in measure_curve(encoder, read_collection(folder), CurveConfig(top_k=1)):
        assert result.main == 1.0, result.variant


def test_a_width_beyond_the_model_is_refused(encoder, beir_folder) -> None:
    with pytest.raises(ConfigError, match="got 33, expected 1 to 32"):
        measure_curve(encoder, read_collection(beir_folder), CurveConfig(widths=(33,)))
    with pytest.raises(ConfigError, match="precisions: got"):
        CurveConfig(precisions=("int4",))
    with pytest.raises(ConfigError, match="main_metric: got 'ndcg'"):
        CurveConfig(main_metric="ndcg")


def test_a_task_of_a_suite(encoder, beir_folder) -> None:
    entry = {
        "kind": "curve",
        "name": "small-curve",
        "data": beir_folder.name,
        "curve": {"widths": [16], "precisions": ["int8"]},
    }
    task = build_task(entry, beir_folder.parent)
    [result] = task.run(Subject(encoder=encoder), TaskContext(seed=3))
    assert (result.task, result.variant, task.kind) == ("small-curve", "dense@16/int8", "retrieval")
    assert result.settings["curve"]["seed"] == 3
    assert len(result.dataset_hash) == 64
    absent = build_task(entry | {"data": "absent"}, beir_folder.parent)
    with pytest.raises(DataError, match="absent is not there"):
        absent.run(Subject(encoder=encoder), TaskContext())
    with pytest.raises(ConfigError, match="expected either data or collection"):
        build_task({"kind": "curve", "name": "x"}, Path())


def test_the_suite_of_curves_can_be_built(tmp_path) -> None:
    for entry in read_suite("curve").tasks:
        assert build_task(entry, tmp_path).name == entry["name"]


@pytest.mark.slow
def test_eight_bits_cost_next_to_nothing_on_real_text(shared) -> None:
    folder = shared / "data" / "ir_cranfield"
    if not folder.is_dir():
        pytest.skip("no ir_cranfield in the shared folder")
    encoder = EmbedderSubject(Embedder.load("mgte-nano"))
    config = CurveConfig(widths=(encoder.widths[-1],))
    results = measure_curve(encoder, read_collection(folder), config)
    values = {result.facts["precision"]: result.main for result in results}
    assert values["float16"] == pytest.approx(values["float32"], abs=0.002)
    assert values["int8"] == pytest.approx(values["float32"], abs=0.01)
    assert values["binary"] < values["binary-rescored"] <= values["float32"] + 0.01
    assert np.isfinite(list(values.values())).all()
