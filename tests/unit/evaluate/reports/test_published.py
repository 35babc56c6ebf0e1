"""Published numbers are consistent with themselves, and found by any name of a model or task."""

import pytest

from mgte.evaluate.reports.published import (
    Place,
    all_published,
    place_of,
    publications,
    published_model,
    published_numbers,
)


def value_of(model, variant, benchmark, part="") -> float:
    return published_numbers(model, variant, Place(benchmark=benchmark, part=part))[0].value


def test_every_row_has_a_value_for_every_column_and_a_known_model():
    everything = publications()
    for table in everything.tables:
        for model, _, *values in table.rows:
            assert model in everything.models
            assert len(values) == len(table.columns)


def test_every_column_is_a_known_place():
    benchmarks = publications().benchmarks
    for number in all_published():
        benchmark = benchmarks[number.place.benchmark]
        assert number.place.part in ("", *benchmark.part_names)


def test_metrics_lie_between_0_and_1():
    kinds = publications().benchmarks
    for number in all_published():
        if kinds[number.place.benchmark].kind != "efficiency":
            assert 0 < number.value < 1, number


@pytest.mark.parametrize(
    ("model", "variant", "benchmark"),
    [
        ("gte-modernbert-base", "dense", "beir"),
        ("gte-reranker-modernbert-base", "reranked", "beir"),
        ("gte-modernbert-base", "dense", "coir"),
        ("gte-large-en-v1.5", "dense", "loco"),
        ("gte-base-en-v1.5", "dense", "loco"),
        ("gte-modernbert-base", "dense", "loco"),
        ("gte-reranker-modernbert-base", "reranked", "loco"),
        ("gte-multilingual-mlm-base", "", "xtreme-r"),
        ("xlm-roberta-base", "", "xtreme-r"),
        ("mgte-mlm-2048", "", "xtreme-r"),
    ],
)
def test_the_published_mean_is_the_mean_of_the_published_parts(model, variant, benchmark):
    parts = [
        value_of(model, variant, benchmark, part)
        for part in publications().benchmarks[benchmark].part_names
    ]
    assert value_of(model, variant, benchmark) == pytest.approx(sum(parts) / len(parts), abs=1.1e-3)


def test_the_card_whose_mean_is_another_says_so():
    place = Place(benchmark="coir")
    (number,) = published_numbers("gte-reranker-modernbert-base", "reranked", place)
    parts = publications().benchmarks["coir"].part_names
    values = [value_of(number.model, "reranked", "coir", part) for part in parts]
    assert f"{100 * sum(values) / len(values):.2f}" in number.setting


@pytest.mark.parametrize(
    ("model", "variant"),
    [
        ("bm25", "bm25"),
        ("bge-m3", "dense"),
        ("bge-m3", "sparse"),
        ("bge-m3", "hybrid"),
        ("e5-mistral-7b-instruct", "dense"),
        ("mGTE-TRM", "sparse"),
        ("mGTE-TRM", "hybrid"),
    ],
)
def test_the_mean_of_table_4_is_that_of_its_benchmarks(model, variant):
    assert mean_of_table_4(model, variant) == pytest.approx(
        value_of(model, variant, "retrieval-5"), abs=6e-4
    )


def test_the_dense_mean_of_table_4_that_is_another_is_told():
    place = Place(benchmark="retrieval-5")
    (number,) = published_numbers("mGTE-TRM", "dense", place)
    assert f"{100 * mean_of_table_4('mGTE-TRM', 'dense'):.1f}" in number.setting


def mean_of_table_4(model, variant) -> float:
    names = ("mldr", "miracl", "mkqa", "beir", "loco")
    return sum(value_of(model, variant, name) for name in names) / len(names)


@pytest.mark.parametrize(
    "name",
    [
        "gte-multilingual-base",
        "Alibaba-NLP/gte-multilingual-base",
        "Alibaba-NLP/GTE-multilingual-base",
        "models/gte-multilingual-base/",
        "st:Alibaba-NLP/gte-multilingual-base",
        "http://localhost:8080/v1#gte-multilingual-base",
        "mGTE-TRM",
    ],
)
def test_a_model_is_found_by_any_of_its_names(name):
    assert published_model(name) == "gte-multilingual-base"


@pytest.mark.parametrize("name", ["", "gte-multilingual-base-fine-tuned", "mgte-nano", "base"])
def test_other_models_have_no_published_numbers(name):
    assert published_model(name) is None


@pytest.mark.parametrize(
    ("fields", "benchmark", "part", "member"),
    [
        ({"task": "scifact"}, "beir", "scifact", ""),
        ({"task": "BEIR-scifact"}, "beir", "scifact", ""),
        ({"task": "SciFact", "subset": "default"}, "beir", "scifact", ""),
        ({"task": "BEIR-cqadupstack-gis"}, "beir", "cqadupstack", "gis"),
        ({"task": "MLDR-de"}, "mldr", "de", ""),
        ({"task": "MultiLongDocRetrieval", "subset": "zh"}, "mldr", "zh", ""),
        ({"task": "MKQA-zh_cn"}, "mkqa", "zh_cn", ""),
        ({"task": "CoIR-CodeSearchNet-ccr-go"}, "coir", "csn-ccr-go", ""),
        ({"task": "LoCo-qasper-title"}, "loco", "qasper-title", ""),
        ({"task": "XNLI", "subset": "sw", "kind": "fine_tuning"}, "xtreme-r", "xnli", "sw"),
        ({"task": "glue-average", "kind": "fine_tuning"}, "glue", "", ""),
        ({"task": "mteb-en"}, "mteb-en", "", ""),
        ({"task": "mteb-en", "subset": "STS", "kind": "sts"}, "mteb-en", "sts", ""),
    ],
)
def test_a_result_is_placed_by_task_and_subset(make_result, fields, benchmark, part, member):
    expected = Place(benchmark=benchmark, part=part, member=member)
    assert place_of(make_result(**fields)) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "my-collection"},
        {"task": "scifact", "kind": "sts"},
        {"task": "xquad-de"},
        {"task": "Retrieval"},
        {"task": "MLDR", "subset": "tlh"},
        {"task": "scifact", "subset": "half"},
    ],
)
def test_what_is_no_part_of_a_benchmark_has_no_place(make_result, fields):
    assert place_of(make_result(**fields)) is None


def test_every_task_of_the_published_suites_has_a_place(make_result):
    from mgte.evaluate.suite import read_suite

    parts = {"beir": 15, "loco": 5, "coir-mteb": 20, "mldr": 13, "miracl": 18, "mkqa": 25}
    for suite, count in parts.items():
        places = set()
        for entry in read_suite(suite).tasks:
            for subset in entry["collection"].get("subsets") or [""]:
                place = place_of(make_result(task=entry["name"], subset=subset))
                places.add((place.benchmark, place.part))
        assert len(places) == count


def test_languages_of_the_suite_are_as_many_as_the_published_means_have():
    from mgte.evaluate.suite import read_suite

    parts = publications().benchmarks["xtreme-r"].parts.values()
    for entry in read_suite("xtreme-r").tasks:
        [part] = [part for part in parts if entry["name"] in part.names]
        assert sum(len(test["languages"]) for test in entry["tests"]) == part.num_subsets


def test_bm25_is_the_same_whoever_reports_it():
    assert value_of("bm25", "bm25", "beir", "scifact") == 0.665
