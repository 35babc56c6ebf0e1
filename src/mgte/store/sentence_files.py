"""sentence-transformers' side files, written so that its versions 2 to 6 read them.

The older spelling is the one that all of them know.
"""

from typing import Any

from mgte.model import EncoderConfig, HeadConfig
from mgte.store.side_files import MODULES, SENTENCE_CONFIG, TRANSFORMER_CONFIGS, EmbeddingSettings

_POOLING_KEYS = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "last": "pooling_mode_lasttoken",
}
_PACKAGE = "sentence_transformers.models"
_POOLING, _NORMALIZE = "1_Pooling", "2_Normalize"
# Settings of the modules that follow the transformer.
MODULE_CONFIGS = (f"{_POOLING}/config.json", f"{_NORMALIZE}/config.json")


def sentence_files(
    config: EncoderConfig, head: HeadConfig, settings: EmbeddingSettings
) -> dict[str, Any]:
    """The side files of a model, as JSON values by file name.

    A reranker has none but the length: `CrossEncoder` loads a plain transformers folder.

    Args:
        config: The encoder's settings.
        head: The head's settings.
        settings: Pooling, prompts and limits.

    Returns:
        What each file holds.
    """
    limit = min(settings.max_length or config.max_tokens, config.max_tokens)
    transformer = {"max_seq_length": limit, "do_lower_case": settings.lowercase}
    if head.kind == "sequence_classification":
        return {TRANSFORMER_CONFIGS[0]: transformer}
    modules = [("", "Transformer"), (_POOLING, "Pooling")]
    if settings.normalize:
        modules.append((_NORMALIZE, "Normalize"))
    files: dict[str, Any] = {
        TRANSFORMER_CONFIGS[0]: transformer,
        MODULES: [
            {"idx": index, "name": str(index), "path": path, "type": f"{_PACKAGE}.{kind}"}
            for index, (path, kind) in enumerate(modules)
        ],
        MODULE_CONFIGS[0]: _pooling_config(config, settings),
        SENTENCE_CONFIG: {
            "model_type": "SentenceTransformer",
            "prompts": dict(settings.prompts),
            "default_prompt_name": settings.default_prompt_name,
            "similarity_fn_name": settings.similarity,
        },
    }
    if settings.normalize:
        files[MODULE_CONFIGS[1]] = {}
    return files


def reranker_keys(head: HeadConfig, values: dict[str, Any]) -> dict[str, Any]:
    """The key of config.json that tells `CrossEncoder` which activation to put on the scores."""
    if head.kind != "sequence_classification" or "sentence_transformers" in values:
        return {}
    name = "activation.Sigmoid" if head.num_labels == 1 else "linear.Identity"
    return {"sentence_transformers": {"activation_fn": f"torch.nn.modules.{name}"}}


def _pooling_config(config: EncoderConfig, settings: EmbeddingSettings) -> dict[str, Any]:
    modes = {key: mode == settings.pooling for mode, key in _POOLING_KEYS.items()}
    return {"word_embedding_dimension": config.hidden_size, **modes, "include_prompt": True}
