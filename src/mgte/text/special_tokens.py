"""Special tokens of a tokenizer, and the frame of them that it puts around a text or a pair.

The frame is found once by probing, so that texts are tokenised bare and framed afterwards:
``[start] text [end]`` and ``[start] query [middle] document [end]``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tokenizers

from mgte.errors import CheckpointError

ROLES = ("cls", "sep", "bos", "eos", "pad", "unk")

# What stands for a role when the folder has a tokenizer.json and nothing that names the roles.
_USUAL_CONTENT = {
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "bos": ("<s>",),
    "eos": ("</s>", "<|endoftext|>"),
    "pad": ("[PAD]", "<pad>", "<|endoftext|>"),
    "unk": ("[UNK]", "<unk>"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """Special tokens around one text, or around a query and a document.

    Attributes:
        start: Ids before the first text.
        middle: Ids between the two texts; empty for a single text.
        end: Ids after the last text.
        types: Token type ids of start, first text, middle, second text and end; one number each
            for the texts, one per special token for the others.
    """

    start: tuple[int, ...]
    middle: tuple[int, ...]
    end: tuple[int, ...]
    types: tuple[tuple[int, ...], int, tuple[int, ...], int, tuple[int, ...]]

    @property
    def num_tokens(self) -> int:
        """Special tokens in the frame."""
        return len(self.start) + len(self.middle) + len(self.end)

    @property
    def has_types(self) -> bool:
        """Whether any token type id is not zero."""
        start, first, middle, second, end = self.types
        return any((*start, first, *middle, second, *end))

    def type_ids(self, num_first: int, num_second: int = 0) -> list[int]:
        """Token type ids of a framed text or pair."""
        start, first, middle, second, end = self.types
        return [*start, *[first] * num_first, *middle, *[second] * num_second, *end]


def find_role_ids(backend: tokenizers.Tokenizer, names: Mapping[str, Any]) -> dict[str, int]:
    """Ids of the special tokens by role.

    Args:
        backend: The tokenizer.
        names: `tokenizer_config.json` over `special_tokens_map.json`: ``cls_token`` and so on, each
            a string or an object with `content`.

    Returns:
        Role (one of `ROLES`) to id, for the roles that the tokenizer has.
    """
    found: dict[str, int] = {}
    named = any(f"{role}_token" in names for role in ROLES)
    for role in ROLES:
        entry = names.get(f"{role}_token")
        content = entry.get("content") if isinstance(entry, dict) else entry
        candidates = (content,) if named else _USUAL_CONTENT[role]
        for candidate in candidates:
            token_id = backend.token_to_id(candidate) if isinstance(candidate, str) else None
            if token_id is not None:
                found[role] = token_id
                break
    return found


def probe_frames(backend: tokenizers.Tokenizer, place: str) -> tuple[Frame, Frame | None]:
    """The frames of a single text and of a pair, read off what the tokenizer does.

    Args:
        backend: The tokenizer, without truncation and padding.
        place: Folder or file to name in an error.

    Returns:
        Frame of one text, and frame of a pair; None for the latter when the tokenizer does not put
        the first text before the second.

    Raises:
        CheckpointError: No probe text gives a token, or the special tokens depend on the text.
    """
    for word in ("a", "A", "1", ".", *sorted(backend.get_vocab())[:200]):
        single, pair = backend.encode(word), backend.encode(word, word)
        if 0 in single.sequence_ids and {0, 1} <= set(pair.sequence_ids):
            break
    else:
        raise CheckpointError(
            f"{place}: the tokenizer gives no tokens for any text, expected a usable vocabulary"
        )
    frame = _read_frame(single)
    if frame is None:
        raise CheckpointError(
            f"{place}: the tokenizer puts special tokens inside a text, expected them around it"
        )
    return frame, _read_frame(pair)


def _read_frame(encoding: tokenizers.Encoding) -> Frame | None:
    """The frame of one probe, or None where the texts do not stand in order."""
    ids, types, owners = encoding.ids, encoding.type_ids, encoding.sequence_ids
    first = [index for index, owner in enumerate(owners) if owner == 0]
    second = [index for index, owner in enumerate(owners) if owner == 1] or [first[-1]]
    if sorted(first) != list(range(first[0], first[-1] + 1)) or second[0] < first[-1]:
        return None
    start, middle, end = (
        slice(0, first[0]),
        slice(first[-1] + 1, max(second[0], first[-1] + 1)),
        slice(second[-1] + 1, len(ids)),
    )
    return Frame(
        start=tuple(ids[start]),
        middle=tuple(ids[middle]),
        end=tuple(ids[end]),
        types=(
            tuple(types[start]),
            types[first[0]],
            tuple(types[middle]),
            types[second[0]] if 1 in owners else 0,
            tuple(types[end]),
        ),
    )
