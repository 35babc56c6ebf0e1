"""The model folder that a stage ends in: whole weights, and how the recipe says they are used."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mgte.model import EmbeddingModel, EncoderConfig, MaskedLM, Model, build_model
from mgte.store import EmbeddingSettings, TrainingFacts, save_model
from mgte.train.recipe import OutputConfig
from mgte.train.stage_output import settings_at_use

_LOWERCASE_FILE = "sentence_bert_config.json"
# Of 8-bit weights, what is no matrix stays float32.
_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,
}


def save_stage_model(
    folder: Path,
    model: Model,
    weights: Mapping[str, Tensor],
    output: OutputConfig,
    *,
    tokenizer: Path,
    settings: EmbeddingSettings | None = None,
    facts: TrainingFacts | None = None,
) -> Path:
    """Write a model folder that anybody loads.

    Args:
        folder: The folder.
        model: The model in training: its kind, its settings.
        weights: Its whole weights by plain names.
        output: NTK factor and type of the weights.
        tokenizer: Folder of the tokenizer, copied.
        settings: Pooling, prompts and limits; None means the output's for a model from scratch.
        facts: For the card.

    Returns:
        The folder.
    """
    settings = settings or settings_at_use(output, None)
    copy = build_model(
        inference_config(model.config, output),
        model.head_config,
        pooling=settings.pooling,
        family=model.family,
    )
    if isinstance(copy, EmbeddingModel) and isinstance(model, EmbeddingModel):
        copy.skip_ids = model.skip_ids
    copy.load_state_dict({name: tensor.detach().cpu() for name, tensor in weights.items()})
    written = save_model(
        copy.to(_DTYPES[output.dtype]),
        folder,
        # Pooling, prompts and limits stand in files of sentence-transformers only.
        "transformers" if isinstance(model, MaskedLM) else "sentence-transformers",
        tokenizer=tokenizer,
        settings=settings,
        facts=facts,
        int8=output.dtype == "int8",
    )
    if settings.lowercase and isinstance(model, MaskedLM):
        # All that such a folder says of its use beyond the formats of transformers.
        (written / _LOWERCASE_FILE).write_text('{"do_lower_case": true}\n', encoding="utf-8")
    return written


def inference_config(config: EncoderConfig, output: OutputConfig) -> EncoderConfig:
    """The encoder's settings at inference: another NTK factor, if the recipe asks for one."""
    if output.rope_ntk_factor is None or config.rope is None:
        return config
    return replace(config, rope=replace(config.rope, ntk_factor=output.rope_ntk_factor))
