"""What is fine-tuned on what, and how: records that a suite's YAML is read into. Loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from mgte.errors import ConfigError

MethodKind = Literal[
    "classification", "regression", "multiple_choice", "tagging", "spans", "retrieval"
]
SourceFormat = Literal[
    "table", "lines", "conll", "squad", "parallel_lines", "question_folder", "hub"
]
_LANGUAGE = "{language}"
# What each method measures; the first stands in tables where a task names none.
METRICS: Mapping[MethodKind, tuple[str, ...]] = {
    "classification": ("accuracy", "matthews", "f1", "accuracy_f1"),
    "regression": ("spearman", "pearson", "pearson_spearman"),
    "multiple_choice": ("accuracy",),
    "tagging": ("f1", "precision", "recall", "accuracy"),
    "spans": ("f1", "exact_match"),
    "retrieval": ("accuracy", "recall_at_20", "map_at_20"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where rows come from. "{language}" in a path, configuration or split stands for a language.

    Attributes:
        format: "table" (CSV, TSV, JSONL, JSON or Parquet by its suffix), "lines" (values between
            `delimiter`, without a header), "conll" (a token per line, an empty line between
            sentences), "squad" (SQuAD's JSON), "parallel_lines" (line i of `path` translates line i
            of `second_path`), "question_folder" (a BEIR folder whose queries have an `answer` and
            its `answer_start`), or "hub" (a dataset for the package `datasets`).
        path: File or folder below the root of the data, or id of a dataset on the hub; of tables
            also a pattern with `*`, whose files are read by name one after the other.
        second_path: The other file of "parallel_lines".
        config: Configuration of a hub dataset.
        split: Split of a hub dataset.
        columns: Names of the columns of "lines" and "conll", in order.
        delimiter: What stands between columns of "lines"; a "," knows quotes.
        fields: Our name of a field to the file's name, or to a template such as
            "{premise} What was the {question}?".
        labels: Names of the classes in this source, in the order of the training's; empty means
            that they are the same.
        start: First row that counts.
        stop: Row before which to stop; None means the end.
    """

    format: SourceFormat = "table"
    path: str
    second_path: str = ""
    config: str = ""
    split: str = ""
    columns: tuple[str, ...] = ()
    delimiter: str = "\t"
    fields: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    start: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        if self.format in ("lines", "conll") and not self.columns:
            raise ConfigError(f"columns: missing, expected names for the format {self.format!r}")
        if self.format == "parallel_lines" and not self.second_path:
            raise ConfigError("second_path: missing, expected the file of the translations")

    def of_language(self, language: str) -> "Source":
        """The source with a language put in."""
        return replace(
            self,
            path=self.path.replace(_LANGUAGE, language),
            second_path=self.second_path.replace(_LANGUAGE, language),
            config=self.config.replace(_LANGUAGE, language),
            split=self.split.replace(_LANGUAGE, language),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Numbers of one training. The defaults are those of the mGTE paper's GLUE runs.

    Attributes:
        lr: Peak learning rate; it falls linearly to 0.
        epochs: Passes over the examples.
        batch_size: Examples per step; the last batch of an epoch may be smaller.
        max_length: Tokens per text or pair; of documents in retrieval.
        max_query_length: Tokens per query in retrieval.
        stride: Tokens that neighbouring windows of a long context share (spans).
        warmup: Share of the steps in which the learning rate rises.
        weight_decay: AdamW's, times the learning rate; not on biases and norms.
        clip_norm: Largest norm of the gradient; None means no clipping.
        dropout: Dropout before the output layer; inside the encoder it is the checkpoint's own.
        has_pooler: Whether a dense layer with tanh stands before the output layer, as in the
            sequence heads of BERT and GTE.
        pooling: How the tokens of a text become one state, for heads that read whole texts: the
            paper takes the first token; the mean suits encoders of embedding models that pool so.
        temperature: Divides cosines in retrieval (the scripts of the paper: a factor of 20).
        precision: "bfloat16" computes under autocast; weights stay float32.

    Source: github izhx/nlu-evals; betas, epsilon and clipping are those of transformers' Trainer.
    """

    lr: float = 2e-5
    epochs: int = 3
    batch_size: int = 32
    max_length: int = 128
    max_query_length: int = 96
    stride: int = 128
    warmup: float = 0.06
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    dropout: float = 0.1
    has_pooler: bool = False
    pooling: Literal["cls", "mean"] = "cls"
    temperature: float = 0.05
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for name in ("lr", "temperature"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected above 0")
        for name in ("epochs", "batch_size", "max_length", "max_query_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1")
        if not 0.0 <= self.warmup < 1.0:
            raise ConfigError(f"warmup: got {self.warmup}, expected a share from 0 to below 1")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout: got {self.dropout}, expected from 0 to below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One fine-tuning: examples, a head, numbers; maybe after another one.

    Attributes:
        name: Its name, such as "mnli".
        method: What the head predicts.
        train: Examples to learn from.
        dev: Examples that a sweep chooses by; None where nothing is chosen.
        labels: Names of the classes or tags, in order; of a binary task, the second is "positive".
        setting: Its numbers.
        start_from: Training that comes before; its head is kept where its shape fits, else a fresh
            one is put on. None starts from the checkpoint.
    """

    name: str
    method: MethodKind
    train: Source
    dev: Source | None = None
    labels: tuple[str, ...] = ()
    setting: Setting = field(default_factory=Setting)
    start_from: "Training | None" = None

    def __post_init__(self) -> None:
        if self.method in ("classification", "tagging") and len(self.labels) < 2:
            raise ConfigError(f"labels: got {len(self.labels)}, expected at least 2")
        if len(set(self.labels)) < len(self.labels):
            raise ConfigError("labels: one of them stands twice, expected each once")
        setting = self.setting
        if self.method == "spans" and not 0 <= setting.stride <= setting.max_length // 2:
            raise ConfigError(
                f"setting.stride: got {setting.stride}, expected from 0 to half of "
                f"max_length={setting.max_length}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TestSet:
    """What the trained model is measured on.

    Attributes:
        source: Examples; of retrieval, translations, questions with contexts, or mentions.
        split: Name of the part, for the report.
        subset: Name of this set among several of a task, such as "mismatched".
        languages: One set for each; empty means one set.
        documents: Candidates, in retrieval of `positive` ids; None means those of the examples.
        has_shared_pool: Whether contexts of all languages are candidates for each (LAReQA).
        are_translations_right: Whether, in a shared pool, a question's context in any language is
            right, as in XTREME-R, or only that in its own, as in the mGTE paper's scripts.
        answer_style: Normalisation of answers: SQuAD's, or MLQA's of each language.
    """

    __test__ = False  # its name would make pytest collect it

    source: Source
    split: str = "test"
    subset: str = ""
    languages: tuple[str, ...] = ()
    documents: Source | None = None
    has_shared_pool: bool = False
    are_translations_right: bool = False
    answer_style: Literal["squad", "mlqa"] = "squad"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """Settings that are tried, chosen by the dev part.

    Attributes:
        lrs: Peak learning rates; empty means that of the setting.
        epochs: Passes over the examples; empty means those of the setting.
        num_seeds: Runs of each.
    """

    lrs: tuple[float, ...] = (1e-5, 2e-5, 3e-5, 5e-5)
    epochs: tuple[int, ...] = (3, 5)
    num_seeds: int = 3

    def __post_init__(self) -> None:
        if self.num_seeds < 1:
            raise ConfigError(f"num_seeds: got {self.num_seeds}, expected at least 1")

    def settings(self, setting: Setting) -> tuple[Setting, ...]:
        """The settings that are tried, in order."""
        return tuple(
            replace(setting, lr=lr, epochs=epochs)
            for lr in self.lrs or (setting.lr,)
            for epochs in self.epochs or (setting.epochs,)
        )
