"""RetrievalTask: a collection searched in every way that a subject can."""

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from mgte.config import from_dict, to_dict
from mgte.errors import ConfigError
from mgte.evaluate.collection import Collection, OwnDocuments, read_collection
from mgte.evaluate.metrics import MAIN_METRIC, METRICS
from mgte.evaluate.records import TaskKind, TaskResult, WorstItem
from mgte.evaluate.result import ModeResult, RetrievalResult
from mgte.evaluate.retrieval import search_and_measure
from mgte.evaluate.searches import MODES, Mode, Rankings, RetrievalConfig
from mgte.evaluate.significance import bootstrap_interval
from mgte.evaluate.subjects.subject import PairScorer, Subject, TextEncoder
from mgte.evaluate.tasks.data_paths import existing_path
from mgte.evaluate.tasks.task import TaskContext

_NUM_WORST = 20
_NUM_SHOWN = 3
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalTaskConfig:
    """A collection, and what of it is measured.

    Attributes:
        name: Name of the task.
        kind: Always "retrieval".
        data: BEIR folder below the data root.
        split: Which judgements.
        language: Language of the texts, for reports.
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
    data: str
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
        if self.main_metric not in METRICS:
            raise ConfigError(
                f"main_metric: got {self.main_metric!r}, expected one of {', '.join(METRICS)}"
            )


class RetrievalTask:
    """A collection as a task.

    Args:
        config: What is measured.
        root: Folder from which its path counts.
    """

    def __init__(self, config: RetrievalTaskConfig, root: Path) -> None:
        self._config = config
        self._root = root

    @property
    def name(self) -> str:
        """Name of the task."""
        return self._config.name

    @property
    def kind(self) -> TaskKind:
        """Always "retrieval"."""
        return "retrieval"

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Search the collection.

        Args:
            subject: What is measured.
            context: How.

        Returns:
            One result per way of ranking, by the mode's name as variant.

        Raises:
            DataError: The collection is not there or damaged, or a model gives NaN.
            ConfigError: The subject has no encoder, or can rank in none of the wanted ways.
            BackendUnavailableError: pytrec_eval or bm25s is not installed.
        """
        encoder = subject.wanted_encoder(self.name)
        config = _merged(context.retrieval, self._config.retrieval)
        modes = possible_modes(self._config.modes or context.modes, encoder, subject.reranker)
        collection = read_collection(
            existing_path(self._root, self._config.data, self.name),
            split=self._config.split,
            max_queries=self._config.max_queries,
            max_documents=self._config.max_documents,
            document_ids=self._config.document_ids,
            own_documents=self._config.own_documents,
            seed=context.seed,
        )
        return measure_collection(
            collection,
            Subject(encoder=encoder, reranker=subject.reranker),
            modes,
            config,
            task=self._config,
            seed=context.seed,
        )


def measure_collection(
    collection: Collection,
    subject: Subject,
    modes: Sequence[Mode],
    config: RetrievalConfig,
    *,
    task: RetrievalTaskConfig,
    seed: int = 0,
) -> list[TaskResult]:
    """Search a collection and tell what was found as results of a task.

    Args:
        collection: Documents, queries and judgements.
        subject: What is measured; has an encoder.
        modes: Ways of ranking, all of them possible.
        config: How the collection is searched.
        task: Name, language and main metric.
        seed: Decides the intervals.

    Returns:
        One result per way of ranking.

    Raises:
        DataError: A model gives NaN or infinity.
        BackendUnavailableError: pytrec_eval or bm25s is not installed.
    """
    encoder = subject.wanted_encoder(task.name)
    measured, rankings = search_and_measure(encoder, subject.reranker, collection, modes, config)
    digest = collection_hash(collection)
    return [
        _task_result(mode, measured, rankings[mode], collection, (task, seed, digest))
        for mode in MODES
        if mode in measured.modes
    ]


