"""`mgte data inspect`: what is in a prepared folder."""

import argparse
from typing import TYPE_CHECKING, Any

from mgte.cli.output import snippet, write_json, write_line, write_table

if TYPE_CHECKING:
    import numpy as np

    from mgte.data import PreparedDataset

_MAX_LANGUAGES = 12
_BAR_WIDTH = 40
_SHOWN_TOKENS = 64


def inspect_dataset(arguments: argparse.Namespace) -> int:
    """Print the description, and rows if they are asked for."""
    from mgte.data import open_dataset

    dataset = open_dataset(arguments.folder, verify=arguments.verify)
    facts = describe(dataset)
    facts["checksums"] = "verified" if arguments.verify else "not computed (--verify)"
    rows = example_rows(dataset, arguments.rows or 0)
    if arguments.json:
        write_json({**facts, "examples": rows})
    else:
        print_facts(facts)
        print_rows(rows)
    return 0


def describe(dataset: "PreparedDataset") -> dict[str, Any]:
    """What there is to say about a prepared folder."""
    manifest = dataset.manifest
    facts: dict[str, Any] = {
        "folder": str(dataset.path),
        "kind": dataset.kind,
        "num_rows": dataset.num_rows,
        "size_bytes": sum(file.size_bytes for file in manifest.files),
        "fingerprint": dataset.fingerprint,
        "tokenizer_fingerprint": manifest.tokenizer_fingerprint,
        "sources": {
            source.name: {
                "num_read": source.num_read,
                "num_rows": sum(source.rows.values()),
                "symmetric": source.symmetric,
                "removed": source.removed,
                "languages": source.rows,
                "languages_from": source.languages_from,
            }
            for source in manifest.sources
        },
        "lengths": length_facts(dataset.lengths),
    }
    if dataset.kind == "texts":
        facts["num_tokens"] = manifest.num_tokens
    if dataset.kind in ("pairs", "groups"):
        facts["query_lengths"] = length_facts(dataset.query_lengths)
    if dataset.kind == "vectors":
        facts["vector_dim"] = manifest.vector_dim
    return facts


def length_facts(lengths: "np.ndarray[Any, np.dtype[np.int64]]") -> dict[str, Any]:
    """Spread of token counts, and how many rows lie in each span of powers of two."""
    import numpy as np

    edges = [0, *(2**power for power in range(4, 33))]
    counts, _ = np.histogram(lengths, edges)
    return {
        "mean": float(lengths.mean()),
        **{f"p{share}": int(np.percentile(lengths, share)) for share in (50, 95, 99)},
        "max": int(lengths.max()),
        "histogram": [
            {"from": low, "below": high, "num_rows": int(count)}
            for low, high, count in zip(edges, edges[1:], counts, strict=False)
            if count
        ],
    }


def example_rows(dataset: "PreparedDataset", num: int) -> list[dict[str, Any]]:
    """Rows spread evenly over the folder, as a person reads them."""
    import numpy as np

    num = min(num, dataset.num_rows)
    tokenizer = dataset.tokenizer() if num and dataset.kind == "texts" else None
    examples = []
    for row in (np.arange(num) * dataset.num_rows // max(num, 1)).tolist():
        example: dict[str, Any] = {
            "row": row,
            "place": dataset.place(row),
            "source": dataset.sources[dataset.source_ids[row]],
            "language": dataset.languages[dataset.language_ids[row]],
            "length": int(dataset.lengths[row]),
        }
        if tokenizer is not None:
            ids = dataset.tokens(row, 0, _SHOWN_TOKENS).tolist()
            example["text"] = tokenizer.decode(ids)
            example["tokens"] = [tokenizer.token(token_id) for token_id in ids]
        elif dataset.kind == "vectors":
            texts, vectors = dataset.vector_rows(np.array([row]))
            example.update(text=texts[0], norm=float(np.linalg.norm(vectors[0])))
        else:
            group = dataset.groups(np.array([row]))[0]
            example.update(query=group.query, positives=list(group.positives))
            if dataset.kind == "groups":
                example.update(
                    negatives=list(group.negatives),
                    positive_scores=list(group.positive_scores),
                    negative_scores=list(group.negative_scores),
                )
        examples.append(example)
    return examples


def print_facts(facts: dict[str, Any]) -> None:
    """The description for a person."""
    for name in ("folder", "kind", "num_rows", "num_tokens", "vector_dim", "size_bytes"):
        if name in facts:
            value = facts[name]
            write_line(f"{name:<24}{f'{value:,}' if isinstance(value, int) else value}")
    for name in ("fingerprint", "tokenizer_fingerprint"):
        write_line(f"{name:<24}{facts[name][:16]}")
    write_line(f"{'checksums':<24}{facts['checksums']}\n")
    sources = facts["sources"]
    write_table(
        ("source", "read", "kept", "removed", "swapped sides"),
        [
            (name, s["num_read"], s["num_rows"], s["num_read"] - s["num_rows"], s["symmetric"])
            for name, s in sources.items()
        ],
    )
    removed = [
        (name, reason, count)
        for name, s in sources.items()
        for reason, count in s["removed"].items()
    ]
    if removed:
        write_line("")
        write_table(("source", "left out", "rows"), removed)
    write_line("")
    write_table(("source", "language", "rows"), _language_rows(sources))
    for name, s in sources.items():
        if s["languages_from"]:
            write_line(f"\nlanguages of {name}: {spoken_origin(s['languages_from'])}")
    for name in ("query_lengths", "lengths"):
        if name in facts:
            print_lengths(name, facts[name])


def spoken_origin(languages_from: dict[str, int]) -> str:
    """What told the languages of a source's rows, in words."""
    words = {"setting": "by the settings", "column": "by a column", "detected": "detected"}
    return ", ".join(f"{count:,} rows {words[origin]}" for origin, count in languages_from.items())


def print_lengths(name: str, facts: dict[str, Any]) -> None:
    """Spread and histogram of token counts for a person."""
    spread = ", ".join(f"{key} {facts[key]:,.0f}" for key in ("mean", "p50", "p95", "p99", "max"))
    write_line(f"\n{name} in tokens: {spread}")
    most = max(span["num_rows"] for span in facts["histogram"])
    write_table(
        ("from", "below", "rows", ""),
        [
            (
                span["from"],
                span["below"],
                span["num_rows"],
                "#" * max(1, round(_BAR_WIDTH * span["num_rows"] / most)),
            )
            for span in facts["histogram"]
        ],
    )


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Rows for a person, long texts cut."""
    for row in rows:
        write_line(
            f"\nrow {row['row']:,}  {row['place']}  {row['source']}  {row['language']}  "
            f"{row['length']:,} tokens"
        )
        for name, value in row.items():
            if name in ("row", "place", "source", "language", "length") or value == []:
                continue
            if name == "tokens":
                write_line(f"  tokens: {snippet(' '.join(value), 2 * 80)}")
            elif isinstance(value, list) and isinstance(value[0], str):
                for text in value:
                    write_line(f"  {name.removesuffix('s')}: {snippet(text)}")
            else:
                write_line(f"  {name}: {snippet(str(value))}")


def _language_rows(sources: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The biggest languages of each source, and the others together."""
    rows = []
    for name, source in sources.items():
        ranked = sorted(source["languages"].items(), key=lambda item: (-item[1], item[0]))
        rows += [(name, language, count) for language, count in ranked[:_MAX_LANGUAGES]]
        rest = ranked[_MAX_LANGUAGES:]
        if rest:
            rows.append((name, f"{len(rest)} others", sum(count for _, count in rest)))
    return rows
