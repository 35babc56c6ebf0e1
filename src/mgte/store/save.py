"""save_model: write a model as transformers, sentence-transformers or new-impl load it.

Files are written aside, brought to the disk and renamed one by one, so that neither a reader nor a
crash finds half a file, and so that a model whose weights are mapped from the same folder stays
intact.
"""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save_file

from mgte.errors import ConfigError, MgteError
from mgte.model import EmbeddingModel, EncoderConfig, Model
from mgte.store.checkpoint_files import CONFIG, WEIGHTS, read_json_object
from mgte.store.families import FAMILIES, Family
from mgte.store.int8_weights import quantization_config, quantize_weights
from mgte.store.model_card import model_card
from mgte.store.model_dir import TOKENIZER_FILES, ModelDir, family_of, model_dir_of, open_model
from mgte.store.sentence_files import reranker_keys, sentence_files
from mgte.store.side_files import MODULES, EmbeddingSettings, read_settings
from mgte.store.stale_files import SIDE_FILES, remove_stale, stale_weights
from mgte.store.tensor_names import export_tensors
from mgte.store.training_facts import TRAINING_FACTS, TrainingFacts, facts_as_json
from mgte.text import flush, replace_file, replace_text

SaveFormat = Literal["transformers", "sentence-transformers", "new"]

# Keys that describe no tensor and no number of ours, and that others read.
_KEPT_KEYS = (
    "bos_token_id",
    "cls_token_id",
    "eos_token_id",
    "mask_token_id",
    "sep_token_id",
    "attention_probs_dropout_prob",
    "problem_type",
    "sentence_transformers",
)


def save_model(
    model: Model,
    path: str | Path,
    format: SaveFormat = "transformers",
    *,
    tokenizer: str | Path | None = None,
    settings: EmbeddingSettings | None = None,
    facts: TrainingFacts | None = None,
    int8: bool = False,
) -> Path:
    """Write a model folder.

    Args:
        model: The model; its weights are written in the type that they have, unless `int8`.
        path: Folder to write. Files already there are replaced one by one; those of an older model
            that would contradict the new one are removed, those of unknown names stay.
        format: "transformers": `new` models become `gte`, others keep their family.
            "sentence-transformers": that and its side files. "new": as Alibaba-NLP/new-impl.
        tokenizer: Folder to copy the tokenizer from; None means where the model came from.
        settings: Pooling, prompts and limits; None means those that the model came with.
        facts: How the model came about, for its card; kept as training_facts.json too.
        int8: Whether matrices are kept in 8 bits with a scale per row: a quarter of the size of
            float32, for a cosine of about 0.9999. transformers reads this with the package
            compressed-tensors.

    Returns:
        The folder.

    Raises:
        ConfigError: The format is unknown, or cannot say what the model is.
    """
    family = _family_to_write(model, format)
    source = model_dir_of(model)
    origin = _tokenizer_origin(tokenizer, source)
    settings = settings or _settings_of(model, source)
    values = _config_values(model, family, source)
    if format == "sentence-transformers":
        values |= reranker_keys(model.head_config, values)
    tensors = export_tensors(model.state_dict(), family, model.config, model.head_config)
    if int8:
        values["quantization_config"] = quantization_config(tensors)
        tensors = quantize_weights(tensors)
    texts = {CONFIG: _as_json(values)}
    side = sentence_files(model.config, model.head_config, settings)
    if format == "sentence-transformers":
        texts |= {name: _as_json(content) for name, content in side.items()}
    texts["README.md"] = model_card(
        model.config,
        model.head_config,
        settings,
        family=family.name,
        format_name=format,
        facts=facts,
    )
    if facts is not None:
        texts[TRAINING_FACTS] = facts_as_json(facts)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pt"}
    replace_file(folder / WEIGHTS, lambda aside: save_file(tensors, aside, metadata=metadata))
    _copy_tokenizer(folder, origin)
    if family.name == "gte" and (folder / "tokenizer.json").is_file():
        _name_tokenizer_class(folder / "tokenizer_config.json")
    for name, text in texts.items():
        replace_text(folder / name, text)
    remove_stale(folder, (*stale_weights(folder), TRAINING_FACTS), texts)
    # A model that is saved over itself keeps its pooling and prompts in any format.
    is_true = _is_stated(folder, settings, family, model.config)
    remove_stale(folder, SIDE_FILES, side if is_true else texts)
    flush(folder.parent)
    return folder


