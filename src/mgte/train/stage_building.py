"""From a stage of a recipe to the parts that its loop runs on."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mgte.config import to_dict
from mgte.data import LoadConfig, LoadKind, MaskingConfig, PreparedDataset
from mgte.errors import ConfigError
from mgte.losses import principal_projection
from mgte.text import Tokenizer
from mgte.train.checkpoint import Identity, stage_settings
from mgte.train.initial_model import SCRATCH, InitialModel, initial_model
from mgte.train.objectives import Objective, build_objective
from mgte.train.objectives.config import (
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    MaskedLMConfig,
    RerankingConfig,
)
from mgte.train.recipe import EncoderShape, Recipe, Stage
from mgte.train.run_folder import RunFolder
from mgte.train.run_options import located

_LOAD_KINDS: dict[str, LoadKind] = {
    "masked_lm": "masked_lm",
    "contrastive": "contrastive",
    "embedding": "contrastive",
    "reranking": "reranking",
    "embedding_distillation": "vectors",
}
# Vectors of a teacher that decide which of its directions are kept.
_PROJECTED_ROWS = 50_000
# Rows that are looked at for scores of a teacher.
_SCORED_ROWS = 1_000


def load_config(stage: Stage) -> LoadConfig:
    """What the loader must know of a stage besides its data settings."""
    objective, masking, random_negatives = stage.objective, MaskingConfig(), 0
    if isinstance(objective, MaskedLMConfig):
        masking = MaskingConfig(
            mask_probability=objective.mask_probability,
            replace_mask=objective.replace_mask,
            replace_random=objective.replace_random,
        )
    if isinstance(objective, RerankingConfig):
        random_negatives = objective.random_negatives
    return LoadConfig(
        kind=_LOAD_KINDS[objective.kind],
        masking=masking,
        random_negatives=random_negatives,
        query_prompt=stage.output.query_prompt or "",
        document_prompt=stage.output.document_prompt or "",
    )


def stage_start(
    stage: Stage, recipe: Recipe, folder: RunFolder, root: Path
) -> str | Path | EncoderShape:
    """What a stage starts from: a shape, an earlier stage's model folder, or a checkpoint.

    Args:
        stage: The stage.
        recipe: Its recipe.
        folder: Folder of the run.
        root: Folder from which paths count.

    Returns:
        What `initial_model` takes.

    Raises:
        ConfigError: It starts from scratch, and the recipe has no shape.
    """
    if stage.init_from == SCRATCH:
        if recipe.encoder is None:
            raise ConfigError(f"encoder: missing, but stage {stage.name!r} starts from scratch")
        return recipe.encoder
    if stage.init_from in {other.name for other in recipe.stages}:
        return folder.model(stage.init_from)
    return located(stage.init_from, root)


def stage_model(
    stage: Stage, recipe: Recipe, folder: RunFolder, tokenizer: Tokenizer, root: Path
) -> InitialModel:
    """The model of a stage before its first step; arguments as those of `stage_start`."""
    start = stage_start(stage, recipe, folder, root)
    return initial_model(stage, seed=recipe.seed, tokenizer=tokenizer, start=start)


def stage_objective(stage: Stage, dataset: PreparedDataset, width: int) -> Objective:
    """The objective of a stage.

    Args:
        stage: The stage.
        dataset: What it reads; of a teacher's vectors, those that decide on the projection.
        width: Width of the model's vectors.

    Returns:
        The objective.

    Raises:
        ConfigError: Its settings contradict each other, or learn from scores that are not there.
    """
    _check_scores(stage, dataset)
    if not isinstance(stage.objective, EmbeddingDistillationConfig):
        return build_objective(stage.objective)
    rows = _spread_rows(dataset, _PROJECTED_ROWS)
    vectors = torch.from_numpy(np.array(dataset.vector_rows(rows)[1]))
    if vectors.shape[1] == width:
        return build_objective(stage.objective)
    projection = principal_projection(vectors, width)
    return build_objective(stage.objective, projection=projection)


def _check_scores(stage: Stage, dataset: PreparedDataset) -> None:
    """Refuse to learn from a teacher that is not in the data: the term would count nothing."""
    objective = stage.objective
    if not isinstance(objective, EmbeddingConfig | RerankingConfig):
        return
    weights = {"distillation.weight": objective.distillation.weight}
    if isinstance(objective, EmbeddingConfig):
        weights["sparse_distillation_weight"] = objective.sparse_distillation_weight
    asked = [key for key, weight in weights.items() if weight]
    if not asked:
        return
    groups = dataset.groups(_spread_rows(dataset, _SCORED_ROWS))
    if not any(group.positive_scores or group.negative_scores for group in groups):
        raise ConfigError(
            f"stages.{stage.name}.objective.{asked[0]}: got {weights[asked[0]]}, but dataset "
            f"{stage.data.dataset!r} has no scores of a teacher ({len(groups):,} rows looked at)",
            hint="`mgte mine --reranker MODEL` writes them; or set the weight to 0",
        )


def _spread_rows(dataset: PreparedDataset, most: int) -> NDArray[np.int64]:
    """Rows at equal distances, `most` of them."""
    count = min(dataset.num_rows, most)
    return np.linspace(0, dataset.num_rows - 1, count).round().astype(np.int64)


def stage_identity(
    stage: Stage, recipe: Recipe, tokenizer: Tokenizer, plan: str, dataset: str
) -> Identity:
    """What the checkpoints of a stage belong to.

    Args:
        stage: The stage.
        recipe: Its recipe.
        tokenizer: The tokenizer.
        plan: Fingerprint of the loader.
        dataset: Fingerprint of the dataset.

    Returns:
        The identity.
    """
    settings = stage_settings(stage, recipe.seed) | {"tokenizer": tokenizer.fingerprint}
    if stage.init_from == SCRATCH:
        settings["scratch"] = to_dict(recipe.encoder)
    return Identity(settings=settings, plan=plan, dataset=dataset)
