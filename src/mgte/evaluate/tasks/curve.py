"""CurveTask: a collection at every width and precision of its vectors."""

from dataclasses import dataclass, field, replace
from typing import Literal

from mgte.errors import ConfigError
from mgte.evaluate.collection import (
    Collection,
    OwnDocuments,
    collection_hash,
    read_collection,
)
from mgte.evaluate.collections import CollectionConfig, DatasetFiles, load_collection
from mgte.evaluate.curve import CurveConfig, measure_curve
from mgte.evaluate.records import TaskKind, TaskResult
from mgte.evaluate.subjects.subject import Subject
from mgte.evaluate.tasks.data_paths import check_limits, existing_path
from mgte.evaluate.tasks.task import Task, TaskContext


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveTaskConfig:
    """A collection, and the points of its curve.

    Attributes:
        name: Name of the task.
        kind: Always "curve".
        data: BEIR folder below the data root; "" where `collection` says what is searched.
        collection: A published collection, from the hub or a folder of its layout.
        split: Which judgements of the folder.
        language: Language of the texts, for reports.
        max_queries: Queries used at most, drawn at random; 0 means all.
        max_documents: Documents used at most beside the judged ones, drawn at random; 0 means all.
        own_documents: Which document is the query itself; see `make_collection`.
        curve: Widths, precisions and metric; its seed is the run's.
    """

    name: str
    kind: Literal["curve"] = "curve"
    data: str = ""
    collection: CollectionConfig | None = None
    split: str = "test"
    language: str = ""
    max_queries: int = 0
    max_documents: int = 0
    own_documents: OwnDocuments = "same-text"
    curve: CurveConfig = field(default_factory=CurveConfig)

    def __post_init__(self) -> None:
        if bool(self.data) == (self.collection is not None):
            raise ConfigError("data: expected either data or collection, and not both")
        check_limits(self)
        if self.collection is not None and self.collection.subsets:
            raise ConfigError("collection.subsets: got several, expected one subset per curve")


class CurveTask(Task[CurveTaskConfig]):
    """Quality against width, bytes per document and time per query."""

    kind: TaskKind = "retrieval"

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Embed the collection once, and search it at every point.

        Args:
            subject: What is measured; has an encoder.
            context: How.

        Returns:
            One result per width and precision.

        Raises:
            DataError: The collection is not there or damaged, or the model gives NaN.
            ConfigError: The subject has no encoder or no dense vectors, or a width is beyond it.
            BackendUnavailableError: pytrec_eval is not installed.
        """
        encoder = subject.wanted_encoder(self.name, needs_dense=True)
        collection = self._read(context)
        return measure_curve(
            encoder,
            collection,
            replace(self.config.curve, seed=context.seed),
            name=self.name,
            language=self.config.language,
            dataset_hash=collection_hash(collection),
        )

    def _read(self, context: TaskContext) -> Collection:
        config = self.config
        if config.collection is not None:
            files = DatasetFiles(self.root, offline=context.offline)
            return load_collection(config.collection, files, name=self.name, seed=context.seed)
        return read_collection(
            existing_path(self.root, config.data, self.name),
            split=config.split,
            max_queries=config.max_queries,
            max_documents=config.max_documents,
            own_documents=config.own_documents,
            seed=context.seed,
        )
