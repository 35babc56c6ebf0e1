"""EmbedderSubject and RerankerSubject: our own models as subjects."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte._version import __version__
from mgte.errors import ConfigError
from mgte.evaluate.subjects.subject import Role, check_finite, check_scores
from mgte.inference import Embedder, Reranker
from mgte.store import ModelDir
from mgte.vectors import Embeddings

_SMALLEST_WIDTH = 32
_HASH_DIGITS = 12


class EmbedderSubject:
    """An `Embedder` as a subject.

    Args:
        embedder: The model.
        prompts: Prompt by role, by its name or as text; roles that are left out take what
            `encode_query`, `encode_document` and `encode` take by themselves.
        instruction: What a search is about, for instruction models; goes with queries only.
        width: Leading dimensions of the vectors; None means all.
        max_tokens_per_batch: Token budget of one batch; None means what suits the device.
        show_progress: Progress bars; None means on a terminal, for long work.

    Attributes:
        embedder: The model.
    """

    has_dense = True

    def __init__(
        self,
        embedder: Embedder,
        *,
        prompts: Mapping[Role, str] | None = None,
        instruction: str | None = None,
        width: int | None = None,
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> None:
        if instruction is not None and "query" in (prompts or {}):
            raise ConfigError("subject: got an instruction and a query prompt, expected one")
        if width is not None and not 1 <= width <= embedder.dim:
            raise ConfigError(f"dim: got {width}, expected 1 to {embedder.dim}, the model's width")
        self.embedder = embedder
        self._prompts = dict(prompts or {})
        self._instruction = instruction
        self._width = width
        self._max_tokens_per_batch = max_tokens_per_batch
        self._show_progress = show_progress

    @property
    def name(self) -> str:
        """What the model was loaded by."""
        return self.embedder.prepared.model_dir.name

    @cached_property
    def revision(self) -> str:
        """Hash of the weights."""
        return weights_revision(self.embedder.prepared.model_dir)

    @property
    def max_length(self) -> int | None:
        """Longest text in tokens."""
        return self.embedder.max_length

    @property
    def has_sparse(self) -> bool:
        """Whether the model has a sparse head."""
        return self.embedder.has_sparse

    @property
    def is_cosine(self) -> bool:
        """Whether vectors have unit length: all but those of models made for the dot product."""
        return self.embedder.prepared.settings.similarity != "dot"

    @property
    def widths(self) -> tuple[int, ...]:
        """Powers of two from 32, and the full width."""
        full = self._width or self.embedder.dim
        powers = (1 << exponent for exponent in range(_SMALLEST_WIDTH.bit_length() - 1, 31))
        cut = []
        for width in powers:
            if width >= full:
                break
            cut.append(width)
        return (*cut, full)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights, tokenizer, settings, prompts, and of what computes."""
        return fingerprint_of(self.embedder, self._prompts, self._instruction, self._width)

    @property
    def device(self) -> str:
        """The GPU that the model runs on (CUDA), else the CPU."""
        device = self.embedder.prepared.placement.device
        return str(device) if device.type == "cuda" else "cpu"

    @property
    def folder(self) -> Path:
        """Folder of the checkpoint."""
        return self.embedder.prepared.model_dir.path

    def encode(self, texts: Sequence[str], *, role: Role, sparse: bool = False) -> Embeddings:
        """Embed texts; see `TextEncoder.encode`.

        Args:
            texts: Texts.
            role: What they are.
            sparse: Whether sparse token weights are wanted too.

        Returns:
            Vectors in the order of the texts.

        Raises:
            DataError: The model gives NaN or infinity.
            ConfigError: Sparse weights are asked of a dense model.
        """
        prompt = self._prompts.get(role)
        # Models made for the plain dot product keep the lengths that their files ask for.
        normalize = True if self.is_cosine else None
        found = self._by_role(texts, role, prompt, sparse=sparse, normalize=normalize)
        return check_finite(found, texts, f"dense vectors of {self.name}")

    def _by_role(
        self,
        texts: Sequence[str],
        role: Role,
        prompt: str | None,
        *,
        sparse: bool,
        normalize: bool | None,
    ) -> Embeddings:
        options: dict[str, Any] = {
            "sparse": sparse,
            "dim": self._width,
            "normalize": normalize,
            "max_tokens_per_batch": self._max_tokens_per_batch,
            "show_progress": self._show_progress,
        }
        if role == "query":
            return self.embedder.encode_query(
                texts, prompt=prompt, instruction=self._instruction, **options
            )
        if role == "document":
            return self.embedder.encode_document(texts, prompt=prompt, **options)
        return self.embedder.encode(texts, prompt=prompt, **options)


