"""The README.md of a saved model, from facts that stand in the folder or come from training."""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from mgte.model import EncoderConfig, HeadConfig
from mgte.store.side_files import EmbeddingSettings
from mgte.store.training_facts import EvaluationFacts, TrainingFacts

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
    facts: TrainingFacts | None = None,
) -> str:
    """A model card with the model's shape, how to load it, and how it came about.

    Args:
        config: The encoder's settings.
        head: The head's settings.
        settings: Pooling, prompts and limits.
        family: Family that the folder is written as.
        format_name: Format that the folder is written in.
        facts: How the model came about, if known.

    Returns:
        Markdown with a YAML header.
    """
    task, sentence = _TASKS[head.kind]
    library = "sentence-transformers" if format_name == "sentence-transformers" else "transformers"
    header = {"library_name": library, "pipeline_tag": task, "tags": ["mgte"]}
    facts = facts or TrainingFacts()
    rows = [
        ("family", family),
        ("layers / hidden size / heads", _shape(config)),
        ("vocabulary", f"{config.vocab_size:,}"),
        ("longest input", f"{settings.max_length or config.max_tokens:,} tokens"),
        ("pooling", f"{settings.pooling}{', normalised' if settings.normalize else ''}"),
    ]
    loader = {
        "none": 'embedder = mgte.Embedder.load(".")',
        "token_classification": 'embedder = mgte.Embedder.load(".")',
        "sequence_classification": 'reranker = mgte.Reranker.load(".")',
        "masked_lm": 'model = mgte.load_model(".")',
    }[head.kind]
    title = f"# {facts.name}\n\n{sentence}" if facts.name else f"# {sentence}"
    summary = f"{facts.summary}\n\n" if facts.summary else ""
    return (
        f"---\n{_header(header, facts)}---\n\n"
        f"{title}\n\n{summary}{_table(('', ''), rows)}\n\n"
        f"Written by mgte. To load it from this folder:\n\n"
        f"```python\nimport mgte\n\n{loader}\n```\n"
        f"{training_sections(facts)}"
    )


def training_sections(facts: TrainingFacts) -> str:
    """Sections on evaluation, training, data and limitations, as far as there are facts.

    Args:
        facts: How the model came about.

    Returns:
        Markdown; empty without facts.
    """
    sections = [
        ("Evaluation", "\n\n".join(_evaluation_tables(facts.evaluation))),
        ("Training", _training(facts)),
        ("Data", _data(facts)),
        ("Limitations", "\n".join(f"* {sentence}" for sentence in facts.limitations)),
    ]
    return "".join(f"\n## {title}\n\n{text}\n" for title, text in sections if text)


def _header(values: dict[str, Any], facts: TrainingFacts) -> str:
    extra = {
        "license": facts.licence,
        "language": list(facts.languages),
        "base_model": list(facts.start_models),
    }
    values = values | {name: value for name, value in extra.items() if value}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _evaluation_tables(measured: Sequence[EvaluationFacts]) -> Iterable[str]:
    for metric in dict.fromkeys(facts.metric for facts in measured):
        rows = [facts for facts in measured if facts.metric == metric]
        columns = list(dict.fromkeys(name for facts in rows for name in facts.values))
        yield _table(
            (metric, *columns),
            [
                (
                    facts.collection,
                    *(f"{facts.values[c]:.3f}" if c in facts.values else "-" for c in columns),
                )
                for facts in rows
            ],
        )


def _training(facts: TrainingFacts) -> str:
    named = {"recipe": facts.recipe, "machine": facts.machine, "date": facts.date} | facts.notes
    parts = ["\n".join(f"* {name}: {value}" for name, value in named.items() if value)]
    if facts.stages:
        columns = ("stage", "from", "objective", "data", "steps", "tokens", "hours")
        rows = [
            (
                stage.name,
                stage.start or "-",
                stage.objective,
                stage.data or "-",
                f"{stage.steps:,}",
                f"{stage.tokens:,}" if stage.tokens else "-",
                f"{stage.hours:.2f}" if stage.hours else "-",
            )
            for stage in facts.stages
        ]
        parts.append(_table(columns, rows))
    return "\n\n".join(part for part in parts if part)


def _data(facts: TrainingFacts) -> str:
    if not facts.sources:
        return ""
    rows = [
        (source.name, f"{source.rows:,}" if source.rows else "-", source.licence, source.note)
        for source in facts.sources
    ]
    return _table(("source", "rows", "licence", "note"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(header), "|" + "---|" * len(header)]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    texts = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
    return "|" + "|".join(f" {text} " if text else " " for text in texts) + "|"


def _shape(config: EncoderConfig) -> str:
    return f"{config.num_hidden_layers} / {config.hidden_size} / {config.num_attention_heads}"
