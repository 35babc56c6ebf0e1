"""What many tests share: a tiny configuration, a tokenizer made in memory, the shared folder."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import settings

# Seeded, and free of wall-clock limits: a busy machine must not fail a test.
settings.register_profile("mgte", deadline=None, derandomize=True)
settings.load_profile("mgte")

# No test reaches a model hub. Set before any library reads it.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (
    "a the of and in to is for water bread sea moon tide map road wheel chain train plant light "
    "what how why where does make rise bake turn read grow ride ##s ##ing ##er ##ed . , ? !"
)


@pytest.fixture(scope="session")
def tiny_config():
    """EncoderConfig of two layers, width 32, with rotary positions and a gated MLP."""
    from mgte.model import EncoderConfig, RopeConfig

    return EncoderConfig(
        vocab_size=len(tiny_vocabulary()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=8,
        intermediate_size=48,
        max_position_embeddings=64,
        rope=RopeConfig(),
    )


def tiny_vocabulary() -> list[str]:
    """Special tokens, words, and every letter and digit, so that no plain text is unknown."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    letters += list("0123456789")
    pieces = [*SPECIAL_TOKENS, *WORDS.split(), *letters, *(f"##{letter}" for letter in letters)]
    return list(dict.fromkeys(pieces))


@pytest.fixture(scope="session")
def tiny_tokenizer_json() -> str:
    """A WordPiece tokenizer as the text of a `tokenizer.json`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {piece: index for index, piece in enumerate(tiny_vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer.to_str()


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_json: str) -> Path:
    """A folder with `tokenizer.json` and `tokenizer_config.json` as a checkpoint has them."""
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "tokenizer.json").write_text(tiny_tokenizer_json, encoding="utf-8")
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL_TOKENS, strict=True))
    config = {f"{name}_token": token for name, token in names.items()} | {"model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture
def generator():
    """A seeded torch generator."""
    import torch

    return torch.Generator().manual_seed(20240801)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with golden outputs and collections; tests that need it are skipped without it."""
    default = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("MGTE_SHARED", default))
    if not folder.is_dir():
        pytest.skip("no shared folder; set MGTE_SHARED to run this test")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `gpu` are skipped where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
