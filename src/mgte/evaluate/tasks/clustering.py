"""ClusteringTask: do clusters of the vectors meet the classes of the texts?"""

import random
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError
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
from mgte.evaluate.tasks.text_task import MeasuredPart, TextTask
from mgte.evaluate.text_data import (
    LabelledText,
    TextDataConfig,
    label_order,
    labelled_texts,
)

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusteringConfig:
    """Clustering of texts.

    Attributes:
        kind: "clustering".
        name: Name of the task.
        data: Where the texts lie; `max_items` of them are embedded, drawn at random.
        text: Field of the text.
        label: Field of the class.
        n_experiments: How often texts are drawn and clustered.
        sample_size: Texts that are drawn each time, with replacement.
        batch_size: Texts per step of mini-batch k-means.
    """

    kind: Literal["clustering"] = "clustering"
    name: str
    data: TextDataConfig
    text: str = "text"
    label: str = "label"
    n_experiments: int = 10
    sample_size: int = 16_384
    batch_size: int = 512

    def __post_init__(self) -> None:
        for name in ("n_experiments", "sample_size", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Clustering:
    """One sample and its clusters.

    Attributes:
        rows: int64 `[sample_size]`, texts that were drawn.
        clusters: int64 `[sample_size]`, cluster of each.
    """

    rows: IntArray
    clusters: IntArray


class ClusteringTask(TextTask[ClusteringConfig]):
    """V-measure of mini-batch k-means on several samples. Source: mteb, `AbsTaskClustering`.

    There are as many clusters as classes. The mean over the samples is reported; "per item" are
    the samples, which are the same for every model, so the interval speaks of draws and starts, not
    of other texts. The worst texts share their clusters with the fewest texts of their class.
    """

    def measure(self, part: TextPart, measuring: Measuring, seed: int) -> MeasuredPart:
        """See `TextTask.measure`."""
        texts = labelled_texts(
            part.rows(), text=part.field(self.config.text), label=part.field(self.config.label)
        )
        draw = random.Random(seed)
        limit = self.config.data.max_items
        if limit:
            rows = draw.sample(range(len(texts)), k=min(limit, len(texts)))
            texts = tuple(texts[row] for row in rows)
        names = label_order(texts)
        number = {name: index for index, name in enumerate(names)}
        labels = np.array([number[item.label] for item in texts])
        vectors = measuring.vectors([item.text for item in texts])
        with timed(measuring.seconds, "score"):
            clusterings = self._clusterings(vectors, len(names), draw, seed)
            values = agreement(clusterings, labels)
        metrics = {name: float(np.mean(found)) for name, found in values.items()}
        return MeasuredPart(
            main_metric="v_measure",
            metrics=metrics | {"v_measure_std": float(np.std(values["v_measure"]))},
            items=(texts,),
            values={f"sample {i}": v for i, v in enumerate(values["v_measure"], start=1)},
            worst=_worst(texts, labels, clusterings, names),
            facts={
                "num_classes": len(names),
                "majority": float(np.bincount(labels).max() / len(labels)),
            },
        )

    def _clusterings(
        self, vectors: FloatArray, num_clusters: int, draw: random.Random, seed: int
    ) -> list[Clustering]:
        model = foreign("sklearn.cluster").MiniBatchKMeans(
            n_clusters=num_clusters,
            batch_size=self.config.batch_size,
            init="k-means++",
            n_init=1,
            random_state=seed,
        )
        found = []
        for _ in range(self.config.n_experiments):
            rows = np.array(draw.choices(range(len(vectors)), k=self.config.sample_size))
            with warnings.catch_warnings():
                # Fewer different vectors than clusters: what is asked for is measured all the same.
                warnings.simplefilter("ignore")
                clusters = model.fit_predict(vectors[rows])
            found.append(Clustering(rows=rows, clusters=np.asarray(clusters, dtype=np.int64)))
        return found


def agreement(clusterings: Sequence[Clustering], labels: IntArray) -> dict[str, list[float]]:
    """How well clusters meet classes.

    Args:
        clusterings: Samples with their clusters.
        labels: Class of each text, `[num_texts]`.

    Returns:
        "v_measure" and "ami" (adjusted mutual information), one value per sample.

    Raises:
        BackendUnavailableError: scikit-learn is not installed.
    """
    metrics = foreign("sklearn.metrics")
    return {
        "v_measure": [
            float(metrics.v_measure_score(labels[c.rows], c.clusters)) for c in clusterings
        ],
        "ami": [
            float(metrics.adjusted_mutual_info_score(labels[c.rows], c.clusters))
            for c in clusterings
        ],
    }


def _worst(
    texts: Sequence[LabelledText],
    labels: IntArray,
    clusterings: Sequence[Clustering],
    names: Sequence[str],
) -> tuple[WorstItem, ...]:
    """Texts by the share of their class in the clusters that they came into."""
    shares, times = np.zeros(len(texts)), np.zeros(len(texts))
    leaders: list[Counter[int]] = [Counter() for _ in texts]
    for clustering in clusterings:
        table = np.zeros((int(clustering.clusters.max()) + 1, len(names)))
        np.add.at(table, (clustering.clusters, labels[clustering.rows]), 1.0)
        own = table[clustering.clusters, labels[clustering.rows]]
        share = own / table[clustering.clusters].sum(axis=1)
        np.add.at(shares, clustering.rows, share)
        np.add.at(times, clustering.rows, 1.0)
        leader = table.argmax(axis=1)
        for row, cluster in set(
            zip(clustering.rows.tolist(), clustering.clusters.tolist(), strict=True)
        ):
            leaders[row][int(leader[cluster])] += 1
    mean = np.divide(shares, times, out=np.ones(len(texts)), where=times > 0)
    return tuple(
        worst_item(
            texts[row].item_id,
            float(mean[row]),
            texts[row].text,
            texts[row].label,
            f"among {names[leaders[row].most_common(1)[0][0]]}",
        )
        for row in worst_first(mean)
        if leaders[row]
    )
