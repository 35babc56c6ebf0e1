"""RunOptions: what a run is given besides its recipe; where names and files of it are."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mgte.data import EncodeVectors
from mgte.train.stage_parts import Evaluator, Sink

_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """What a run is given besides its recipe.

    Attributes:
        data_root: Folder from which paths of the recipe count.
        sinks: Where the log goes, beside each stage's `metrics.jsonl`; the first process only.
        evaluators: What is measured in stages that ask for it: from a model folder to scores.
        teacher: From the name of a teacher to what makes its vectors, for datasets of kind
            "vectors"; None means `load_teacher`.
        report: Told what goes on outside stages.
        on_progress: Told how many raw rows were read since the last call.
    """

    data_root: Path = field(default_factory=Path)
    sinks: Sequence[Sink] = ()
    evaluators: Sequence[Evaluator] = ()
    teacher: Callable[[str], EncodeVectors] | None = None
    report: Callable[[str], None] | None = None
    on_progress: Callable[[int], None] | None = None

    def say(self, text: str) -> None:
        """Report something."""
        if self.report is not None:
            self.report(text)


def located(name: str, root: Path) -> str:
    """A path below the root where there is one, else the name as it is."""
    return str(root / name) if (root / name).is_dir() else name


def wait_for(file: Path) -> None:
    """Wait until the first process has made a file. No barrier: this may take hours."""
    while not file.is_file():
        time.sleep(_POLL_SECONDS)
