"""WrappedEncoder: a text encoder around another one, like it in all that it does not say."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mgte.evaluate.subjects.subject import Role, TextEncoder
from mgte.vectors import Embeddings


class WrappedEncoder(ABC):
    """Base of encoders that change what another encoder is asked, or what it gives.

    Args:
        encoder: The other encoder.

    Attributes:
        encoder: The same.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.encoder.name

    @property
    def revision(self) -> str:
        """Commit or hash of the weights."""
        return self.encoder.revision

    @property
    def max_length(self) -> int | None:
        """Longest text in tokens."""
        return self.encoder.max_length

    @property
    def has_dense(self) -> bool:
        """Whether there are dense vectors."""
        return self.encoder.has_dense

    @property
    def has_sparse(self) -> bool:
        """Whether sparse token weights can be asked for."""
        return self.encoder.has_sparse

    @property
    def is_cosine(self) -> bool:
        """Whether vectors have unit length."""
        return self.encoder.is_cosine

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths at which vectors may be cut."""
        return self.encoder.widths

    @property
    def fingerprint(self) -> str:
        """Changes whenever vectors might."""
        return self.encoder.fingerprint

    @property
    def device(self) -> str:
        """Where vectors are best compared."""
        return self.encoder.device

    @abstractmethod
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