def write_model_card(folder: str | Path, facts: TrainingFacts) -> Path:
    """Write the card of a saved model anew, with more facts than there were when it was saved.

    Args:
        folder: Model folder, as `save_model` wrote it.
        facts: How the model came about.

    Returns:
        The card.

    Raises:
        CheckpointError: The folder is no model folder.
        ConfigError: A setting in the folder is missing or wrong.
    """
    opened = open_model(folder)
    is_module_list = (opened.path / MODULES).is_file()
    card = model_card(
        opened.config,
        opened.head,
        opened.settings,
        family=opened.family,
        format_name="sentence-transformers" if is_module_list else "transformers",
        facts=facts,
    )
    replace_text(opened.path / TRAINING_FACTS, facts_as_json(facts))
    replace_text(opened.path / "README.md", card)
    return opened.path / "README.md"


def _family_to_write(model: Model, format_name: str) -> Family:
    own = family_of(model)
    if format_name not in ("transformers", "sentence-transformers", "new"):
        raise ConfigError(
            f"format: got {format_name!r}, expected one of transformers, sentence-transformers, new"
        )
    if format_name == "new":
        if own.name not in ("new", "gte"):
            raise ConfigError(
                f"format: got 'new' for a model of family {own.name!r}, expected one of family "
                "'new' or 'gte'",
                hint='save with format="transformers"',
            )
        return FAMILIES["new"]
    return FAMILIES["gte"] if own.name == "new" else own


def _settings_of(model: Model, source: ModelDir | None) -> EmbeddingSettings:
    if source is not None:
        return source.settings
    pooling = model.pooling if isinstance(model, EmbeddingModel) else "cls"
    return EmbeddingSettings(pooling=pooling)


def _config_values(model: Model, family: Family, source: ModelDir | None) -> dict[str, Any]:
    raw = {} if source is None else source.raw_config
    values = {key: raw[key] for key in _KEPT_KEYS if raw.get(key) is not None}
    values |= {
        "architectures": [family.architectures[model.head_config.kind]],
        "model_type": family.name,
        # Read by transformers 4 and 5 alike.
        "torch_dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
    }
    written = family.write_config(model.config, model.head_config)
    if "attention_probs_dropout_prob" in values:
        written.pop("attention_probs_dropout_prob", None)
    return dict(sorted((values | written).items()))


def _as_json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _tokenizer_origin(given: str | Path | None, source: ModelDir | None) -> Path | None:
    if given is None:
        return None if source is None else source.path
    if not Path(given).is_dir():
        raise ConfigError(f"tokenizer: no such folder {given}, expected one with tokenizer.json")
    return Path(given)


def _copy_tokenizer(folder: Path, origin: Path | None) -> None:
    if origin is None or origin.resolve() == folder.resolve():
        return
    there = [name for name in TOKENIZER_FILES if (origin / name).is_file()]
    for name in there:
        replace_file(folder / name, partial(shutil.copyfile, origin / name))
    # One that lies in the folder of a model without a tokenizer may have been put there for it.
    if there:
        remove_stale(folder, TOKENIZER_FILES, there)


def _is_stated(
    folder: Path, settings: EmbeddingSettings, family: Family, config: EncoderConfig
) -> bool:
    """Whether the side files that lie in the folder say just what is true of the model."""
    try:
        stated = read_settings(folder, family, config)
    except MgteError:
        return False
    longest = config.max_tokens
    return replace(stated, max_length=min(stated.max_length or longest, longest)) == replace(
        settings, max_length=min(settings.max_length or longest, longest)
    )


def _name_tokenizer_class(path: Path) -> None:
    """Say which class the tokenizer is: transformers knows none by the name of `gte`."""
    values = read_json_object(path) if path.is_file() else {}
    if "tokenizer_class" not in values:
        replace_text(path, _as_json(values | {"tokenizer_class": "PreTrainedTokenizerFast"}))
