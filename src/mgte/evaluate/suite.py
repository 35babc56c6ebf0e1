"""Suite: tasks that are measured together, read from one YAML file. Loads no torch.

A file in `suites/` holds `name`, `title`, `settings` and a list of `tasks`. Each task is the record
of its kind (`kind: sts` ...), beside the class that runs it; paths in it count from the data root.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast

from mgte.config import from_dict, read_yaml
from mgte.errors import ConfigError
from mgte.evaluate.tasks.task import Task

SUITES = Path(__file__).parent / "suites"
# Kind of a task in a suite to module, record and class. The class takes the record and the root.
TASK_KINDS: Mapping[str, tuple[str, str, str]] = {
    "retrieval": ("tasks.retrieval", "RetrievalTaskConfig", "RetrievalTask"),
    "curve": ("tasks.curve", "CurveTaskConfig", "CurveTask"),
    "reranking": ("tasks.reranking", "RerankingConfig", "RerankingTask"),
    "sts": ("tasks.sts", "StsConfig", "StsTask"),
    "classification": ("tasks.classification", "ClassificationConfig", "ClassificationTask"),
    "clustering": ("tasks.clustering", "ClusteringConfig", "ClusteringTask"),
    "pair_classification": (
        "tasks.pair_classification",
        "PairClassificationConfig",
        "PairClassificationTask",
    ),
    "bitext": ("tasks.bitext", "BitextConfig", "BitextTask"),
    "mteb": ("tasks.mteb_task", "MtebTaskConfig", "MtebTask"),
    "fine_tuning": ("tasks.fine_tuning", "FineTuningConfig", "FineTuningTask"),
    "efficiency": ("tasks.efficiency", "EfficiencyConfig", "EfficiencyTask"),
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteSettings:
    """What the tasks of a suite share; options of the command line come first.

    Attributes:
        seed: Decides whatever is drawn.
        max_length: Longest text in tokens; None means what the model declares.
        modes: Ways of ranking in retrieval; empty means all that the models can, and BM25.
        retrieval: Fields of `RetrievalConfig`.
    """

    seed: int = 0
    max_length: int | None = None
    modes: tuple[str, ...] = ()
    retrieval: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """Tasks that are measured together.

    Attributes:
        name: Its name.
        title: What it is, in a line.
        description: Protocol, sizes, sources: what a reader of its numbers must know.
        settings: What the tasks share.
        average: Average over the results, "glue-average" or "xtreme-r-average"; "" for none.
        tasks: One mapping per task, with `kind`, `name` and the fields of its kind's record.
    """

    name: str
    title: str
    description: str = ""
    settings: SuiteSettings = field(default_factory=SuiteSettings)
    average: Literal["", "glue-average", "xtreme-r-average"] = ""
    tasks: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ConfigError("tasks: got none, expected at least one")
        for index, entry in enumerate(self.tasks):
            _check_entry(entry, f"tasks.{index}")
        counts = Counter(self.task_names)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise ConfigError(f"tasks: the name {twice[0]!r} stands twice, expected once")

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks, in their order."""
        return tuple(entry["name"] for entry in self.tasks)

    def only(self, names: Sequence[str]) -> "Suite":
        """The suite with some of its tasks, in its own order.

        Args:
            names: Names of tasks, or kinds; empty means all.

        Returns:
            The smaller suite; it has no average unless all tasks are there.

        Raises:
            ConfigError: The suite has no such task.
        """
        if not names:
            return self
        kinds = {entry["kind"] for entry in self.tasks}
        unknown = [name for name in names if name not in {*self.task_names, *kinds}]
        if unknown:
            raise ConfigError(
                f"{self.name}: has no task {unknown[0]!r}, expected some of "
                f"{_listed(self.task_names)}",
                hint=f"mgte evaluate --list {self.name}" if self.name in suite_names() else None,
            )
        kept = [entry for entry in self.tasks if {entry["name"], entry["kind"]} & {*names}]
        # An average over fewer tasks would be another one.
        average = self.average if len(kept) == len(self.tasks) else ""
        return replace(self, tasks=tuple(kept), average=average)


def suite_names() -> tuple[str, ...]:
    """Names of the suites that come with the package."""
    return tuple(sorted(file.stem for file in SUITES.glob("*.yaml")))


def read_suite(suite: str | Path) -> Suite:
    """Read a suite.

    Args:
        suite: Name of one that comes with the package, or a YAML file.

    Returns:
        The suite; its tasks are checked when they are built.

    Raises:
        ConfigError: There is no such suite, or the file is wrong.
    """
    file = SUITES / f"{suite}.yaml"
    if not file.is_file() or str(suite) not in suite_names():
        file = Path(suite)
    if not file.is_file():
        known = ", ".join(suite_names())
        what = "no such file" if file.suffix in (".yaml", ".yml") else "no such suite"
        raise ConfigError(f"{suite}: {what}, expected a YAML file or one of {known}")
    return from_dict(Suite, read_yaml(file), "" if file.parent == SUITES else str(file))


def build_task(entry: Mapping[str, Any], root: Path) -> Task[Any]:
    """The task that an entry of a suite describes.

    Args:
        entry: The fields of the record of its kind.
        root: Folder from which paths of data count.

    Returns:
        The task; no data is read yet.

    Raises:
        ConfigError: The kind is unknown, or a field is wrong.
    """
    _check_entry(entry, "task")
    module_name, record_name, class_name = TASK_KINDS[entry["kind"]]
    module = import_module(f"mgte.evaluate.{module_name}")
    record = from_dict(getattr(module, record_name), entry, entry["name"])
    return cast(Task[Any], getattr(module, class_name)(record, root))


def _check_entry(entry: Mapping[str, Any], place: str) -> None:
    kind, name = entry.get("kind"), entry.get("name")
    if kind not in TASK_KINDS:
        raise ConfigError(f"{place}.kind: got {kind!r}, expected one of {', '.join(TASK_KINDS)}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{place}.name: got {name!r}, expected letters, digits and any of . _ @ + -"
        )


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
