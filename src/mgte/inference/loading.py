"""prepare: from a model's name and load options to an engine that runs it.

1. open the folder (no weights yet); 2. check that it is the wanted kind; 3. device, dtype and
backend; 4. weights -> runtimes; 5. lengths and tokenizer.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import torch
from torch import Tensor

from mgte.errors import CheckpointError, ConfigError
from mgte.inference.cores import available_cores
from mgte.inference.cpu_router import build_cpu_router
from mgte.inference.engine import Engine, Task, TokenInput
from mgte.inference.placement import Placement, choose_placement
from mgte.inference.requests import LoadOptions, check_ids
from mgte.inference.routing import SingleRuntime
from mgte.inference.runtimes.torch_eager import TorchEagerRuntime
from mgte.model import EmbeddingModel, HeadConfig, Model
from mgte.packing import TokenIds
from mgte.store import EmbeddingSettings, ModelDir, load_weights, open_model
from mgte.text import Tokenizer

Result = TypeVar("Result")

_logger = logging.getLogger(__name__)

ModelUse = Literal["embedding", "reranking"]

# Tokens per batch. The CPU runtimes cut a batch into tiles that fit their caches; a GPU wants
# much at once.
_CPU_TOKENS = 4096
_GPU_TOKENS = 32_768


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A model that is ready to run.

    Attributes:
        model_dir: What the model's folder says.
        model: Head and configuration; the encoder's weights live in the runtimes.
        placement: Device, dtype and backend that were chosen.
        engine: Plans and runs batches.
        max_length: Longest input in tokens, special tokens included.
    """

    model_dir: ModelDir
    model: Model
    placement: Placement
    engine: Engine
    max_length: int

    @property
    def settings(self) -> EmbeddingSettings:
        """Pooling, prompts and limits."""
        return self.model_dir.settings

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded when first needed: token id input works without one.

        Raises:
            CheckpointError: The folder has no tokenizer, or a damaged one.
        """
        return self._tokenizer

    def run_ids(
        self,
        sequences: Sequence[TokenIds],
        token_type_ids: Sequence[TokenIds] | None,
        task: Task[Result],
        *,
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> list[Result]:
        """Check token id lists and run a task over them.

        Args:
            sequences: Token ids, special tokens included.
            token_type_ids: Segment ids of the same lengths; None means all 0.
            task: What is to be made of the states.
            max_tokens_per_batch: Token budget of one batch; None means the engine's own.
            show_progress: As in `Engine.run`.

        Returns:
            One result per sequence, in the given order.

        Raises:
            DataError: A sequence is empty, longer than the model's positions, or holds an id
                outside the vocabulary.
        """
        config = self.model.config
        check_ids(
            sequences,
            token_type_ids,
            vocab_size=config.vocab_size,
            type_vocab_size=config.type_vocab_size,
            max_tokens=config.position_limit,
        )
        return self.engine.run(
            TokenInput(ids=sequences, token_type_ids=token_type_ids),
            task,
            max_tokens_per_batch=max_tokens_per_batch,
            show_progress=show_progress,
        )

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.load(
            self.model_dir.path, max_length=self.max_length, lowercase=self.settings.lowercase
        )


def prepare(name: str, options: LoadOptions, *, wanted: ModelUse) -> Prepared:
    """Load a model and build the engine that runs it.

    Args:
        name: Folder, hub id, or bundled name.
        options: How to load it.
        wanted: What it will be used for.

    Returns:
        The prepared model.

    Raises:
        CheckpointError: The folder is incomplete, damaged, or of another use.
        ConfigError: An option is unknown or contradicts the model.
        BackendUnavailableError: Device, dtype or backend is not available here.
    """
    opened = open_model(
        name, revision=options.revision, offline=options.offline, is_causal=options.is_causal
    )
    _check_use(opened, wanted)
    placement = choose_placement(options)
    max_length = _max_length(opened, options.max_length)
    loaded = load_weights(opened, device=placement.device, dtype=placement.weight_dtype).model
    model: Model = _for_embedding(loaded, opened) if wanted == "embedding" else loaded
    engine = _build_engine(model, opened, placement)
    prepared = Prepared(
        model_dir=opened,
        model=model,
        placement=placement,
        engine=engine,
        max_length=max_length,
    )
    if isinstance(model, EmbeddingModel) and model.has_sparse_head:
        _name_special_tokens(model, prepared)
    return prepared


def _check_use(opened: ModelDir, wanted: ModelUse) -> None:
    is_reranker = opened.head.kind == "sequence_classification"
    if wanted == "embedding" and is_reranker:
        raise CheckpointError(
            f"{opened.name}: is a reranker (sequence classification), expected an embedding model",
            hint="load it with mgte.Reranker",
        )
    if wanted == "reranking" and not is_reranker:
        raise CheckpointError(
            f"{opened.name}: has no sequence classification head (its head: {opened.head.kind}), "
            "expected a reranker",
            hint="load it with mgte.Embedder",
        )


def _max_length(opened: ModelDir, asked: int | None) -> int:
    if asked is None:
        made_for = opened.config.max_tokens
        return min(opened.settings.max_length or made_for, made_for)
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        raise ConfigError(f"max_length: got {asked!r}, expected a number of tokens, at least 1")
    limit = opened.config.position_limit
    if limit is not None and asked > limit:
        raise ConfigError(
            f"max_length: got {asked:,}, expected at most {limit:,}, the positions of the model"
        )
    return asked


def _for_embedding(model: Model, opened: ModelDir) -> EmbeddingModel:
    """The model itself, or the encoder of a masked language model without its head."""
    if isinstance(model, EmbeddingModel):
        return model
    _logger.info("%s: the %s head is not used for embedding", opened.name, opened.head.kind)
    with torch.device("meta"):
        bare = EmbeddingModel(
            opened.config, HeadConfig(), pooling=opened.settings.pooling, family=opened.family
        )
    bare.encoder = model.encoder
    return bare.eval()


def _build_engine(model: Model, opened: ModelDir, placement: Placement) -> Engine:
    if model.head is not None:
        # Heads are tiny; they run in float32 on what the runtime gives.
        model.head.float()
    if placement.device.type != "cpu" or placement.backend == "torch-eager":
        eager = SingleRuntime(TorchEagerRuntime(model.encoder))
        tokens = _CPU_TOKENS if placement.device.type == "cpu" else _GPU_TOKENS
        return Engine(eager, num_workers=1, max_tokens_per_batch=tokens)
    state = _encoder_tensors(model)
    # The runtime takes the tensors over; the module keeps only their shapes.
    model.encoder = model.encoder.to("meta")
    num_workers = available_cores()
    router = build_cpu_router(
        opened.config,
        state,
        lambda: _encoder_tensors(load_weights(opened).model),
        dtype=placement.cpu_dtype,
        backend=placement.backend,
        num_workers=num_workers,
    )
    return Engine(router, num_workers=num_workers, max_tokens_per_batch=_CPU_TOKENS)


def _encoder_tensors(model: Model) -> dict[str, Tensor]:
    """The encoder's tensors by their canonical names."""
    return {f"encoder.{name}": tensor for name, tensor in model.encoder.state_dict().items()}


def _name_special_tokens(model: EmbeddingModel, prepared: Prepared) -> None:
    """Tell the sparse head which token ids carry no weight: the tokenizer's special tokens.

    Without a tokenizer (token id input) it is those that config.json names.
    """
    raw = prepared.model_dir.raw_config
    named = {raw.get(f"{role}_token_id") for role in ("pad", "bos", "eos", "cls", "sep", "unk")}
    special = {token_id for token_id in named if isinstance(token_id, int)}
    if prepared.model_dir.tokenizer_file is not None:
        special |= prepared.tokenizer().special_ids
    model.skip_ids = tuple(sorted(special))
