"""Recipe and Stage: the whole of a training run as one frozen record, read from one YAML file."""

from dataclasses import dataclass, field
from typing import Literal

from mgte.data import DataConfig, DatasetConfig, TokenizerKind
from mgte.packing import Pooling
from mgte.train.objectives.config import ObjectiveConfig
from mgte.train.optimizer import OptimizerConfig
from mgte.train.schedule import ScheduleConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """A tokenizer trained on the recipe's own texts.

    Attributes:
        vocab_size: Entries, special tokens included.
        datasets: Entries of `datasets` whose raw texts it is trained on.
        kind: "unigram" with byte fallback (as XLM-R, no unknown tokens), "bpe", or "wordpiece" (as
            BERT).
        lowercase: Whether capitals are read as small letters.
        start_from: Model whose first entries are taken over ("wordpiece" only); "" learns all.
        keep: How many entries of `start_from` are taken over.
        max_texts: Texts that it sees at most.
        alpha: Languages are drawn with shares to this power.
    """

    vocab_size: int
    datasets: tuple[str, ...]
    kind: TokenizerKind = "unigram"
    lowercase: bool = False
    start_from: str = ""
    keep: int = 0
    max_texts: int = 500_000
    alpha: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderShape:
    """Shape of an encoder that is trained from scratch, in the words of config.json.

    Attributes:
        family: "gte" (post-norm, up * gelu(gate), full attention) or "modernbert" (pre-norm, local
            and global layers).
        hidden_size: Width.
        num_hidden_layers: Layers.
        num_attention_heads: Heads.
        intermediate_size: Inner width of the MLP (of one half).
        max_position_embeddings: Longest input in tokens.
        rope_theta: RoPE base (of global layers).
        hidden_dropout_prob: Dropout of hidden states.
        type_vocab_size: Token types (family gte).
        local_attention: Width of local attention in tokens (family modernbert).
        global_attn_every_n_layers: Every n-th layer is global (family modernbert).
        initializer_range: Standard deviation of initial weights.
    """

    family: Literal["gte", "modernbert"] = "gte"
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 8192
    rope_theta: float = 10_000.0
    hidden_dropout_prob: float = 0.1
    type_vocab_size: int = 1
    local_attention: int = 128
    global_attn_every_n_layers: int = 3
    initializer_range: float = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderChange:
    """What a stage changes on the encoder that it starts from; None keeps a value.

    Attributes:
        rope_theta: New RoPE base (10k -> 160k before the long stage; 160k -> 20k for contrastive
            pre-training, "reversed NTK").
        rope_ntk_factor: NTK factor, written into the model folder for inference.
        max_position_embeddings: New longest input. Learned positions are repeated to fill it.
        hidden_dropout_prob: New dropout.
        vocabulary: "keep" takes the start's token vectors as they are, which needs its tokenizer;
            "transfer" makes those of another tokenizer from them: the vector of the same piece, or
            the mean over the pieces that the start's tokenizer reads it as.
    """

    rope_theta: float | None = None
    rope_ntk_factor: float | None = None
    max_position_embeddings: int | None = None
    hidden_dropout_prob: float | None = None
    vocabulary: Literal["keep", "transfer"] = "keep"


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputConfig:
    """What the stage's model folder says about use.

    The first five are those of the start (a checkpoint or an earlier stage) where they are None.
    From scratch that is: cls, normalised, the encoder's longest, no prompts.

    Attributes:
        pooling: How token states become a vector; "last" for models that read from left to right.
        normalize: Whether vectors are normalised.
        max_length: Longest input at use; 0 means the encoder's longest, which None means too where
            the stage changes the encoder's positions.
        query_prompt: Text put before queries, in training too.
        document_prompt: Text put before documents, in training too.
        rope_ntk_factor: NTK factor at inference (reversed NTK: 8); None keeps the training one.
        dtype: Type of the saved weights; "int8" keeps one scale per row of a matrix.
        weights: "last" step, or those of the "best" evaluation.
        start_share: Share of the start's weights in the saved ones, 0 to 1: keeps more of what the
            start knew. What starts from random weights is saved as trained.
    """

    pooling: Pooling | None = None
    normalize: bool | None = None
    max_length: int | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    rope_ntk_factor: float | None = None
    dtype: Literal["float32", "bfloat16", "float16", "int8"] = "float32"
    weights: Literal["last", "best"] = "last"
    start_share: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointConfig:
    """When the state of a stage is saved.

    Attributes:
        every_steps: Steps between two checkpoints.
        keep_last: Checkpoints kept; older ones are removed.
        keep_best: Whether the checkpoint with the best evaluation stays too; `output.weights: best`
            needs it.
    """

    every_steps: int = 1000
    keep_last: int = 2
    keep_best: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """Retrieval evaluation during training.

    Attributes:
        data: BEIR folders.
        split: Which judgements.
        every_steps: Steps between two evaluations; the end of a stage is always evaluated.
        max_queries: Queries used at most (0: all).
        max_documents: Documents used at most beside the judged ones (0: all).
    """

    data: tuple[str, ...]
    every_steps: int
    split: str = "dev"
    max_queries: int = 0
    max_documents: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraConfig:
    """Low-rank adapters instead of all weights (extra `mgte[lora]`); merged when a stage ends.

    Attributes:
        rank: Rank of the adapters.
        alpha: Scale.
        dropout: Dropout of the adapters' input.
        targets: Module names (ends) that get one.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("qkv", "out", "in_proj", "out_proj")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage: a model in, a loadable model folder out.

    Attributes:
        name: Name; also its folder's.
        init_from: "scratch", the name of an earlier stage, a model folder, or a hub id.
        objective: What is optimised.
        data: What is read.
        optimizer: Optimizer.
        schedule: Learning rate over time.
        steps: Optimizer steps.
        encoder: Changes on the encoder.
        output: Pooling, prompts and limits of the model folder.
        precision: Type of matrix products; weights and optimizer stay float32.
        parallel: "ddp" replicates the model on every process, "fsdp" shards it.
        activation_checkpointing: Recompute layers in the backward pass to save memory.
        compile: torch.compile the layers.
        checkpoint: When the state is saved.
        evaluation: Evaluation during training; None means none.
        lora: Train adapters only; None trains all weights.
        log_every: Steps between two lines of the log.
    """

    name: str
    init_from: str
    objective: ObjectiveConfig
    data: DataConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    steps: int
    encoder: EncoderChange = field(default_factory=EncoderChange)
    output: OutputConfig = field(default_factory=OutputConfig)
    precision: Literal["float32", "bfloat16"] = "float32"
    parallel: Literal["ddp", "fsdp"] = "ddp"
    activation_checkpointing: bool = False
    compile: bool = False
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    evaluation: EvaluationConfig | None = None
    lora: LoraConfig | None = None
    log_every: int = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A training run.

    Attributes:
        name: Name of the run.
        seed: Everything random follows from it.
        stages: Stages in order.
        tokenizer: Folder or hub id of a tokenizer, or how one is trained; "" takes that of the
            first stage's `init_from`.
        encoder: Shape of an encoder trained from scratch; None where every stage starts from a
            checkpoint.
        datasets: Raw data by name; prepared once under the run's folder.
    """

    name: str
    seed: int
    stages: tuple[Stage, ...]
    tokenizer: str | TokenizerConfig = ""
    encoder: EncoderShape | None = None
    datasets: dict[str, DatasetConfig] = field(default_factory=dict)
