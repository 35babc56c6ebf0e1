"""mteb, imported when it is needed, and the few words of its that we read: prompts and texts.

mteb hands texts over in two ways: ready ones in the batches of a data loader, and raw columns to
those who search by themselves. Both must become the same text.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mgte.errors import BackendUnavailableError, DataError


def import_mteb(module: str = "mteb") -> Any:
    """mteb, or one of its modules.

    Args:
        module: Its full name.

    Returns:
        The module.

    Raises:
        BackendUnavailableError: mteb is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BackendUnavailableError(
            f"MTEB tasks need the package mteb ({error})", hint="pip install 'mgte[eval]'"
        ) from error


def find_prompt(
    prompts: Mapping[str, str], task_name: str, task_type: str, prompt_type: str | None
) -> str | None:
    """The prompt of a task, by mteb's order of choice.

    Args:
        prompts: Prompt by task ("SciFact"), type of task ("STS"), either with the side of a
            search ("SciFact-query"), or the side alone ("query", "document").
        task_name: Name of the task.
        task_type: Its type.
        prompt_type: "query", "document", or None where texts are neither.

    Returns:
        The prompt of the first key there is: task and side, task, type and side, type, side.
        None if there is none. Source: mteb 2, `get_prompt_name`.
    """
    keys = [task_name, task_type]
    if prompt_type is not None:
        side = prompt_type
        keys = [f"{task_name}-{side}", task_name, f"{task_type}-{side}", task_type, side]
    return next((prompts[key] for key in keys if key in prompts), None)


def texts_of_batches(batches: Iterable[Mapping[str, Any]], task_name: str) -> list[str]:
    """All texts that a data loader gives.

    Args:
        batches: Batches; each holds a list under "text".
        task_name: Name of the task, for the message.

    Returns:
        The texts, in order.

    Raises:
        DataError: A batch holds no text, as those of images do.
    """
    texts: list[str] = []
    for batch in batches:
        if "text" not in batch:
            raise DataError(f"{task_name}: got a batch of {', '.join(batch)}, expected text")
        texts.extend(batch["text"])
    return texts


def document_texts(corpus: Any) -> list[str]:
    """Documents of a data set as one text each: title and text, joined by a space.

    Args:
        corpus: Data set with the column "text", and often "title".

    Returns:
        The texts in the order of the rows. Source: mteb 2, `_corpus_to_dict`.
    """
    # A column of a data set is read from disk again for every row that is asked of it.
    texts: list[str] = list(corpus["text"])
    if "title" not in corpus.column_names:
        return [text.strip() for text in texts]
    titles = list(corpus["title"])
    return [
        f"{title} {text}".strip() if title else text.strip()
        for title, text in zip(titles, texts, strict=True)
    ]


def query_texts(queries: Any) -> list[str]:
    """Queries of a data set as one text each, with their instruction.

    Args:
        queries: Data set with the column "text", a string or a conversation, and at times
            "instruction".

    Returns:
        The texts in the order of the rows. An instruction follows a text and precedes a
        conversation. Source: mteb 2, `_combine_queries_with_instruction_text` and
        `_convert_conv_history_to_query`.
    """
    texts = list(queries["text"])
    has_instructions = "instruction" in queries.column_names
    instructions = list(queries["instruction"]) if has_instructions else [None] * len(texts)
    return [
        _query_text(text, instruction)
        for text, instruction in zip(texts, instructions, strict=True)
    ]


def _query_text(text: str | Sequence[Any], instruction: str | None) -> str:
    if isinstance(text, str):
        return text if instruction is None else f"{text} {instruction}"
    turns = [
        turn if isinstance(turn, str) else f"{turn['role']}: {turn['content']}" for turn in text
    ]
    conversation = "; ".join(turns)
    return conversation if instruction is None else f"{instruction} {conversation}"
