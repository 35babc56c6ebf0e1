"""build_wordpiece: a WordPiece vocabulary of one's own, or one that takes over a model's entries.

Entries that are taken over keep what the model knows of them; what other languages and subjects
need is learned from the texts beside them.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer, vocabulary_pieces

PAD, UNKNOWN, START, END, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNKNOWN, START, END, MASK)
_CONTINUES, _WORD_START = "##", "▁"
# Characters that the learned part may hold; Chinese alone needs some thousands.
_MAX_ALPHABET = 5_000
# Combining marks of Latin, Greek and Cyrillic; those of Indic and Thai script are vowels and stay.
_DIACRITICS = r"[\u0300-\u036f]"
_SETTINGS = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "cls_token": START,
    "sep_token": END,
    "pad_token": PAD,
    "unk_token": UNKNOWN,
    "mask_token": MASK,
    "clean_up_tokenization_spaces": False,
    "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
}


@dataclass(frozen=True, slots=True)
class KeptEntries:
    """The first entries of a WordPiece vocabulary, which another one takes over.

    Attributes:
        tokenizer: Where they come from.
        number: How many: special and unused ones do not count.
    """

    tokenizer: Tokenizer
    number: int


def build_wordpiece(
    texts: Sequence[str], vocab_size: int, *, lowercase: bool, kept: KeptEntries | None = None
) -> tokenizers.Tokenizer:
    """Learn a WordPiece vocabulary.

    Normalised as BERT's (clean text, Chinese characters apart, and with `lowercase` small letters
    without diacritics), but with compatible characters unified (NFKD), with the vowel signs of
    Indic and Thai scripts kept, and with symbols apart from words.

    Args:
        texts: Texts to learn from.
        vocab_size: Entries, special tokens included.
        lowercase: Whether capitals and diacritics are folded.
        kept: Entries that are taken over; None learns all.

    Returns:
        The tokenizer, with `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]` as frames.

    Raises:
        ConfigError: Those taken over are not of WordPiece, or more than there are or fit.
        DataError: The texts hold too few pieces.
    """
    backend = tokenizers.Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    backend.normalizer = _normalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Split(tokenizers.Regex(r"\p{S}"), behavior="isolated"),
        ]
    )
    room = vocab_size - len(SPECIAL_TOKENS)
    if kept is not None and kept.number > room:
        raise ConfigError(
            f"keep: got {kept.number:,}, expected at most {room:,}, the vocabulary of "
            f"{vocab_size:,} without special tokens"
        )
    taken = _taken_over(kept) if kept is not None else []
    wanted = room - len(taken)
    # Enough even if all that is taken over were learned once more.
    learned = _learned(backend, texts, vocab_size + len(taken))
    new = [entry for entry in learned if entry not in set(taken)][:wanted]
    if len(new) < wanted:
        found = len(new) + len(taken) + len(SPECIAL_TOKENS)
        raise DataError(
            f"tokenizer: the texts hold {found:,} pieces, expected at least {vocab_size:,}",
            hint=f"ask for a vocabulary of {found:,}, or give more text",
        )
    entries = [*SPECIAL_TOKENS, *taken, *new]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    backend.model = models.WordPiece(vocabulary, unk_token=UNKNOWN)
    backend.decoder = decoders.WordPiece(prefix=_CONTINUES)
    backend.add_special_tokens(list(SPECIAL_TOKENS))
    backend.post_processor = processors.TemplateProcessing(
        single=f"{START}:0 $A:0 {END}:0",
        pair=f"{START}:0 $A:0 {END}:0 $B:1 {END}:1",
        special_tokens=[(token, vocabulary[token]) for token in (START, END)],
    )
    return backend


def wordpiece_settings() -> Mapping[str, object]:
    """Content of tokenizer_config.json."""
    return _SETTINGS


def _normalizer(*, lowercase: bool) -> normalizers.Normalizer:
    cleaned = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=lowercase
    )
    if not lowercase:
        return normalizers.Sequence([cleaned, normalizers.NFKC()])
    folded = normalizers.Replace(tokenizers.Regex(_DIACRITICS), "")
    # Decomposed, so that Korean needs dozens of letters and not thousands of syllables; first, as
    # mathematical capitals become capitals.
    return normalizers.Sequence([normalizers.NFKD(), cleaned, folded])


def _taken_over(kept: KeptEntries) -> list[str]:
    """The first entries; BERT's stand in the order of how common they are."""
    kind = kept.tokenizer.describe()["model"]["type"]
    if kind != "WordPiece":
        raise ConfigError(f"start_from: has a tokenizer of kind {kind}, expected WordPiece")
    pieces = vocabulary_pieces(kept.tokenizer)
    entries = [
        piece.text if piece.starts_word else _CONTINUES + piece.text
        for piece in pieces
        if not piece.is_special
    ]
    if len(entries) < kept.number:
        raise ConfigError(
            f"keep: got {kept.number:,}, but the start has {len(entries):,} entries of its own"
        )
    return entries[: kept.number]


def _learned(backend: tokenizers.Tokenizer, texts: Iterable[str], vocab_size: int) -> list[str]:
    """Entries by usefulness: characters, then what was merged, early merges first.

    Byte pair encoding on words that begin with a mark, which tells starts from continuations: the
    library's own WordPiece trainer breaks ties anew in every process.
    """
    learner = tokenizers.Tokenizer(models.BPE())
    learner.normalizer = backend.normalizer
    marked = pre_tokenizers.Metaspace(replacement=_WORD_START, prepend_scheme="always", split=False)
    learner.pre_tokenizer = pre_tokenizers.Sequence([backend.pre_tokenizer, marked])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, limit_alphabet=_MAX_ALPHABET, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    by_id = sorted(learner.get_vocab().items(), key=lambda entry: entry[1])
    pieces = [piece for piece, _ in by_id if piece != _WORD_START]
    letters = [piece for piece in pieces if len(piece) == 1]
    words = [
        piece[1:] if piece.startswith(_WORD_START) else _CONTINUES + piece
        for piece in pieces
        if len(piece) > 1
    ]
    inside = [_CONTINUES + letter for letter in letters if _stands_in_words(letter)]
    return list(dict.fromkeys([*letters, *inside, *words]))


def _stands_in_words(letter: str) -> bool:
    """Whether a character can follow another one: Chinese ones and signs stand alone."""
    is_chinese = unicodedata.name(letter, "").startswith("CJK ")
    return unicodedata.category(letter)[0] in "LMN" and not is_chinese
