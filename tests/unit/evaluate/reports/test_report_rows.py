"""A difference from a published number is given only where the protocol is the same."""

from dataclasses import replace

import pytest

from mgte.evaluate.records import Report
from mgte.evaluate.reports.published import publications
from mgte.evaluate.reports.rows import report_rows

GTE = Report(model="Alibaba-NLP/gte-multilingual-base")


def only_row(result, report=GTE):
    (row,) = report_rows(replace(report, results=(result,)))
    return row


def scifact(make_result, **fields):
    return make_result("scifact", "dense", 0.77, **fields)


MODERNBERT = Report(model="gte-modernbert-base")


def test_the_same_protocol_gives_a_difference(make_result):
    row = only_row(scifact(make_result, facts={"num_documents": 5183}), MODERNBERT)
    assert row.published.value == 0.774
    assert row.difference == pytest.approx(-0.004)
    assert row.notes == ()


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"split": "dev"}, "published on test"),
        ({"num_items": 50}, "50 of 300 queries"),
        ({"facts": {"num_documents": 1000}}, "1,000 of 5,183 documents"),
        ({"settings": {"task": {"max_queries": 50}}}, "max_queries 50"),
        ({"settings": {"max_length": 512}}, "512 tokens"),
        ({"settings": {"dim": 64}}, "first 64 dimensions"),
        ({"metrics": {"mrr_at_10": 0.7}, "main_metric": "mrr_at_10"}, "published is nDCG@10"),
    ],
)
def test_another_protocol_is_told_instead(make_result, fields, word):
    row = only_row(scifact(make_result, **fields), MODERNBERT)
    assert row.published is not None
    assert row.difference is None
    assert any(word in note for note in row.notes)


def test_a_limit_that_cut_nothing_is_no_difference(make_result):
    facts = {"num_documents_truncated": 0, "num_queries_truncated": 0}
    result = scifact(make_result, settings={"max_length": 512}, facts=facts)
    assert only_row(result, MODERNBERT).difference is not None


def test_bm25_stands_beside_both_published_figures(make_result):
    row = only_row(make_result("scifact", "bm25", 0.67))
    assert (row.published.value, row.difference) == (0.665, pytest.approx(0.005))
    assert [other.value for other in row.others] == [0.679]


def test_unknown_models_and_tasks_have_no_published_number(make_result):
    assert only_row(scifact(make_result), Report(model="mgte-nano")).published is None
    assert only_row(make_result("mine"), MODERNBERT).published is None


def test_reranked_results_are_the_rerankers_and_need_its_first_stage(make_result):
    result = make_result("scifact", "reranked", 0.73, facts={"first_stage": "dense"})
    reranker = "gte-reranker-modernbert-base"
    row = only_row(result, Report(model="gte-modernbert-base", reranker=reranker))
    assert (row.published.model, row.notes) == (reranker, ())
    other = only_row(result, Report(model="gte-base-en-v1.5", reranker=reranker))
    assert "candidates of gte-modernbert-base" in other.notes[0]
    unknown = only_row(
        replace(result, facts={}), Report(model="gte-modernbert-base", reranker=reranker)
    )
    assert unknown.difference is None


def mldr(make_result, languages, **fields):
    return tuple(
        make_result(f"MLDR-{language}", "dense", 0.5 + i / 100, **fields)
        for i, language in enumerate(languages)
    )


def test_the_mean_over_a_whole_benchmark_is_compared(make_result):
    languages = publications().benchmarks["mldr"].languages
    rows = report_rows(replace(GTE, results=mldr(make_result, languages)))
    mean = rows[-1]
    assert mean.is_mean
    assert len(rows) == 14
    assert mean.task == "MLDR: mean of 13"
    assert mean.value == pytest.approx(0.56)
    assert mean.difference == pytest.approx(0.56 - 0.566)


def test_a_mean_of_some_parts_is_shown_but_not_compared(make_result):
    mean = report_rows(replace(GTE, results=mldr(make_result, ("de", "en"))))[-1]
    assert mean.task == "MLDR: mean of 2 of 13"
    assert mean.published is not None
    assert mean.difference is None
    assert "11 of 13 parts missing" in mean.notes


def test_what_differs_in_one_part_differs_in_the_mean(make_result):
    languages = publications().benchmarks["mldr"].languages
    results = mldr(make_result, languages)
    cut = replace(results[3], settings={"task": {"max_queries": 20}})
    mean = report_rows(replace(GTE, results=(*results[:3], cut, *results[4:])))[-1]
    assert mean.difference is None
    assert mean.notes == ("es: measured with max_queries 20",)


