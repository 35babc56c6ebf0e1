"""ClassificationTask: can a linear classifier read classes off the vectors?"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError, DataError
from mgte.evaluate.records import WorstItem
from mgte.evaluate.tasks.text_parts import (
    FloatArray,
    Measuring,
    TextPart,
    foreign,
    timed,
    worst_first,
    worst_item,
)
from mgte.evaluate.tasks.text_task import MeasuredPart, TextTask, by_item
from mgte.evaluate.text_data import (
    LabelledText,
    TextDataConfig,
    drawn,
    label_order,
    labelled_texts,
)

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassificationConfig:
    """Classification of texts.

    Attributes:
        kind: "classification".
        name: Name of the task.
        data: Where the texts lie; `{split}` in it stands for the train split too.
        text: Field of the text.
        label: Field of the class.
        labels: Classes in the order of their numbers; empty takes those that stand there. Of two
            classes, the last one is the positive one.
        train_split: Split that classifiers learn from; "" draws it from the measured split.
        train_share: Share that is drawn where there is no train split.
        samples_per_label: Texts per class that one classifier learns from, at most.
        n_experiments: Classifiers, each of which learns from other texts.
        max_iterations: Steps of the solver.
    """

    kind: Literal["classification"] = "classification"
    name: str
    data: TextDataConfig
    text: str = "text"
    label: str = "label"
    labels: tuple[str, ...] = ()
    train_split: str = "train"
    train_share: float = 0.5
    samples_per_label: int = 8
    n_experiments: int = 10
    max_iterations: int = 100

    def __post_init__(self) -> None:
        for name in ("samples_per_label", "n_experiments", "max_iterations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1")
        if not 0.0 < self.train_share < 1.0:
            raise ConfigError(f"train_share: got {self.train_share}, expected between 0 and 1")
        if self.train_split == self.data.split:
            raise ConfigError(f"train_split: got {self.train_split!r}, which is measured too")


class ClassificationTask(TextTask[ClassificationConfig]):
    """Logistic regression on a few texts per class, several times. Source: mteb, classification.

    Metrics are means over the experiments: accuracy, macro and weighted F1, and average precision
    of the predicted classes where there are two. Which texts are drawn is as in mteb for the same
    seed and order of rows. A text's own value is the share of classifiers that were right.
    """

    def measure(self, part: TextPart, measuring: Measuring, seed: int) -> MeasuredPart:
        """See `TextTask.measure`."""
        config = self.config
        train, test = self._texts(part, seed)
        names = label_order(train, test, labels=config.labels)
        number = {name: index for index, name in enumerate(names)}
        _check_learnable(train, test, self.name)
        y_train = np.array([number[item.label] for item in train])
        y_test = np.array([number[item.label] for item in test])
        samples = draw_samples(
            y_train.tolist(), config.samples_per_label, config.n_experiments, seed
        )
        used = sorted({row for rows in samples for row in rows})
        place = {row: index for index, row in enumerate(used)}
        x_train = measuring.vectors([train[row].text for row in used])
        x_test = measuring.vectors([item.text for item in test])
        with timed(measuring.seconds, "score"):
            predictions = [
                self._predicted(x_train[[place[row] for row in rows]], y_train[rows], x_test, seed)
                for rows in samples
            ]
            measured = [class_metrics(y_test, predicted) for predicted in predictions]
        metrics = {key: float(np.mean([m[key] for m in measured])) for key in measured[0]}
        right = np.mean([predicted == y_test for predicted in predictions], axis=0)
        return MeasuredPart(
            main_metric="accuracy",
            metrics=metrics,
            items=(test, train),
            values=by_item(test, right),
            worst=_worst(test, right, predictions, names),
            facts={
                "num_classes": len(names),
                "num_train": len(train),
                "majority": float(np.bincount(y_test).max() / len(y_test)),
                "accuracy_by_experiment": [float(m["accuracy"]) for m in measured],
            },
        )

    def _texts(
        self, part: TextPart, seed: int
    ) -> tuple[tuple[LabelledText, ...], tuple[LabelledText, ...]]:
        """What classifiers learn from, and what they are measured on."""
        test = self._read(part, self.config.data.split)
        if self.config.train_split:
            train = self._read(part, self.config.train_split)
        else:
            order = np.random.default_rng(seed).permutation(len(test))
            num_train = max(1, round(self.config.train_share * len(test)))
            learned = set(order[:num_train].tolist())
            train = tuple(item for row, item in enumerate(test) if row in learned)
            test = tuple(item for row, item in enumerate(test) if row not in learned)
        return train, drawn(test, self.config.data.max_items, seed)

    def _read(self, part: TextPart, split: str) -> tuple[LabelledText, ...]:
        return labelled_texts(
            part.rows(split),
            text=part.field(self.config.text),
            label=part.field(self.config.label),
            labels=self.config.labels,
        )

    def _predicted(self, x: FloatArray, y: IntArray, x_test: FloatArray, seed: int) -> IntArray:
        linear_model = foreign("sklearn.linear_model")
        model = linear_model.LogisticRegression(
            max_iter=self.config.max_iterations, random_state=seed
        )
        with warnings.catch_warnings():
            # The protocol stops after so many steps, converged or not.
            warnings.simplefilter("ignore")
            model.fit(x, y)
        predicted: IntArray = model.predict(x_test)
        return predicted


def draw_samples(
    labels: Sequence[int], samples_per_label: int, n_experiments: int, seed: int
) -> list[list[int]]:
    """Rows that each experiment learns from.

    The order is shuffled again for each experiment, on top of the last order, and the first rows
    of each class are taken. Source: mteb, `AbsTaskClassification._undersample_data`.

    Args:
        labels: Class of each row.
        samples_per_label: Rows per class at most.
        n_experiments: How many samples.
        seed: Decides the order.

    Returns:
        Rows of each experiment.
    """
    order = list(range(len(labels)))
    samples = []
    for _ in range(n_experiments):
        # The old generator, started anew each time: that is what published numbers stand on.
        np.random.RandomState(seed).shuffle(order)
        taken: Counter[int] = Counter()
        rows = []
        for row in order:
            if taken[labels[row]] < samples_per_label:
                rows.append(row)
                taken[labels[row]] += 1
        samples.append(rows)
    return samples


def class_metrics(expected: IntArray, predicted: IntArray) -> dict[str, float]:
    """Accuracy, F1 and, of two classes, average precision of predicted classes.

    Args:
        expected: Class of each text, `[num_texts]`.
        predicted: What was predicted, `[num_texts]`.

    Returns:
        Metric to value.

    Raises:
        BackendUnavailableError: scikit-learn is not installed.
    """
    metrics: Any = foreign("sklearn.metrics")
    found = {
        "accuracy": float(metrics.accuracy_score(expected, predicted)),
        "f1": float(metrics.f1_score(expected, predicted, average="macro", zero_division=0)),
        "f1_weighted": float(
            metrics.f1_score(expected, predicted, average="weighted", zero_division=0)
        ),
    }
    if set(np.unique(expected).tolist()) == {0, 1}:
        found["ap"] = float(metrics.average_precision_score(expected, predicted))
    return found


def _check_learnable(
    train: Sequence[LabelledText], test: Sequence[LabelledText], name: str
) -> None:
    known = {item.label for item in train}
    unknown = sorted({item.label for item in test} - known)
    if unknown:
        raise DataError(
            f"{name}: the label {unknown[0]!r} stands in the test part alone, expected it in the "
            "train part too"
        )
    if len(known) < 2:
        raise DataError(f"{name}: the train part has one label, {known}, expected several")


def _worst(
    test: Sequence[LabelledText],
    right: FloatArray,
    predictions: Sequence[IntArray],
    names: Sequence[str],
) -> tuple[WorstItem, ...]:
    items = []
    for row in worst_first(right):
        votes = Counter(int(predicted[row]) for predicted in predictions)
        item = test[row]
        items.append(
            worst_item(
                item.item_id, right[row], item.text, item.label, names[votes.most_common(1)[0][0]]
            )
        )
    return tuple(items)
