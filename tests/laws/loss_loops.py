"""Every loss once more, as literal loops over NumPy arrays, for comparison."""

import math
from itertools import pairwise

import numpy as np


def log_sum(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


class Pairs:
    """A whole contrastive batch: who owns which document, and what counts as a false negative."""

    def __init__(self, offsets, query_hashes, document_hashes, *, duplicates, margin) -> None:
        self.offsets = offsets
        self.query_hashes = query_hashes
        self.document_hashes = document_hashes
        self.duplicates = duplicates
        self.margin = margin
        self.count = len(offsets) - 1

    def positive(self, i: int) -> int:
        return int(self.offsets[i])

    def owner(self, document: int) -> int:
        return next(i for i in range(self.count) if document < self.offsets[i + 1])

    def is_document_out(self, i: int, j: int, score: float, positive_score: float) -> bool:
        if j == self.positive(i):
            return False
        if self.margin is not None and score > positive_score + self.margin:
            return True
        if not self.duplicates:
            return False
        if self.document_hashes[j] == self.document_hashes[self.positive(i)]:
            return True
        owner = self.owner(j)
        return owner != i and self.query_hashes[owner] == self.query_hashes[i]

    def is_pair_out(self, i: int, j: int, score: float, positive_score: float) -> bool:
        if i == j:
            return False
        if self.margin is not None and score > positive_score + self.margin:
            return True
        if not self.duplicates:
            return False
        hashes = self.document_hashes
        is_same_positive = hashes[self.positive(i)] == hashes[self.positive(j)]
        return bool(is_same_positive or self.query_hashes[i] == self.query_hashes[j])


def info_nce(queries, documents, pairs: Pairs, form: str, temperature: float) -> float:
    """Sum over all pairs; vectors of any length are compared by inner product."""
    total = 0.0
    for i in range(pairs.count):
        positive = float(queries[i] @ documents[pairs.positive(i)])
        forward = query_to_documents(queries, documents, pairs, i)
        backward = document_to_queries(queries, documents, pairs, i)
        rest = same_side(queries, documents, pairs, i)
        forward, backward, rest = (
            [score / temperature for score in scores] for scores in (forward, backward, rest)
        )
        positive /= temperature
        if form == "query_to_document":
            total += log_sum(forward) - positive
        elif form == "two_directions":
            total += 0.5 * (log_sum(forward) - positive) + 0.5 * (log_sum(backward) - positive)
        else:
            total += log_sum(forward + backward + rest) - positive
    return total


def query_to_documents(queries, documents, pairs: Pairs, i: int) -> list[float]:
    positive = float(queries[i] @ documents[pairs.positive(i)])
    scores = [float(queries[i] @ document) for document in documents]
    return [s for j, s in enumerate(scores) if not pairs.is_document_out(i, j, s, positive)]


def document_to_queries(queries, documents, pairs: Pairs, i: int) -> list[float]:
    own = documents[pairs.positive(i)]
    scores = [float(query @ own) for query in queries]
    return [s for j, s in enumerate(scores) if not pairs.is_pair_out(i, j, s, scores[i])]


def same_side(queries, documents, pairs: Pairs, i: int) -> list[float]:
    own = documents[pairs.positive(i)]
    positive, found = float(queries[i] @ own), []
    for j in range(pairs.count):
        if j != i:
            other = documents[pairs.positive(j)]
            scores = (float(queries[i] @ queries[j]), float(own @ other))
            found += [s for s in scores if not pairs.is_pair_out(i, j, s, positive)]
    return found


def sparse_scores(queries: list[dict[int, float]], documents: list[dict[int, float]]) -> np.ndarray:
    table = np.zeros((len(queries), len(documents)))
    for i, query in enumerate(queries):
        for j, document in enumerate(documents):
            table[i, j] = sum(weight * document.get(term, 0.0) for term, weight in query.items())
    return table


def cross_entropy(states, weight, bias, labels) -> float:
    total = 0.0
    for state, label in zip(states, labels, strict=True):
        scores = [float(state @ row) + float(b) for row, b in zip(weight, bias, strict=True)]
        total += log_sum(scores) - scores[label]
    return total


def lists(values, offsets) -> list[list[float]]:
    return [[float(value) for value in values[start:stop]] for start, stop in pairwise(offsets)]


def listwise(scores, labels, offsets, temperature: float) -> tuple[float, int]:
    total, count = 0.0, 0
    for row, marks in zip(lists(scores, offsets), lists(labels, offsets), strict=True):
        positives = [score / temperature for score, mark in zip(row, marks, strict=True) if mark]
        if positives:
            denominator = log_sum([score / temperature for score in row])
            total += sum(denominator - score for score in positives) / len(positives)
            count += 1
    return total, count


def binary(scores, labels, offsets) -> tuple[float, int]:
    total, count = 0.0, 0
    for row, marks in zip(lists(scores, offsets), lists(labels, offsets), strict=True):
        losses = [
            math.log1p(math.exp(-score if mark else score))
            for score, mark in zip(row, marks, strict=True)
        ]
        if losses:
            total, count = total + sum(losses) / len(losses), count + 1
    return total, count


def squared(scores, targets, offsets) -> tuple[float, int]:
    total, count = 0.0, 0
    for row, wanted in zip(lists(scores, offsets), lists(targets, offsets), strict=True):
        errors = [(s - t) ** 2 for s, t in zip(row, wanted, strict=True) if not math.isnan(t)]
        if errors:
            total, count = total + sum(errors) / len(errors), count + 1
    return total, count


def margins(scores, teacher, offsets) -> tuple[float, int]:
    total, count = 0.0, 0
    for row, wanted in zip(lists(scores, offsets), lists(teacher, offsets), strict=True):
        errors = []
        for s, t in list(zip(row, wanted, strict=True))[1:]:
            if not math.isnan(t) and not math.isnan(wanted[0]):
                errors.append(((row[0] - s) - (wanted[0] - t)) ** 2)
        if errors:
            total, count = total + sum(errors) / len(errors), count + 1
    return total, count


def divergence(teacher: list[float], student: list[float]) -> float:
    top, bottom = log_sum(teacher), log_sum(student)
    return sum(
        math.exp(t - top) * ((t - top) - (s - bottom))
        for t, s in zip(teacher, student, strict=True)
    )


def ranking(scores, teacher, offsets, student_temperature, teacher_temperature):
    total, count = 0.0, 0
    for row, wanted in zip(lists(scores, offsets), lists(teacher, offsets), strict=True):
        known = [(s, t) for s, t in zip(row, wanted, strict=True) if not math.isnan(t)]
        if len(known) >= 2:
            total += divergence(
                [t / teacher_temperature for _, t in known],
                [s / student_temperature for s, _ in known],
            )
            count += 1
    return total, count


def similarity(students, teachers, rows, temperature: float) -> float:
    total = 0.0
    for i in rows:
        others = [j for j in range(len(students)) if j != i]
        total += divergence(
            [float(unit(teachers[i]) @ unit(teachers[j])) / temperature for j in others],
            [float(unit(students[i]) @ unit(students[j])) / temperature for j in others],
        )
    return total
