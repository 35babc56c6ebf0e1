import numpy as np
import pytest

from mgte.cli.parity import ParityReport, ParityRow, compare

EXACT = np.eye(6, dtype=np.float32) + np.float32(0.1)


def row(found: np.ndarray, dtype: str = "float32", kind: str = "embedding") -> ParityRow:
    return compare(kind, EXACT, found, backend="torch", dtype=dtype, shape="packed")


def test_equal_results_are_exact() -> None:
    found = row(EXACT.copy())
    assert found.max_abs == 0
    assert found.min_cosine == pytest.approx(1)
    assert found.top_k_overlap == 1
    assert found.is_ok


def test_the_worst_text_counts() -> None:
    found = EXACT.copy()
    found[3] = -found[3]
    assert row(found).min_cosine == pytest.approx(-1)
    assert not row(found, "int8").is_ok


def test_a_dtype_is_judged_by_what_it_can_give() -> None:
    generator = np.random.default_rng(0)
    found = EXACT + generator.normal(0, 5e-3, EXACT.shape).astype(np.float32)
    assert not row(found, "float32").is_ok
    assert row(found, "bfloat16").is_ok


def test_nan_is_never_accepted() -> None:
    found = EXACT.copy()
    found[0, 0] = np.nan
    assert row(found).is_ok is False
    assert row(found, kind="reranking").is_ok is False


def test_rerankers_are_judged_by_logits_and_order() -> None:
    exact = np.array([[3.0], [2.0], [1.0], [0.0]], dtype=np.float32)
    found = compare(
        "reranking", exact, exact[::-1].copy(), backend="torch", dtype="float32", shape="packed"
    )
    assert found.max_abs == 3
    assert found.top_k_overlap == 0
    assert found.min_cosine is None
    assert not found.is_ok


def test_what_was_not_measured_is_not_held_against_the_model() -> None:
    report = ParityReport(kind="embedding", num_sequences=1, num_tokens=2)
    report.rows.append(ParityRow(backend="openvino", dtype="int8", shape="-", reason="absent"))
    assert report.is_ok
    report.rows.append(ParityRow(backend="torch", dtype="int8", shape="-", is_ok=False))
    assert not report.is_ok
