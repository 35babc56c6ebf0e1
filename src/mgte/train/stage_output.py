"""How a stage's model is used: what the recipe says, and what it takes over from its start."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mgte.errors import ConfigError
from mgte.model import EncoderConfig
from mgte.store import EmbeddingSettings, ModelDir
from mgte.train.initial_model import SCRATCH
from mgte.train.objectives.config import MaskedLMConfig, RerankingConfig
from mgte.train.recipe import OutputConfig, Recipe, Stage

# From an `init_from` outside the recipe to its folder; None where it is not on this machine.
FindStart = Callable[[str], ModelDir | None]

_QUERY, _DOCUMENT = "query", "document"
# Names under which models keep the prompt of documents.
_DOCUMENT_NAMES = (_DOCUMENT, "passage", "corpus")


def settled_recipe(recipe: Recipe, find_start: FindStart) -> Recipe:
    """A recipe whose outputs leave nothing open.

    Args:
        recipe: A recipe that was checked.
        find_start: Finds checkpoints that stages start from.

    Returns:
        The recipe; every stage says how its model pools, which prompts it has, and so on.

    Raises:
        ConfigError: A model that reads from left to right is to be pooled at its first token.
    """
    outputs: dict[str, OutputConfig] = {}
    encoders: dict[str, EncoderConfig | None] = {}
    stages = []
    for stage in recipe.stages:
        if stage.init_from in outputs:
            given = _of_earlier(outputs[stage.init_from])
            encoders[stage.name] = encoders[stage.init_from]
        else:
            start = None if stage.init_from == SCRATCH else find_start(stage.init_from)
            given = _of_start(EmbeddingSettings() if start is None else start.settings)
            encoders[stage.name] = None if start is None else start.config
        settled = replace(stage, output=_settled(stage, given))
        _check_pooling(settled, encoders[stage.name])
        outputs[stage.name] = settled.output
        stages.append(settled)
    return replace(recipe, stages=tuple(stages))


def settings_at_use(
    output: OutputConfig, start: EmbeddingSettings | None, *, lowercase: bool = False
) -> EmbeddingSettings:
    """What the model folder of a stage says about use.

    Args:
        output: The stage's output; what is None in it is the start's.
        start: Settings of the folder that the stage starts from; None from scratch.
        lowercase: Whether texts are lowered before the tokenizer.

    Returns:
        The settings; prompts of other names and the similarity are the start's too.
    """
    base = start or EmbeddingSettings()
    settled = replace(
        output,
        **{key: value for key, value in _of_start(base).items() if getattr(output, key) is None},
    )
    asked = {_QUERY: settled.query_prompt or "", _DOCUMENT: settled.document_prompt or ""}
    default = base.default_prompt_name
    default = _DOCUMENT if default in _DOCUMENT_NAMES else default
    others = {
        name: text for name, text in base.prompts.items() if name not in (_QUERY, *_DOCUMENT_NAMES)
    }
    # Where there is a default, an absent prompt means the default, and an empty one means none.
    own = {name: text for name, text in asked.items() if text or default in base.prompts}
    prompts = {**others, **own}
    return replace(
        base,
        pooling=settled.pooling or "cls",
        normalize=settled.normalize is not False,
        prompts=prompts,
        default_prompt_name=default if default in prompts else None,
        max_length=settled.max_length or None,
        lowercase=lowercase,
    )


def _of_start(settings: EmbeddingSettings) -> dict[str, Any]:
    return {
        "pooling": settings.pooling,
        "normalize": settings.normalize,
        "max_length": settings.max_length or 0,
        "query_prompt": _prompt(settings, (_QUERY,)),
        "document_prompt": _prompt(settings, _DOCUMENT_NAMES),
    }


def _of_earlier(output: OutputConfig) -> dict[str, Any]:
    names = ("pooling", "normalize", "max_length", "query_prompt", "document_prompt")
    return {name: getattr(output, name) for name in names}


def _prompt(settings: EmbeddingSettings, names: Sequence[str]) -> str:
    name = next((name for name in names if name in settings.prompts), settings.default_prompt_name)
    return "" if name is None else settings.prompts.get(name, "")


def _settled(stage: Stage, given: dict[str, Any]) -> OutputConfig:
    given = dict(given)
    if stage.encoder.max_position_embeddings is not None:
        given["max_length"] = 0
    if isinstance(stage.objective, RerankingConfig):
        # A reranker reads pairs as they are.
        given |= {"query_prompt": "", "document_prompt": ""}
    still_open = {
        name: value for name, value in given.items() if getattr(stage.output, name) is None
    }
    return replace(stage.output, **still_open)


def _check_pooling(stage: Stage, encoder: EncoderConfig | None) -> None:
    if isinstance(stage.objective, MaskedLMConfig | RerankingConfig):
        return
    if encoder is not None and encoder.is_causal and stage.output.pooling == "cls":
        raise ConfigError(
            f"stages.{stage.name}.output.pooling: got 'cls', but the start reads from left to "
            "right, so that its first token sees nothing else; expected 'last' or 'mean'"
        )