def test_forums_count_once_in_the_mean_over_beir(make_result):
    benchmark = publications().benchmarks["beir"]
    forums = benchmark.parts["cqadupstack"].members
    results = [make_result(f"BEIR-cqadupstack-{name}", "dense", 0.2) for name in forums]
    others = [name for name in benchmark.parts if name != "cqadupstack"]
    for name in others:
        part = benchmark.parts[name]
        split, items = part.split or "test", part.queries
        result = make_result(f"BEIR-{name}", "dense", 0.5, split=split, num_items=items)
        results.append(result)
    rows = report_rows(replace(MODERNBERT, results=tuple(results)))
    forum_mean, mean = [row for row in rows if row.is_mean]
    assert forum_mean.task == "cqadupstack: mean of 12"
    assert forum_mean.difference == pytest.approx(0.2 - 0.4263)
    assert mean.value == pytest.approx((14 * 0.5 + 0.2) / 15)
    assert mean.difference == pytest.approx(mean.value - 0.5533)


def test_a_mean_that_a_task_gives_itself_takes_the_place_of_its_members(make_result):
    forums = publications().benchmarks["beir"].parts["cqadupstack"].members
    results = [
        make_result("BEIR-cqadupstack", "dense", 0.1 + i / 100, subset=name)
        for i, name in enumerate(forums)
    ]
    mean = make_result("BEIR-cqadupstack", "dense", 0.3, facts={"mean_over": list(forums)})
    other = make_result("BEIR-arguana", "dense", 0.7, num_items=1406)
    rows = report_rows(replace(MODERNBERT, results=(*results, mean, other)))
    assert len(rows) == 15
    row = next(row for row in rows if row.result is mean)
    assert row.difference == pytest.approx(0.3 - 0.4263)
    assert rows[-1].value == pytest.approx((0.3 + 0.7) / 2)


def test_a_mean_of_fewer_subsets_is_not_compared(make_result):
    mean = make_result("BEIR-cqadupstack", "dense", 0.3, facts={"mean_over": ["gis", "tex"]})
    row = only_row(mean, MODERNBERT)
    assert (row.difference, row.notes) == (None, ("mean of 2, published of 12",))


def test_a_task_that_is_a_whole_benchmark_is_compared_once(make_result):
    languages = publications().benchmarks["mkqa"].languages
    fields = {"main_metric": "answer_recall_at_20", "metrics": {"answer_recall_at_20": 0.6}}
    results = [make_result("MKQA", "dense", subset=name, **fields) for name in languages]
    results.append(make_result("MKQA", "dense", facts={"mean_over": list(languages)}, **fields))
    rows = report_rows(replace(GTE, settings={"max_length": 512}, results=tuple(results)))
    assert len(rows) == 26
    assert [row.difference for row in rows if row.published] == [pytest.approx(0.6 - 0.658)]


def test_languages_of_a_fine_tuned_task_are_averaged_for_every_published_metric(make_result):
    results = tuple(
        make_result(
            "XQuAD",
            "",
            kind="fine_tuning",
            subset=f"l{i}",
            main_metric="f1",
            metrics={"f1": 0.7, "exact_match": 0.5},
        )
        for i in range(11)
    )
    rows = report_rows(Report(model="gte-multilingual-mlm-base", results=results))
    assert all(row.published is None for row in rows if not row.is_mean)
    f1, exact = [row for row in rows if row.is_mean]
    assert (f1.metric, f1.published.value) == ("f1", 0.7481)
    assert (exact.metric, exact.published.value) == ("exact match", 0.5937)
    assert exact.difference == pytest.approx(0.5 - 0.5937)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"settings": {"task": {"collection": {"max_documents": 900}}}}, "max_documents 900"),
        ({"settings": {"max_length": 32768}}, "32,768 tokens, published with 8,192"),
    ],
)
def test_a_cut_collection_or_longer_texts_are_another_protocol(make_result, fields, word):
    results = mldr(make_result, publications().benchmarks["mldr"].languages, **fields)
    mean = report_rows(replace(GTE, results=results))[-1]
    assert mean.difference is None
    assert word in mean.notes[0]


@pytest.mark.parametrize(
    ("model", "weight", "is_same"),
    [
        ("gte-multilingual-base", 0.01, True),
        ("gte-multilingual-base", 0.3, False),
        ("bge-m3", 0.3, True),
        ("bge-m3", 0.01, False),
    ],
)
def test_hybrids_are_compared_at_the_published_weight(make_result, model, weight, is_same):
    metrics = {"answer_recall_at_20": 0.6}
    settings = {"max_length": 512, "hybrid": {"sparse_weight": weight}}
    result = make_result("MKQA", "hybrid", main_metric="answer_recall_at_20", metrics=metrics)
    result = replace(result, settings=settings)
    row = only_row(result, Report(model=model, settings={"max_length": 512}))
    assert row.published is not None
    # MKQA is published with 512 tokens, whatever the model takes.
    assert (row.difference is not None) == is_same


