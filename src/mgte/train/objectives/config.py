"""What a stage may optimise: one record per kind of objective, chosen by `kind` in the recipe."""

from dataclasses import dataclass, field
from typing import Literal

from mgte.data import Scheduled

# Which scores stand in the denominator of InfoNCE.
InfoNCEForm = Literal["query_to_document", "two_directions", "joint"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NegativeFilter:
    """Which negatives are left out because they may be positives.

    Attributes:
        duplicates: Leave out documents whose text equals the positive's, and documents of queries
            whose text equals this query's.
        margin: Leave out negatives that score above the positive's score plus this; None: keep all.
    """

    duplicates: bool = True
    margin: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Distillation:
    """Teacher's scores of each query's own candidates, as a second target.

    Attributes:
        weight: Factor of the distillation term; 0 turns it off.
        kind: "kl": KL divergence between softmax distributions over a query's candidates;
            "margin_mse": squared error of (positive - negative) margins; "mse": squared error of
            raw scores (rerankers only).
        teacher_temperature: Divides the teacher's scores, before softmax and margins.
        student_temperature: Divides the student's; None: as the objective's own `temperature` does.
    """

    weight: float = 0.0
    kind: Literal["kl", "margin_mse", "mse"] = "kl"
    teacher_temperature: float = 1.0
    student_temperature: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskedLMConfig:
    """Masked language modelling. Source: mGTE, arXiv 2407.19669, section 2.1.

    Attributes:
        mask_probability: Share of tokens that are predicted; may fall over time (mmBERT: 30 % to
            15 % to 5 %).
        replace_mask: Share of predicted tokens that become the mask token.
        replace_random: Share of them that become a random token; the rest stay.
        vocabulary_chunk: Vocabulary entries whose scores exist at once; 0 means all.
    """

    kind: Literal["masked_lm"] = "masked_lm"
    mask_probability: Scheduled = 0.3
    replace_mask: float = 0.8
    replace_random: float = 0.1
    vocabulary_chunk: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastiveConfig:
    """Contrastive pre-training of dense vectors. Source: arXiv 2407.19669, equation 2.

    Attributes:
        temperature: Divides cosines before the softmax.
        form: Which scores compete: "query_to_document" (as printed in mGTE), "two_directions"
            (mean of both), "joint" (four terms in one partition: GTE, arXiv 2308.03281).
        filter: Which negatives are left out.
        gather: Whether documents of other processes are negatives too.
    """

    kind: Literal["contrastive"] = "contrastive"
    temperature: float = 0.01
    form: InfoNCEForm = "query_to_document"
    filter: NegativeFilter = field(default_factory=NegativeFilter)
    gather: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingConfig:
    """Fine-tuning of elastic dense vectors and sparse weights. Source: 2407.19669, equation 3.

    L = sparse_weight * L_sparse + sum over dims d of w_d * L_dense[:d].

    Attributes:
        temperature: Temperature of every dense term.
        sparse_temperature: Temperature of the sparse term.
        sparse_weight: Factor of the sparse term (lambda); 0 trains no sparse head.
        dims: Widths of the elastic vector; empty means all multiples of `dim_step` up to the full
            width.
        dim_step: See `dims`.
        dim_weights: Factor per width (w_d); empty means 1 each, divided by their number.
        form: As in contrastive pre-training, for the dense terms.
        filter: Which negatives are left out, in every term.
        gather: Whether documents of other processes are negatives too, in every term.
        distillation: Teacher's scores as a second target of the full-width dense vector.
        sparse_distillation_weight: Factor of the same target for the sparse score, which
            `sparse_temperature` divides; 0 turns it off.
    """

    kind: Literal["embedding"] = "embedding"
    temperature: float = 0.05
    sparse_temperature: float = 0.01
    sparse_weight: float = 1.0
    dims: tuple[int, ...] = ()
    dim_step: int = 32
    dim_weights: tuple[float, ...] = ()
    form: InfoNCEForm = "query_to_document"
    filter: NegativeFilter = field(default_factory=NegativeFilter)
    gather: bool = True
    distillation: Distillation = field(default_factory=Distillation)
    sparse_distillation_weight: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RerankingConfig:
    """Fine-tuning of a cross-encoder. Source: 2407.19669, section 2.4 and appendix B.

    Attributes:
        loss: "listwise" InfoNCE over a query's candidates; "bce" or "mse" against the labels 1 and
            0, averaged over a query's pairs, so that every query counts the same.
        temperature: Divides scores of the listwise loss.
        label_weight: Factor of that loss; 0 learns from the teacher alone.
        random_negatives: Candidates that are added from other queries' documents of the source.
        distillation: Teacher's scores as a second target.
    """

    kind: Literal["reranking"] = "reranking"
    loss: Literal["listwise", "bce", "mse"] = "listwise"
    temperature: float = 1.0
    label_weight: float = 1.0
    random_negatives: int = 4
    distillation: Distillation = field(default_factory=Distillation)


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingDistillationConfig:
    """Learning the geometry of a teacher's vectors, also across languages.

    The teacher's vectors are brought to the student's width by a fixed projection that keeps their
    inner products as well as possible (principal components of the dataset's vectors).

    Attributes:
        cosine_weight: Factor of 1 - cosine between student and projected teacher.
        similarity_weight: Factor of the KL divergence between rows of in-batch similarities.
        temperature: Temperature of both similarity distributions.
        dims: Widths at which both terms are taken; empty means the full width only.
    """

    kind: Literal["embedding_distillation"] = "embedding_distillation"
    cosine_weight: float = 1.0
    similarity_weight: float = 1.0
    temperature: float = 0.05
    dims: tuple[int, ...] = ()


ObjectiveConfig = (
    MaskedLMConfig
    | ContrastiveConfig
    | EmbeddingConfig
    | RerankingConfig
    | EmbeddingDistillationConfig
)
