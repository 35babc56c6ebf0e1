"""TREC run files and judgements, in and out; a run is measured without a model. Loads no torch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mgte.errors import DataError
from mgte.evaluate.answer_recall import ANSWER_METRIC, measure_answers
from mgte.evaluate.collection import Collection, collection_hash
from mgte.evaluate.metrics import MAIN_METRIC, mean_metrics, measure_rankings
from mgte.evaluate.records import TaskResult
from mgte.evaluate.significance import bootstrap_interval
from mgte.text import Qrels, read_records, replace_text

if TYPE_CHECKING:
    from mgte.search import Ranking

# Query id to document id to score. Scores decide on the order; equal ones stand best first.
Run = dict[str, dict[str, float]]
_COLUMNS = "query Q0 document rank score tag"


def read_run(path: str | Path) -> Run:
    """Read a TREC run: `query Q0 document rank score tag` per line, also compressed.

    As in trec_eval, scores decide and the column of ranks is not read: falling scores (float32),
    equal ones by falling document id.

    Args:
        path: The file.

    Returns:
        Query id to document id to score, best first; queries in the order of the file.

    Raises:
        DataError: The file is missing or empty, a line is not as described, or a document stands
            twice under a query; the message names the line.
    """
    run: Run = {}
    for where, line in read_records(path, format="text"):
        if not line.strip():
            continue
        columns = line.split()
        if len(columns) != 6:
            raise DataError(f"{where}: got {len(columns)} columns, expected 6: {_COLUMNS}")
        query_id, _, doc_id, _, written, _ = columns
        found = run.setdefault(query_id, {})
        if doc_id in found:
            raise DataError(f"{where}: document {doc_id} stands twice under query {query_id}")
        found[doc_id] = _read_score(written, where)
    if not run:
        raise DataError(f"{path}: holds no line of a run, expected at least one")
    return {query_id: dict(_in_order(found)) for query_id, found in run.items()}


def write_run(path: str | Path, run: Mapping[str, Mapping[str, float]], *, tag: str) -> None:
    """Write a TREC run; the file appears whole or not at all.

    Programs that read it break ties by falling document id. Where equal scores stand in another
    order (as after reranking), the later one is written lower by the smallest possible step, so
    that all measure the same ranking.

    Args:
        path: The file.
        run: Query id to document id to score; equal scores stand best first.
        tag: Name of the system.

    Raises:
        DataError: An id or the tag is empty or holds white space, or a score is no finite number.
    """
    lines = []
    for query_id, found in run.items():
        last_id, last = "", np.float32(np.inf)
        for rank, (doc_id, score) in enumerate(
            sorted(found.items(), key=lambda item: -item[1]), start=1
        ):
            if not math.isfinite(score):
                raise DataError(f"run: document {doc_id} of query {query_id} scores {score}")
            value = np.float32(score)
            if value > last or (value == last and doc_id > last_id):
                value = np.nextafter(last, np.float32(-np.inf))
            names = (_name(query_id), "Q0", _name(doc_id), str(rank), str(value), _name(tag))
            lines.append(" ".join(names))
            last_id, last = doc_id, value
    replace_text(Path(path), "".join(line + "\n" for line in lines))


def write_qrels(
    path: str | Path, qrels: Qrels, *, format: Literal["trec", "beir"] = "trec"
) -> None:
    """Write judgements; `mgte.text.read_qrels` reads both formats.

    Args:
        path: The file.
        qrels: Query id to document id to grade.
        format: "trec" is `query 0 document grade`; "beir" has three columns under their names.

    Raises:
        DataError: An id is empty or holds white space.
    """
    between = " 0 " if format == "trec" else "\t"
    end = " " if format == "trec" else "\t"
    lines = [] if format == "trec" else ["query-id\tcorpus-id\tscore"]
    lines += [
        f"{_name(query_id)}{between}{_name(doc_id)}{end}{grade}"
        for query_id, grades in qrels.items()
        for doc_id, grade in grades.items()
    ]
    replace_text(Path(path), "".join(line + "\n" for line in lines))


def run_of_rankings(rankings: Sequence["Ranking"], collection: Collection) -> Run:
    """A run from rankings of a collection.

    Args:
        rankings: One per query of the collection.
        collection: What was searched.

    Returns:
        Query id to document id to score, best first.
    """
    documents = collection.documents
    return {
        query.query_id: {
            documents[row].doc_id: score
            for row, score in zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True)
        }
        for query, ranking in zip(collection.queries, rankings, strict=True)
    }


def evaluate_run(
    run: Mapping[str, Mapping[str, float]],
    collection: Collection,
    *,
    variant: str = "run",
    seed: int = 0,
) -> TaskResult:
    """Measure a run, without a model.

    Args:
        run: Query id to document id to score, as `read_run` gives it.
        collection: Judgements or answers, and documents that are left out of a query's ranking.
        variant: What the result is called.
        seed: Decides on the interval.

    Returns:
        The result. Judged queries that the run lacks count 0; the facts tell how many, and how
        many documents of the run the collection does not hold (they count as not relevant).

    Raises:
        DataError: The run has none of the collection's queries, or none of its documents.
        BackendUnavailableError: pytrec_eval is not installed.
    """
    where = f"{collection.name}/{collection.split}"
    judged = [query.query_id for query in collection.queries]
    present = [query_id for query_id in judged if query_id in run]
    if not present:
        raise DataError(
            f"{where}: the run has {len(run)} queries, none of the {len(judged)} that are judged"
        )
    known = {document.doc_id for document in collection.documents}
    rankings, unknown = {}, 0
    for query_id in present:
        left_out = collection.left_out(query_id)
        ranked = [doc_id for doc_id, _ in _in_order(run[query_id]) if doc_id not in left_out]
        unknown += sum(doc_id not in known for doc_id in ranked)
        rankings[query_id] = ranked
    if unknown and unknown == sum(map(len, rankings.values())):
        raise DataError(
            f"{where}: the run names {unknown:,} documents, and the collection holds none of them"
        )
    per_query = _measured(rankings, collection)
    main_metric = ANSWER_METRIC if collection.answers else MAIN_METRIC
    per_item = {query_id: values[main_metric] for query_id, values in per_query.items()}
    return TaskResult(
        task=collection.name,
        kind="retrieval",
        main_metric=main_metric,
        metrics=mean_metrics(per_query),
        num_items=len(judged),
        variant=variant,
        split=collection.split,
        interval=bootstrap_interval(list(per_item.values()), seed=seed),
        per_item=per_item,
        facts={
            "num_documents": len(collection.documents),
            "num_queries_missing": len(judged) - len(present),
            "num_unknown_documents": unknown,
        },
        dataset_hash=collection_hash(collection),
    )


def check_names(names: Iterable[str]) -> None:
    """Refuse ids that a TREC run cannot hold.

    Args:
        names: Ids of queries or documents.

    Raises:
        DataError: One is empty or holds white space.
    """
    for name in names:
        _name(name)


def _measured(
    rankings: Mapping[str, Sequence[str]], collection: Collection
) -> dict[str, dict[str, float]]:
    if not collection.answers:
        return measure_rankings(rankings, collection.qrels)
    # What the collection does not hold has no answer in it.
    texts = {doc_id: "" for ranked in rankings.values() for doc_id in ranked}
    for document in collection.documents:
        if document.doc_id in texts:
            texts[document.doc_id] = f"{document.title}\n{document.text}"
    return measure_answers(rankings, collection.answers, texts)


def _in_order(found: Mapping[str, float]) -> list[tuple[str, float]]:
    """By falling score as trec_eval holds it, float32, and falling id."""
    by_id = sorted(found.items(), key=lambda item: item[0], reverse=True)
    return sorted(by_id, key=lambda item: -np.float32(item[1]))


def _read_score(written: str, where: str) -> float:
    """A score as trec_eval holds it: in float32."""
    try:
        with np.errstate(over="ignore"):
            score = float(np.float32(float(written)))
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise DataError(f"{where}: score is `{written}`, expected a finite number")
    return score


def _name(text: str) -> str:
    if not text or len(text.split()) != 1 or text != text.strip():
        raise DataError(
            f"run: got the id {text!r}, expected one without white space, as TREC runs need it"
        )
    return text
