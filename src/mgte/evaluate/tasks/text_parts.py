"""What tasks on texts share: the parts of their data, vectors of texts, the time that it took."""

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.config import to_dict
from mgte.errors import BackendUnavailableError, DataError
from mgte.evaluate.records import WorstItem
from mgte.evaluate.subjects.subject import Role, TextEncoder
from mgte.evaluate.tasks.task import TaskContext
from mgte.evaluate.text_data import TextDataConfig, TextRow, filled, read_text_rows

FloatArray = NDArray[np.floating[Any]]
NUM_WORST = 20
_SHOWN_CHARACTERS = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPart:
    """A part of a task's data that is measured by itself.

    Attributes:
        data: Where the data lie.
        root: Folder that paths stand below.
        subset: Name of the part; "" where there is one.
        language: Language of its texts.
    """

    data: TextDataConfig
    root: Path
    subset: str
    language: str

    def rows(self, split: str = "") -> list[TextRow]:
        """Rows of a split; "" takes the one that is measured.

        Args:
            split: Part of the data.

        Returns:
            The rows.

        Raises:
            DataError: As `read_text_rows`.
        """
        return read_text_rows(
            self.data,
            self.root,
            split=split or self.data.split,
            subset=self.subset,
            language=self.language,
        )

    def field(self, name: str) -> str:
        """Name of a field, its placeholders replaced."""
        return filled(name, split=self.data.split, subset=self.subset, language=self.language)


def text_parts(data: TextDataConfig, root: Path) -> list[TextPart]:
    """The parts that are measured one by one.

    Args:
        data: Where the data lie.
        root: Folder that paths stand below.

    Returns:
        One part per subset; one where there are none.
    """
    return [
        TextPart(data=data, root=root, subset=subset, language=language)
        for subset, language in data.parts
    ]


@dataclass(kw_only=True, slots=True)
class Measuring:
    """What is noted while a part is measured.

    Attributes:
        encoder: Embeds the texts.
        seconds: Name of a step to how long it took.
        num_texts: Texts that were embedded.
        num_truncated: Those of which the model did not see the end.
    """

    encoder: TextEncoder
    seconds: dict[str, float] = field(default_factory=dict)
    num_texts: int = 0
    num_truncated: int = 0

    def vectors(self, texts: Sequence[str], role: Role = "text") -> FloatArray:
        """Dense vectors of texts; equal texts are embedded once, and so have equal vectors.

        Args:
            texts: Texts.
            role: What they are.

        Returns:
            float32 `[num_texts, width]`.

        Raises:
            DataError: The model gives no dense vectors, or NaN.
        """
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        with timed(self.seconds, "embed"):
            found = self.encoder.encode(list(distinct), role=role)
        if found.dense is None:
            raise DataError(f"{self.encoder.name}: gave no dense vectors, expected some")
        if not np.isfinite(found.dense).all():
            raise DataError(f"{self.encoder.name}: gave NaN or infinity, expected numbers")
        rows = np.array([distinct[text] for text in texts], dtype=np.int64)
        self.num_texts += len(texts)
        self.num_truncated += int(found.is_truncated[rows].sum())
        vectors: FloatArray = found.dense[rows]
        return vectors

    def facts(self, **more: Any) -> dict[str, Any]:
        """What is told beside metrics: texts, truncated texts, and more.

        Args:
            more: Other numbers.

        Returns:
            Name to value.
        """
        return {"num_texts": self.num_texts, "num_truncated": self.num_truncated, **more}


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add to a step how long the block takes.

    Args:
        seconds: Step to seconds, changed.
        name: The step.

    Yields:
        Nothing.
    """
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began


def task_settings(config: Any, context: TaskContext) -> Mapping[str, Any]:
    """What was asked for, as a result holds it.

    Args:
        config: Record of the task.
        context: How it was measured.

    Returns:
        Plain values.
    """
    values: dict[str, Any] = to_dict(config)
    return {**values, "seed": context.seed}


def worst_first(values: Sequence[float] | FloatArray, *, count: int = NUM_WORST) -> list[int]:
    """Places of the smallest values, smallest first; equal values keep their order.

    Args:
        values: One value per item.
        count: How many places.

    Returns:
        Places from 0.
    """
    order: list[int] = np.argsort(np.asarray(values), kind="stable")[:count].tolist()
    return order


def worst_item(item_id: str, value: float, text: str, expected: str, found: str) -> WorstItem:
    """A `WorstItem` whose texts are short enough for a page.

    Args:
        item_id: Which item.
        value: How it went.
        text: What was asked.
        expected: What would have been right.
        found: What the model gave.

    Returns:
        The item.
    """
    return WorstItem(
        item_id=item_id,
        value=float(value),
        text=_short(text),
        expected=_short(expected),
        found=_short(found),
    )


def foreign(module: str) -> Any:
    """A module of scikit-learn or SciPy.

    Args:
        module: Its name.

    Returns:
        The module.

    Raises:
        BackendUnavailableError: The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = {"sklearn": "scikit-learn"}.get(module.partition(".")[0], "scipy")
        raise BackendUnavailableError(
            f"this task needs the package {package}", hint="pip install 'mgte[eval]'"
        ) from error


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
