"""What objectives report, and which models they refuse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.train.made_batches import (
    MAKERS,
    TEACHER_WIDTH,
    VOCABULARY,
    WIDTH,
    Alone,
    context_of,
    contrastive_batch,
    gradients_of,
    made_model,
    masked_batch,
    rerank_batch,
    vector_batch,
)
from tests.unit.train.shares import share_of

from mgte.errors import ConfigError
from mgte.losses import principal_projection
from mgte.packing import pack
from mgte.train.objectives import (
    ContrastiveConfig,
    Distillation,
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    MaskedLMConfig,
    NegativeFilter,
    RerankingConfig,
    build_objective,
    check_model,
    pair_terms,
)
from mgte.train.objectives.chunks import encode_chunk

HYBRID = EmbeddingConfig(dim_step=8, sparse_temperature=0.5)
CASES = {
    "masked_lm": (MaskedLMConfig(), "masked_lm"),
    "contrastive": (ContrastiveConfig(), "dense"),
    "embedding": (replace(HYBRID, distillation=Distillation(weight=1.0)), "embedding"),
    "reranking": (RerankingConfig(distillation=Distillation(weight=1.0)), "reranking"),
    "embedding_distillation": (EmbeddingDistillationConfig(), "dense"),
}


def means(config, head, batch, **options) -> dict[str, float]:
    objective = build_objective(config, **options)
    terms = objective.accumulate(made_model(head), batch, context_of())
    assert all(not term.total.requires_grad for term in terms.values())
    return {name: float(term.total) / max(1, term.count) for name, term in terms.items()}


def test_masked_lm_reports_loss_and_accuracy_per_token() -> None:
    batch = masked_batch(0, 6)
    terms = build_objective(MaskedLMConfig()).accumulate(
        made_model("masked_lm"), batch, context_of()
    )
    masked = sum(map(len, batch.positions))
    assert {name: term.count for name, term in terms.items()} == {
        "loss": masked,
        "accuracy": masked,
    }
    assert 0 <= float(terms["accuracy"].total) <= masked


def test_masked_lm_equals_the_models_own_scores() -> None:
    batch = masked_batch(0, 6)
    model = made_model("masked_lm").eval()
    with torch.no_grad():
        model.head.output.bias.normal_(generator=torch.Generator().manual_seed(2))
    total, right = 0.0, 0
    for ids, places, labels in zip(batch.sequences, batch.positions, batch.labels, strict=True):
        scores = model.logits_ids([ids])[0][places]
        wanted = torch.tensor(labels)
        total += float(torch.nn.functional.cross_entropy(scores, wanted, reduction="sum"))
        right += int((scores.argmax(1) == wanted).sum())
    terms = build_objective(MaskedLMConfig()).accumulate(model, batch, context_of(20))
    assert float(terms["loss"].total) == pytest.approx(total, rel=1e-5)
    assert int(terms["accuracy"].total) == right


def test_embedding_reports_every_term() -> None:
    batch = contrastive_batch(3, 5)
    found = means(HYBRID, "embedding", batch)
    assert set(found) == {
        "loss",
        "loss_dense",
        "loss_sparse",
        "accuracy",
        "accuracy_sparse",
        "filtered",
        "query_terms",
        "document_terms",
    }
    assert found["loss"] == pytest.approx(found["loss_dense"] + found["loss_sparse"], rel=1e-5)
    distinct = [len(set(ids.tolist())) for ids in batch.queries]
    assert 0 < found["query_terms"] <= np.mean(distinct)
    assert 0 < found["filtered"] < 1


def test_factors_of_the_hybrid_loss() -> None:
    config = replace(
        HYBRID,
        sparse_weight=0.3,
        dims=(8, 32),
        dim_weights=(2.0, 0.5),
        distillation=Distillation(weight=0.7),
        sparse_distillation_weight=0.2,
    )
    batch = contrastive_batch(3, 5)
    terms = build_objective(config).accumulate(made_model("embedding"), batch, context_of())
    total = {name: float(term.total) for name, term in terms.items()}
    wanted = total["loss_dense"] + 0.3 * total["loss_sparse"] + 0.7 * total["loss_distillation"]
    wanted += 0.2 * total["loss_sparse_distillation"]
    assert total["loss"] == pytest.approx(wanted, rel=1e-5)
    narrow, wide = (
        means(replace(HYBRID, dims=(dim,), sparse_weight=0.0), "dense", batch)["loss"]
        for dim in (8, 32)
    )
    assert total["loss_dense"] == pytest.approx(5 * (2 * narrow + 0.5 * wide), rel=1e-5)


def test_a_lower_temperature_of_dense_vectors_is_the_contrastive_objective() -> None:
    batch = contrastive_batch(3, 5)
    contrastive = means(ContrastiveConfig(temperature=0.02, form="joint"), "dense", batch)
    same = EmbeddingConfig(temperature=0.02, form="joint", dims=(WIDTH,), sparse_weight=0)
    assert contrastive["loss"] == means(same, "dense", batch)["loss"]
    assert set(contrastive) == {"loss", "accuracy", "filtered"}


def test_filters_take_part() -> None:
    batch = contrastive_batch(3, 8)
    shares = [
        means(ContrastiveConfig(filter=chosen), "dense", batch)["filtered"]
        for chosen in (
            NegativeFilter(duplicates=False),
            NegativeFilter(),
            NegativeFilter(margin=0.0),
        )
    ]
    assert shares[0] == 0 < shares[1] < shares[2]


def test_reranking_counts_queries() -> None:
    batch = rerank_batch(0, 6)
    for loss in ("listwise", "bce", "mse"):
        config = RerankingConfig(loss=loss)
        terms = build_objective(config).accumulate(made_model("reranking"), batch, context_of())
        assert {name: term.count for name, term in terms.items()} == {
            "loss": 6,
            "loss_labels": 6,
            "accuracy": 6,
        }


def test_reranking_can_learn_from_the_teacher_alone() -> None:
    batch = rerank_batch(0, 6)
    config = RerankingConfig(label_weight=0.0, distillation=Distillation(weight=2.0, kind="mse"))
    found = build_objective(config).accumulate(made_model("reranking"), batch, context_of())
    assert float(found["loss"].total) == pytest.approx(2 * float(found["loss_distillation"].total))


def test_a_teacher_of_another_width_needs_a_projection() -> None:
    batch = vector_batch(0, 5)
    with pytest.raises(ConfigError, match="width 24, expected the student's 32"):
        means(EmbeddingDistillationConfig(), "dense", batch)
    projection = principal_projection(torch.tensor(batch.vectors), WIDTH)
    found = means(EmbeddingDistillationConfig(), "dense", batch, projection=projection)
    assert found["loss"] == pytest.approx(found["loss_cosine"] + found["loss_similarity"])
    facts = build_objective(EmbeddingDistillationConfig(), projection=projection).describe()
    assert facts["projection"] == [TEACHER_WIDTH, WIDTH]


@pytest.mark.parametrize("kind", CASES)
def test_an_empty_share_reports_the_same_terms_and_no_gradient(kind) -> None:
    config, head = CASES[kind]
    whole = MAKERS[kind](1, 2, WIDTH) if kind == "embedding_distillation" else MAKERS[kind](1, 2)
    objective = build_objective(config)
    model = made_model(head)
    wanted = objective.accumulate(model, whole, context_of())
    model.zero_grad()
    found = objective.accumulate(model, share_of(whole, 2, 3), context_of())
    assert found.keys() == wanted.keys()
    assert all(float(term.total) == 0 and term.count == 0 for term in found.values())
    assert not any(value.any() for value in gradients_of(model).values())


@pytest.mark.parametrize("kind", CASES)
def test_gradients_are_added_to_those_that_are_there(kind) -> None:
    config, head = CASES[kind]
    batch = MAKERS[kind](1, 3, WIDTH) if kind == "embedding_distillation" else MAKERS[kind](1, 3)
    objective, model = build_objective(config), made_model(head)
    buffers = {name: torch.ones_like(p) for name, p in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.grad = buffers[name]
    objective.accumulate(model, batch, context_of())
    assert all(p.grad is buffers[name] for name, p in model.named_parameters())
    added = gradients_of(model)
    objective.accumulate(model, batch, context_of())
    alone = gradients_of(model)
    for name, value in added.items():
        torch.testing.assert_close(value - 1, alone[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", CASES)
def test_half_precision_leaves_losses_close(kind) -> None:
    config, head = CASES[kind]
    if kind == "contrastive":
        config = replace(config, temperature=0.5)
    batch = MAKERS[kind](1, 4, WIDTH) if kind == "embedding_distillation" else MAKERS[kind](1, 4)
    objective = build_objective(config)
    losses = [
        float(objective.accumulate(made_model(head), batch, context)["loss"].total)
        for context in (context_of(30), context_of(30, autocast=torch.bfloat16))
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize("kind", CASES)
def test_the_wrong_kind_of_model_is_refused(kind) -> None:
    config, head = CASES[kind]
    check_model(config, made_model(head))
    wrong = "reranking" if head != "reranking" else "dense"
    with pytest.raises(ConfigError, match=f"objective {kind}: got a .*, expected"):
        check_model(config, made_model(wrong))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="objective embedding: got a model without a sparse head"):
        check_model(HYBRID, made_model("dense"))
    check_model(replace(HYBRID, sparse_weight=0.0), made_model("dense"))
    with pytest.raises(ConfigError, match=r"objective\.dims: got 64, expected 1 to .* width 32"):
        check_model(replace(HYBRID, dims=(8, 64)), made_model("embedding"))
    with pytest.raises(ConfigError, match=r"objective\.dim_weights: got 1 weights for 2 dims"):
        build_objective(replace(HYBRID, dims=(8, 32), dim_weights=(1.0,)))
    with pytest.raises(ConfigError, match=r"objective\.distillation\.kind: got 'mse'"):
        build_objective(replace(HYBRID, distillation=Distillation(weight=1, kind="mse")))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ContrastiveConfig(temperature=0.0), r"temperature: got 0, expected above 0"),
        (replace(HYBRID, temperature=float("nan")), r"temperature: got nan, expected above 0"),
        (replace(HYBRID, sparse_temperature=-0.1), r"sparse_temperature: got -0\.1"),
        (replace(HYBRID, sparse_weight=-1.0), r"sparse_weight: got -1, expected at least 0"),
        (
            replace(HYBRID, dims=(8, 32), dim_weights=(1.0, -1.0)),
            r"dim_weights\.1: got -1, expected at least 0",
        ),
        (
            replace(HYBRID, dims=(8,), dim_weights=(0.0,), sparse_weight=0.0),
            "nothing would be learned",
        ),
        (
            replace(HYBRID, distillation=Distillation(teacher_temperature=0.0)),
            r"distillation\.teacher_temperature: got 0",
        ),
        (RerankingConfig(label_weight=0.0), "nothing would be learned"),
        (RerankingConfig(random_negatives=-1), "random_negatives: got -1, expected at least 0"),
        (EmbeddingDistillationConfig(temperature=-1.0), "temperature: got -1, expected above 0"),
        (EmbeddingDistillationConfig(cosine_weight=-0.5), r"cosine_weight: got -0\.5"),
        (MaskedLMConfig(vocabulary_chunk=-1), "vocabulary_chunk: got -1, expected at least 0"),
    ],
)
def test_numbers_without_sense_are_refused(config, message) -> None:
    with pytest.raises(ConfigError, match=r"^objective.*" + message):
        build_objective(config)


def test_a_last_batch_without_a_masked_token_still_ends_in_a_backward_pass() -> None:
    """Sharded gradients of the batches before it travel there."""

    class Watched(Alone):
        def __init__(self) -> None:
            self.scopes: list[bool] = []

        def backward_scope(self, *, is_last: bool):
            self.scopes.append(is_last)
            return super().backward_scope(is_last=is_last)

    batch = masked_batch(0, 2)
    nothing = tuple(places[:0] for places in batch.positions)
    batch = replace(batch, positions=nothing, labels=nothing)
    for is_last, wanted in ((True, [True]), (False, [])):
        parallel, model = Watched(), made_model("masked_lm")
        context = context_of(parallel=parallel, is_last=is_last)
        terms = build_objective(MaskedLMConfig()).accumulate(model, batch, context)
        assert parallel.scopes == wanted
        assert (float(terms["loss"].total), terms["loss"].count) == (0.0, 0)
        assert not any(value.any() for value in gradients_of(model).values())


def test_half_precision_gives_outputs_in_float32() -> None:
    packed = pack([[1, 2, 3], [4, 5]])
    context = context_of(autocast=torch.bfloat16)
    output = encode_chunk(made_model("embedding"), packed, context, dense=True, sparse=True)
    assert output.dense.dtype == output.sparse.weights.dtype == torch.float32


def test_many_scores_are_computed_again_with_the_same_gradient(monkeypatch) -> None:
    batch = contrastive_batch(3, 6)
    found = []
    for entries in (1 << 26, 1):
        monkeypatch.setattr(pair_terms, "SCORE_ENTRIES", entries)
        model = made_model("embedding")
        config = replace(HYBRID, form="joint", filter=NegativeFilter(margin=0.1))
        terms = build_objective(config).accumulate(model, batch, context_of(30))
        found.append(gradients_of(model) | {name: term.total for name, term in terms.items()})
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.mark.parametrize("kind", CASES)
def test_descriptions_name_the_kind(kind) -> None:
    facts = build_objective(CASES[kind][0]).describe()
    assert facts["kind"] == kind


def test_a_vocabulary_in_chunks_changes_nothing() -> None:
    batch = masked_batch(2, 6)
    found = [
        means(MaskedLMConfig(vocabulary_chunk=chunk), "masked_lm", batch)
        for chunk in (0, 7, VOCABULARY)
    ]
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == found[0]
