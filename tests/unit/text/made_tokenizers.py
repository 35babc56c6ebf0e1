"""Tokenizers of the kinds that matter, built in memory from a few made-up words."""

from collections.abc import Callable

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

_STEMS = (
    "water river stone bridge winter market garden letter window engine signal paper copper "
    "silver harbour journey station kitchen teacher doctor weather mountain"
).split()
_ENDINGS = ("", "s", "ing", "ed", "er", "ful")
_HAN = "水川石橋冬市園信窓机号紙銅銀港旅駅厨師医天山中国文字学的研究人"
CORPUS = [
    *(f"The {stem}{end}, don't {stem} it: 12.5 or 730?" for stem in _STEMS for end in _ENDINGS),
    *(_HAN[i:] + _HAN[:i] + "。" + _HAN[i::3] for i in range(len(_HAN))),
    "Größe élan naïve straße  ΣΑΣ три слова 한국어 문장",
]
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def build_bert() -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    backend.decoder = decoders.WordPiece(prefix="##")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return backend


def build_unigram() -> tokenizers.Tokenizer:
    """As XLM-R: whitespace folded by the normaliser, Metaspace, doubled </s> in pairs."""
    backend = tokenizers.Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(tokenizers.Regex(" {2,}"), " "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        unk_token="<unk>",
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    backend.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True)])
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return backend


def build_byte_bpe(pattern: str | None = None) -> tokenizers.Tokenizer:
    """As ModernBERT; with a pattern as Qwen2, which puts no special tokens around a text."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    backend.pre_tokenizer = byte_level
    if pattern is not None:
        split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"] if pattern is None else ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    backend.decoder = decoders.ByteLevel()
    if pattern is None:
        backend.add_tokens(["  ", "   "])
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
        )
    return backend


BUILDERS: dict[str, Callable[[], tokenizers.Tokenizer]] = {
    "bert": build_bert,
    "unigram": build_unigram,
    "byte-bpe": build_byte_bpe,
    "qwen-bpe": lambda: build_byte_bpe(QWEN_PATTERN),
}
ROLES = {
    "bert": {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]"},
    "unigram": {"cls": "<s>", "sep": "</s>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"},
    "byte-bpe": {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]"},
    "qwen-bpe": {"eos": "<|endoftext|>", "pad": "<|endoftext|>"},
}
