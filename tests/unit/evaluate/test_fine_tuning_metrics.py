"""Metrics of fine-tuning equal those of the packages that everybody uses."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgte.errors import DataError
from mgte.evaluate.fine_tuning.answer_metrics import (
    answer_scores,
    normalize_mlqa,
    normalize_squad,
)
from mgte.evaluate.fine_tuning.averages import (
    GLUE_TASKS,
    XTREME_R_TASKS,
    average_result,
    benchmark_average,
)
from mgte.evaluate.fine_tuning.classification_metrics import (
    accuracy,
    average_precision,
    binary_f1,
    matthews,
    pearson,
    spearman,
)
from mgte.evaluate.fine_tuning.tag_metrics import entities, entity_scores
from mgte.evaluate.records import TaskResult

CLASSES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)
# Few values, so that there are ties.
NUMBERS = st.lists(st.tuples(st.integers(0, 5), st.integers(-2, 2)), min_size=3, max_size=30)
NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-LOC", "S-PER", "I-ORG"]
POS = ["NOUN", "VERB", "X", "SCONJ", "CCONJ", "INTJ", "SYM", "PUNCT"]


def sentences(tags):
    sentence = st.lists(st.tuples(st.sampled_from(tags), st.sampled_from(tags)), min_size=1)
    return st.lists(sentence, min_size=1, max_size=4)


@given(CLASSES)
def test_class_metrics_equal_scikit_learn(pairs) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    expected, found = zip(*pairs, strict=True)
    assert accuracy(expected, found) == pytest.approx(metrics.accuracy_score(expected, found))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f1 = metrics.f1_score(expected, found, labels=[1], average="micro", zero_division=0)
        correlation = metrics.matthews_corrcoef(expected, found)
    assert binary_f1(expected, found) == pytest.approx(f1)
    assert matthews(expected, found) == pytest.approx(correlation, abs=1e-12)


@given(NUMBERS)
def test_correlations_equal_scipy(pairs) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected, found = zip(*pairs, strict=True)
    if len(set(expected)) == 1 or len(set(found)) == 1:
        assert pearson(expected, found) == spearman(expected, found) == 0.0
        return
    assert pearson(expected, found) == pytest.approx(stats.pearsonr(expected, found)[0])
    assert spearman(expected, found) == pytest.approx(stats.spearmanr(expected, found)[0])


@pytest.mark.parametrize("tags", [NER, POS], ids=["entities", "parts of speech"])
def test_tag_metrics_equal_seqeval(tags) -> None:
    metrics = pytest.importorskip("seqeval.metrics")

    @given(sentences(tags))
    def check(drawn) -> None:
        expected = [[a for a, _ in sentence] for sentence in drawn]
        found = [[b for _, b in sentence] for sentence in drawn]
        ours = entity_scores(expected, found)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = {
                "f1": metrics.f1_score(expected, found, zero_division=0),
                "precision": metrics.precision_score(expected, found, zero_division=0),
                "recall": metrics.recall_score(expected, found, zero_division=0),
                "accuracy": metrics.accuracy_score(expected, found),
            }
        assert ours == pytest.approx(theirs)

    check()


def test_entities_of_a_sentence() -> None:
    tags = ["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]
    assert list(entities(tags)) == [("PER", 0, 1), ("LOC", 3, 3), ("LOC", 4, 4), ("PER", 5, 5)]


@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.integers(0, 3),
)
def test_average_precision_equals_trec_eval(relevant, num_missed) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    num_relevant = sum(relevant) + num_missed
    if not num_relevant:
        assert average_precision(np.array(relevant), 0, depth=20) == 0.0
        return
    run = {str(rank): float(-rank) for rank in range(len(relevant))}
    qrels = {str(rank): int(hit) for rank, hit in enumerate(relevant)}
    qrels |= {f"missed{number}": 1 for number in range(num_missed)}
    measured = pytrec_eval.RelevanceEvaluator({"q": qrels}, {"map_cut.20"}).evaluate({"q": run})
    ours = average_precision(np.array(relevant), num_relevant, depth=20)
    assert ours == pytest.approx(measured["q"]["map_cut_20"])


def test_answers_are_normalised_as_squad_does() -> None:
    assert normalize_squad("  The  U.S.A.'s  an-swer, a theatre ") == "usas answer theatre"
    assert answer_scores("the Broncos", ["Denver Broncos", "broncos!"]) == (1.0, 1.0)
    # Two of three words are right, and two of four words were wanted.
    f1, exact = answer_scores("red green blue", ["green blue black white"])
    assert (f1, exact) == (pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4)), 0.0)
    assert answer_scores("", ["something"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("language", "text", "normalised"),
    [
        ("en", "The  “Big” Apple", "big apple"),
        ("de", "Der Präsident, einem Volk", "präsident volk"),
        ("es", "¿Las casas?", "casas"),
        ("zh", "北京（city）2008年", "北 京 city2008 年"),
        ("ar", "الكتاب", "كتاب"),
        ("vi", "những cái nhà", "nhà"),
        ("hi", "भारत।", "भारत"),
    ],
)
def test_answers_are_normalised_as_mlqa_does(language, text, normalised) -> None:
    assert normalize_mlqa(text, language) == normalised


def test_chinese_answers_share_characters_not_words() -> None:
    f1, exact = answer_scores("北京市", ["北京"], style="mlqa", language="zh")
    assert (f1, exact) == (pytest.approx(0.8), 0.0)
    assert answer_scores("北京市", ["北京"])[0] == 0.0


def result(task, metrics, subset="") -> TaskResult:
    return TaskResult(
        task=task,
        kind="fine_tuning",
        main_metric=next(iter(metrics)),
        metrics=metrics,
        num_items=1,
        subset=subset,
    )


def test_averages_take_one_metric_per_task_and_mean_over_languages() -> None:
    results = [result(wanted.task, {wanted.metric: 0.5}, "matched") for wanted in GLUE_TASKS]
    results.append(result("MNLI", {"accuracy": 0.0}, "mismatched"))
    results.append(result("WNLI", {"accuracy": 0.0}))
    assert benchmark_average(results, GLUE_TASKS)[0] == 0.5
    assert average_result("glue-average", results).main == 0.5
    results = [result(wanted.task, {wanted.metric: 0.2}, "en") for wanted in XTREME_R_TASKS]
    results += [result("XNLI", {"accuracy": 0.6}, "de"), result("XQuAD", {"f1": 0.2}, "de")]
    average, values = benchmark_average(results, XTREME_R_TASKS)
    assert values["XNLI"] == pytest.approx(0.4)
    assert average == pytest.approx(0.22)
    with pytest.raises(DataError, match="no result of 'XNLI', expected all of 10"):
        benchmark_average(results[1:-2], XTREME_R_TASKS)


def test_an_average_tells_the_settings_of_its_trainings() -> None:
    def settings(lr, stop=None):
        return {"setting": {"lr": lr, "epochs": 3}, "train": {"stop": stop}}

    results = [result(wanted.task, {wanted.metric: 0.5}, "matched") for wanted in GLUE_TASKS]
    same = [replace(one, settings=settings(2e-5)) for one in results]
    other = replace(results[0], task="XNLI", settings=settings(1e-3))
    told = average_result("glue-average", [*same, other]).settings
    assert told == {"setting": {"lr": 2e-5, "epochs": 3}}
    cut = replace(same[0], settings=settings(5e-5, stop=100))
    told = average_result("glue-average", [cut, *same[1:]]).settings
    assert told == {"setting": {"lr": "5e-05 and 2e-05", "epochs": 3}, "stop": 100}
