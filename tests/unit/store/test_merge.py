"""Merged weights equal literal formulas, and the result is a model like any other."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mgte.errors import CheckpointError, ConfigError
from mgte.model import HeadConfig, build_model, init_weights
from mgte.store import (
    TAKEN_FROM_FIRST,
    EmbeddingSettings,
    load_model,
    merge_models,
    open_model,
    read_training_facts,
    save_model,
)

SPARSE = HeadConfig(kind="token_classification", num_labels=1, labels=("LABEL_0",))
SETTINGS = EmbeddingSettings(pooling="cls", prompts={"query": "what is "})


@pytest.fixture
def make_model(tmp_path, tiny_config, tokenizer_folder):
    def make(
        name: str,
        seed: int,
        head=SPARSE,
        tokenizer=tokenizer_folder,
        dtype=None,
        settings=SETTINGS,
        format="sentence-transformers",
        **changes,
    ):
        config = replace(tiny_config, **changes)
        model = build_model(config, head, pooling="cls", family="gte")
        init_weights(model, config, generator=torch.Generator().manual_seed(0))
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=random) * 0.1)
        return save_model(
            model.to(dtype or torch.float32),
            tmp_path / name,
            format,
            tokenizer=tokenizer,
            settings=settings,
        )

    return make


def weights_of(folder) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in load_model(folder).state_dict().items()}


def test_linear_is_the_weighted_mean(make_model, tmp_path) -> None:
    models = [make_model(name, seed) for seed, name in enumerate("abc")]
    merged = weights_of(merge_models(models, tmp_path / "out", weights=[1, 2, 5]))
    parts = [weights_of(model) for model in models]
    for name, value in merged.items():
        expected = (parts[0][name] + 2 * parts[1][name] + 5 * parts[2][name]) / 8
        np.testing.assert_allclose(value, expected, atol=1e-6)


def test_slerp_walks_on_the_sphere(make_model, tmp_path) -> None:
    models = [make_model("a", 1), make_model("b", 2)]
    folder = merge_models(models, tmp_path / "out", method="slerp", weights=[3, 1])
    merged, first, second = weights_of(folder), *map(weights_of, models)
    for name, value in merged.items():
        a, b = first[name].ravel().astype(float), second[name].ravel().astype(float)
        cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
        angle = np.arccos(np.clip(cosine, -1, 1))
        if abs(cosine) > 0.9995:
            expected = 0.75 * a + 0.25 * b
        else:
            expected = np.sin(0.75 * angle) * a + np.sin(0.25 * angle) * b
            expected = expected / np.sin(angle)
        np.testing.assert_allclose(value.ravel(), expected, atol=1e-5)


def by_ties(start, models, weights, density):
    """Algorithm 1 of arXiv 2306.01708, entry by entry."""
    flat = np.concatenate([start[name].ravel() for name in start])
    changes = []
    for model in models:
        change = np.concatenate([model[name].ravel() for name in start]) - flat
        smallest_kept = np.sort(np.abs(change))[-round(density * len(change))]
        changes.append([value if abs(value) >= smallest_kept else 0.0 for value in change])
    merged = []
    for at, origin in enumerate(flat):
        values = [change[at] for change in changes]
        elected = np.sign(sum(w * value for w, value in zip(weights, values, strict=True)))
        agreeing = [
            (w, value)
            for w, value in zip(weights, values, strict=True)
            if value != 0 and np.sign(value) == elected
        ]
        total = sum(w for w, _ in agreeing)
        merged.append(origin + (sum(w * v for w, v in agreeing) / total if total else 0.0))
    return np.array(merged)


@pytest.mark.parametrize("density", [0.2, 1.0])
def test_ties_equals_the_published_algorithm(make_model, tmp_path, density) -> None:
    base = make_model("base", 9)
    models = [make_model(name, seed) for seed, name in enumerate("abc")]
    folder = merge_models(
        models, tmp_path / "out", method="ties", base=base, density=density, weights=[1, 1, 3]
    )
    start, merged = weights_of(base), weights_of(folder)
    expected = by_ties(start, [weights_of(model) for model in models], [1, 1, 3], density)
    flat = np.concatenate([merged[name].ravel() for name in start])
    np.testing.assert_allclose(flat, expected, atol=1e-6)


def test_a_merge_of_equal_models_is_that_model(make_model, tmp_path) -> None:
    model, base = make_model("a", 1), make_model("base", 2)
    for method, options in (("linear", {}), ("slerp", {}), ("ties", {"base": base, "density": 1})):
        folder = merge_models([model, model], tmp_path / method, method=method, **options)
        for name, value in weights_of(folder).items():
            np.testing.assert_allclose(value, weights_of(model)[name], atol=1e-6)


def test_the_result_loads_with_tokenizer_prompts_and_type(make_model, tmp_path) -> None:
    import mgte

    models = [make_model("a", 1, dtype=torch.float16), make_model("b", 2, dtype=torch.float16)]
    folder = merge_models(models, tmp_path / "out")
    assert open_model(folder).dtype == "F16"
    embedder = mgte.Embedder.load(str(folder))
    assert embedder.prompts == {"query": "what is "}
    assert np.isfinite(embedder.encode(["sea"], sparse=True).dense).all()
    assert "1 x " in (folder / "README.md").read_text()


def test_models_that_do_not_fit_are_refused(make_model, tmp_path) -> None:
    a, out = make_model("a", 1), tmp_path / "out"
    other = tmp_path / "tokenizer"
    other.mkdir()
    values = json.loads((Path(a) / "tokenizer.json").read_text())
    values["model"]["vocab"]["extra"] = 500
    (other / "tokenizer.json").write_text(json.dumps(values))
    for model, error, message in (
        (
            make_model("b", 1, num_hidden_layers=1),
            ConfigError,
            "num_hidden_layers is 1, expected 2",
        ),
        (make_model("c", 1, head=HeadConfig()), ConfigError, "head setting kind is 'none'"),
        (make_model("d", 1, tokenizer=other), CheckpointError, "its tokenizer differs"),
    ):
        with pytest.raises(error, match=message):
            merge_models([a, model], out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mean"}, "method: got 'mean'"),
        ({"method": "ties"}, "base: got none for ties"),
        ({"base": "x"}, "base: got x for linear"),
        ({"weights": [1.0]}, r"weights: got \[1.0\], expected 2 numbers"),
        ({"weights": [0.0, 0.0]}, "not all 0"),
        ({"weights": [-1.0, 2.0]}, "from 0 on"),
        ({"density": 0.0}, "density: got 0.0"),
    ],
)
def test_settings_are_checked(tmp_path, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        merge_models(["a", "b"], tmp_path, **options)


def test_slerp_takes_two(tmp_path) -> None:
    with pytest.raises(ConfigError, match="got 3, expected two for slerp"):
        merge_models(["a", "b", "c"], tmp_path, method="slerp")
    with pytest.raises(ConfigError, match="got 1, expected at least two"):
        merge_models(["a"], tmp_path)


def test_a_model_is_not_overwritten_by_its_merger(make_model, tmp_path) -> None:
    models = [make_model(name, seed) for seed, name in enumerate("ab")]
    before = weights_of(models[1])
    with pytest.raises(ConfigError, match="which is one of the models"):
        merge_models(models, tmp_path / "a" / ".." / "b")
    for name, value in weights_of(models[1]).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("format", ["sentence-transformers", "transformers"])
def test_the_result_has_the_settings_of_the_models(make_model, tmp_path, format) -> None:
    is_full = format == "sentence-transformers"
    settings = EmbeddingSettings(
        pooling="mean",
        normalize=False,
        prompts={"query": "q: ", "document": "d: "},
        default_prompt_name="query",
        max_length=24,
        lowercase=True,
        similarity="dot",
    )
    models = [
        make_model(name, seed, settings=settings if is_full else None, format=format)
        for seed, name in enumerate("ab")
    ]
    folder = merge_models(models, tmp_path / "out")
    assert open_model(folder).settings == open_model(models[0]).settings
    assert (open_model(folder).settings == settings) == is_full
    assert (folder / "modules.json").is_file() == is_full


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "mean"}, "b: pooling is 'mean', expected 'cls' as in .*a"),
        ({"normalize": False}, "normalize is False, expected True"),
        ({"lowercase": True}, "lowercase is True, expected False"),
        ({"similarity": "dot"}, "similarity is 'dot', expected 'cosine'"),
    ],
)
def test_models_that_make_vectors_differently_are_refused(
    make_model, tmp_path, changes, message
) -> None:
    models = [make_model("a", 1), make_model("b", 2, settings=replace(SETTINGS, **changes))]
    with pytest.raises(ConfigError, match=message):
        merge_models(models, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prompts_and_limits_that_differ_are_told(make_model, tmp_path) -> None:
    other = replace(SETTINGS, prompts={}, max_length=24)
    folder = merge_models([make_model("a", 1), make_model("b", 2, settings=other)], tmp_path / "o")
    assert open_model(folder).settings.prompts == SETTINGS.prompts
    notes = read_training_facts(folder).notes
    assert notes[TAKEN_FROM_FIRST] == "prompts, max_length"
    assert "prompts, max_length" in (folder / "README.md").read_text()


def test_a_format_that_would_change_the_vectors_is_refused(make_model, tmp_path) -> None:
    settings = replace(SETTINGS, pooling="mean")
    models = [make_model(name, seed, settings=settings) for seed, name in enumerate("ab")]
    with pytest.raises(ConfigError, match="'transformers', which has no place for pooling 'mean'"):
        merge_models(models, tmp_path / "out", format="transformers")
