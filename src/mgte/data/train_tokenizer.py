"""train_tokenizer: a tokenizer for the texts at hand, which knows every text down to its bytes."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from mgte.data.atomic_folder import building_folder
from mgte.data.language_sample import TextSample, sample_languages
from mgte.data.unigram_pieces import WORD_START, learn_pieces
from mgte.data.wordpiece import KeptEntries, build_wordpiece, wordpiece_settings
from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer

TokenizerKind = Literal["unigram", "bpe", "wordpiece"]

# Ids 0 to 3, as XLM-R has them; the mask is the last id.
_START, _PAD, _END, _UNKNOWN, _MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
# Special tokens, bytes, ASCII, and room for something to learn.
MIN_VOCAB_SIZE = 512
# So low that "<0x41>" in a text is read as six characters, never as the byte.
_NEVER = -1000.0
# Of longer texts the beginning is read.
_MAX_CHARACTERS = 10_000


def train_tokenizer(
    texts: Iterable[tuple[str, str]],
    out: str | Path,
    *,
    vocab_size: int,
    kind: TokenizerKind = "unigram",
    lowercase: bool = False,
    kept: KeptEntries | None = None,
    sample: TextSample | None = None,
) -> Tokenizer:
    """Train a tokenizer and write it as transformers and `Tokenizer.load` read it.

    "unigram" is built as that of XLM-R (NFKC, runs of white space as one space, "▁" at the start of
    words), with bytes for what is not in its alphabet. "bpe" is built on bytes as that of
    ModernBERT (NFC, white space kept). Neither has unknown tokens. Both put `<s> A </s>` around a
    text and `<s> A </s></s> B </s>` around a pair. "wordpiece" is built as that of BERT, and may
    take over entries of a model, whose knowledge of them a stage then starts with (`vocabulary:
    transfer`); characters that are neither taken over nor in the texts are unknown to it.

    Args:
        texts: Language and text. Of a text the first 10,000 characters count, and no more is held,
            of at most about twice as many texts as the sample wants.
        out: Folder to make; absent or empty.
        vocab_size: Tokens, special tokens included.
        kind: Which kind.
        lowercase: Whether capitals are read as small letters: a small vocabulary holds more words,
            and a sparse head matches them however they are written. "wordpiece" drops the
            diacritics of Latin, Greek and Cyrillic as well, as uncased BERT does.
        kept: Entries of another tokenizer that are taken over ("wordpiece" only); None learns all.
        sample: Which texts are looked at; None takes the defaults of `TextSample`.

    Returns:
        The tokenizer.

    Raises:
        ConfigError: The vocabulary is too small for bytes and special tokens, or `kept` is given
            to a kind that takes nothing over, or comes from another kind.
        DataError: There is too little text for the vocabulary, or `out` is not empty.
    """
    out = Path(out)
    if vocab_size < MIN_VOCAB_SIZE:
        raise ConfigError(f"vocab_size: got {vocab_size}, expected at least {MIN_VOCAB_SIZE}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out}: exists already, expected an absent or empty folder")
    sample = sample or TextSample()
    # Cut before they are drawn: what is held are beginnings, never whole documents.
    beginnings = ((language, text[:_MAX_CHARACTERS]) for language, text in texts)
    drawn = sample_languages(
        beginnings, max_texts=sample.max_texts, alpha=sample.alpha, seed=sample.seed
    )
    if not drawn:
        raise DataError("tokenizer: got no texts, expected at least one")
    if kept is not None and kind != "wordpiece":
        raise ConfigError(f'kind: got "{kind}" with entries to take over, expected "wordpiece"')
    lines = [text for _, text in drawn]
    if kind == "wordpiece":
        backend = build_wordpiece(lines, vocab_size, lowercase=lowercase, kept=kept)
        settings = wordpiece_settings()
    else:
        build = _build_unigram if kind == "unigram" else _build_bpe
        backend = build(lines, vocab_size, [normalizers.Lowercase()] if lowercase else [])
        _add_frame(backend)
        settings = _settings()
    with building_folder(out) as folder:
        backend.save(str(folder / "tokenizer.json"))
        text = json.dumps(settings, indent=2) + "\n"
        (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    return Tokenizer.load(out)


def _build_unigram(
    texts: list[str], vocab_size: int, folding: list[normalizers.Normalizer]
) -> tokenizers.Tokenizer:
    normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKC(),
            *folding,
            normalizers.Replace(tokenizers.Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    specials = [_START, _PAD, _END, _UNKNOWN]
    num_pieces = vocab_size - len(specials) - len(_BYTES) - 1
    pieces = learn_pieces([normalizer.normalize_str(text) for text in texts], num_pieces)
    vocabulary = [
        *((token, 0.0) for token in specials),
        *((token, _NEVER) for token in _BYTES),
        *pieces,
    ]
    backend = tokenizers.Tokenizer(
        models.Unigram(vocabulary, unk_id=specials.index(_UNKNOWN), byte_fallback=True)
    )
    backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.Metaspace(
        replacement=WORD_START, prepend_scheme="always", split=True
    )
    backend.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(replacement=WORD_START)]
    )
    return backend


def _build_bpe(
    texts: list[str], vocab_size: int, folding: list[normalizers.Normalizer]
) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), *folding])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        special_tokens=[_START, _PAD, _END, _UNKNOWN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    found = backend.get_vocab_size() + 1
    if found != vocab_size:
        raise DataError(
            f"tokenizer: the texts hold {found:,} pieces, expected at least {vocab_size:,}",
            hint=f"ask for a vocabulary of {found:,}, or give more text",
        )
    return backend


def _add_frame(backend: tokenizers.Tokenizer) -> None:
    """Special tokens, and how they stand around texts and pairs."""
    backend.add_special_tokens([_START, _PAD, _END, _UNKNOWN])
    # As XLM-R: the mask takes the place of a word with the space before it.
    backend.add_special_tokens([tokenizers.AddedToken(_MASK, lstrip=True, normalized=False)])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{_START} $A {_END}",
        pair=f"{_START} $A {_END} {_END} $B {_END}",
        special_tokens=[(token, backend.token_to_id(token)) for token in (_START, _END)],
    )


def _settings() -> Mapping[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": _START,
        "cls_token": _START,
        "eos_token": _END,
        "sep_token": _END,
        "pad_token": _PAD,
        "unk_token": _UNKNOWN,
        "mask_token": _MASK,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
