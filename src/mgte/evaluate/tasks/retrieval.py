"""RetrievalTask: a collection searched in every way that a subject can."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mgte.config import to_dict
from mgte.errors import ConfigError
from mgte.evaluate.answer_recall import ANSWER_METRICS
from mgte.evaluate.collection import (
    Collection,
    OwnDocuments,
    collection_hash,
    read_collection,
)
from mgte.evaluate.collections import CollectionConfig, DatasetFiles, load_collection
from mgte.evaluate.metrics import MAIN_METRIC, METRICS
from mgte.evaluate.records import TaskKind, TaskResult, WorstItem
from mgte.evaluate.result import ModeResult, RetrievalResult
from mgte.evaluate.retrieval import able_modes, search_and_measure
from mgte.evaluate.retrieval_config import MODES, Mode, RetrievalConfig
from mgte.evaluate.run_files import check_names, run_of_rankings, write_run
from mgte.evaluate.searches import Rankings
from mgte.evaluate.significance import bootstrap_interval
from mgte.evaluate.subjects.subject import PairScorer, Subject, TextEncoder
from mgte.evaluate.tasks.data_paths import check_limits, existing_path
from mgte.evaluate.tasks.language_parts import Found, parts_by_language
from mgte.evaluate.tasks.subset_means import mean_over_subsets
from mgte.evaluate.tasks.task import Task, TaskContext

_NUM_WORST = 20
_NUM_SHOWN = 3
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalTaskConfig:
    """A collection, and what of it is measured.

    Attributes:
        name: Name of the task.
        kind: Always "retrieval".
        data: BEIR folder below the data root; "" where `collection` says what is searched.
        collection: A published collection, from the hub or a folder of its layout. Its subsets
            are measured one by one, and it says split and sizes itself.
        split: Which judgements.
        language: Language of the texts, for reports; "" takes the collection's subset.
        main_metric: The metric that stands in tables.
        modes: Ways of ranking; empty means those of the run.
        max_queries: Queries used at most, drawn at random; 0 means all.
        max_documents: Documents used at most beside the judged ones, drawn at random; 0 means all.
        document_ids: Pattern of the document ids that are searched.
        own_documents: Which document is the query itself; see `make_collection`.
        retrieval: Fields of `RetrievalConfig` that differ from the run's.
    """

    name: str
    kind: Literal["retrieval"] = "retrieval"
    data: str = ""
    collection: CollectionConfig | None = None
    split: str = "test"
    language: str = ""
    main_metric: str = MAIN_METRIC
    modes: tuple[Mode, ...] = ()
    max_queries: int = 0
    max_documents: int = 0
    document_ids: str = "*"
    own_documents: OwnDocuments = "same-text"
    retrieval: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.data) == (self.collection is not None):
            raise ConfigError("data: expected either data or collection, and not both")
        check_limits(self)
        known = (*METRICS, *ANSWER_METRICS)
        if self.main_metric not in known:
            raise ConfigError(
                f"main_metric: got {self.main_metric!r}, expected one of {', '.join(known)}"
            )


class RetrievalTask(Task[RetrievalTaskConfig]):
    """A collection as a task."""

    kind: TaskKind = "retrieval"

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Search the collection.

        Args:
            subject: What is measured.
            context: How.

        Returns:
            One result per way of ranking, by the mode's name as variant; of several subsets, one
            per subset, and their means without a subset.

        Raises:
            DataError: The collection is not there or damaged, or a model gives NaN.
            ConfigError: The subject can rank in none of the wanted ways.
            BackendUnavailableError: pytrec_eval or bm25s is not installed.
        """
        config = context.retrieval.changed(self.config.retrieval)
        modes = possible_modes(
            self.config.modes or context.modes, subject.encoder, subject.reranker
        )
        measured: list[TaskResult] = []
        for collection, subset in self._collections(context):
            measured += measure_collection(
                collection,
                subject,
                modes,
                config,
                task=self.config,
                subset=subset,
                seed=context.seed,
                runs_folder=context.runs_folder,
            )
        if len({result.subset for result in measured}) > 1:
            measured += mean_over_subsets(measured, seed=context.seed)
        return measured

    def _collections(self, context: TaskContext) -> Iterator[tuple[Collection, str]]:
        """Collections with the names of their subsets, read one after the other."""
        config = self.config
        if config.collection is None:
            collection = read_collection(
                existing_path(self.root, config.data, self.name),
                split=config.split,
                max_queries=config.max_queries,
                max_documents=config.max_documents,
                document_ids=config.document_ids,
                own_documents=config.own_documents,
                seed=context.seed,
            )
            yield collection, ""
            return
        files, seed = DatasetFiles(self.root, offline=context.offline), context.seed
        published = config.collection
        # A task that is one subset is called after it; one of several tells them apart.
        if published.joint_subsets:
            yield load_collection(published, files, name=self.name, seed=seed), ""
            return
        for subset in published.subsets or ("",):
            one = replace(published, subset=subset or published.subset, subsets=())
            yield load_collection(one, files, name=self.name, seed=seed), subset


