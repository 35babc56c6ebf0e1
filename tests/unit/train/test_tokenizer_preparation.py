"""The tokenizer of a run: kept as it was trained, and read as its own folder says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.laws.training_runs import recipe_values, run_here

from mgte.config import override
from mgte.errors import ConfigError, DataError
from mgte.inference import Embedder
from mgte.model import EncoderConfig, HeadConfig, build_model, init_weights
from mgte.store import EmbeddingSettings, open_model, save_model
from mgte.text import Tokenizer
from mgte.train.recipe import OutputConfig
from mgte.train.stage_model import save_stage_model


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Texts of made words: enough of them for a vocabulary."""
    generator = np.random.default_rng(1)
    made = ["".join(generator.choice(list("abcdefgh"), size=5)) for _ in range(400)]
    rows = [{"text": " ".join(generator.choice(made, size=20))} for _ in range(60)]
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def values() -> dict[str, Any]:
    values = recipe_values(Path(), steps=1, schedule={"kind": "constant"})
    return {**values, "tokenizer": {"vocab_size": 512, "datasets": ["texts"]}}


def test_other_settings_of_a_trained_tokenizer_are_refused(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run_here(values, out, root).status == "done"
    written = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    # The stage is to be done again, so that nothing but the tokenizer speaks against a change.
    (out / "01-mlm" / "DONE").unlink()
    for path in out.glob("01-mlm/checkpoints/*/*"):
        path.unlink()
    for path in out.glob("01-mlm/checkpoints/*"):
        path.rmdir()
    for message, changes in {
        r"tokenizer\.vocab_size was 512, is 600": {"tokenizer.vocab_size": 600},
        r"tokenizer\.kind was 'unigram', is 'bpe'": {"tokenizer.kind": "bpe"},
        r"seed was 5, is 6": {"seed": 6},
        r"datasets\.texts\.min_characters was 1, is 2": {"datasets.texts.min_characters": 2},
    }.items():
        with pytest.raises(ConfigError, match=rf"^tokenizer: .*other settings: .*{message}"):
            run_here(override(values, changes), out, root)
    texts = (root / "texts.jsonl").read_text()
    (root / "texts.jsonl").write_text(texts + '{"text": "more of it"}\n')
    with pytest.raises(ConfigError, match=r"files\.texts\.texts\.jsonl was \d+, is \d+"):
        run_here(values, out, root)
    for name in ("recipe.yaml", "tokenizer/tokenizer.json", "tokenizer/settings.json"):
        assert (out / name).read_bytes() == written[out / name]
    # With the data prepared, the raw files are not needed any more.
    (root / "texts.jsonl").unlink()
    assert run_here(values, out, root).status == "done"


def test_a_folder_that_is_in_the_way_is_named(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    (tmp_path / "out" / "tokenizer").mkdir(parents=True)
    (tmp_path / "out" / "tokenizer" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"has no tokenizer\.json, expected an empty folder"):
        run_here(values, tmp_path / "out", root)


@pytest.fixture
def lower_start(tiny_config: EncoderConfig, tokenizer_folder: Path, generator: Any, root: Path):
    """A model whose texts are lowered before its tokenizer, which keeps capitals apart."""
    content = json.loads((tokenizer_folder / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    cased = root / "cased"
    cased.mkdir()
    (cased / "tokenizer.json").write_text(json.dumps(content))
    config = (tokenizer_folder / "tokenizer_config.json").read_text()
    (cased / "tokenizer_config.json").write_text(config)
    model = build_model(tiny_config, HeadConfig(), pooling="cls", family="gte")
    init_weights(model, tiny_config, generator=generator)
    return save_model(
        model,
        root / "lower",
        "sentence-transformers",
        tokenizer=cased,
        settings=EmbeddingSettings(lowercase=True),
    )


def test_texts_are_lowered_in_training_as_they_are_at_use(
    lower_start: Path, values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    (root / "texts.jsonl").write_text('{"text": "The SEA and the Moon"}\n' * 2)
    pairs = {
        "kind": "pairs",
        "sources": [
            {
                "path": "texts.jsonl",
                "source": "s",
                "language": "en",
                "fields": {"query": "text", "document": "text"},
            }
        ],
    }
    first = {**values["stages"][0], "init_from": "lower", "objective": {"kind": "contrastive"}}
    first["data"] = {**first["data"], "dataset": "pairs", "max_query_length": 32}
    recipe = {
        **values,
        "tokenizer": "",
        "encoder": None,
        "datasets": {"pairs": pairs},
        "stages": [first, {**first, "name": "again", "init_from": "mlm"}],
    }
    out = tmp_path / "out"
    result = run_here(recipe, out, root)
    for folder in result.models.values():
        assert open_model(folder).settings.lowercase
    manifest = json.loads((out / "data" / "pairs" / "manifest.json").read_text())
    lowered = Tokenizer.load(lower_start, lowercase=True)
    assert lowered.fingerprint in json.dumps(manifest)
    assert lowered.fingerprint != Tokenizer.load(lower_start).fingerprint
    model = Embedder.load(result.models["again"], device="cpu", backend="torch-eager")
    one, other = model.encode(["The SEA", "the sea"]).dense
    assert (one == other).all()
    # What was prepared with lowering is not used without it.
    for done in out.glob("*/DONE"):
        done.unlink()
    with pytest.raises(DataError, match="tokenizer"):
        run_here({**recipe, "tokenizer": "cased"}, out, root)


def test_the_folder_of_a_masked_lm_says_that_texts_are_lowered(
    tiny_config: EncoderConfig, tokenizer_folder: Path, tmp_path: Path
) -> None:
    head = HeadConfig(kind="masked_lm", num_labels=tiny_config.vocab_size, is_tied=True)
    model = build_model(tiny_config, head, pooling="cls", family="gte")
    for lowercase in (True, False):
        folder = save_stage_model(
            tmp_path / str(lowercase),
            model,
            model.state_dict(),
            OutputConfig(),
            tokenizer=tokenizer_folder,
            settings=EmbeddingSettings(lowercase=lowercase),
        )
        assert open_model(folder).settings.lowercase == lowercase


def test_a_tokenizer_without_lowering_keeps_its_fingerprint(tokenizer_folder: Path) -> None:
    import hashlib

    tokenizer = Tokenizer.load(tokenizer_folder)
    assert Tokenizer.load(tokenizer_folder, lowercase=False).fingerprint == tokenizer.fingerprint
    # Data that was prepared before lowering counted stays usable.
    assert tokenizer.fingerprint == hashlib.sha256(tokenizer._serialized).hexdigest()
