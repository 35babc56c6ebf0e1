"""parts_by_language: one search of queries in many languages, told language by language."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mgte.evaluate.collection import Collection
from mgte.evaluate.metrics import mean_metrics
from mgte.evaluate.result import ModeResult, RetrievalResult
from mgte.evaluate.retrieval_config import Mode
from mgte.evaluate.searches import Rankings


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A collection, what was found in it, and how good that is.

    Attributes:
        collection: Documents, queries and judgements.
        measured: Metrics by way of ranking.
        rankings: Way of ranking to one ranking per query.
        subset: Which part of a published collection this is; "" for the whole.
    """

    collection: Collection
    measured: RetrievalResult
    rankings: Mapping[Mode, Rankings]
    subset: str = ""


def parts_by_language(found: Found, languages: Sequence[str]) -> Iterator[Found]:
    """The queries of each language, where all of them searched the same documents at once.

    The time of the search is shared out by queries; truncated queries are those of all languages.

    Args:
        found: What was found for all queries.
        languages: Languages, each of which has a part of its own.

    Yields:
        One part per language that has queries, in their order; its subset is the language.
    """
    queries = found.collection.queries
    for language in languages:
        places = [i for i, query in enumerate(queries) if query.language == language]
        if not places:
            continue
        kept = tuple(queries[place] for place in places)
        names = [query.query_id for query in kept]
        collection = replace(
            found.collection,
            queries=kept,
            qrels={name: found.collection.qrels[name] for name in names},
            answers={
                name: found.collection.answers[name]
                for name in names
                if name in found.collection.answers
            },
        )
        share = len(kept) / len(queries)
        measured = replace(
            found.measured,
            num_queries=len(kept),
            modes={mode: _only(result, names) for mode, result in found.measured.modes.items()},
            seconds={name: seconds * share for name, seconds in found.measured.seconds.items()},
        )
        rankings = {
            mode: [ranked[place] for place in places] for mode, ranked in found.rankings.items()
        }
        yield Found(collection=collection, measured=measured, rankings=rankings, subset=language)


def _only(result: ModeResult, names: Sequence[str]) -> ModeResult:
    per_query = {name: result.per_query[name] for name in names}
    return ModeResult(metrics=mean_metrics(per_query), per_query=per_query)