def measure_collection(
    collection: Collection,
    subject: Subject,
    modes: Sequence[Mode],
    config: RetrievalConfig,
    *,
    task: RetrievalTaskConfig,
    subset: str = "",
    seed: int = 0,
    runs_folder: Path | None = None,
) -> list[TaskResult]:
    """Search a collection and tell what was found as results of a task.

    Args:
        collection: Documents, queries and judgements.
        subject: What is measured; a reranker alone reranks what BM25 finds.
        modes: Ways of ranking, all of them possible.
        config: How the collection is searched.
        task: Name, language and main metric.
        subset: Which part of a published collection this is.
        seed: Decides the intervals.
        runs_folder: Where the rankings are written as TREC runs; None for nowhere.

    Returns:
        One result per way of ranking.

    Raises:
        DataError: A model gives NaN or infinity.
        BackendUnavailableError: pytrec_eval or bm25s is not installed.
    """
    if runs_folder is not None:
        # What the format cannot hold is told before anything is embedded.
        check_names(query.query_id for query in collection.queries)
        check_names(document.doc_id for document in collection.documents)
    measured, rankings = search_and_measure(
        subject.encoder, subject.reranker, collection, modes, config
    )
    if runs_folder is not None:
        name = f"{task.name}-{subset}" if subset else task.name
        for mode, ranking in rankings.items():
            run = run_of_rankings(ranking, collection)
            write_run(runs_folder / f"{name}.{mode}.run", run, tag=mode)
    found = Found(collection=collection, measured=measured, rankings=rankings, subset=subset)
    languages = () if task.collection is None else task.collection.joint_subsets
    parts = parts_by_language(found, languages) if languages else (found,)
    return [result for part in parts for result in _results(part, task, seed)]


def _results(found: Found, task: RetrievalTaskConfig, seed: int) -> Iterator[TaskResult]:
    """One result per way of ranking."""
    collection, measured = found.collection, found.measured
    shared: dict[str, Any] = {
        "task": task.name,
        "kind": "retrieval",
        "main_metric": task.main_metric,
        "num_items": measured.num_queries,
        "split": measured.split,
        "subset": found.subset,
        "language": task.language or found.subset,
        "facts": _facts(measured, collection),
        "settings": dict(measured.settings) | {"task": to_dict(task)},
        "seconds": dict(measured.seconds),
        "dataset_hash": collection_hash(collection),
    }
    for mode in MODES:
        if mode in measured.modes:
            by_query = _main_by_query(measured.modes[mode], task)
            yield TaskResult(
                **shared,
                metrics=dict(measured.modes[mode].metrics),
                variant=mode,
                interval=bootstrap_interval(list(by_query.values()), seed=seed),
                per_item=by_query,
                worst=_worst(by_query, found.rankings[mode], collection),
            )


def possible_modes(
    wanted: Iterable[Mode], encoder: TextEncoder | None, reranker: PairScorer | None
) -> tuple[Mode, ...]:
    """Those of some ways of ranking that models can.

    Args:
        wanted: Ways of ranking; empty means all, BM25 where it is installed.
        encoder: The model; None without one.
        reranker: The reranker; None without one.

    Returns:
        Modes in the order of `MODES`.

    Raises:
        ConfigError: None is possible.
    """
    has_bm25 = importlib.util.find_spec("bm25s") is not None
    able: dict[Mode, bool] = {**able_modes(encoder, reranker), "bm25": has_bm25}
    asked = tuple(wanted) or MODES
    found = tuple(mode for mode in MODES if mode in asked and able[mode])
    if not found:
        raise ConfigError(
            f"modes: got {', '.join(asked)}, expected one that is possible here: "
            f"{', '.join(mode for mode in MODES if able[mode])}"
        )
    return found


def _main_by_query(result: ModeResult, task: RetrievalTaskConfig) -> dict[str, float]:
    if task.main_metric not in result.metrics:
        raise ConfigError(
            f"{task.name}.main_metric: got {task.main_metric!r}, expected one of "
            f"{', '.join(result.metrics)}, which this collection allows"
        )
    return {query_id: values[task.main_metric] for query_id, values in result.per_query.items()}


def _facts(measured: RetrievalResult, collection: Collection) -> dict[str, Any]:
    lengths = {document.doc_id: len(document.full_text) for document in collection.documents}
    best = {
        query_id: max((doc_id for doc_id in grades if grades[doc_id] > 0), key=grades.__getitem__)
        for query_id, grades in collection.qrels.items()
        if any(grade > 0 for grade in grades.values())
    }
    return {
        "num_documents": measured.num_documents,
        "num_queries": measured.num_queries,
        "num_documents_truncated": measured.num_documents_cut,
        "num_queries_truncated": measured.num_queries_cut,
        "num_own_documents": measured.num_own_documents,
        "item_characters": {query.query_id: len(query.text) for query in collection.queries},
        "item_document_characters": {
            query_id: lengths[doc_id] for query_id, doc_id in best.items()
        },
    }


def _worst(
    by_query: Mapping[str, float], rankings: Rankings, collection: Collection
) -> tuple[WorstItem, ...]:
    """Queries that went worst, with what should have been found and what was."""
    documents = {document.doc_id: document.full_text for document in collection.documents}
    by_value = sorted(
        zip(collection.queries, rankings, strict=True), key=lambda pair: by_query[pair[0].query_id]
    )
    worst = []
    for query, ranking in by_value[:_NUM_WORST]:
        grades = collection.qrels[query.query_id]
        wanted = sorted((d for d in grades if grades[d] > 0), key=lambda d: (-grades[d], d))
        answers = " | ".join(collection.answers.get(query.query_id, ()))
        rows = ranking.rows[:_NUM_SHOWN].tolist()
        found = [collection.documents[row].doc_id for row in rows]
        worst.append(
            WorstItem(
                item_id=query.query_id,
                value=by_query[query.query_id],
                text=_shown(query.text),
                expected=_shown(answers) or _listed(wanted[:_NUM_SHOWN], documents),
                found=_listed(found, documents),
            )
        )
    return tuple(worst)


def _listed(doc_ids: Iterable[str], documents: Mapping[str, str]) -> str:
    return "\n".join(f"{doc_id}: {_shown(documents[doc_id])}" for doc_id in doc_ids)


def _shown(text: str) -> str:
    line = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
