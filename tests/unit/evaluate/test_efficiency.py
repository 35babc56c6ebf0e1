"""Time and memory: what is timed is what it says, and every measure has its result."""

import numpy as np
import pytest

from mgte.errors import BackendUnavailableError, ConfigError, DataError
from mgte.evaluate.efficiency.encoding import time_encoding
from mgte.evaluate.efficiency.engines import available_engines, build_engine
from mgte.evaluate.efficiency.memory import measure_memory
from mgte.evaluate.efficiency.searching import time_search, unit_vectors
from mgte.evaluate.efficiency.texts import TextSet, collection_texts, filled, made_texts
from mgte.evaluate.embedding_cache import CachedEncoder
from mgte.evaluate.subjects import EmbedderSubject, Subject
from mgte.evaluate.suite import build_task, read_suite
from mgte.evaluate.tasks.efficiency import EfficiencyConfig, EfficiencyTask
from mgte.evaluate.tasks.task import TaskContext
from mgte.inference import Embedder


@pytest.fixture(scope="module")
def subject(hybrid_folder) -> EmbedderSubject:
    return EmbedderSubject(Embedder.load(str(hybrid_folder), backend="torch"))


class Counting:
    """An encoder of others, which counts what it is asked for."""

    name, revision, max_length, has_sparse, is_cosine = "other", "", 256, False, True
    widths, fingerprint, device, has_dense = (8,), "x", "cpu", True

    def __init__(self, subject) -> None:
        self.subject = subject
        self.num_texts = 0

    def encode(self, texts, *, role, sparse=False):
        self.num_texts += len(texts)
        return self.subject.encode([text[:20] for text in texts], role=role)


def run(subject, config, **options):
    return EfficiencyTask(config, options.get("root", ".")).run(
        Subject(encoder=subject, folder=options.get("folder")), TaskContext()
    )


def test_made_texts_have_the_wanted_lengths(subject):
    texts = made_texts(subject, 48, 4000, seed=0)
    tokens = subject.encode(texts.texts, role="document").num_tokens
    assert tokens.sum() == pytest.approx(4000, rel=0.25)
    assert 0.8 * 48 < tokens.max() <= 64
    # Uniform between a sixteenth and the whole.
    assert tokens.mean() == pytest.approx(0.53 * 48, rel=0.25)
    assert texts == made_texts(subject, 48, 4000, seed=0)
    assert texts != made_texts(subject, 48, 4000, seed=1)


def test_collection_texts_are_the_documents(beir_folder):
    texts = collection_texts(beir_folder, 0, 64, seed=0)
    assert texts.texts[0] == "tide the moon is for the sea"
    assert len(texts.texts) == 5
    some = collection_texts(beir_folder, 2, 64, seed=0).texts
    assert len(some) == 2
    assert set(some) <= set(texts.texts)


def test_filled_sequences_are_as_long_as_the_longest_of_their_batch():
    sequences = [[1, 2], [1, 2, 3, 4], [5], [6, 7]]
    assert filled(sequences, 2) == [[1, 2, 1, 1], [1, 2, 3, 4], [5, 5], [6, 7]]
    assert filled(sequences, 10) == [
        [1, 2, 1, 1],
        [1, 2, 3, 4],
        [5, 5, 5, 5],
        [6, 7, 6, 6],
    ]
    assert sum(map(len, filled(sequences, 1))) == sum(map(len, sequences))


def test_packed_computes_real_tokens_and_padded_more(subject):
    texts = ["the sea", "the moon is for the sea and the road", "bread"]
    engines = available_engines(subject, ("packed", "padded"), 32)
    tokens = subject.encode(texts, role="document").num_tokens
    assert engines["packed"](texts) == tokens.sum()
    assert engines["padded"](texts) == tokens.max() * len(texts)
    one_by_one = available_engines(subject, ("padded",), 1)
    assert one_by_one["padded"](texts) == tokens.sum()


def test_every_round_runs_every_engine():
    calls = []
    engines = {
        name: lambda texts, name=name: calls.append((name, len(texts))) or 7 for name in "ab"
    }
    times = time_encoding(engines, TextSet(texts=tuple("uvwxyz"), length=1), 3)
    # Once each to warm up, then in turns.
    assert calls == [("a", 4), ("b", 4)] + [("a", 6), ("b", 6)] * 3
    assert all(len(taken.rounds) == 3 and taken.computed_tokens == 7 for taken in times.values())
    assert sorted(times["a"].rounds)[1] == times["a"].seconds


def test_search_time_is_of_unit_vectors():
    documents = unit_vectors(200, 16, seed=0)
    assert np.linalg.norm(documents, axis=1) == pytest.approx(np.ones(200), abs=1e-5)
    taken = time_search(documents[:5], documents, top_k=3, rounds=2, device="cpu")
    assert (taken.width, taken.bytes_per_document) == (16, 64)
    assert taken.ms_per_query > 0
    assert taken.ms_single > 0


