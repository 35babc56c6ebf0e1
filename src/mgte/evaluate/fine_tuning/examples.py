"""Examples of tasks of language understanding, whatever file they came from. Loads no torch."""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class TextExample:
    """A text or a pair of texts, with a class or a number.

    Attributes:
        example_id: Its id.
        first: The text.
        second: The second text of a pair; None for a single text.
        target: Index of the class, or the number.
    """

    example_id: str
    first: str
    second: str | None
    target: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceExample:
    """A text that one of several others goes on best.

    Attributes:
        example_id: Its id.
        first: The text.
        choices: What may follow.
        target: Index of the right choice.
    """

    example_id: str
    first: str
    choices: tuple[str, ...]
    target: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggedExample:
    """Words of a sentence, each with a tag.

    Attributes:
        example_id: Its id.
        words: Words.
        tags: Their tags.
    """

    example_id: str
    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionExample:
    """A question whose answer is a span of a text.

    Attributes:
        example_id: Id of the question; translations of a question share it.
        question: The question.
        context: The text.
        answers: Right answers as they stand in the text.
        starts: Character where each starts.
    """

    example_id: str
    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkedExample:
    """A text and another one that belongs to it, or the id of that one.

    Attributes:
        example_id: Its id.
        first: The text.
        second: What belongs to it; "" where only its id is known.
        positive_id: Id of what belongs to it; "" where the text itself is given.
    """

    example_id: str
    first: str
    second: str = ""
    positive_id: str = ""


Example = TextExample | ChoiceExample | TaggedExample | QuestionExample | LinkedExample


def hash_examples(examples: Sequence[Example]) -> str:
    """Hash of examples, the same whatever files they came from.

    Args:
        examples: Examples in their order.

    Returns:
        SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for example in examples:
        digest.update(repr((type(example).__name__, astuple(example))).encode())
    return digest.hexdigest()
