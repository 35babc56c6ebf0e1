"""Local data as tasks of mteb, for tests: filled in memory, so that nothing is cached on disk."""

import os
import tempfile
from pathlib import Path

# mteb makes its cache folder when it is imported.
os.environ.setdefault("MTEB_CACHE", str(Path(tempfile.gettempdir()) / "mgte-tests-mteb"))

import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.sts import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata

# What foreign code on the way through mteb warns of.
FOREIGN_WARNINGS = (
    "ignore:To copy construct from a tensor:UserWarning",
    "ignore:Precision is ill-defined",
    "ignore:.*is a constant",
    "ignore:Conversations are a list of strings:UserWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::ResourceWarning",
)


def metadata(name: str, task_type: str, main_score: str) -> TaskMetadata:
    return TaskMetadata(
        name=name,
        description="Local data.",
        dataset={"path": f"local/{name}", "revision": "local"},
        type=task_type,
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=main_score,
    )


def retrieval_task(collection, name: str = "LocalRetrieval", candidates=None):
    """A class of mteb's retrieval tasks that holds a collection of ours."""
    corpus = [{"id": d.doc_id, "title": d.title, "text": d.text} for d in collection.documents]
    queries = [{"id": q.query_id, "text": q.text} for q in collection.queries]
    qrels = {query_id: dict(grades) for query_id, grades in collection.qrels.items()}

    class LocalRetrieval(AbsTaskRetrieval):
        pass

    LocalRetrieval.metadata = metadata(
        name, "Retrieval" if candidates is None else "Reranking", "ndcg_at_10"
    )
    LocalRetrieval.num_loads = 0

    def load_data(self, **options) -> None:
        type(self).num_loads += 1
        self.dataset = {
            "default": {
                "test": {
                    "corpus": Dataset.from_list(corpus),
                    "queries": Dataset.from_list(queries),
                    "relevant_docs": {key: dict(value) for key, value in qrels.items()},
                    "top_ranked": candidates,
                }
            }
        }
        self.data_loaded = True

    LocalRetrieval.load_data = load_data
    return LocalRetrieval


def sts_task(pairs, name: str = "LocalSTS"):
    """A class of mteb's STS tasks; pairs are (text, text, score from 0 to 5)."""
    rows = [{"sentence1": a, "sentence2": b, "score": score} for a, b, score in pairs]

    class LocalSTS(AbsTaskSTS):
        pass

    LocalSTS.metadata = metadata(name, "STS", "cosine_spearman")

    def load_data(self, **options) -> None:
        self.dataset = {"test": Dataset.from_list(rows)}
        self.data_loaded = True

    LocalSTS.load_data = load_data
    return LocalSTS


def run_mteb(model, task, cache=None):
    """Scores of the one split and subset."""
    result = mteb.evaluate(
        model,
        task,
        cache=cache,
        co2_tracker=False,
        show_progress_bar=False,
        encode_kwargs={"batch_size": 64, "show_progress_bar": False},
    )
    return result.task_results[0].scores["test"][0]
