"""MiningReport: what was mined and what was left out, so that a person can judge the rules."""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Rule = Literal["duplicate", "margin", "teacher", "window"]
RULES: dict[Rule, str] = {
    "duplicate": "a positive, or equal to one or to the query",
    "margin": "scores too close to the positive, or above it",
    "teacher": "the teacher scores it like a positive",
    "window": "not among the wanted ranks",
}
_NUM_EXAMPLES = 20
_SNIPPET = 160


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Candidate:
    """A document beside the positive that it was compared with.

    Attributes:
        closeness: Its score minus that of the query's positives.
        score: Its score.
        positive_score: The score of the query's positives: their lowest, mean or highest.
        query: The query.
        positive: The positive that scores highest.
        document: The document.
        source: Where the query comes from.
    """

    closeness: float
    score: float
    positive_score: float
    query: str
    positive: str
    document: str
    source: str


@dataclass(kw_only=True, slots=True)
class MiningReport:
    """Counts and examples; filled while mining.

    Attributes:
        num_queries: Source to queries that were looked at.
        num_written: Source to groups that came out.
        num_without: Source to queries left out, as they had too few negatives.
        num_negatives: Source to negatives that were chosen.
        num_positives_outside: Source to queries of which a positive scores below all documents
            that were looked at: the model does not find it, or the pair is wrong.
        left_out: Rule to candidates that it left out. Of "duplicate" and "margin" all that stood
            before the end of the window are counted; of "teacher" those that were scored.
        closest: Rule, or "kept", to the candidates closest to their positive, closest first; at
            most one per query.
        settings: What was asked for.
    """

    num_queries: Counter[str] = field(default_factory=Counter)
    num_written: Counter[str] = field(default_factory=Counter)
    num_without: Counter[str] = field(default_factory=Counter)
    num_negatives: Counter[str] = field(default_factory=Counter)
    num_positives_outside: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    closest: dict[str, list[Candidate]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    def note(self, rule: str, candidates: list[Candidate]) -> None:
        """Keep the candidates closest to their positive as examples of a rule, or of "kept"."""
        known = self.closest.get(rule, [])
        self.closest[rule] = heapq.nlargest(_NUM_EXAMPLES, [*known, *candidates])

    def to_markdown(self) -> str:
        """The report as a page of text."""
        lines = ["# Mined negatives", ""]
        lines += [f"* {name}: {value}" for name, value in self.settings.items()]
        lines += ["", "| source | queries | groups | too few | negatives | positive not found |"]
        lines += ["|---|---|---|---|---|---|"]
        for source, count in self.num_queries.items():
            lines.append(
                f"| {_cell(source)} | {count:,} | {self.num_written[source]:,} | "
                f"{self.num_without[source]:,} | {self.num_negatives[source]:,} | "
                f"{self.num_positives_outside[source]:,} |"
            )
        lines += ["", "## Left out", "", "| rule | candidates |", "|---|---|"]
        lines += [f"| {text} | {self.left_out[rule]:,} |" for rule, text in RULES.items()]
        titles = {rule: f"Left out: {text}" for rule, text in RULES.items()}
        for name, title in ({"kept": "Kept"} | titles).items():
            if self.closest.get(name):
                lines += ["", f"## {title}: closest to their positive", ""]
                lines += _examples(self.closest[name])
        return "\n".join(lines) + "\n"


def _examples(candidates: list[Candidate]) -> list[str]:
    lines = ["| score | positive's | query | document | positive |", "|---|---|---|---|---|"]
    return lines + [
        f"| {c.score:.3f} | {c.positive_score:.3f} | {_cell(c.query)} | {_cell(c.document)} | "
        f"{_cell(c.positive)} |"
        for c in candidates
    ]


def _cell(text: str) -> str:
    """A text on one line of a table, its beginning if it is long."""
    line = " ".join(text[: 4 * _SNIPPET].split()).replace("|", "\\|")
    return line if len(line) <= _SNIPPET else f"{line[: _SNIPPET - 1]}…"
