"""Loader: a stage's batches for one process, made ahead of time, resumable to the step."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType

import numpy as np

from mgte.config import to_dict
from mgte.data.batches import StepBatches
from mgte.data.config import DataConfig
from mgte.data.contrastive_batches import ContrastiveBatches
from mgte.data.description import DescribedBatch, describe_batch
from mgte.data.making import BatchMaker, MadeBatch
from mgte.data.masked_batches import MaskedBatches
from mgte.data.masking import MaskingConfig
from mgte.data.plan import BatchPlan, PlannedBatch
from mgte.data.prefetching import Prefetcher
from mgte.data.rerank_batches import CandidateCounts, RerankBatches
from mgte.data.row_costs import LoadKind, RowShape
from mgte.data.seeds import mix_seed
from mgte.data.text_frame import pair_overhead, text_frame
from mgte.data.training_rows import TrainingRows
from mgte.data.vector_batches import VectorBatches
from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadConfig:
    """What batches are made for: what an objective must tell the loader.

    Attributes:
        kind: "masked_lm", "contrastive" (also for fine-tuning with hard negatives), "reranking" or
            "vectors".
        masking: How texts are masked ("masked_lm").
        random_negatives: Candidates taken from other rows of the batch ("reranking").
        query_prompt: Put before queries ("contrastive").
        document_prompt: Put before documents ("contrastive") and texts ("vectors").
        prefetch: Steps that are made ahead of time; 0 means none and no thread.
    """

    kind: LoadKind
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    random_negatives: int = 0
    query_prompt: str = ""
    document_prompt: str = ""
    prefetch: int = 2


def build_loader(
    dataset: TrainingRows,
    config: DataConfig,
    load: LoadConfig,
    *,
    tokenizer: Tokenizer,
    seed: int,
    stage: str,
    rank: int = 0,
    world_size: int = 1,
) -> "Loader":
    """Build the loader of a stage for one process.

    Args:
        dataset: Prepared rows.
        config: What the stage reads.
        load: What batches are made for.
        tokenizer: The model's tokenizer, with which the dataset was prepared: lengths and token
            ids are those of the dataset.
        seed: Seed of the run.
        stage: Name of the stage.
        rank: Which process this is.
        world_size: How many processes there are.

    Returns:
        The loader, standing before step 0.

    Raises:
        ConfigError: Settings contradict each other, the dataset or the tokenizer.
        DataError: A source has no rows left.
    """
    if not 0 <= rank < world_size:
        raise ConfigError(f"rank: got {rank}, expected 0 to {world_size - 1}")
    is_pair = load.kind == "reranking"
    special = pair_overhead(tokenizer) if is_pair else text_frame(tokenizer).num_tokens
    prompts = tokenizer.encode_bare([load.query_prompt, load.document_prompt])
    shape = RowShape(
        kind=load.kind,
        pad_tokens=special + (0 if load.kind == "masked_lm" else max(map(len, prompts))),
        random_negatives=load.random_negatives if is_pair else 0,
    )
    plan = BatchPlan(
        dataset, config, seed=seed, stage=stage, pad_tokens=shape.pad_tokens, shape=shape
    )
    maker = _build_maker(dataset, config, load, tokenizer, mix_seed(seed, stage, "batches"))
    facts = [plan.fingerprint, tokenizer.fingerprint, to_dict(replace(load, prefetch=0))]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    producer = _Producer(plan, maker, rank, world_size)
    return Loader(producer, tokenizer, fingerprint=digest, prefetch=load.prefetch)


class Loader:
    """Batches of one process, step after step; `build_loader` makes one.

    The state counts steps that were handed out, so steps that were made ahead of time are not lost
    when a run is interrupted. Use it in a `with` block or call `close`.

    Args:
        producer: Makes the steps.
        tokenizer: Decodes texts in descriptions.
        fingerprint: Equal for loaders that give equal batches.
        prefetch: Steps that are made ahead of time.

    Attributes:
        plan: The plan behind it, for its summary; its position runs ahead of the loader's.
        fingerprint: Equal for loaders that give equal batches, whatever the number of processes.
    """

    def __init__(
        self, producer: "_Producer", tokenizer: Tokenizer, *, fingerprint: str, prefetch: int
    ) -> None:
        self._producer = producer
        self._tokenizer = tokenizer
        self._prefetch = prefetch
        self._steps = Prefetcher(producer.produce, depth=prefetch)
        self._state = producer.plan.state()
        self.plan = producer.plan
        self.fingerprint = fingerprint

    def next_step(self) -> StepBatches:
        """This process's share of the next step.

        Returns:
            The share; some of its batches are empty where there are more processes than rows.

        Raises:
            DataError: Rows cannot be read; the message names step, batch and place.
        """
        batches, self._state = self._steps.take()
        return batches

    def state(self) -> dict[str, int]:
        """Where the loader stands, as a few integers: counts the steps that were handed out."""
        return dict(self._state)

    def restore(self, state: Mapping[str, int]) -> None:
        """Go to where a loader with the same fingerprint stood.

        Args:
            state: What `state` returned, for any number of processes.

        Raises:
            CheckpointError: It is the state of another plan.
        """
        self._steps.close()
        self.plan.restore(state)
        self._state = self.plan.state()
        self._steps = Prefetcher(self._producer.produce, depth=self._prefetch)

    def describe_first(self, num_steps: int = 1, *, num_rows: int = 2) -> list[DescribedBatch]:
        """The first batches of the stage in words; the loader stays where it is.

        Args:
            num_steps: Steps that are described, from step 0 on.
            num_rows: Rows whose texts are shown, per batch.

        Returns:
            One description per batch.
        """
        self._steps.close()
        described = []
        for step in range(num_steps):
            for planned in self.plan.step(step).batches:
                made = self._producer.make(planned, slice(None))
                described.append(describe_batch(planned, made, self._tokenizer, num_rows))
        self.restore(self._state)
        return described

    def close(self) -> None:
        """End the background thread."""
        self._steps.close()

    def __enter__(self) -> "Loader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Producer:
    """Makes one step after the other; the thread holds it, and not the loader."""

    def __init__(self, plan: BatchPlan, maker: BatchMaker, rank: int, world_size: int) -> None:
        self.plan = plan
        self._maker = maker
        self._rank = rank
        self._world_size = world_size

    def produce(self) -> tuple[StepBatches, dict[str, int]]:
        """The next step, and where the plan stands behind it."""
        planned = self.plan.next_step()
        made = [self.make(batch, self._share(batch)) for batch in planned.batches]
        batches = StepBatches(
            step=planned.step,
            batches=tuple(part.batch for part in made),
            num_tokens=sum(part.num_tokens for part in made),
            num_tokens_dropped=sum(part.num_tokens_dropped for part in made),
        )
        return batches, self.plan.state()

    def make(self, planned: PlannedBatch, share: slice) -> MadeBatch:
        """A share of a batch; errors are told with their place."""
        place = f"step {planned.step}, batch {planned.index} ({planned.cell})"
        try:
            return self._maker.make(planned, share)
        except DataError as error:
            raise DataError(f"{place}: {error.message}", hint=error.hint) from error
        except Exception as error:
            error.add_note(f"while making {place}, rows {planned.rows[share][:20].tolist()}")
            raise

    def _share(self, planned: PlannedBatch) -> slice:
        """The rows of this process: as `numpy.array_split` divides them."""
        part = np.array_split(np.arange(len(planned)), self._world_size)[self._rank]
        return slice(int(part[0]), int(part[-1]) + 1) if len(part) else slice(0, 0)


def _build_maker(
    dataset: TrainingRows, config: DataConfig, load: LoadConfig, tokenizer: Tokenizer, seed: int
) -> BatchMaker:
    if load.kind == "masked_lm":
        return MaskedBatches(dataset, tokenizer, load.masking, seed=seed)
    if load.kind == "vectors":
        return VectorBatches(
            dataset, tokenizer, max_length=config.max_length, prompt=load.document_prompt
        )
    if load.kind == "reranking":
        return RerankBatches(
            dataset,
            tokenizer,
            max_length=config.max_length,
            max_query_length=config.max_query_length,
            counts=CandidateCounts(
                negatives=config.negatives, random_negatives=load.random_negatives
            ),
            seed=seed,
        )
    return ContrastiveBatches(
        dataset,
        tokenizer,
        limits=(config.max_query_length, config.max_length),
        prompts=(load.query_prompt, load.document_prompt),
        negatives=config.negatives,
        seed=seed,
    )