def test_every_measure_engine_and_length_has_a_result(subject):
    config = EfficiencyConfig(
        name="e",
        measures=("encoding", "search"),
        engines=("packed", "padded"),
        lengths=(16, 48, 100_000),
        num_tokens=200,
        rounds=1,
        num_vectors=100,
        num_queries=3,
        top_k=5,
    )
    results = run(subject, config)
    keys = [(result.subset, result.variant) for result in results]
    assert len(keys) == len(set(keys))
    assert keys == [
        ("encoding to 16 tokens", "packed"),
        ("encoding to 16 tokens", "padded"),
        ("encoding to 48 tokens", "packed"),
        ("encoding to 48 tokens", "padded"),
        ("search in 100 vectors", "dense@32"),
    ]
    for result in results[:4]:
        tokens, seconds = result.facts["num_tokens"], result.metrics["seconds"]
        assert result.main == pytest.approx(tokens / seconds)
    ratios = [result.facts["computed_tokens_per_real_one"] for result in results[:4]]
    assert ratios[0] == ratios[2] == 1.0
    assert min(ratios[1], ratios[3]) > 1.1


def test_vectors_kept_on_disk_are_not_what_is_timed(subject, tmp_path):
    config = EfficiencyConfig(
        name="e",
        measures=("encoding",),
        engines=("packed",),
        lengths=(16,),
        num_tokens=60,
        rounds=1,
    )
    cached = CachedEncoder(subject, tmp_path)
    (result,) = run(cached, config)
    assert result.variant == "packed"
    assert (cached.num_found, cached.num_computed) == (0, 0)


def test_models_that_others_run_have_one_way(subject):
    other = Counting(subject)
    config = EfficiencyConfig(
        name="e", measures=("encoding", "memory"), lengths=(32,), num_tokens=64, rounds=2
    )
    (result,) = run(other, config)
    assert result.variant == ""
    assert other.num_texts > 2 * result.num_items
    assert "engines_that_cannot_run" not in result.facts


def test_documents_of_a_collection_can_be_timed(subject, beir_folder):
    config = EfficiencyConfig(
        name="e", measures=("encoding",), engines=("packed",), data="small", rounds=1
    )
    (result,) = run(subject, config, root=beir_folder.parent)
    assert result.num_items == 5
    with pytest.raises(DataError, match="is not there"):
        run(subject, EfficiencyConfig(name="e", data="none"), root=beir_folder.parent)


@pytest.mark.parametrize(
    "fields",
    [
        {"lengths": ()},
        {"lengths": (4,)},
        {"rounds": 0},
        {"engines": ()},
        {"measures": ()},
        {"num_tokens": -1},
        {"num_vectors": 0},
    ],
)
def test_settings_without_sense_are_refused(fields):
    with pytest.raises(ConfigError):
        EfficiencyConfig(name="e", **fields)


def test_a_model_that_is_too_short_for_every_length_is_told(subject):
    with pytest.raises(ConfigError, match="expected a length up to that"):
        run(subject, EfficiencyConfig(name="e", lengths=(4096,)))


def test_engines_that_are_not_installed_are_left_out(subject, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert list(available_engines(subject, ("packed", "sentence-transformers"), 32)) == ["packed"]
    with pytest.raises(BackendUnavailableError, match="sentence-transformers"):
        build_engine("sentence-transformers", subject.embedder, subject.folder, 32)


def test_suites_of_efficiency_build(tmp_path):
    for name in ("efficiency", "efficiency-mldr-hi"):
        for entry in read_suite(name).tasks:
            assert build_task(entry, tmp_path).name == entry["name"]


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(subject):
    # Memory of this process must not count.
    ballast = np.ones(500_000_000 // 8)
    memory = measure_memory(subject, "packed", ["the sea"] * 4, 32)
    assert 50e6 < memory.loaded_bytes <= memory.peak_bytes
    assert memory.gigabytes == pytest.approx(memory.peak_bytes / 1e9)
    assert memory.device_bytes == 0
    assert memory.loaded_bytes < 1.5e9
    assert ballast[-1] == 1.0


@pytest.mark.slow
def test_a_process_that_fails_tells_why(subject):
    with pytest.raises(BackendUnavailableError, match="the process ended with"):
        measure_memory(subject, "unknown", ["the sea"], 0)


@pytest.mark.slow
def test_sentence_transformers_runs_the_same_folder(subject):
    pytest.importorskip("sentence_transformers")
    engines = available_engines(subject, ("packed", "sentence-transformers"), 4)
    for engine in engines.values():
        engine(["the sea", "bread and water"])
    assert "packed" in engines
