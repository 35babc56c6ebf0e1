"""STS: correlations beside literal ones, pulls of pairs, worst pairs, bad models."""

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder, NanEncoder, WordScorer
from tests.unit.evaluate.text_folders import scored_rows, write_jsonl

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.significance import bootstrap_interval
from mgte.evaluate.subjects import Subject
from mgte.evaluate.tasks.sts import StsConfig, StsTask, correlations, rank_pulls
from mgte.evaluate.tasks.task import TaskContext
from mgte.vectors import Embeddings

CONTEXT = TaskContext(seed=5)


class ConstantEncoder(HashEncoder):
    """Every text has the same vector."""

    def encode(self, texts, *, role, sparse=False) -> Embeddings:
        return super().encode(["same"] * len(texts), role=role, sparse=sparse)


class LongEncoder(HashEncoder):
    """Vectors of different lengths."""

    is_cosine = False

    def vector(self, words, role) -> np.ndarray:
        return super().vector(words, role) * (1 + len(" ".join(words)))


def make_task(folder, **settings) -> StsTask:
    entry = {"kind": "sts", "name": "pairs", "data": {"path": "pairs.jsonl"}} | settings
    return StsTask(from_dict(StsConfig, entry), folder)


def literal_ranks(values):
    return np.array(
        [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]
    )


def literal_pearson(x, y):
    x, y = np.asarray(x) - np.mean(x), np.asarray(y) - np.mean(y)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


@pytest.fixture
def folder(tmp_path):
    write_jsonl(tmp_path / "pairs.jsonl", scored_rows(60))
    return tmp_path


def test_metrics_are_the_literal_correlations(folder):
    encoder = HashEncoder()
    (result,) = make_task(folder).run(Subject(encoder=encoder), CONTEXT)
    rows = scored_rows(60)
    a, b = (
        encoder.encode([r[f] for r in rows], role="text").dense for f in ("sentence1", "sentence2")
    )
    scores = [row["score"] for row in rows]
    # Texts that are equal but for the order of words tie up to rounding.
    similar = {
        "cosine": np.round((a * b).sum(1).astype(np.float64), 6),
        "manhattan": -np.round(np.abs(a - b).sum(1).astype(np.float64), 6),
        "euclidean": -np.round(np.sqrt(((a - b) ** 2).sum(1)).astype(np.float64), 6),
    }
    for name, values in similar.items():
        spearman = literal_pearson(literal_ranks(scores), literal_ranks(values.tolist()))
        assert result.metrics[f"{name}_spearman"] == pytest.approx(spearman, abs=2e-3)
        assert result.metrics[f"{name}_pearson"] == pytest.approx(
            literal_pearson(scores, values), abs=1e-5
        )
    assert result.main == result.metrics["spearman"] == result.metrics["cosine_spearman"] > 0.5
    assert (result.num_items, result.kind, result.variant) == (60, "sts", "")
    assert result.facts["num_texts"] == 120 and result.facts["num_truncated"] == 0
    low, high = result.interval
    assert low < result.main < high
    assert np.mean(list(result.per_item.values())) == pytest.approx(result.main, abs=1e-12)
    assert result.settings["data"]["path"] == "pairs.jsonl" and result.settings["seed"] == 5
    assert result.dataset_hash.startswith("sha256-") and {"embed", "score"} <= {*result.seconds}


def test_correlations_agree_with_ties_and_without_spread():
    scores = np.array([0.0, 0.0, 1.0, 2.0, 2.0, 5.0])
    values = np.array([0.1, 0.2, 0.2, 0.1, 0.9, 0.9])
    spearman, pearson = correlations(scores, values)
    assert spearman == pytest.approx(literal_pearson(literal_ranks(scores), literal_ranks(values)))
    assert pearson == pytest.approx(literal_pearson(scores, values))
    assert correlations(scores, np.full(6, 0.3)) == (0.0, 0.0)


def test_pulls_make_the_interval_that_resampled_pairs_make():
    random = np.random.default_rng(1)
    scores = np.round(random.normal(size=300), 1)
    values = scores + random.normal(size=300)
    pulls = rank_pulls(scores, values)
    spearman = correlations(scores, values)[0]
    assert pulls.mean() == pytest.approx(spearman, abs=1e-12)
    draws = random.integers(0, 300, size=(400, 300))
    resampled = [correlations(scores[rows], values[rows])[0] for rows in draws]
    assert bootstrap_interval(pulls) == pytest.approx(
        np.quantile(resampled, [0.025, 0.975]), abs=0.02
    )
    assert rank_pulls(scores, scores) == pytest.approx(np.ones(300))


