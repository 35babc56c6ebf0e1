"""Real data sets of many layouts, read by settings alone; a real model beside others' numbers."""

import pytest

from mgte.errors import BackendUnavailableError
from mgte.evaluate.subjects import EmbedderSubject, Subject
from mgte.evaluate.suite import build_task
from mgte.evaluate.tasks.task import TaskContext
from mgte.evaluate.tasks.text_parts import text_parts
from mgte.evaluate.text_data import (
    candidate_lists,
    label_order,
    labelled_pairs,
    labelled_texts,
    scored_pairs,
    translation_pairs,
)
from mgte.inference import Embedder
from mgte.store import resolve_model

STSB = {
    "kind": "sts",
    "name": "stsb",
    "data": {
        "path": "stsb_multi_mt/data/stsb-{subset}-{split}.csv.gz",
        "columns": ["sentence1", "sentence2", "score"],
        "subsets": {"en": "en"},
    },
}
SENTENCES = "sentence_classification_sst_trec_mr_cr_mpqa_subj"


def rows_of(shared, **data):
    task = build_task({"kind": "bitext", "name": "x", "data": data}, shared / "data")
    return [(part.field, part.rows()) for part in text_parts(task.config.data, shared / "data")]


def rows(shared, **data):
    return rows_of(shared, **data)[0][1]


def test_scored_pairs(shared):
    bare = {"columns": ["score", "sentence1", "sentence2"], "drop_empty": ["score"]}
    found = scored_pairs(rows(shared, path="sts_semeval_2012_2016/2016/*.test.tsv.gz", **bare))
    assert len(found) == 254 + 249 + 230 + 244 + 209
    sick = rows(shared, path="sick2014/SICK_test_annotated.txt.gz", format="tsv")
    names = {"first": "sentence_A", "second": "sentence_B", "score": "relatedness_score"}
    assert len(scored_pairs(sick, score_range=(1, 5), **names)) == 4927
    japanese = rows(shared, path="jglue/jsts-v1.3/valid-v1.3.json.gz", format="jsonl")
    assert len(scored_pairs(japanese, score="label")) == 1457
    assert len(scored_pairs(rows(shared, path="kornlu/KorSTS/sts-{split}.tsv.gz"))) == 1379


def test_labelled_pairs(shared):
    mrpc = rows(shared, path="mrpc/msr-para-{split}.tsv.gz")
    found = labelled_pairs(mrpc, first="#1 String", second="#2 String", label="Quality")
    assert (len(found), sum(pair.is_positive for pair in found)) == (1725, 1147)
    labels = {"positive": ["entailment"], "negative": ["contradiction"], "ignored": ["neutral"]}
    korean = rows(shared, path="kornlu/KorNLI/xnli.{split}.ko.tsv.gz")
    assert len(labelled_pairs(korean, label="gold_label", **labels)) == 2 * 1670


def test_labelled_texts(shared):
    def classes(data, **names):
        texts = labelled_texts(rows(shared, **data), **names)
        return len(texts), len(label_order(texts))

    assert classes({"path": "banking77/{split}.csv.gz"}, label="category") == (3080, 77)
    clinc = {"path": "clinc150/data_full.json.gz", "columns": ["text", "label"]}
    assert classes(clinc | {"records_at": "{split}"}) == (4500, 150)
    quoted = {"path": "amazon_counterfactual/EN_{split}.tsv.gz", "format": "csv"}
    names = {"text": "sentence", "label": "is_counterfactual"}
    assert classes(quoted | {"separator": "\t"}, **names) == (670, 2)
    tweets = {"text": "{split}_text.txt.gz", "label": "{split}_labels.txt"}
    lines = {name: f"xlmt_sentiment8/german/{file}" for name, file in tweets.items()}
    assert classes({"lines": lines}) == (870, 3)
    spaced = {"format": "text", "columns": ["label", "text"], "separator": " "}
    movies = {"path": f"{SENTENCES}/rt-polarity.all.gz", "encoding": "latin-1"}
    assert classes(spaced | movies) == (10662, 2)
    topics = {"split": "{split}", "topics": ["earn", "acq", "crude", "trade"]}
    reuters = {"path": "reuters21578/title_body.jsonl.gz", "where": topics}
    assert classes(reuters, text="positive", label="topics")[1] == 4
    news = {"path": "masakhanews/{split}.jsonl.xz", "where": {"lang": "swa"}}
    assert classes(news, text="query", label="category") == (476, 7)


