"""sentence-transformers' side files, read in both spellings, as one frozen record.

modules.json says which modules follow each other; each has a config of its own. Written by
`mgte.store.export`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mgte.errors import ConfigError
from mgte.model import EncoderConfig
from mgte.packing import Pooling
from mgte.store.checkpoint_files import json_kind, read_json, read_json_object
from mgte.store.families import Family, RawConfig

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]

MODULES, SENTENCE_CONFIG = "modules.json", "config_sentence_transformers.json"
TRANSFORMER_CONFIGS = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_xlm-roberta_config.json",
)
_POOLINGS: Mapping[str, Pooling] = {
    "cls": "cls",
    "mean": "mean",
    "max": "max",
    "lasttoken": "last",
}
_OLD_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
_SIMILARITIES: Mapping[str, Similarity] = {
    "cosine": "cosine",
    "dot": "dot",
    "dot_product": "dot",
    "euclidean": "euclidean",
    "manhattan": "manhattan",
}
_MODULES = ("Transformer", "Pooling", "Normalize")
_MODULES_TEXT = "Transformer, Pooling or Normalize"
# Tokenizers without a limit of their own state an astronomic one.
_NO_LIMIT = 10**9
GTE_QWEN_QUERY = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
)


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingSettings:
    """How texts become vectors with this model, beyond its weights.

    Attributes:
        pooling: How token states become one vector.
        normalize: Whether vectors are scaled to length 1.
        prompts: Text put before an input, by prompt name.
        default_prompt_name: Prompt used when none is asked for.
        max_length: Longest input in tokens that the files state; None means the encoder's own.
        lowercase: Whether texts are lowered before the tokenizer.
        similarity: How two vectors are compared.
    """

    pooling: Pooling = "cls"
    normalize: bool = True
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    max_length: int | None = None
    lowercase: bool = False
    similarity: Similarity = "cosine"


def transformer_folder(folder: Path) -> Path:
    """Where config.json and weights lie: old sentence-transformers put them into a sub-folder."""
    if (folder / "config.json").is_file() or not (folder / MODULES).is_file():
        return folder
    for raw, kind in _read_modules(folder):
        if kind == "Transformer":
            return _subfolder(folder, raw)
    return folder


def read_settings(folder: Path, family: Family, config: EncoderConfig) -> EmbeddingSettings:
    """The settings that a model folder states.

    Args:
        folder: The model folder.
        family: Its family, for what the folder leaves open.
        config: The encoder's settings.

    Returns:
        The settings.

    Raises:
        ConfigError: A side file is damaged or asks for something that is not supported.
    """
    pooling, normalize = family.default_pooling, True
    if (folder / MODULES).is_file():
        pooling, normalize = _read_pipeline(folder, pooling)
    inner = transformer_folder(folder)
    max_length, lowercase = _read_transformer_config(inner)
    prompts, default_prompt, similarity = _read_sentence_config(folder)
    if family.name == "qwen2" and not config.is_causal and prompts is None:
        prompts = {"query": GTE_QWEN_QUERY}
    return EmbeddingSettings(
        pooling=pooling,
        normalize=normalize,
        prompts=prompts or {},
        default_prompt_name=default_prompt,
        max_length=max_length,
        lowercase=lowercase,
        similarity=similarity,
    )


def _read_modules(folder: Path) -> list[tuple[RawConfig, str]]:
    """The modules in order, each with the last part of its type."""
    path = folder / MODULES
    entries = read_json(path)
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: got {json_kind(entries)}, expected a list of objects")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: {index}: got {json_kind(entry)}, expected an object")
    raws = [
        RawConfig(values=entry, where=str(path), path=f"{index}.")
        for index, entry in enumerate(entries)
    ]
    return [(raw, _kind(raw)) for raw in raws]


def _kind(raw: RawConfig) -> str:
    package, _, kind = raw.text("type").rpartition(".")
    is_known = package.partition(".")[0] == "sentence_transformers" and kind in _MODULES
    if not is_known:
        raise raw.error("type", raw.values["type"], f"a sentence-transformers {_MODULES_TEXT}")
    return kind


def _read_pipeline(folder: Path, default: Pooling) -> tuple[Pooling, bool]:
    """Pooling and whether to normalise, from the modules."""
    pooling, normalize = default, False
    for raw, kind in _read_modules(folder):
        if kind == "Pooling":
            pooling = _read_pooling(_subfolder(folder, raw) / "config.json")
        elif kind == "Normalize":
            normalize = True
    return pooling, normalize


def _subfolder(folder: Path, raw: RawConfig) -> Path:
    relative = raw.text("path", "")
    parts = Path(relative).parts
    if Path(relative).is_absolute() or ".." in parts:
        raise raw.error("path", relative, "a folder inside the model folder")
    return folder / relative


def _read_pooling(path: Path) -> Pooling:
    raw = RawConfig(values=read_json_object(path), where=str(path))
    if not raw.boolean("include_prompt", True):
        raise raw.error("include_prompt", False, "true: pooling without the prompt's tokens")
    modes = raw.values.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _OLD_POOLINGS.items() if raw.boolean(key, False)] or ["mean"]
    if isinstance(modes, list) and len(modes) == 1:
        modes = modes[0]
    if not isinstance(modes, str) or modes not in _POOLINGS:
        raise raw.error("pooling_mode", modes, f"one of {', '.join(_POOLINGS)}")
    return _POOLINGS[modes]


def _read_transformer_config(folder: Path) -> tuple[int | None, bool]:
    """Longest input and whether to lower it, from the transformer module or the tokenizer."""
    lowercase, max_length = False, None
    for name in TRANSFORMER_CONFIGS:
        if (folder / name).is_file():
            raw = RawConfig(values=read_json_object(folder / name), where=str(folder / name))
            lowercase = raw.boolean("do_lower_case", False)
            max_length = _read_limit(raw, "max_seq_length")
            break
    tokenizer = folder / "tokenizer_config.json"
    if max_length is None and tokenizer.is_file():
        raw = RawConfig(values=read_json_object(tokenizer), where=str(tokenizer))
        max_length = _read_limit(raw, "model_max_length")
    return max_length, lowercase


def _read_limit(raw: RawConfig, key: str) -> int | None:
    if not raw.has(key):
        return None
    limit = raw.number(key)
    if limit < 1:
        raise raw.error(key, raw.values[key], "at least 1")
    return int(limit) if limit < _NO_LIMIT else None


def _read_sentence_config(folder: Path) -> tuple[dict[str, str] | None, str | None, Similarity]:
    path = folder / SENTENCE_CONFIG
    if not path.is_file():
        return None, None, "cosine"
    raw = RawConfig(values=read_json_object(path), where=str(path))
    table = raw.mapping("prompts")
    prompts: dict[str, str] | None = None
    if table is not None:
        prompts = {name: _prompt(table, name) for name in table.values}
    default = raw.text("default_prompt_name", "") or None
    if default is not None and default not in (prompts or {}):
        raise raw.error("default_prompt_name", default, "the name of one of the prompts")
    return prompts, default, raw.choice("similarity_fn_name", _SIMILARITIES, "cosine")


def _prompt(table: RawConfig, name: str) -> str:
    value: Any = table.values[name]
    return "" if value is None else table.text(name)
