"""The gradient cache gives the gradient of the whole batch, dropout included."""

from contextlib import contextmanager

import pytest
import torch
from tests.unit.train.made_batches import (
    WIDTH,
    context_of,
    contrastive_batch,
    distance,
    gradients_of,
    made_model,
    rerank_batch,
    vector_batch,
)

from mgte.model import EmbeddingOutput, SparseWeights
from mgte.packing import pack
from mgte.train.grad_cache import aligned_gradient, backward_in_chunks
from mgte.train.objectives import (
    Distillation,
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    NegativeFilter,
    RerankingConfig,
    build_objective,
)
from mgte.train.objectives.outputs_in_order import dense_in_order, sparse_in_order
from mgte.train.objectives.pair_competition import compete
from mgte.train.objectives.pair_terms import PairOutputs, pair_terms
from mgte.train.world import World

CPU = torch.device("cpu")
HYBRID = EmbeddingConfig(
    dim_step=8,
    sparse_temperature=0.5,
    form="joint",
    filter=NegativeFilter(margin=0.2),
    distillation=Distillation(weight=0.5),
    sparse_distillation_weight=0.5,
)


@contextmanager
def scope(ends: bool):
    yield


def hybrid_gradient(chunks: list[list[int]], *, in_two_passes: bool, autocast: bool = False):
    """Gradient of a hybrid loss, dropout on: by the cache, or with all graphs kept at once."""
    batch = contrastive_batch(5, 6)
    model = made_model("embedding", dropout=0.2)
    sequences = [*batch.queries, *batch.documents]
    competition = compete(batch, World())
    torch.manual_seed(123)

    def encode(number: int) -> EmbeddingOutput:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            packed = pack([sequences[index] for index in chunks[number]])
            output = model(packed, dense=True, sparse=True)
        weights = SparseWeights(
            token_ids=output.sparse.token_ids,
            weights=output.sparse.weights.float(),
            cu_terms=output.sparse.cu_terms,
        )
        return EmbeddingOutput(dense=output.dense.float(), sparse=weights)

    def loss(outputs):
        parts = PairOutputs(
            dense=dense_in_order(outputs, chunks, torch.zeros(0, WIDTH)),
            sparse=sparse_in_order(outputs, chunks, torch.zeros(0)),
        )
        terms = pair_terms(HYBRID, parts, batch, competition)
        return terms["loss"].total, {name: float(t.total.detach()) for name, t in terms.items()}

    if in_two_passes:
        found = backward_in_chunks(encode, len(chunks), loss, scope=scope, device=CPU)
    else:
        total, found = loss([encode(number) for number in range(len(chunks))])
        total.backward()
    return gradients_of(model), found, torch.get_rng_state()


def chunkings() -> list[list[list[int]]]:
    batch = contrastive_batch(5, 6)
    numbers = list(range(len(batch.queries) + len(batch.documents)))
    mixed = numbers[::2] + numbers[1::2][::-1]
    return [
        [numbers],
        [[number] for number in mixed],
        [mixed[:3], mixed[3:4], mixed[4:11], mixed[11:]],
    ]


@pytest.mark.parametrize("chunks", chunkings(), ids=["one", "singles", "mixed"])
def test_the_cache_gives_the_gradient_of_all_graphs_at_once_with_dropout(chunks) -> None:
    found, terms, after = hybrid_gradient(chunks, in_two_passes=True)
    wanted, wanted_terms, wanted_after = hybrid_gradient(chunks, in_two_passes=False)
    assert distance(found, wanted) < 2e-6
    assert terms == pytest.approx(wanted_terms, rel=1e-6)
    # The second pass leaves no trace in the random numbers that follow.
    assert torch.equal(after, wanted_after)


def test_half_precision_is_cached_in_float32() -> None:
    chunks = chunkings()[2]
    found, _, _ = hybrid_gradient(chunks, in_two_passes=True, autocast=True)
    wanted, _, _ = hybrid_gradient(chunks, in_two_passes=False, autocast=True)
    assert distance(found, wanted) < 1e-5
    exact, _, _ = hybrid_gradient(chunks, in_two_passes=False)
    assert 1e-5 < distance(found, exact) < 0.5


OBJECTIVES = {
    "embedding": (HYBRID, "embedding", contrastive_batch(1, 7)),
    "embedding_distillation": (
        EmbeddingDistillationConfig(dims=(8, 32)),
        "dense",
        vector_batch(1, 9, WIDTH),
    ),
    "reranking": (
        RerankingConfig(distillation=Distillation(weight=1.0)),
        "reranking",
        rerank_batch(1, 6),
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("tokens_per_chunk", [1, 9, 20, 50])
def test_the_size_of_chunks_changes_nothing(name, tokens_per_chunk) -> None:
    config, head, batch = OBJECTIVES[name]
    objective = build_objective(config)
    results = []
    for tokens in (10_000, tokens_per_chunk):
        model = made_model(head)
        terms = objective.accumulate(model, batch, context_of(tokens))
        numbers = {key: (float(term.total), term.count) for key, term in terms.items()}
        results.append((gradients_of(model), numbers))
    (wanted, wanted_terms), (found, terms) = results
    assert distance(found, wanted) < 1e-5
    assert terms.keys() == wanted_terms.keys()
    for key, (total, count) in terms.items():
        assert total == pytest.approx(wanted_terms[key][0], rel=1e-5, abs=1e-5)
        assert count == wanted_terms[key][1]


def test_one_chunk_passes_once_and_several_pass_twice() -> None:
    for num_chunks, passes in ((0, 0), (1, 1), (3, 6)):
        calls, ends = [], []
        weight = torch.ones(2, requires_grad=True)

        @contextmanager
        def watch(is_last: bool, ends=ends):
            ends.append(is_last)
            yield

        def encode(number: int, calls=calls, weight=weight) -> EmbeddingOutput:
            calls.append((number, torch.is_grad_enabled()))
            return EmbeddingOutput(dense=weight[None] * (number + 1), sparse=None)

        def loss(outputs):
            rows = [output.dense.sum() for output in outputs]
            return sum(rows, start=torch.zeros((), requires_grad=True) * 1), len(rows)

        assert backward_in_chunks(encode, num_chunks, loss, scope=watch, device=CPU) == num_chunks
        assert len(calls) == passes
        assert ends[-1]
        assert not any(ends[:-1])
        if num_chunks:
            assert weight.grad.tolist() == [sum(range(1, num_chunks + 1))] * 2


def sparse_of(ids: list[int], cu_terms: list[int]) -> SparseWeights:
    return SparseWeights(
        token_ids=torch.tensor(ids, dtype=torch.int64),
        weights=torch.ones(len(ids)),
        cu_terms=torch.tensor(cu_terms, dtype=torch.int32),
    )


def test_gradients_find_their_terms_when_a_term_appears_or_vanishes() -> None:
    before = sparse_of([3, 5, 9, 3], [0, 3, 4])
    gradient = torch.tensor([1.0, 2.0, 3.0, 4.0])
    same = aligned_gradient(before, before, gradient)
    assert same is gradient
    now = sparse_of([3, 9, 3, 7], [0, 2, 4])
    assert aligned_gradient(now, before, gradient).tolist() == [1.0, 3.0, 4.0, 0.0]
    nothing = sparse_of([], [0, 0, 0])
    assert aligned_gradient(now, nothing, torch.zeros(0)).tolist() == [0.0] * 4
    assert aligned_gradient(nothing, before, gradient).tolist() == []
