"""Model folders: checkpoint families, loading, saving, the hub.

Resolved on first use, so that the table of known models costs no torch.
"""

from typing import TYPE_CHECKING

from mgte.rooms import names_on_first_use

if TYPE_CHECKING:
    from mgte.store.families import FAMILIES, Family
    from mgte.store.hub import is_cached, resolve_model
    from mgte.store.known_models import KNOWN_MODELS, KnownModel, find_known_model
    from mgte.store.merge import MERGE_METHODS, TAKEN_FROM_FIRST, MergeMethod, merge_models
    from mgte.store.model_dir import (
        LoadedModel,
        ModelDir,
        load_model,
        load_weights,
        model_dir_of,
        open_model,
    )
    from mgte.store.save import SaveFormat, save_model, write_model_card
    from mgte.store.side_files import EmbeddingSettings
    from mgte.store.training_facts import (
        EvaluationFacts,
        SourceFacts,
        StageFacts,
        TrainingFacts,
        read_training_facts,
    )

_HOMES = {
    "FAMILIES": "families",
    "Family": "families",
    "is_cached": "hub",
    "resolve_model": "hub",
    "KNOWN_MODELS": "known_models",
    "KnownModel": "known_models",
    "find_known_model": "known_models",
    "MERGE_METHODS": "merge",
    "TAKEN_FROM_FIRST": "merge",
    "MergeMethod": "merge",
    "merge_models": "merge",
    "LoadedModel": "model_dir",
    "ModelDir": "model_dir",
    "load_model": "model_dir",
    "load_weights": "model_dir",
    "model_dir_of": "model_dir",
    "open_model": "model_dir",
    "SaveFormat": "save",
    "save_model": "save",
    "write_model_card": "save",
    "EmbeddingSettings": "side_files",
    "EvaluationFacts": "training_facts",
    "SourceFacts": "training_facts",
    "StageFacts": "training_facts",
    "TrainingFacts": "training_facts",
    "read_training_facts": "training_facts",
}


__getattr__ = names_on_first_use(__name__, _HOMES)

__all__ = [
    "FAMILIES",
    "KNOWN_MODELS",
    "MERGE_METHODS",
    "TAKEN_FROM_FIRST",
    "EmbeddingSettings",
    "EvaluationFacts",
    "Family",
    "KnownModel",
    "LoadedModel",
    "MergeMethod",
    "ModelDir",
    "SaveFormat",
    "SourceFacts",
    "StageFacts",
    "TrainingFacts",
    "find_known_model",
    "is_cached",
    "load_model",
    "load_weights",
    "merge_models",
    "model_dir_of",
    "open_model",
    "read_training_facts",
    "resolve_model",
    "save_model",
    "write_model_card",
]
