"""Task: what can be measured, and what it is given beside the subject. Loads no torch."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from mgte.evaluate.records import TaskKind, TaskResult
from mgte.evaluate.retrieval_config import Mode, RetrievalConfig
from mgte.evaluate.subjects.subject import Subject


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
        again: Whether what tasks keep by themselves is measured again.
        offline: Whether data are looked for on this machine only; None leaves it to HF_HUB_OFFLINE.
        runs_folder: Where retrieval tasks write their rankings as TREC runs; None for nowhere.
    """

    seed: int = 0
    show_progress: bool | None = None
    cache_folder: Path | None = None
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    modes: tuple[Mode, ...] = ()
    again: bool = False
    offline: bool | None = None
    runs_folder: Path | None = None


class NamedConfig(Protocol):
    """What the records of all tasks have."""

    @property
    def name(self) -> str:
        """Name of the task."""
        ...


Config = TypeVar("Config", bound=NamedConfig)


class Task(ABC, Generic[Config]):
    """One dataset with one protocol.

    Args:
        config: What is measured.
        root: Folder from which paths of data count.

    Attributes:
        config: The same.
        root: The same.
    """

    def __init__(self, config: Config, root: Path) -> None:
        self.config = config
        self.root = root

    @property
    def name(self) -> str:
        """Name, unique in a suite; also the name of a file."""
        return self.config.name

    @property
    @abstractmethod
    def kind(self) -> TaskKind:
        """What kind of task."""

    @abstractmethod
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
