"""TrainingFacts: how a model came about, for its card; kept beside the weights as JSON."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from mgte.config import from_dict, to_dict
from mgte.store.checkpoint_files import read_json_object

TRAINING_FACTS = "training_facts.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageFacts:
    """One stage of training.

    Attributes:
        name: Its name.
        objective: What was optimised, in words or settings.
        steps: Optimizer steps.
        tokens: Tokens that went through the model; 0 if not counted.
        data: Names of what was read.
        start: What the stage started from.
        hours: Wall-clock hours; 0 if not measured.
    """

    name: str
    objective: str
    steps: int
    tokens: int = 0
    data: str = ""
    start: str = ""
    hours: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFacts:
    """One source of the training data.

    Attributes:
        name: Its name.
        licence: Its licence, as it words it.
        rows: Rows that were used; 0 if not counted.
        note: What else one should know.
    """

    name: str
    licence: str
    rows: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationFacts:
    """What was measured on one collection.

    Attributes:
        collection: Collection and split.
        metric: The metric, such as "nDCG@10".
        values: What was measured ("dense", "hybrid", "BM25") to the value.
    """

    collection: str
    metric: str
    values: dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingFacts:
    """How a model came about. Every field may be left empty; the card shows what is there.

    Attributes:
        name: Name of the model.
        summary: What it is and is for, in a sentence or two.
        licence: Licence of the weights, as an identifier such as "apache-2.0".
        languages: ISO codes.
        start_models: Models that it was made from: a start, a teacher, the parts of a merge.
        recipe: Name of the recipe, or the command that makes the model again.
        stages: Stages of training, in order.
        sources: What it was trained on.
        evaluation: What was measured.
        machine: Where it was trained.
        date: When.
        notes: Further facts, name to text.
        limitations: What it cannot do, or what nobody looked at; one sentence each.
    """

    name: str = ""
    summary: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()
    start_models: tuple[str, ...] = ()
    recipe: str = ""
    stages: tuple[StageFacts, ...] = ()
    sources: tuple[SourceFacts, ...] = ()
    evaluation: tuple[EvaluationFacts, ...] = ()
    machine: str = ""
    date: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    limitations: tuple[str, ...] = ()


def read_training_facts(folder: str | Path) -> TrainingFacts | None:
    """The facts that stand in a model folder.

    Args:
        folder: The folder.

    Returns:
        The facts; None if the folder has none.

    Raises:
        ConfigError: The file is damaged.
    """
    path = Path(folder) / TRAINING_FACTS
    if not path.is_file():
        return None
    return from_dict(TrainingFacts, read_json_object(path), str(path))


def facts_as_json(facts: TrainingFacts) -> str:
    """The facts as the text of their file."""
    return json.dumps(to_dict(facts), indent=2, ensure_ascii=False) + "\n"