def test_translation_pairs(shared):
    lines = {
        "source": "tatoeba_v1/tatoeba.{subset}-eng.{subset}*",
        "target": "tatoeba_v1/tatoeba.{subset}-eng.eng*",
    }
    subsets = {"deu": "de-en", "amh": "am-en", "gsw": "gsw-en"}
    sizes = [len(translation_pairs(r)) for _, r in rows_of(shared, lines=lines, subsets=subsets)]
    assert sizes == [1000, 168, 117]
    folder = "ntrex128/NTREX-128/newstest2019"
    news = {"source": f"{folder}-ref.swa.txt.gz", "target": f"{folder}-src.eng.txt.gz"}
    assert len(translation_pairs(rows(shared, lines=news))) == 1997
    ((field, nusax),) = rows_of(
        shared, path="nusax/mt/{split}.csv.gz", subsets={"english": "en-id"}
    )
    assert len(translation_pairs(nusax, source=field("{subset}"), target="indonesian")) == 400


def test_candidates(shared):
    names = {"query": "qtext", "document": "atext", "grade": "label"}
    found = candidate_lists(rows(shared, path="trecqa_wang/{split}.csv.gz"), **names)
    # The clean test set: questions with right and wrong answers.
    assert len(found) == 68
    names = {"query": "queries", "document": "documents", "grade": "labels"}
    science = rows(shared, path="rarb_mcr/ARC-Challenge-{split}.csv.gz")
    assert len(candidate_lists(science, layout="lists", **names)) == 1172
    examples = "flagembedding_examples/finetune/embedder/example_data/retrieval/nq.jsonl.gz"
    parts = {"layout": "parts", "document": "pos", "grade": "neg"}
    assert len(candidate_lists(rows(shared, path=examples), **parts)) == 10


@pytest.fixture(scope="module")
def minilm():
    try:
        return resolve_model("all-minilm-l6-v2")
    except BackendUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "published"),
    [
        (
            {
                "kind": "sts",
                "name": "sts16",
                "data": {
                    "path": "sts_semeval_2012_2016/2016/*.test.tsv.gz",
                    "columns": ["score", "sentence1", "sentence2"],
                    "drop_empty": ["score"],
                },
            },
            0.7899,
        ),
        (
            {
                "kind": "classification",
                "name": "banking77",
                "data": {"path": "banking77/{split}.csv.gz"},
                "label": "category",
            },
            0.8004,
        ),
    ],
    ids=["sts16", "banking77"],
)
def test_real_model_has_its_published_numbers(shared, minilm, entry, published):
    # Source: MTEB leaderboard, all-MiniLM-L6-v2; mteb draws with the seed 42.
    subject = Subject(encoder=EmbedderSubject(Embedder.load(str(minilm), device="cpu")))
    (result,) = build_task(entry, shared / "data").run(subject, TaskContext(seed=42))
    assert result.main == pytest.approx(published, abs=5e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")
def test_real_model_has_its_published_number_and_that_of_mteb(shared, minilm):
    pytest.importorskip("mteb")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from mteb.models import SentenceTransformerEncoderWrapper
    from tests.unit.evaluate.mteb_tasks import sts_task

    subject = Subject(encoder=EmbedderSubject(Embedder.load(str(minilm), device="cpu")))
    task = build_task(STSB, shared / "data")
    (result,) = task.run(subject, TaskContext())
    # Source: MTEB leaderboard, STSBenchmark of all-MiniLM-L6-v2, 82.03.
    assert result.main == pytest.approx(0.8203, abs=5e-5)
    (part,) = text_parts(task.config.data, shared / "data")
    pairs = [(pair.first, pair.second, pair.score) for pair in scored_pairs(part.rows())]
    theirs = sentence_transformers.SentenceTransformer(str(minilm), device="cpu")
    scores = sts_task(pairs)().evaluate(
        SentenceTransformerEncoderWrapper(theirs),
        "test",
        encode_kwargs={"batch_size": 64, "show_progress_bar": False},
    )["default"]
    for name in ("cosine_spearman", "cosine_pearson", "euclidean_spearman", "manhattan_pearson"):
        assert result.metrics[name] == pytest.approx(scores[name], abs=1e-4)
