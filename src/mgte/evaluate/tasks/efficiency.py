"""EfficiencyTask: encode time by length, peak memory, search time by width.

Source: what table 6 and figure 4 of mGTE (arXiv 2407.19669) measure, on any machine.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mgte.errors import BackendUnavailableError, ConfigError
from mgte.evaluate.efficiency.encoding import EncodeTime, time_encoding
from mgte.evaluate.efficiency.engines import ENGINES, Engine, EngineName, available_engines
from mgte.evaluate.efficiency.memory import measure_memory
from mgte.evaluate.efficiency.searching import time_search, unit_vectors
from mgte.evaluate.efficiency.texts import TextSet, collection_texts, made_texts
from mgte.evaluate.embedding_cache import CachedEncoder
from mgte.evaluate.records import TaskKind, TaskResult
from mgte.evaluate.subjects.own_models import EmbedderSubject
from mgte.evaluate.subjects.subject import Subject, TextEncoder
from mgte.evaluate.tasks.data_paths import existing_path
from mgte.evaluate.tasks.task import Task, TaskContext

Measure = Literal["encoding", "memory", "search"]
_CPU_TOKENS, _GPU_TOKENS = 32_768, 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficiencyConfig:
    """What is timed.

    Attributes:
        name: Name of the task.
        kind: Always "efficiency".
        measures: What is measured.
        engines: Ways of encoding, for models of ours: "packed" is how mgte encodes; "padded" does
            the same with every text filled up to the longest of its batch, in the order of
            arrival; "sentence-transformers" loads the same folder, where it is installed and can.
        lengths: Longest texts in tokens; those beyond the model are left out.
        num_tokens: Tokens per length and round, about; 0 means what suits the device.
        data: BEIR folder whose documents are encoded instead of made texts, cut by the model.
        max_texts: Its documents at most, drawn at random; 0 means all.
        batch_size: Texts of one batch, for engines that fill texts up.
        rounds: Rounds; medians count.
        num_vectors: Vectors that are searched.
        num_queries: Queries that are asked at once.
        top_k: Documents per query.
    """

    name: str
    kind: Literal["efficiency"] = "efficiency"
    measures: tuple[Measure, ...] = ("encoding", "memory", "search")
    engines: tuple[EngineName, ...] = ENGINES
    lengths: tuple[int, ...] = (128, 512, 2048, 8192)
    num_tokens: int = 0
    data: str = ""
    max_texts: int = 0
    batch_size: int = 32
    rounds: int = 3
    num_vectors: int = 100_000
    num_queries: int = 100
    top_k: int = 100

    def __post_init__(self) -> None:
        for name in ("batch_size", "rounds", "num_vectors", "num_queries", "top_k"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1")
        for name in ("measures", "engines"):
            if not getattr(self, name):
                raise ConfigError(f"{name}: got none, expected at least one")
        if min(self.num_tokens, self.max_texts) < 0:
            raise ConfigError("num_tokens: got a negative number, expected 0 or more")
        if not self.lengths or min(self.lengths) < 8:
            raise ConfigError(f"lengths: got {self.lengths}, expected lengths of at least 8 tokens")


class EfficiencyTask(Task[EfficiencyConfig]):
    """Time and memory of a model as a task."""

    kind: TaskKind = "efficiency"

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Time a model.

        Args:
            subject: What is measured.
            context: How.

        Returns:
            One result per measure, engine and length or width. Vectors kept on disk are not used.

        Raises:
            ConfigError: The subject has no encoder, takes none of the lengths, or has no dense
                vectors for the measure "search".
            DataError: The collection is not there.
            BackendUnavailableError: None of the engines can run the model.
        """
        # Told before minutes of timing: what is searched are dense vectors.
        has_search = "search" in self.config.measures
        encoder = subject.wanted_encoder(self.name, needs_dense=has_search)
        if isinstance(encoder, CachedEncoder):
            # What is read from a disk is not computed.
            encoder = encoder.encoder
        results: list[TaskResult] = []
        sets = list(self._text_sets(encoder, context.seed))
        if "encoding" in self.config.measures:
            engines = available_engines(encoder, self.config.engines, self.config.batch_size)
            if not engines:
                raise BackendUnavailableError(
                    f"{self.name}: none of {', '.join(self.config.engines)} can run {encoder.name}"
                )
            for texts in sets:
                results += self._encoding(encoder, engines, texts)
        if "memory" in self.config.measures and isinstance(encoder, EmbedderSubject):
            results += self._memory(encoder, sets[-1])
        if has_search:
            results += self._search(encoder, context.seed)
        return results

    def _text_sets(self, encoder: TextEncoder, seed: int) -> Iterator[TextSet]:
        config = self.config
        longest = encoder.max_length or max(config.lengths)
        if config.data:
            folder = existing_path(self.root, config.data, self.name)
            yield collection_texts(folder, config.max_texts, longest, seed)
            return
        lengths = sorted({length for length in config.lengths if length <= longest})
        if not lengths:
            raise ConfigError(
                f"{self.name}: the model takes {longest} tokens, expected a length up to that"
            )
        is_gpu = encoder.device != "cpu"
        num_tokens = config.num_tokens or (_GPU_TOKENS if is_gpu else _CPU_TOKENS)
        for length in lengths:
            yield made_texts(encoder, length, num_tokens, seed)

    def _encoding(
        self, encoder: TextEncoder, engines: dict[str, Engine], texts: TextSet
    ) -> Iterator[TaskResult]:
        # Real tokens, the same for all engines: those of an engine that fills nothing.
        num_tokens = int(encoder.encode(texts.texts, role="document").num_tokens.sum())
        facts: dict[str, Any] = {
            "measure": "encoding",
            "length": texts.length,
            "num_tokens": num_tokens,
            "mean_tokens": round(num_tokens / len(texts.texts), 1),
            "device": encoder.device,
        }
        missing = [name for name in self.config.engines if name not in engines]
        if missing and isinstance(encoder, EmbedderSubject):
            facts["engines_that_cannot_run"] = missing
        for name, taken in time_encoding(engines, texts, self.config.rounds).items():
            yield self._encoding_result(name, taken, texts, dict(facts))

    def _encoding_result(
        self, name: str, taken: EncodeTime, texts: TextSet, facts: dict[str, Any]
    ) -> TaskResult:
        num_tokens, computed = facts["num_tokens"], taken.computed_tokens
        tokens_known = {"tokens_per_second": num_tokens / taken.seconds} if num_tokens else {}
        if computed and num_tokens:
            facts["computed_tokens_per_real_one"] = round(computed / num_tokens, 3)
        return TaskResult(
            task=self.name,
            kind="efficiency",
            main_metric="tokens_per_second" if tokens_known else "texts_per_second",
            metrics={
                **tokens_known,
                "texts_per_second": len(texts.texts) / taken.seconds,
                "seconds": taken.seconds,
            },
            num_items=len(texts.texts),
            variant=name,
            subset=f"encoding to {texts.length} tokens",
            facts=facts,
            settings={"task": asdict(self.config)},
            seconds={f"round {i + 1}": seconds for i, seconds in enumerate(taken.rounds)},
        )

    def _memory(self, encoder: EmbedderSubject, texts: TextSet) -> Iterator[TaskResult]:
        for engine in self.config.engines:
            try:
                memory = measure_memory(encoder, engine, texts.texts, self.config.batch_size)
            except BackendUnavailableError:
                # An engine that cannot run here has no memory; the others' counts.
                continue
            yield TaskResult(
                task=self.name,
                kind="efficiency",
                main_metric="peak_gigabytes",
                metrics={
                    "peak_gigabytes": memory.gigabytes,
                    "loaded_gigabytes": memory.loaded_bytes / 1e9,
                },
                num_items=len(texts.texts),
                variant=engine,
                subset=f"memory at {texts.length} tokens",
                facts={"measure": "memory", "length": texts.length, **asdict(memory)},
                settings={"task": asdict(self.config)},
            )

    def _search(self, encoder: TextEncoder, seed: int) -> Iterator[TaskResult]:
        config = self.config
        full = encoder.widths[-1]
        documents = unit_vectors(config.num_vectors, full, seed)
        queries = unit_vectors(config.num_queries, full, seed + 1)
        for width in encoder.widths:
            taken = time_search(
                queries[:, :width].copy(),
                documents[:, :width].copy(),
                top_k=config.top_k,
                rounds=config.rounds,
                device=encoder.device,
            )
            yield TaskResult(
                task=self.name,
                kind="efficiency",
                main_metric="milliseconds_per_query",
                metrics={
                    "milliseconds_per_query": taken.ms_per_query,
                    "milliseconds_single": taken.ms_single,
                },
                num_items=config.num_queries,
                variant=f"dense@{width}",
                subset=f"search in {config.num_vectors} vectors",
                facts={
                    "measure": "search",
                    "num_vectors": config.num_vectors,
                    "vector_bytes": taken.bytes_per_document,
                    "search_width": width,
                },
                settings={"task": asdict(config)},
            )
