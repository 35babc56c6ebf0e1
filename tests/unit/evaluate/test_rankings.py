"""Hybrid and reranked rankings equal a plain dictionary's arithmetic."""

import numpy as np
import pytest

from mgte.errors import ConfigError
from mgte.evaluate import HybridConfig, hybrid_ranking, rerank
from mgte.evaluate.rankings import complete
from mgte.search import Ranking


def ranking(**scores: float) -> Ranking:
    """Rows r3=0.5 and so on, best first."""
    pairs = sorted(((int(name[1:]), value) for name, value in scores.items()), key=lambda p: -p[1])
    return Ranking(
        rows=np.array([row for row, _ in pairs], np.int64),
        scores=np.array([value for _, value in pairs], np.float32),
    )


def as_dict(ranked: Ranking) -> dict[int, float]:
    return dict(zip(ranked.rows.tolist(), ranked.scores.tolist(), strict=True))


DENSE, SPARSE = ranking(r4=0.9, r1=0.8, r7=0.1), ranking(r7=20.0, r2=10.0)


def test_a_missing_score_counts_zero() -> None:
    found = hybrid_ranking(DENSE, SPARSE, HybridConfig(sparse_weight=0.1), 10)
    assert as_dict(found) == pytest.approx({7: 2.1, 2: 1.0, 4: 0.9, 1: 0.8})
    assert found.rows.tolist() == [7, 2, 4, 1]
    assert hybrid_ranking(DENSE, SPARSE, HybridConfig(sparse_weight=0.1), 2).rows.tolist() == [7, 2]


def test_scaling_makes_the_sparse_unit_irrelevant() -> None:
    config = HybridConfig(sparse_weight=0.5, sparse_scale="query")
    wide = Ranking(rows=SPARSE.rows, scores=SPARSE.scores * 1000)
    assert as_dict(hybrid_ranking(DENSE, wide, config, 9)) == pytest.approx(
        as_dict(hybrid_ranking(DENSE, SPARSE, config, 9))
    )
    nothing = Ranking(rows=np.zeros(0, np.int64), scores=np.zeros(0, np.float32))
    assert as_dict(hybrid_ranking(DENSE, nothing, config, 9)) == as_dict(DENSE)


def test_equal_scores_stand_in_the_order_of_their_rows() -> None:
    found = hybrid_ranking(ranking(r5=0.5, r2=0.5), ranking(r9=5.0), HybridConfig(), 3)
    assert found.rows.tolist() == [2, 5, 9]


def test_completed_scores_are_looked_up() -> None:
    rows = np.array([1, 2, 4, 7])
    done = complete(DENSE, rows, np.array([0.0, 0.05, 0.0, 0.0], np.float32))
    assert as_dict(done) == pytest.approx({4: 0.9, 1: 0.8, 7: 0.1, 2: 0.05})


def test_reranking_reorders_the_top_and_keeps_the_rest_below() -> None:
    first = ranking(r1=0.9, r2=0.8, r3=0.7, r4=0.6, r5=0.5)
    again = rerank(first, np.array([-3.0, 5.0, -3.0], np.float32))
    # Equal reranker's scores keep the first order; scores fall all the way.
    assert again.rows.tolist() == [2, 1, 3, 4, 5]
    assert (np.diff(again.scores) <= 0).all()
    assert rerank(first, np.zeros(0, np.float32)).rows.tolist() == first.rows.tolist()


def test_blending_mixes_stretched_scores() -> None:
    first = ranking(r1=1.0, r2=0.6, r3=0.0)
    again = rerank(first, np.array([0.0, 10.0, 5.0], np.float32), blend=0.25)
    assert as_dict(again) == pytest.approx({1: 0.25, 2: 0.75 + 0.15, 3: 0.375})


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="sparse_scale"):
        HybridConfig(sparse_scale="log")
    with pytest.raises(ConfigError, match="sparse_weight"):
        HybridConfig(sparse_weight=float("nan"))
