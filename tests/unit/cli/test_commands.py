"""Each command on a tiny model: what it reads, what it writes where, and how it fails."""

import json
from pathlib import Path

import numpy as np
import pytest

TEXTS = ["the tide and the moon", "bread", "a road map to read", "sea water"]


@pytest.fixture
def texts_file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    lines = [json.dumps({"id": f"t{i}", "title": "how", "text": t}) for i, t in enumerate(TEXTS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_embed_writes_the_library_s_vectors_in_file_order(
    mgte, tiny_embedder, texts_file, tmp_path
) -> None:
    from mgte.inference import Embedder

    out = tmp_path / "vectors.npz"
    result = mgte("embed", texts_file, "--model", tiny_embedder, "--out", out)
    assert result.code == 0
    assert result.out == ""
    assert "4 texts" in result.err
    expected = Embedder.load(str(tiny_embedder)).encode_document(TEXTS)
    with np.load(out) as file:
        assert file["ids"].tolist() == ["t0", "t1", "t2", "t3"]
        np.testing.assert_array_equal(file["dense"], expected.dense)
        np.testing.assert_array_equal(file["num_tokens"], expected.num_tokens)


def test_embed_without_out_writes_json_lines_and_nothing_else(
    mgte, tiny_embedder, texts_file
) -> None:
    result = mgte("embed", texts_file, "--model", tiny_embedder, "--dim", 5)
    records = lines_of(result.out)
    assert [record["id"] for record in records] == ["t0", "t1", "t2", "t3"]
    assert all(len(record["dense"]) == 5 for record in records)
    norms = [np.linalg.norm(record["dense"]) for record in records]
    # Nine digits of each number are written.
    np.testing.assert_allclose(norms, 1, atol=1e-6)


def test_embed_puts_a_title_before_its_text(mgte, tiny_embedder, texts_file) -> None:
    words = ("embed", texts_file, "--model", tiny_embedder)
    plain, titled = lines_of(mgte(*words).out), lines_of(mgte(*words, "--title-field", "title").out)
    assert [b["num_tokens"] - a["num_tokens"] for a, b in zip(plain, titled, strict=True)] == [
        1
    ] * 4


def test_embed_gives_token_weights_with_the_tokens_names(
    mgte, tiny_sparse_embedder, texts_file
) -> None:
    words = ("embed", texts_file, "--model", tiny_sparse_embedder, "--sparse", "--no-dense")
    records = lines_of(mgte(*words).out)
    assert all("dense" not in record for record in records)
    sparse = [record["sparse"] for record in records]
    assert any(row["ids"] for row in sparse)
    for row, text in zip(sparse, TEXTS, strict=True):
        assert len(row["ids"]) == len(row["weights"]) == len(row["tokens"])
        assert set(row["tokens"]) <= set(text.split())
        assert all(weight > 0 for weight in row["weights"])


def test_embed_says_which_texts_were_cut_and_by_how_much(mgte, tiny_embedder, tmp_path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("sea\n" + "tide " * 100 + "\n", encoding="utf-8")
    result = mgte("embed", path, "--model", tiny_embedder, "--max-length", 12)
    assert result.code == 0
    # [CLS] and [SEP] leave room for ten of a hundred words.
    assert f"1 of 2 texts: {path}:2 (-90 tokens)" in result.err
    assert [record["is_truncated"] for record in lines_of(result.out)] == [False, True]


def test_embed_can_refuse_what_is_too_long(mgte, tiny_embedder, tmp_path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("tide " * 100, encoding="utf-8")
    words = ("--model", tiny_embedder, "--max-length", 12, "--overflow", "error")
    result = mgte("embed", path, *words)
    assert (result.code, result.out) == (2, "")
    assert "102 tokens" in result.err


def test_embed_prints_a_summary_for_programs(mgte, tiny_embedder, texts_file, tmp_path) -> None:
    out = tmp_path / "vectors.parquet"
    result = mgte("embed", texts_file, "--model", tiny_embedder, "--out", out, "--json")
    summary = json.loads(result.out)
    assert summary["num_texts"] == 4
    assert summary["dim"] == 32
    assert summary["out"] == str(out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.txt"], "missing.txt: no such file"),
        (["{file}", "--out", "vectors.csv"], "vectors.csv: unknown suffix"),
        (["{file}", "--out", "no/such/folder/v.npz"], "no such folder"),
        (["{file}", "--dim", "33"], "dim: got 33"),
        (["{file}", "--sparse"], "no sparse head"),
        (["{file}", "--text-field", "body"], "no field `body`"),
        (["{file}", "--backend", "abacus"], "backend: got 'abacus'"),
        (["{file}", "--dtype", "float16"], "float16"),
    ],
)
def test_embed_says_what_the_user_can_fix(
    words: list[str], message: str, mgte, tiny_embedder, texts_file, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = [word.format(file=texts_file) for word in words]
    result = mgte("embed", *named, "--model", tiny_embedder)
    assert result.code == 2
    assert result.out == ""
    assert message in result.err
    assert result.err.startswith("error: ")


def test_rerank_prints_the_best_first(mgte, tiny_reranker, texts_file) -> None:
    from mgte.inference import Reranker

    words = ("rerank", texts_file, "--model", tiny_reranker, "--query", "tide", "--json")
    records = lines_of(mgte(*words).out)
    expected = Reranker.load(str(tiny_reranker)).rank("tide", TEXTS)
    assert [record["index"] for record in records] == [hit.index for hit in expected]
    scores = [record["score"] for record in records]
    np.testing.assert_allclose(scores, [hit.score for hit in expected], atol=1e-6)
    best = lines_of(mgte(*words, "--top-k", 1).out)
    assert best == records[:1]


def test_rerank_keeps_the_order_of_pairs(mgte, tiny_reranker, tmp_path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("query\tdocument\n" + "".join(f"tide\t{t}\n" for t in TEXTS), encoding="utf-8")
    result = mgte("rerank", path, "--model", tiny_reranker, "--json", "--raw")
    assert [record["document"] for record in lines_of(result.out)] == TEXTS


def test_rerank_refuses_top_k_without_a_query(mgte, tiny_reranker, texts_file) -> None:
    result = mgte("rerank", texts_file, "--model", tiny_reranker, "--top-k", 1)
    assert result.code == 2
    assert "--top-k" in result.err


def test_rerank_refuses_an_embedding_model(mgte, tiny_embedder, texts_file) -> None:
    result = mgte("rerank", texts_file, "--model", tiny_embedder, "--query", "tide")
    assert result.code == 2
    assert "expected a reranker" in result.err


def test_similarity_of_a_text_with_itself_is_one(mgte, tiny_embedder) -> None:
    words = ("similarity", "sea", "bread", "sea", "--model", tiny_embedder, "--sort", "--json")
    scores = json.loads(mgte(*words).out)["scores"]
    assert [score["index"] for score in scores] == [1, 0]
    assert scores[0]["score"] == pytest.approx(1, abs=1e-6)


def test_similarity_adds_token_weights(mgte, tiny_sparse_embedder) -> None:
    from mgte.inference import Embedder

    query, document = TEXTS[0], f"{TEXTS[0]} {TEXTS[3]}"
    words = ("similarity", query, document, "--model", tiny_sparse_embedder, "--json")
    found = json.loads(mgte(*words, "--sparse-weight", 0.5).out)["scores"][0]["score"]
    embedder = Embedder.load(str(tiny_sparse_embedder))
    expected = embedder.score([(query, document)], sparse_weight=0.5)[0]
    assert found == pytest.approx(expected, abs=1e-6)
    assert found > json.loads(mgte(*words).out)["scores"][0]["score"]


def test_similarity_matrix_is_symmetric(mgte, tiny_embedder) -> None:
    words = ("similarity", "--matrix", *TEXTS, "--model", tiny_embedder, "--json")
    matrix = np.array(json.loads(mgte(*words).out)["scores"])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-6)
