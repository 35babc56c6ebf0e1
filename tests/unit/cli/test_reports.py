"""The commands that report: models, info, verify, doctor."""

import json
import sys

import pytest

from mgte.cli import doctor


def test_models_lists_the_known_ones_and_where_they_are(mgte) -> None:
    models = {entry["name"]: entry for entry in json.loads(mgte("models", "--json").out)}
    assert models["gte-multilingual-base"]["source"] == "Alibaba-NLP/gte-multilingual-base"
    here = json.loads(mgte("models", "--here", "--json").out)
    assert all(entry["is_here"] for entry in here)
    assert len(here) < len(models)


def test_info_reads_the_folder(mgte, tiny_sparse_embedder) -> None:
    facts = json.loads(mgte("info", tiny_sparse_embedder, "--json").out)
    assert facts["what"] == "embedding model with sparse token weights"
    assert facts["dim"] == 32
    assert facts["max_tokens"] == 64
    assert facts["has_tokenizer"]
    assert facts["encoder"]["num_hidden_layers"] == 2
    weights = tiny_sparse_embedder / "model.safetensors"
    assert facts["files"]["model.safetensors"] == weights.stat().st_size


def test_info_shows_the_same_to_people(mgte, tiny_reranker) -> None:
    result = mgte("info", tiny_reranker)
    assert result.code == 0
    assert "reranker" in result.out.splitlines()[0]
    assert "head.num_labels" in result.out
    assert "embedding.pooling" not in result.out


@pytest.mark.parametrize("kind", ["tiny_embedder", "tiny_reranker"])
def test_verify_finds_a_float32_model_exact(kind: str, mgte, request) -> None:
    folder = request.getfixturevalue(kind)
    words = ("--backends", "torch-eager", "torch", "--dtypes", "float32", "--json")
    result = mgte("verify", folder, *words)
    assert result.code == 0
    report = json.loads(result.out)
    assert report["is_ok"]
    assert [row["shape"] for row in report["rows"]] == [
        "one by one",
        "packed",
        "shuffled, small",
    ] * 2
    # Rounding of float32 in two layers of width 32.
    assert all(row["max_abs"] < 1e-5 for row in report["rows"])


def test_verify_says_why_something_was_not_measured(mgte, tiny_embedder) -> None:
    words = ("--backends", "torch-eager", "--dtypes", "int8", "--json")
    report = json.loads(mgte("verify", tiny_embedder, *words).out)
    assert [row["shape"] for row in report["rows"]] == ["-"]
    assert "int8" in report["rows"][0]["reason"]


def test_verify_fails_when_a_result_is_off(mgte, tiny_embedder, monkeypatch) -> None:
    from mgte.cli import parity

    exact = parity.results

    def spoiled(model, sequences, shape):
        found = exact(model, sequences, shape)
        return -found if shape == "packed" else found

    monkeypatch.setattr(parity, "results", spoiled)
    words = ("--backends", "torch-eager", "--dtypes", "float32")
    result = mgte("verify", tiny_embedder, *words)
    assert result.code == 1
    assert "off" in result.out
    assert "more than their dtype explains" in result.err


def test_verify_measures_on_random_ids_without_a_tokenizer(mgte, tiny_embedder, tmp_path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((tiny_embedder / name).read_bytes())
    words = ("--backends", "torch-eager", "--dtypes", "float32", "--json")
    result = mgte("verify", folder, *words)
    assert result.code == 0
    assert "random token ids" in result.err


def test_doctor_reports_this_machine(mgte, tiny_embedder) -> None:
    report = json.loads(mgte("doctor", "--json", "--model", tiny_embedder).out)
    assert report["packages"]["torch"]["version"]
    assert report["cpu"]["cores"] >= 1
    on_cpu = [row for row in report["attention"] if row["device"] == "cpu"]
    assert sum(row["is_auto"] for row in on_cpu) == 1
    assert all(row["is_available"] or row["reason"] for row in on_cpu)
    # The tiny model takes at most 64 tokens.
    assert [item["tokens"] for item in report["auto"]["lengths"]] == [16, 64]
    assert all(item["backend"] for item in report["auto"]["lengths"])


def test_doctor_works_without_a_model(mgte) -> None:
    result = mgte("doctor", "--model", "no-such-model")
    assert result.code == 0
    assert "backend=auto: not shown" in result.out


def test_doctor_says_how_to_get_what_is_missing(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", {"no-such-package": "pip install 'mgte[cpu]'"})
    assert doctor.installed_packages() == {
        "no-such-package": {"version": None, "hint": "pip install 'mgte[cpu]'"}
    }


def test_doctor_reports_a_broken_installation(mgte, monkeypatch) -> None:
    # None in sys.modules makes the import fail, as a torch that does not load would.
    monkeypatch.setitem(sys.modules, "mgte.inference", None)
    result = mgte("doctor")
    assert result.code == 2
    assert "safetensors" in result.out
    assert "models cannot run: ModuleNotFoundError" in result.out
