"""Reads and writes the tokenizer files of a model folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from mgte.errors import CheckpointError

_CONFIG_FILES = ("special_tokens_map.json", "tokenizer_config.json")
_LOOKED_FOR = "tokenizer.json, vocab.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerFiles:
    """What a folder says about its tokenizer.

    Attributes:
        backend: The tokenizer of the `tokenizers` library, without truncation and padding.
        serialized: Content of tokenizer.json: as it was read, or written anew where it was built
            or changed here.
        config: `tokenizer_config.json`, over the names in `special_tokens_map.json`.
        padding_id: Padding id stored in tokenizer.json, if any.
    """

    backend: tokenizers.Tokenizer
    serialized: bytes
    config: dict[str, Any]
    padding_id: int | None


def read_tokenizer_files(folder: Path) -> TokenizerFiles:
    """Read the tokenizer of a model folder.

    Truncation and padding settings inside tokenizer.json are dropped: they are left-overs of the
    last call before saving (all-MiniLM-L6-v2 ships a truncation to 128), not part of the model.

    Args:
        folder: Model folder.

    Returns:
        The tokenizer and its settings.

    Raises:
        CheckpointError: There is no tokenizer, or a file of it is damaged.
    """
    config: dict[str, Any] = {}
    for name in _CONFIG_FILES:
        config.update(_read_json_object(folder / name))
    path = folder / "tokenizer.json"
    if path.is_file():
        serialized = path.read_bytes()
        backend = _parse(serialized, path)
    elif (folder / "vocab.txt").is_file():
        backend = _build_word_piece(folder / "vocab.txt", config)
        serialized = backend.to_str().encode()
    else:
        raise _missing(folder)
    padding = backend.padding
    backend.no_truncation()
    backend.no_padding()
    if _apply_bert_settings(backend, config):
        serialized = backend.to_str().encode()
    return TokenizerFiles(
        backend=backend,
        serialized=serialized,
        config=config,
        padding_id=padding["pad_id"] if padding else None,
    )


def write_tokenizer_files(
    folder: Path, serialized: bytes, config: dict[str, Any], *, has_types: bool
) -> None:
    """Write tokenizer.json and tokenizer_config.json so that transformers loads the same ids.

    Args:
        folder: Existing folder.
        serialized: Content of tokenizer.json.
        config: Settings; entries that point at code of the checkpoint are left out.
        has_types: Whether the second text of a pair has another token type than the first.
    """
    kept = {key: value for key, value in config.items() if key != "auto_map"}
    # The class that reads tokenizer.json as it is, under the name that every release knows. Others
    # build parts of it anew: XLMRobertaTokenizer of transformers 5 drops a trailing space token.
    kept["tokenizer_class"] = "PreTrainedTokenizerFast"
    names = ["input_ids", "token_type_ids", "attention_mask"]
    kept.setdefault("model_input_names", names if has_types else [names[0], names[2]])
    (folder / "tokenizer.json").write_bytes(serialized)
    text = json.dumps(kept, ensure_ascii=False, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def append_eos(backend: tokenizers.Tokenizer, start: tuple[int, ...], eos_id: int) -> None:
    """Make the tokenizer end every text with `eos_id`, as ``add_eos_token`` asks for.

    Args:
        backend: The tokenizer to change.
        start: Ids that already stand before a text.
        eos_id: Id to append.
    """
    tokens = {backend.id_to_token(token_id): token_id for token_id in (*start, eos_id)}
    before = [backend.id_to_token(token_id) for token_id in start]
    eos = backend.id_to_token(eos_id)
    single = [*before, "$A", eos]
    backend.post_processor = processors.TemplateProcessing(
        single=single, pair=[*single, *before, "$B", eos], special_tokens=list(tokens.items())
    )


def _parse(serialized: bytes, path: Path) -> tokenizers.Tokenizer:
    hint = "download the file again, or save it anew with transformers"
    if not serialized.strip():
        raise CheckpointError(f"{path}: the file is empty, expected a tokenizer", hint=hint)
    try:
        return tokenizers.Tokenizer.from_buffer(serialized)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a damaged file can also panic, which is no Exception
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{path}: not readable as a tokenizer ({reason[0][:200]})", hint=hint
        ) from error


def _read_json_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: got {type(content).__name__}, expected a JSON object")
    return content


def _missing(folder: Path) -> CheckpointError:
    if not folder.is_dir():
        return CheckpointError(f"{folder}: no such folder, expected a model folder")
    models_here = sorted(path.name for path in folder.glob("*.model"))
    if models_here:
        return CheckpointError(
            f"{folder}: has {models_here[0]} but no tokenizer.json, which is the file that is read",
            hint="convert it once: transformers.AutoTokenizer.from_pretrained(folder)"
            ".save_pretrained(folder)",
        )
    if (folder / "vocab.json").is_file():
        return CheckpointError(
            f"{folder}: has vocab.json but no tokenizer.json, which is the file that is read",
            hint="convert it once: transformers.AutoTokenizer.from_pretrained(folder)"
            ".save_pretrained(folder)",
        )
    return CheckpointError(
        f"{folder}: no tokenizer found (looked for {_LOOKED_FOR})",
        hint="copy tokenizer.json of the model into the folder",
    )


def _content(config: dict[str, Any], key: str, default: str) -> str:
    entry = config.get(key, default)
    content = entry.get("content") if isinstance(entry, dict) else entry
    return content if isinstance(content, str) else default


def _build_word_piece(path: Path, config: dict[str, Any]) -> tokenizers.Tokenizer:
    """The BERT tokenizer of a vocab.txt, one token per line."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: not UTF-8 at byte {error.start}") from error
    while lines and not lines[-1]:
        lines.pop()
    vocab = {line.rstrip("\r"): token_id for token_id, line in enumerate(lines)}
    roles = {role: _content(config, f"{role}_token", f"[{role.upper()}]") for role in _BERT_ROLES}
    absent = [roles[role] for role in ("unk", "cls", "sep") if roles[role] not in vocab]
    if absent:
        raise CheckpointError(f"{path}: no line {absent[0]}, expected a BERT vocabulary")
    backend = tokenizers.Tokenizer(models.WordPiece(vocab, unk_token=roles["unk"]))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
        strip_accents=config.get("strip_accents"),
        lowercase=bool(config.get("do_lower_case", True)),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    cls, sep = roles["cls"], roles["sep"]
    backend.add_special_tokens([token for token in roles.values() if token in vocab])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, vocab[cls]), (sep, vocab[sep])],
    )
    return backend


_BERT_ROLES = ("pad", "unk", "cls", "sep", "mask")


def _apply_bert_settings(backend: tokenizers.Tokenizer, config: dict[str, Any]) -> bool:
    """Let tokenizer_config.json overrule the normaliser of a BERT tokenizer, as transformers does.

    Returns:
        Whether the tokenizer was changed.
    """
    if not str(config.get("tokenizer_class", "")).startswith("Bert"):
        return False
    if not isinstance(backend.normalizer, normalizers.BertNormalizer):
        return False
    settings = json.loads(backend.normalizer.__getstate__())
    wanted = {
        "clean_text": settings["clean_text"],
        "lowercase": config.get("do_lower_case", settings["lowercase"]),
        "strip_accents": config.get("strip_accents", settings["strip_accents"]),
        "handle_chinese_chars": config.get(
            "tokenize_chinese_chars", settings["handle_chinese_chars"]
        ),
    }
    if all(settings[key] == value for key, value in wanted.items()):
        return False
    backend.normalizer = normalizers.BertNormalizer(**wanted)
    return True