@pytest.mark.parametrize(("name", "value"), [("rerank_depth", 20), ("rerank_blend", 0.5)])
def test_reranking_less_or_by_both_rankings_is_another_protocol(make_result, name, value):
    fields = {"facts": {"first_stage": "dense"}, "settings": {name: value}}
    result = make_result("scifact", "reranked", 0.73, **fields)
    report = Report(model="gte-modernbert-base", reranker="gte-reranker-modernbert-base")
    row = only_row(result, report)
    assert (row.difference, len(row.notes)) == (None, 1)
    assert name.replace("_", " ") in row.notes[0]


def test_a_mean_of_languages_does_not_stand_beside_english(make_result):
    fields = {"kind": "classification", "main_metric": "accuracy", "metrics": {"accuracy": 0.7}}
    report = Report(model="gte-large-en-v1.5")
    facts = {"mean_over": ["EN", "DE"]}
    mean = make_result("amazon-counterfactual", "", language="", facts=facts, **fields)
    assert only_row(mean, report).published is None
    task = "AmazonReviewsClassification"
    for split, is_same in (("test", True), ("validation", False)):
        row = only_row(
            make_result(task, "", subset="en", split=split, num_items=5000, **fields), report
        )
        assert row.published.value == 0.54196
        assert (row.difference is not None) == is_same


def test_what_others_fine_tuned_their_own_way_is_not_compared(make_result):
    fields = {"kind": "average", "main_metric": "average", "metrics": {"average": 0.84}}
    result = make_result("glue-average", "", facts={"profile": "paper"}, **fields)
    assert only_row(result, Report(model="roberta-base")).difference is None
    assert only_row(result, Report(model="xlm-roberta-base")).difference is not None
    for settings in ({"setting": {"lr": 5e-5}}, {"stop": 1000}):
        changed = replace(result, settings=settings)
        assert only_row(changed, Report(model="xlm-roberta-base")).difference is None


@pytest.mark.parametrize(
    ("settings", "is_same"),
    [
        ({"setting": {"lr": 2e-5, "epochs": 3, "max_length": 128}}, True),
        ({"setting": {"lr": 5e-5}}, False),
        ({"train": {"stop": 1000}}, False),
    ],
)
def test_fine_tuning_is_compared_at_the_published_setting(make_result, settings, is_same):
    fields = {"kind": "fine_tuning", "main_metric": "accuracy", "metrics": {"accuracy": 0.7}}
    results = tuple(
        make_result("XNLI", "", subset=f"l{i}", settings=settings, **fields) for i in range(15)
    )
    rows = report_rows(Report(model="xlm-roberta-base", results=results))
    assert (rows[-1].difference is not None) == is_same


def test_only_the_published_split_counts_in_a_mean(make_result):
    languages = publications().benchmarks["mldr"].languages
    results = [
        make_result("MultiLongDocRetrieval", "dense", value, subset=name, split=split)
        for name in languages
        for split, value in (("dev", 0.9), ("test", 0.5))
    ]
    mean = report_rows(replace(GTE, results=tuple(results)))[-1]
    assert (mean.task, mean.value) == ("MLDR: mean of 13", pytest.approx(0.5))
    assert mean.difference == pytest.approx(0.5 - 0.566)


@pytest.mark.parametrize(
    ("first_stage", "published", "is_same"),
    [("dense", 0.787, True), ("hybrid", 0.738, True), ("bm25", 0.787, False)],
)
def test_a_mean_stands_beside_the_number_of_its_first_stage(
    make_result, first_stage, published, is_same
):
    languages = publications().benchmarks["mldr"].languages
    settings = {"first_stage": first_stage, "rerank_depth": 100, "sparse_weight": 0.01}
    results = tuple(
        make_result(f"MLDR-{language}", "reranked", settings=settings) for language in languages
    )
    report = replace(GTE, reranker="gte-multilingual-reranker-base", results=results)
    mean = report_rows(report)[-1]
    assert mean.published.value == published
    assert (mean.difference is not None) == is_same


def test_a_reranker_that_reads_less_is_not_compared(make_result):
    reranker = "gte-reranker-modernbert-base"
    report = Report(model="gte-modernbert-base", reranker=reranker)
    for limit, notes in ((8192, 0), (512, 1)):
        settings = {"max_length": 8192, "reranker_max_length": limit}
        facts = {"first_stage": "dense"}
        result = make_result("scifact", "reranked", 0.73, facts=facts, settings=settings)
        assert len(only_row(result, report).notes) == notes
