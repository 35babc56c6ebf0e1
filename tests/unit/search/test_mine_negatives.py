"""Mining equals a plain loop over all documents of the source, rule by rule."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mgte.errors import ConfigError, DataError
from mgte.search import MiningConfig, mine_negatives
from mgte.search.mining_rules import false_negative_bound
from mgte.text import TrainingGroup

DIM = 16


def vector_of(text: str) -> np.ndarray:
    """A unit vector that depends on the folded text only."""
    seed = [*" ".join(text.split()).casefold().encode()] or [0]
    vector = np.random.default_rng(seed).standard_normal(DIM) + 1.0
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def encode(texts, **_) -> SimpleNamespace:
    return SimpleNamespace(
        dense=np.stack([vector_of(text) for text in texts]),
        sparse=None,
        num_tokens=np.ones(len(texts), np.int64),
        is_truncated=np.zeros(len(texts), np.bool_),
    )


EMBEDDER = SimpleNamespace(
    encode_query=encode,
    encode_document=encode,
    prepared=SimpleNamespace(placement=SimpleNamespace(device=torch.device("cpu"))),
)
GROUPS = [
    TrainingGroup(
        query=f"query {number}",
        positives=tuple(f"document {number} {part}" for part in range(1 + number % 3)),
        source="a" if number % 2 else "b",
        language="en",
    )
    for number in range(60)
]


def by_plain_loop(group: TrainingGroup, config: MiningConfig) -> list[str]:
    """All negatives that the rules allow, best first."""
    corpus = {text for other in GROUPS if other.source == group.source for text in other.positives}
    query = vector_of(group.query)
    scores = [float(vector_of(text) @ query) for text in group.positives]
    bound = {"lowest": min, "mean": np.mean, "highest": max}[config.reference](scores)
    bound = false_negative_bound(bound, config.relative_margin)
    others = sorted(corpus - {*group.positives}, key=lambda text: -float(vector_of(text) @ query))
    first, last = config.window
    return [text for text in others[first - 1 : last] if float(vector_of(text) @ query) <= bound]


@pytest.mark.parametrize("relative_margin", [None, 0.95, 0.7])
@pytest.mark.parametrize(
    ("window", "reference"), [((1, 100), "mean"), ((3, 12), "lowest"), ((3, 12), "highest")]
)
def test_the_hardest_negatives_equal_a_plain_loop(window, reference, relative_margin) -> None:
    config = MiningConfig(
        window=window,
        relative_margin=relative_margin,
        reference=reference,
        choice="hardest",
        num_negatives=5,
    )
    mined = mine_negatives(GROUPS, EMBEDDER, config=config)
    expected = {group.query: by_plain_loop(group, config)[:5] for group in GROUPS}
    assert {g.query: list(g.negatives) for g in mined.groups} == {
        query: texts for query, texts in expected.items() if texts
    }
    assert sum(mined.report.num_without.values()) == sum(not texts for texts in expected.values())
    for group in mined.groups:
        query = vector_of(group.query)
        for texts, scores in (
            (group.positives, group.positive_scores),
            (group.negatives, group.negative_scores),
        ):
            np.testing.assert_allclose([vector_of(t) @ query for t in texts], scores, rtol=1e-5)


def test_drawn_negatives_come_from_the_window_and_are_repeatable() -> None:
    config = MiningConfig(window=(2, 20), num_negatives=4, seed=3)
    first, again = (mine_negatives(GROUPS, EMBEDDER, config=config) for _ in range(2))
    assert first.groups == again.groups
    for group in first.groups:
        allowed = by_plain_loop(group, config)
        assert set(group.negatives) <= set(allowed)
        assert len(group.negatives) == min(4, len(allowed))
        assert list(group.negative_scores) == sorted(group.negative_scores, reverse=True)
    other = mine_negatives(GROUPS, EMBEDDER, config=MiningConfig(window=(2, 20), seed=4))
    assert other.groups != first.groups


def test_a_copy_of_a_positive_is_never_a_negative() -> None:
    groups = [
        TrainingGroup(
            query="q",
            positives=("The Answer",),
            negatives=("the  answer", "ＴＨＥ answer", "Q", "x", " "),
        ),
        TrainingGroup(query="Q", positives=("another answer",)),
    ]
    config = MiningConfig(window=(1, 9), relative_margin=None)
    mined = mine_negatives(groups, EMBEDDER, config=config)
    # Both groups ask the same, so neither positive is a negative of the other.
    assert [set(group.negatives) for group in mined.groups] == [{"x"}, {"x"}]


def test_a_corpus_by_source_serves_its_own() -> None:
    config = MiningConfig(window=(1, 500), num_negatives=500, relative_margin=None)
    corpus = {"a": ["extra 1", ""], "c": ["extra 2"]}
    mined = mine_negatives(GROUPS, EMBEDDER, corpus=corpus, config=config)
    for group in mined.groups:
        own = {text for other in GROUPS if other.source == group.source for text in other.positives}
        more = {"extra 1"} if group.source == "a" else set()
        assert set(group.negatives) == (own | more) - set(group.positives)


def test_an_empty_positive_is_refused() -> None:
    with pytest.raises(DataError, match="query 'q': has an empty positive"):
        mine_negatives([TrainingGroup(query="q", positives=(" ",))], EMBEDDER)


def test_a_given_corpus_serves_all_sources() -> None:
    config = MiningConfig(window=(1, 500), num_negatives=500, relative_margin=None)
    mined = mine_negatives(GROUPS, EMBEDDER, corpus=["extra 1", "extra 2"], config=config)
    everything = {text for group in GROUPS for text in group.positives} | {"extra 1", "extra 2"}
    for group in mined.groups:
        assert set(group.negatives) == everything - set(group.positives)


def test_a_teacher_leaves_out_what_it_takes_for_answers() -> None:
    def teacher(pairs) -> np.ndarray:
        # Even documents are as good as any answer.
        return np.array(
            [
                5.0 if int(document.split()[1]) % 4 == 0 else -len(query)
                for query, document in pairs
            ],
            np.float32,
        )

    groups = [group for group in GROUPS if group.source == "b"]
    config = MiningConfig(
        window=(1, 100),
        num_negatives=200,
        relative_margin=None,
        reference="lowest",
        teacher_margin=1.0,
    )
    mined = mine_negatives(groups, EMBEDDER, teacher=teacher, config=config)
    assert mined.report.left_out["teacher"] > 0
    assert mined.report.closest["teacher"][0].closeness > -1.0
    for group in mined.groups:
        for score in group.negative_scores:
            assert score <= min(group.positive_scores) - 1.0
    with pytest.raises(DataError, match="teacher: got scores of shape"):
        mine_negatives(groups, EMBEDDER, teacher=lambda pairs: np.zeros(3))


def test_the_report_counts_every_candidate_once() -> None:
    config = MiningConfig(window=(5, 30), num_negatives=500, relative_margin=0.9, choice="hardest")
    report = mine_negatives(GROUPS, EMBEDDER, config=config).report
    looked_at = sum(report.left_out[rule] for rule in ("margin", "window"))
    looked_at += sum(report.num_negatives.values())
    # Thirty documents per query that are no positives, whatever became of them.
    assert looked_at == 30 * len(GROUPS)
    assert report.num_queries == {"a": 30, "b": 30}
    page = report.to_markdown()
    assert "| a | 30 |" in page
    assert "## Kept: closest to their positive" in page
    closest = report.closest["margin"]
    assert closest == sorted(closest, reverse=True)


@pytest.mark.parametrize(
    "values",
    [
        {"window": (5, 4)},
        {"window": (0, 4)},
        {"num_negatives": 0},
        {"choice": "best"},
        {"reference": "best"},
        {"num_negatives": 2, "min_negatives": 3},
        {"seed": -1},
    ],
)
def test_settings_are_checked(values) -> None:
    with pytest.raises(ConfigError, match=next(reversed(values))):
        MiningConfig(**values)


def test_no_groups_are_refused() -> None:
    with pytest.raises(DataError, match="groups: got none"):
        mine_negatives([], EMBEDDER)


def test_the_bound_falls_below_negative_scores_too() -> None:
    assert false_negative_bound(0.8, 0.95) == pytest.approx(0.76)
    assert false_negative_bound(-0.8, 0.95) == pytest.approx(-0.84)
