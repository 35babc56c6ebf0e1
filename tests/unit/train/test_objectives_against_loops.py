"""Every term that an objective reports, once more as loops over the model's outputs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.laws import loss_loops
from tests.unit.train.made_batches import (
    TEACHER_WIDTH,
    WIDTH,
    context_of,
    contrastive_batch,
    made_model,
    rerank_batch,
    vector_batch,
)

from mgte.data import ContrastiveBatch
from mgte.losses import principal_projection
from mgte.packing import pack
from mgte.train.objectives import (
    ContrastiveConfig,
    Distillation,
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    NegativeFilter,
    RerankingConfig,
    build_objective,
)

# Outputs are float32.
TOLERANCE = 2e-4
SMALL_PASSES = 20
HYBRID = EmbeddingConfig(
    temperature=0.3,
    sparse_temperature=0.6,
    sparse_weight=0.7,
    dim_step=8,
    distillation=Distillation(weight=0.4, teacher_temperature=0.8, student_temperature=0.2),
    sparse_distillation_weight=0.9,
)
FILTERS = [
    NegativeFilter(duplicates=False),
    NegativeFilter(),
    NegativeFilter(margin=0.02),
    NegativeFilter(duplicates=False, margin=-0.05),
]


def terms_of(config, model, batch, **options) -> dict[str, float]:
    objective = build_objective(config, **options)
    found = objective.accumulate(model, batch, context_of(SMALL_PASSES))
    return {name: float(term.total) for name, term in found.items()}


def outputs_of(model, sequences) -> tuple[np.ndarray, list[dict[int, float]]]:
    """Dense vectors, and token weights, of texts one by one."""
    dense, sparse = [], []
    with torch.no_grad():
        for ids in sequences:
            output = model(pack([ids]), dense=True, sparse=model.has_sparse_head)
            dense.append(output.dense[0].double().numpy())
            if output.sparse is not None:
                weights = zip(output.sparse.token_ids, output.sparse.weights, strict=True)
                sparse.append({int(term): float(weight) for term, weight in weights})
    return np.stack(dense), sparse


def cosines(queries: np.ndarray, documents: np.ndarray, width: int) -> np.ndarray:
    sides = [[loss_loops.unit(v[:width]) for v in side] for side in (queries, documents)]
    return np.array([[float(q @ d) for d in sides[1]] for q in sides[0]])


class PairLoops:
    """A contrastive batch; negatives are left out by texts and by cosines at the full width."""

    def __init__(self, batch: ContrastiveBatch, chosen: NegativeFilter, full: np.ndarray) -> None:
        self.offsets = batch.cu_documents
        hashes = (batch.query_hashes, batch.document_hashes)
        pairs = loss_loops.Pairs(
            self.offsets, *hashes, duplicates=chosen.duplicates, margin=chosen.margin
        )
        self.positives = [pairs.positive(i) for i in range(pairs.count)]
        self.kept = [
            [
                j
                for j in range(full.shape[1])
                if not pairs.is_document_out(i, j, full[i, j], full[i, self.positives[i]])
            ]
            for i in range(pairs.count)
        ]

    def info_nce(self, scores: np.ndarray, temperature: float) -> float:
        total = 0.0
        for row, positive, kept in zip(scores, self.positives, self.kept, strict=True):
            total += loss_loops.log_sum([row[j] / temperature for j in kept])
            total -= row[positive] / temperature
        return total

    def num_first(self, scores: np.ndarray) -> int:
        rows = zip(scores, self.positives, self.kept, strict=True)
        return sum(all(row[p] > row[j] for j in kept if j != p) for row, p, kept in rows)

    def own(self, scores: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                row[start:stop]
                for row, start, stop in zip(
                    scores, self.offsets[:-1], self.offsets[1:], strict=True
                )
            ]
        )


@pytest.mark.parametrize("chosen", FILTERS, ids=["all", "texts", "both", "margin"])
@pytest.mark.parametrize("dims", [(), (8, 32)], ids=["steps", "dims"])
def test_hybrid_terms(chosen, dims) -> None:
    batch, model = contrastive_batch(3, 6), made_model("embedding")
    weights = (2.0, 0.5) if dims else (0.25,) * 4
    widths = dims or (8, 16, 24, 32)
    config = replace(HYBRID, filter=chosen, dims=dims, dim_weights=weights if dims else ())
    found = terms_of(config, model, batch)

    dense, sparse = outputs_of(model, [*batch.queries, *batch.documents])
    count = len(batch.queries)
    full = cosines(dense[:count], dense[count:], WIDTH)
    lexical = loss_loops.sparse_scores(sparse[:count], sparse[count:])
    loops = PairLoops(batch, chosen, full)
    offsets, teacher = batch.cu_documents, batch.teacher_scores
    wanted = {
        "loss_dense": sum(
            weight * loops.info_nce(cosines(dense[:count], dense[count:], width), 0.3)
            for width, weight in zip(widths, weights, strict=True)
        ),
        "loss_sparse": loops.info_nce(lexical, 0.6),
        "loss_distillation": loss_loops.ranking(loops.own(full), teacher, offsets, 0.2, 0.8)[0],
        "loss_sparse_distillation": loss_loops.ranking(
            loops.own(lexical), teacher, offsets, 0.6, 0.8
        )[0],
        "accuracy": loops.num_first(full),
        "accuracy_sparse": loops.num_first(lexical),
        "filtered": count * len(batch.documents) - sum(map(len, loops.kept)),
        "query_terms": sum(map(len, sparse[:count])),
        "document_terms": sum(map(len, sparse[count:])),
    }
    wanted["loss"] = (
        wanted["loss_dense"]
        + 0.7 * wanted["loss_sparse"]
        + 0.4 * wanted["loss_distillation"]
        + 0.9 * wanted["loss_sparse_distillation"]
    )
    assert found == pytest.approx(wanted, rel=TOLERANCE)


@pytest.mark.parametrize("form", ["query_to_document", "two_directions", "joint"])
def test_contrastive_terms(form) -> None:
    batch, model = contrastive_batch(4, 6), made_model("dense")
    chosen = NegativeFilter(margin=0.02)
    config = ContrastiveConfig(temperature=0.2, form=form, filter=chosen)
    dense, _ = outputs_of(model, [*batch.queries, *batch.documents])
    vectors = np.stack([loss_loops.unit(vector) for vector in dense])
    pairs = loss_loops.Pairs(
        batch.cu_documents,
        batch.query_hashes,
        batch.document_hashes,
        duplicates=True,
        margin=0.02,
    )
    wanted = loss_loops.info_nce(vectors[:6], vectors[6:], pairs, form, 0.2)
    assert terms_of(config, model, batch)["loss"] == pytest.approx(wanted, rel=TOLERANCE)


@pytest.mark.parametrize("dims", [(), (8, 16, 32)])
def test_terms_of_vectors(dims) -> None:
    batch, model = vector_batch(5, 7), made_model("dense")
    projection = principal_projection(torch.tensor(batch.vectors), WIDTH)
    config = EmbeddingDistillationConfig(
        cosine_weight=0.6, similarity_weight=1.7, temperature=0.2, dims=dims
    )
    students, _ = outputs_of(model, batch.sequences)
    projected = batch.vectors.astype(float) @ projection.double().numpy()
    assert batch.vectors.shape[1] == TEACHER_WIDTH
    widths = dims or (WIDTH,)
    cosine = sum(
        1.0 - float(loss_loops.unit(one[:width]) @ loss_loops.unit(other[:width]))
        for width in widths
        for one, other in zip(students, projected, strict=True)
    )
    # Similarities of the teacher are those of its whole vectors, whatever the student's width.
    similar = sum(
        loss_loops.similarity(students[:, :width], batch.vectors, range(7), 0.2) for width in widths
    )
    wanted = {"loss_cosine": cosine / len(widths), "loss_similarity": similar / len(widths)}
    wanted["loss"] = 0.6 * wanted["loss_cosine"] + 1.7 * wanted["loss_similarity"]
    found = terms_of(config, model, batch, projection=projection)
    assert found == pytest.approx(wanted, rel=TOLERANCE)


@pytest.mark.parametrize("tokens_per_chunk", [12, 10_000])
@pytest.mark.parametrize("loss", ["listwise", "bce", "mse"])
@pytest.mark.parametrize(
    "distillation",
    [
        Distillation(weight=1.5, teacher_temperature=0.7, student_temperature=2.0),
        Distillation(weight=1.5, teacher_temperature=0.7),
        Distillation(
            weight=1.5, kind="margin_mse", teacher_temperature=0.7, student_temperature=2.0
        ),
        Distillation(weight=1.5, kind="margin_mse"),
        Distillation(weight=1.5, kind="mse"),
    ],
)
def test_reranking_terms(distillation, loss, tokens_per_chunk) -> None:
    batch, model = rerank_batch(6, 6), made_model("reranking")
    config = RerankingConfig(
        loss=loss,
        temperature=0.5,
        label_weight=0.3,
        distillation=distillation,
    )
    with torch.no_grad():
        scores = [
            float(model(pack([pair], token_type_ids=[types])))
            for pair, types in zip(batch.pairs, batch.token_types, strict=True)
        ]
    offsets = batch.cu_candidates
    on_labels = {
        "listwise": lambda: loss_loops.listwise(scores, batch.labels, offsets, 0.5),
        "bce": lambda: loss_loops.binary(scores, batch.labels, offsets),
        "mse": lambda: loss_loops.squared(scores, batch.labels, offsets),
    }[loss]()[0]
    teacher = batch.teacher_scores
    # Without a temperature of its own, that of the loss on labels.
    student_scale = distillation.student_temperature or 0.5
    teacher_scale = distillation.teacher_temperature
    target = {
        "kl": lambda: loss_loops.ranking(scores, teacher, offsets, student_scale, teacher_scale),
        "margin_mse": lambda: loss_loops.margins(
            np.array(scores) / student_scale, teacher / teacher_scale, offsets
        ),
        "mse": lambda: loss_loops.squared(scores, teacher, offsets),
    }[distillation.kind]()[0]
    wanted = {
        "loss_labels": on_labels,
        "loss_distillation": target,
        "loss": 0.3 * on_labels + 1.5 * target,
    }
    terms = build_objective(config).accumulate(model, batch, context_of(tokens_per_chunk))
    found = {name: float(terms[name].total) for name in wanted}
    assert found == pytest.approx(wanted, rel=TOLERANCE)