def test_models_for_the_dot_product_are_compared_by_it(folder):
    encoder = LongEncoder()
    (result,) = make_task(folder).run(Subject(encoder=encoder), CONTEXT)
    assert result.metrics["spearman"] == result.metrics["dot_spearman"]
    assert result.metrics["pearson"] == result.metrics["dot_pearson"] != result.main
    (unit,) = make_task(folder).run(Subject(encoder=HashEncoder()), CONTEXT)
    assert result.metrics["cosine_pearson"] == pytest.approx(unit.metrics["cosine_pearson"])


def test_worst_pairs_are_those_that_stand_farthest_from_their_place(folder):
    rows = [*scored_rows(40), {"sentence1": "cat dog", "sentence2": "cat dog", "score": 0}]
    write_jsonl(folder / "pairs.jsonl", rows)
    (result,) = make_task(folder).run(Subject(encoder=HashEncoder()), CONTEXT)
    worst = result.worst[0]
    assert (worst.item_id, worst.text, worst.expected) == ("41", "cat dog | cat dog", "score 0")
    assert worst.found.startswith("cosine 1.000") and worst.found.endswith("too high")
    assert [item.value for item in result.worst] == sorted(item.value for item in result.worst)


def test_subsets_are_measured_one_by_one(folder):
    for number, language in enumerate(("de", "en")):
        write_jsonl(folder / f"{language}-dev.jsonl", scored_rows(30, seed=number))
    data = {"path": "{subset}-{split}.jsonl", "split": "dev", "subsets": {"de": "de", "en": "en"}}
    results = make_task(folder, data=data).run(Subject(encoder=HashEncoder()), CONTEXT)
    assert [(r.subset, r.language, r.split) for r in results] == [
        ("de", "de", "dev"),
        ("en", "en", "dev"),
    ]
    one = make_task(folder, data={"path": "en-dev.jsonl", "split": "dev"})
    assert one.run(Subject(encoder=HashEncoder()), CONTEXT)[0].metrics == results[1].metrics
    assert results[0].dataset_hash != results[1].dataset_hash


def test_limit_draws_with_the_seed(folder):
    task = make_task(folder, data={"path": "pairs.jsonl", "max_items": 20})
    subject = Subject(encoder=HashEncoder())
    first, again = (task.run(subject, CONTEXT)[0] for _ in range(2))
    other = task.run(subject, TaskContext(seed=6))[0]
    assert first.num_items == 20 and first.dataset_hash == again.dataset_hash
    assert first.metrics == again.metrics and first.interval == again.interval
    assert other.dataset_hash != first.dataset_hash


def test_truncated_texts_are_counted_and_equal_texts_embedded_once(folder):
    rows = scored_rows(10)
    rows[3]["sentence1"] = rows[4]["sentence2"] = "one two three four five"
    write_jsonl(folder / "pairs.jsonl", rows)
    encoder = HashEncoder()
    (result,) = make_task(folder).run(Subject(encoder=encoder), CONTEXT)
    texts = {row[name] for row in rows for name in ("sentence1", "sentence2")}
    assert result.facts["num_truncated"] == 2 and encoder.num_asked == len(texts) <= 19


def test_models_that_cannot_be_measured(folder):
    (result,) = make_task(folder).run(Subject(encoder=ConstantEncoder()), CONTEXT)
    assert result.main == 0.0 and result.facts["is_constant"] is True
    rows = [*scored_rows(4), {"sentence1": "a nan", "sentence2": "b", "score": 1}]
    write_jsonl(folder / "pairs.jsonl", rows)
    with pytest.raises(DataError, match=r"NaN or infinity.*a nan"):
        make_task(folder).run(Subject(encoder=NanEncoder()), CONTEXT)
    with pytest.raises(ConfigError, match="pairs: got a reranker alone"):
        make_task(folder).run(Subject(reranker=WordScorer()), CONTEXT)
    with pytest.raises(ConfigError, match="score_range: got 5 to 1"):
        make_task(folder, score_range=[5, 1])
