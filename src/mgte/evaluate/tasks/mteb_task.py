"""MtebTask: a task of mteb, run by mteb, as one of ours; and the averages of its benchmarks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError, MgteError
from mgte.evaluate.mteb.averages import benchmark_averages
from mgte.evaluate.mteb.mteb_calls import import_mteb
from mgte.evaluate.mteb.results import item_counts, kind_of, task_results_of
from mgte.evaluate.mteb.task_choice import benchmark_tasks, find_mteb_task
from mgte.evaluate.records import TaskKind, TaskResult
from mgte.evaluate.subjects import Subject
from mgte.evaluate.tasks.task import Task, TaskContext

if TYPE_CHECKING:
    from mgte.evaluate.mteb.adapter import MtebModel
    from mgte.evaluate.retrieval_config import Mode

PREFIX = "mteb:"
_KEY_DIGITS = 12
_HINT = "the data comes from the Hugging Face hub: check network, HF_HUB_OFFLINE and HF_HOME"
_SEARCHES: tuple[TaskKind, ...] = ("retrieval", "reranking")


@dataclass(frozen=True, kw_only=True, slots=True)
class MtebTaskConfig:
    """A task of mteb, or the averages of a benchmark of mteb.

    Attributes:
        kind: Says that this is such a task.
        name: Our name of it.
        task: mteb's name; "" means the same.
        type: mteb's type, such as "Retrieval"; "" means that mteb is asked, which takes seconds.
        benchmark: Benchmark of mteb whose splits and subsets are measured; "" means all.
        splits: Splits to measure; empty means those of the benchmark or the task.
        subsets: Subsets (often languages) to measure; empty as with splits.
        prompts: Prompts by mteb's keys, see `MtebEncoder`; empty means the model's own.
        average: Whether this stands for the averages over `benchmark` and `more`, of results that
            are there already.
        more: Other tasks that count in the averages, with the same fields as here.
    """

    kind: Literal["mteb"] = "mteb"
    name: str
    task: str = ""
    type: str = ""
    benchmark: str = ""
    splits: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    average: bool = False
    more: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.average and not self.benchmark and not self.more:
            raise ConfigError("average: got neither benchmark nor more, expected what to average")
        if self.average and (self.task or self.splits or self.subsets):
            raise ConfigError("average: got task, splits or subsets, expected benchmark or more")
        if self.more and not self.average:
            raise ConfigError("more: got tasks, expected them only with average: true")

    @property
    def task_name(self) -> str:
        """The name that mteb gives the task."""
        return self.task or self.name


def single_mteb_task(name: str) -> MtebTaskConfig:
    """The record of a task that is asked for by name alone.

    Args:
        name: "mteb:" and mteb's name of a task, such as "mteb:SciFact".

    Returns:
        The record: all splits and subsets that the task has.

    Raises:
        ConfigError: There is no such task.
        BackendUnavailableError: mteb is not installed.
    """
    task_name = name.removeprefix(PREFIX)
    found = find_mteb_task(task_name)
    return MtebTaskConfig(name=task_name, type=str(found.metadata.type))


class MtebTask(Task[MtebTaskConfig]):
    """Runs mteb on one task.

    Its results lie as mteb's own JSON in `mteb/KEY/results/MODEL/REVISION/TASK.json` below the
    cache folder, ready to be submitted; KEY follows from weights and settings. What is there is not
    measured again.

    `root` is not used: mteb finds its data itself.
    """

    @property
    def kind(self) -> TaskKind:
        """Our kind of its type."""
        if self.config.average:
            return "average"
        return kind_of(self.config.type or str(self._find().metadata.type))

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Measure a subject; see `Task.run`.

        Args:
            subject: What is measured. Retrieval and reranking tasks take its sparse weights and its
                reranker where the context's modes ask for them.
            context: How. Without modes: "dense", or "sparse" of models without dense vectors, and
                "reranked" where there is a reranker.

        Returns:
            One result per variant, split and subset; or the averages. Variants of cut vectors
            say so ("dense@256").

        Raises:
            ConfigError: mteb has no such task, or a mode is beyond the models.
            DataError: The data cannot be loaded, mteb fails, or (averages) results are missing.
            BackendUnavailableError: mteb is not installed.
        """
        if self.config.average:
            return _labelled(self._averages(subject, context), subject, context)
        task = self._find()
        results: list[TaskResult] = []
        try:
            for variant in self._variants(subject, context):
                model = self._model(subject, context, variant)
                found = self._measured(task, model, _cache(subject, context), context)
                results += task_results_of(
                    task,
                    found,
                    name=self.name,
                    variant=variant,
                    counts=item_counts(task),
                    settings=self._settings(subject, context),
                )
        finally:
            task.unload_data()
        return _labelled(results, subject, context)

    def _find(self) -> Any:
        config = self.config
        return find_mteb_task(
            config.task_name,
            benchmark=config.benchmark,
            splits=config.splits,
            subsets=config.subsets,
        )

    def _variants(self, subject: Subject, context: TaskContext) -> Sequence[str]:
        # Searches load torch, which listing tasks should not cost.
        from mgte.evaluate.tasks.retrieval import possible_modes

        if self.kind not in _SEARCHES:
            return ("",)
        if subject.encoder is None:
            return ("reranked",)
        # mteb has a BM25 of its own; every other mode embeds all documents once more.
        by_vectors: Mode = "dense" if subject.encoder.has_dense else "sparse"
        asked: tuple[Mode, ...] = context.modes or (by_vectors, "reranked")
        able = possible_modes(asked, subject.encoder, subject.reranker)
        modes = [mode for mode in able if mode != "bm25"]
        if not modes:
            raise ConfigError(
                f"{self.name}: got the mode bm25 alone, expected dense, sparse, hybrid or reranked"
            )
        return modes

    def _model(self, subject: Subject, context: TaskContext, variant: str) -> "MtebModel":
        # The classes behind mteb's protocols load torch, which listing tasks should not cost.
        from mgte.evaluate.mteb.adapter import cross_encoder_of
        from mgte.evaluate.mteb.encoder import MtebEncoder
        from mgte.evaluate.mteb.search import MtebSearch, checked_variant

        prompts, width = self.config.prompts, context.retrieval.dim
        if subject.encoder is None and subject.reranker is not None and self.kind == "reranking":
            return cross_encoder_of(subject.reranker)
        if variant in ("", "dense"):
            encoder = subject.wanted_encoder(self.name, needs_dense=True)
            return MtebEncoder(encoder, prompts=prompts, width=width, folder=subject.folder)
        return MtebSearch(
            subject,
            variant=checked_variant(variant),
            config=context.retrieval,
            prompts=prompts,
            width=width,
        )

    def _measured(self, task: Any, model: "MtebModel", cache: Any, context: TaskContext) -> Any:
        mteb = import_mteb()
        kept = None
        if cache is not None:
            kept = cache.load_task_result(task.metadata.name, model.mteb_model_meta)
        is_whole = not context.again and kept is not None and not kept.get_missing_evaluations(task)
        if not is_whole and not task.is_aggregate:
            _load_data(task, self.name)
        shows = bool(context.show_progress)
        try:
            found = mteb.evaluate(
                model,
                task,
                co2_tracker=False,
                cache=cache,
                encode_kwargs={"batch_size": 256, "show_progress_bar": shows},
                overwrite_strategy="always" if context.again else "only-missing",
                show_progress_bar=shows,
            )
        except MgteError:
            raise
        except Exception as error:
            hint = _HINT if task.is_aggregate else None
            raise DataError(f"{self.name}: mteb failed ({_told(error)})", hint=hint) from error
        return found.task_results[0]

    def _averages(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        cache = _cache(subject, context)
        if cache is None:
            raise DataError(
                f"{self.name}: got no cache folder, expected the one that holds mteb's results"
            )
        tasks = benchmark_tasks(self.config.benchmark) if self.config.benchmark else []
        for place, entry in enumerate(self.config.more):
            record = from_dict(MtebTaskConfig, entry, f"{self.name}.more.{place}")
            tasks.append(MtebTask(record, Path())._find())
        meta = self._model(subject, context, "").mteb_model_meta
        names = [task.metadata.name for task in tasks]
        kept = {name: cache.load_task_result(name, meta) for name in names}
        settings = self._settings(subject, context)
        return benchmark_averages(self.name, tasks, kept, settings=settings)

    def _settings(self, subject: Subject, context: TaskContext) -> dict[str, Any]:
        encoder, hybrid = subject.encoder, context.retrieval.hybrid
        return {
            "benchmark": self.config.benchmark,
            "prompts": dict(self.config.prompts),
            "max_length": None if encoder is None else encoder.max_length,
            "width": context.retrieval.dim,
            "sparse_weight": hybrid.sparse_weight,
            "rerank_depth": context.retrieval.rerank_depth,
            "reranker": None if subject.reranker is None else subject.reranker.name,
        }


def _labelled(
    results: Sequence[TaskResult], subject: Subject, context: TaskContext
) -> list[TaskResult]:
    """Results whose variants tell a smaller width: such numbers are of another model."""
    width, encoder = context.retrieval.dim, subject.encoder
    if encoder is None or not encoder.has_dense or width in (None, encoder.widths[-1]):
        return list(results)
    return [
        result
        if result.variant == "sparse"
        else replace(result, variant=f"{result.variant or 'dense'}@{width}")
        for result in results
    ]


def _cache(subject: Subject, context: TaskContext) -> Any:
    """Where mteb keeps results; None where nothing may be kept."""
    if context.cache_folder is None:
        return None
    # mteb knows models by name and revision alone: a shorter maximum length would find old results.
    parts = [] if subject.encoder is None else [subject.encoder.fingerprint]
    if subject.encoder is None and subject.reranker is not None:
        parts += [subject.reranker.name, subject.reranker.revision]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_KEY_DIGITS]
    return import_mteb().ResultCache(context.cache_folder / "mteb" / key)


def _load_data(task: Any, name: str) -> None:
    if task.data_loaded:
        return
    try:
        task.load_data()
    except Exception as error:
        raise DataError(
            f"{name}: the data of mteb's task {task.metadata.name} "
            f"({task.metadata.dataset['path']}) cannot be loaded ({_told(error)})",
            hint=_HINT,
        ) from error


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
