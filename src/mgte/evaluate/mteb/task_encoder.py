"""TaskEncoder: a TextEncoder with the prompts that one task of mteb asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mgte.evaluate.mteb.mteb_calls import find_prompt
from mgte.evaluate.searches import narrowed
from mgte.evaluate.subjects import Role, TextEncoder
from mgte.evaluate.subjects.wrapped import WrappedEncoder
from mgte.vectors import Embeddings


class TaskEncoder(WrappedEncoder):
    """A `TextEncoder` around a `TextEncoder`: prompts of one task, and perhaps a smaller width.

    Args:
        encoder: The model.
        prompts: Prompts by mteb's keys; see `find_prompt`. Where one is found, it stands before
            the text in the place of the prompt that the model has for the role.
        task_name: mteb's name of the task.
        task_type: mteb's type of the task.
        width: Leading dimensions of the vectors; None means all.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        prompts: Mapping[str, str],
        *,
        task_name: str,
        task_type: str,
        width: int | None = None,
    ) -> None:
        super().__init__(encoder)
        full = encoder.widths[-1] if encoder.has_dense else None
        self._width = width or full
        sides: Mapping[Role, str | None] = {"query": "query", "document": "document", "text": None}
        self._prompts = {
            role: find_prompt(prompts, task_name, task_type, side) for role, side in sides.items()
        }

    @property
    def widths(self) -> tuple[int, ...]:
        """The model's widths, up to the one that was asked for."""
        if self._width is None:
            return ()
        smaller = tuple(width for width in self.encoder.widths if width < self._width)
        return (*smaller, self._width)

    @property
    def fingerprint(self) -> str:
        """The model's, with prompts and width."""
        return f"{self.encoder.fingerprint}/{self._prompts}/{self._width}"

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
        prompt = self._prompts[role]
        if prompt is not None:
            texts, role = [prompt + text for text in texts], "text"
        found = self.encoder.encode(texts, role=role, sparse=sparse)
        width = self._width
        if found.dense is None or width is None or found.dense.shape[1] == width:
            return found
        dense = narrowed(found.dense, width, is_cosine=self.is_cosine)
        return replace(found, dense=dense)