class RerankerSubject:
    """A `Reranker` as a subject.

    Args:
        reranker: The model; it gives one label per pair.
        max_tokens_per_batch: Token budget of one batch; None means what suits the device.
        show_progress: Progress bars; None means on a terminal, for long work.

    Raises:
        ConfigError: The model gives several labels per pair.

    Attributes:
        reranker: The model.
    """

    def __init__(
        self,
        reranker: Reranker,
        *,
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> None:
        num_labels = reranker.model.head_config.num_labels
        if num_labels != 1:
            raise ConfigError(f"reranker: gives {num_labels} labels per pair, expected 1")
        self.reranker = reranker
        self._max_tokens_per_batch = max_tokens_per_batch
        self._show_progress = show_progress

    @property
    def name(self) -> str:
        """What the model was loaded by."""
        return self.reranker.prepared.model_dir.name

    @property
    def max_length(self) -> int | None:
        """Longest pair in tokens."""
        return self.reranker.max_length

    @cached_property
    def revision(self) -> str:
        """Hash of the weights."""
        return weights_revision(self.reranker.prepared.model_dir)

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Score pairs; see `PairScorer.score`.

        Args:
            pairs: (query, document) texts.

        Returns:
            Raw scores, float32 `[num_pairs]`.

        Raises:
            DataError: The model gives NaN or infinity.
        """
        if not pairs:
            return np.zeros(0, dtype=np.float32)
        logits = self.reranker.score_pairs(
            pairs,
            max_tokens_per_batch=self._max_tokens_per_batch,
            show_progress=self._show_progress,
        ).logits[:, 0]
        return check_scores(logits, pairs, f"scores of {self.name}")


def weights_revision(model_dir: ModelDir) -> str:
    """What names the weights of a folder: the start of a hash of them.

    Args:
        model_dir: The folder.

    Returns:
        "sha256-" and twelve digits.
    """
    digest = hashlib.sha256()
    _add_files(digest, model_dir.path, ("*.safetensors", "*.bin", "config.json"))
    return f"sha256-{digest.hexdigest()[:_HASH_DIGITS]}"


def fingerprint_of(
    embedder: Embedder,
    prompts: Mapping[Role, str],
    instruction: str | None,
    width: int | None,
) -> str:
    """Hash of all that vectors of a model depend on.

    Args:
        embedder: The model.
        prompts: Prompt by role.
        instruction: Instruction of queries.
        width: Leading dimensions.

    Returns:
        Hexadecimal digits.
    """
    opened, placement = embedder.prepared.model_dir, embedder.prepared.placement
    digest = hashlib.sha256()
    _add_files(digest, opened.path, ("*.safetensors", "*.bin", "*.model", "*.txt"))
    _add_files(digest, opened.path, ("config.json", "tokenizer*.json", "special*.json"))
    parts = [opened.family, repr(opened.config), repr(opened.head), repr(opened.settings)]
    # Runtimes and versions differ in the last digits.
    parts += [__version__, placement.device.type, placement.dtype, placement.backend]
    parts += [str(embedder.max_length), json.dumps(dict(prompts), sort_keys=True)]
    parts += [str(instruction), str(width)]
    digest.update("\0".join(parts).encode())
    return digest.hexdigest()


def _add_files(digest: "hashlib._Hash", folder: Path, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        for file in sorted(folder.glob(pattern)):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
