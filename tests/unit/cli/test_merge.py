"""`mgte merge` writes a folder that loads."""

import json

import numpy as np


def test_a_model_merged_with_itself_stays_itself(mgte, tiny_embedder, tmp_path) -> None:
    from mgte.inference import Embedder

    out = tmp_path / "merged"
    result = mgte("merge", tiny_embedder, tiny_embedder, "--out", out, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["method"] == "linear"
    before, after = (Embedder.load(str(folder)) for folder in (tiny_embedder, out))
    np.testing.assert_allclose(
        after.encode(["tide"]).dense, before.encode(["tide"]).dense, atol=1e-6
    )


def test_faults_are_the_user_s_to_fix(mgte, tiny_embedder, tiny_reranker, tmp_path) -> None:
    result = mgte("merge", tiny_embedder, tiny_reranker, "--out", tmp_path / "x")
    assert result.code == 2
    assert "head setting kind" in result.err
    result = mgte("merge", tiny_embedder, tiny_embedder, "--method", "ties", "--out", tmp_path)
    assert "base: got none" in result.err


def test_settings_are_kept_or_their_loss_is_told(mgte, tiny_embedder, tmp_path) -> None:
    from mgte.store import EmbeddingSettings, load_model, open_model, save_model

    settings = EmbeddingSettings(prompts={"query": "q: "}, max_length=24)
    for name, own in (("a", settings), ("b", EmbeddingSettings())):
        save_model(
            load_model(tiny_embedder), tmp_path / name, "sentence-transformers", settings=own
        )
    models = (tmp_path / "a", tmp_path / "b")
    result = mgte("merge", *models, "--out", tmp_path / "out")
    assert result.code == 0, result.err
    assert open_model(tmp_path / "out").settings == open_model(tmp_path / "a").settings
    assert "the models differ in prompts, max_length" in result.err
    assert "has no place" not in result.err
    result = mgte("merge", *models, "--out", tmp_path / "plain", "--format", "transformers")
    assert "format transformers has no place for prompts, max_length" in result.err
