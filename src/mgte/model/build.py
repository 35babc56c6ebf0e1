"""build_model: from the two configs to the model class that the head kind asks for."""

from mgte.model.config import EncoderConfig, HeadConfig
from mgte.model.embedding import EmbeddingModel
from mgte.model.masked_lm import MaskedLM
from mgte.model.reranker import RerankerModel
from mgte.packing import Pooling

Model = EmbeddingModel | MaskedLM | RerankerModel


def build_model(
    config: EncoderConfig, head: HeadConfig, *, pooling: Pooling = "cls", family: str
) -> Model:
    """A model with PyTorch's own initial weights (or none, under the meta device).

    Args:
        config: The encoder's settings.
        head: What stands on the encoder.
        pooling: How an embedding model makes one vector of token states.
        family: Name of the checkpoint family, used when the model is saved.

    Returns:
        `MaskedLM`, `RerankerModel`, or `EmbeddingModel` for everything else.
    """
    if head.kind == "masked_lm":
        return MaskedLM(config, head, family=family)
    if head.kind == "sequence_classification":
        return RerankerModel(config, head, family=family)
    return EmbeddingModel(config, head, pooling=pooling, family=family)
