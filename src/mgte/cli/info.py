"""`mgte info MODEL`: what a model is made of. Reads its config and headers, not its weights."""

import argparse
from typing import TYPE_CHECKING, Any

from mgte.cli.options import add_json_option, add_source_options
from mgte.cli.output import write_json, write_line, write_table

if TYPE_CHECKING:
    from mgte.store import ModelDir

DESCRIPTION = "Show what a model is made of: family, shape, pooling, prompts, head, files."
EXAMPLE = "  mgte info mgte-nano"

_WHAT = {
    "none": "embedding model",
    "token_classification": "embedding model with sparse token weights",
    "sequence_classification": "reranker or classifier",
    "masked_lm": "masked language model",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="folder, hub id or bundled name")
    add_source_options(parser)
    add_json_option(parser, "the description")


def run(arguments: argparse.Namespace) -> int:
    """Print the description."""
    from mgte.store import open_model

    opened = open_model(arguments.model, revision=arguments.revision, offline=arguments.offline)
    facts = describe(opened)
    if arguments.json:
        write_json(facts)
    else:
        print_facts(facts)
    return 0


def describe(opened: "ModelDir") -> dict[str, Any]:
    """What there is to say about a model folder."""
    config, head, settings = opened.config, opened.head, opened.settings
    max_tokens = min(settings.max_length or config.max_tokens, config.max_tokens)
    files = sorted(path for path in opened.path.rglob("*") if path.is_file())
    return {
        "model": opened.name,
        "what": _WHAT[head.kind],
        "family": opened.family,
        "num_parameters": opened.num_parameters,
        "dtype": opened.dtype,
        "dim": config.hidden_size,
        "max_tokens": max_tokens,
        "encoder": {
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "num_key_value_heads": config.num_key_value_heads,
            "intermediate_size": config.intermediate_size,
            "vocab_size": config.vocab_size,
            "positions": config.position_embedding_type,
            "max_position_embeddings": config.max_position_embeddings,
            "norm": f"{config.norm_position}-{config.norm_kind}",
            "mlp": ("gated " if config.gated_mlp else "") + config.hidden_act,
            "num_local_layers": len(config.local_layers),
            "local_window": config.local_window if config.local_layers else None,
            "is_causal": config.is_causal,
        },
        "head": {"kind": head.kind, "num_labels": head.num_labels, "pooling": head.pooling},
        "embedding": {
            "pooling": settings.pooling,
            "normalize": settings.normalize,
            "similarity": settings.similarity,
            "prompts": dict(settings.prompts),
            "default_prompt_name": settings.default_prompt_name,
        },
        "has_tokenizer": opened.tokenizer_file is not None,
        "folder": str(opened.path),
        "files": {str(path.relative_to(opened.path)): path.stat().st_size for path in files},
    }


def print_facts(facts: dict[str, Any]) -> None:
    """The description for a person."""
    write_line(f"{facts['model']}: {facts['what']}\n")
    rows: list[tuple[str, Any]] = [
        (name, facts[name])
        for name in ("family", "num_parameters", "dtype", "dim", "max_tokens", "has_tokenizer")
    ]
    groups = ["encoder"]
    groups += ["embedding"] if facts["what"].startswith("embedding") else []
    groups += ["head"] if facts["head"]["kind"] != "none" else []
    for group in groups:
        rows += [(f"{group}.{name}", value) for name, value in facts[group].items()]
    for name, value in rows:
        write_line(f"{name:<32}{_plain(value)}")
    write_line(f"\n{facts['folder']}")
    write_table(("file", "bytes"), [(name, size) for name, size in facts["files"].items()])


def _plain(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text!r}" for key, text in value.items())
    return str(value)
