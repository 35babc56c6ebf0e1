"""Task: what can be measured, and what it is given beside the subject. Loads no torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mgte.evaluate.records import TaskKind, TaskResult
from mgte.evaluate.subjects.subject import Subject

if TYPE_CHECKING:
    from mgte.evaluate.searches import Mode, RetrievalConfig


def _default_retrieval() -> "RetrievalConfig":
    # The search loads torch, which listing tasks should not cost.
    from mgte.evaluate.searches import RetrievalConfig

    return RetrievalConfig()


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskContext:
    """How tasks of one run are measured.

    Attributes:
        seed: Decides whatever is drawn.
        show_progress: Progress bars; None means on a terminal, for long work.
        cache_folder: Where tasks may keep what is costly to make again; None for nowhere.
        retrieval: How collections are searched.
        modes: Ways of ranking; empty means all that the subject can, and BM25 where it is
            installed.
        runs_folder: Where retrieval tasks write their rankings as TREC runs; None for nowhere.
    """

    seed: int = 0
    show_progress: bool | None = None
    cache_folder: Path | None = None
    retrieval: "RetrievalConfig" = field(default_factory=_default_retrieval)
    modes: "tuple[Mode, ...]" = ()
    runs_folder: Path | None = None


class Task(Protocol):
    """One dataset with one protocol."""

    @property
    def name(self) -> str:
        """Name, unique in a suite; also the name of a file."""
        ...

    @property
    def kind(self) -> TaskKind:
        """What kind of task."""
        ...

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Measure a subject.

        Args:
            subject: What is measured.
            context: How.

        Returns:
            One result per variant, split and subset.

        Raises:
            MgteError: Data or model cannot be used; the message says why.
        """
        ...
