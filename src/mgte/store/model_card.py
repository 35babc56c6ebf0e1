"""The short README.md of a saved model, from facts that stand in the folder."""

from mgte.model import EncoderConfig, HeadConfig
from mgte.store.side_files import EmbeddingSettings

_TASKS = {
    "none": ("sentence-similarity", "Dense text embeddings."),
    "token_classification": (
        "sentence-similarity",
        "Text embeddings: dense from the encoder, sparse token weights from the token head.",
    ),
    "sequence_classification": ("text-ranking", "Scores for (query, document) pairs."),
    "masked_lm": ("fill-mask", "Masked language model."),
}


def model_card(
    config: EncoderConfig,
    head: HeadConfig,
    settings: EmbeddingSettings,
    *,
    family: str,
    format_name: str,
) -> str:
    """A model card with the model's shape and how to load it.

    Args:
        config: The encoder's settings.
        head: The head's settings.
        settings: Pooling, prompts and limits.
        family: Family that the folder is written as.
        format_name: Format that the folder is written in.

    Returns:
        Markdown with a YAML header.
    """
    task, sentence = _TASKS[head.kind]
    library = "sentence-transformers" if format_name == "sentence-transformers" else "transformers"
    rows = [
        ("family", family),
        ("layers / hidden size / heads", _shape(config)),
        ("vocabulary", f"{config.vocab_size:,}"),
        ("longest input", f"{settings.max_length or config.max_tokens:,} tokens"),
        ("pooling", f"{settings.pooling}{', normalised' if settings.normalize else ''}"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    loader = {
        "none": "embedder = mgte.Embedder.load('.')",
        "token_classification": "embedder = mgte.Embedder.load('.')",
        "sequence_classification": "reranker = mgte.Reranker.load('.')",
        "masked_lm": "model = mgte.load_model('.')",
    }[head.kind]
    return (
        f"---\nlibrary_name: {library}\npipeline_tag: {task}\ntags:\n- mgte\n---\n\n"
        f"# {sentence}\n\n| | |\n|---|---|\n{table}\n\n"
        f"Written by mgte. To load it from this folder:\n\n"
        f"```python\nimport mgte\n\n{loader}\n```\n"
    )


def _shape(config: EncoderConfig) -> str:
    return f"{config.num_hidden_layers} / {config.hidden_size} / {config.num_attention_heads}"