def possible_modes(
    wanted: Iterable[Mode], encoder: TextEncoder, reranker: PairScorer | None
) -> tuple[Mode, ...]:
    """Those of some ways of ranking that models can.

    Args:
        wanted: Ways of ranking; empty means all, BM25 where it is installed.
        encoder: The model.
        reranker: The reranker; None without one.

    Returns:
        Modes in the order of `MODES`.

    Raises:
        ConfigError: None is possible.
    """
    able: dict[Mode, bool] = {
        "dense": True,
        "sparse": encoder.has_sparse,
        "hybrid": encoder.has_sparse,
        "reranked": reranker is not None,
        "bm25": importlib.util.find_spec("bm25s") is not None,
    }
    asked = tuple(wanted) or MODES
    found = tuple(mode for mode in MODES if mode in asked and able[mode])
    if not found:
        raise ConfigError(
            f"modes: got {', '.join(asked)}, expected one that {encoder.name} can: "
            f"{', '.join(mode for mode in MODES if able[mode])}"
        )
    return found


def collection_hash(collection: Collection) -> str:
    """Hash of all that is searched, asked and judged.

    Args:
        collection: The collection.

    Returns:
        Hexadecimal digits; the same for the same texts and judgements on every machine.
    """
    digest = sha256()
    for document in collection.documents:
        _add(digest, document.doc_id, document.full_text)
    for query in collection.queries:
        _add(digest, query.query_id, query.text)
        for doc_id, grade in sorted(collection.qrels[query.query_id].items()):
            _add(digest, doc_id, str(grade))
    return digest.hexdigest()


def _add(digest: Any, *texts: str) -> None:
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)


def _task_result(
    mode: Mode,
    measured: RetrievalResult,
    rankings: Rankings,
    collection: Collection,
    told: tuple[RetrievalTaskConfig, int, str],
) -> TaskResult:
    task, seed, digest = told
    result = measured.modes[mode]
    per_item = {query: values[task.main_metric] for query, values in result.per_query.items()}
    return TaskResult(
        task=task.name,
        kind="retrieval",
        main_metric=task.main_metric,
        metrics=dict(result.metrics),
        num_items=measured.num_queries,
        variant=mode,
        split=measured.split,
        language=task.language,
        interval=bootstrap_interval(list(per_item.values()), seed=seed),
        per_item=per_item,
        worst=_worst(result, rankings, collection, task.main_metric),
        facts={
            "num_documents": measured.num_documents,
            "num_queries": measured.num_queries,
            "num_documents_truncated": measured.num_documents_cut,
            "num_queries_truncated": measured.num_queries_cut,
            "num_own_documents": measured.num_own_documents,
            "item_characters": {query.query_id: len(query.text) for query in collection.queries},
        },
        settings=dict(measured.settings) | {"task": asdict(task)},
        seconds=dict(measured.seconds),
        dataset_hash=digest,
    )


def _worst(
    result: ModeResult, rankings: Rankings, collection: Collection, metric: str
) -> tuple[WorstItem, ...]:
    """Queries that went worst, with what should have been found and what was."""
    documents = {document.doc_id: document.full_text for document in collection.documents}
    by_value = sorted(
        zip(collection.queries, rankings, strict=True),
        key=lambda pair: result.per_query[pair[0].query_id][metric],
    )
    worst = []
    for query, ranking in by_value[:_NUM_WORST]:
        grades = collection.qrels[query.query_id]
        wanted = sorted((d for d in grades if grades[d] > 0), key=lambda d: (-grades[d], d))
        rows = ranking.rows[:_NUM_SHOWN].tolist()
        found = [collection.documents[row].doc_id for row in rows]
        worst.append(
            WorstItem(
                item_id=query.query_id,
                value=result.per_query[query.query_id][metric],
                text=_shown(query.text),
                expected=_listed(wanted[:_NUM_SHOWN], documents),
                found=_listed(found, documents),
            )
        )
    return tuple(worst)


def _listed(doc_ids: Iterable[str], documents: Mapping[str, str]) -> str:
    return "\n".join(f"{doc_id}: {_shown(documents[doc_id])}" for doc_id in doc_ids)


def _shown(text: str) -> str:
    line = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"


def _merged(config: RetrievalConfig, changes: Mapping[str, Any]) -> RetrievalConfig:
    values = to_dict(config)
    for name, value in changes.items():
        is_record = isinstance(value, Mapping) and isinstance(values.get(name), dict)
        values[name] = values[name] | dict(value) if is_record else value
    return from_dict(RetrievalConfig, values, "retrieval")
