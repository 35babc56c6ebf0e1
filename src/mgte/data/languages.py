"""Language of texts whose source does not tell it."""

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mgte.data.raw_rows import DETECTED, RawRow
from mgte.errors import BackendUnavailableError

UNKNOWN_LANGUAGE = "und"
# Fewer bytes of letters (8 ideographs, 24 Latin letters) are guesswork.
_MIN_LETTER_BYTES = 24
# More text makes no difference, and costs.
_MAX_CHARACTERS = 600
# ISO 639-2: no linguistic content.
_NOT_A_LANGUAGE = "zxx"


def detect_languages(texts: Sequence[str]) -> list[str]:
    """ISO 639 code of each text's language.

    Args:
        texts: Texts.

    Returns:
        Codes; "und" for texts that are too short to tell.

    Raises:
        BackendUnavailableError: The package py3langid is absent.
    """
    identifier = _import_identifier()
    return [_detect(identifier, text[:_MAX_CHARACTERS]) for text in texts]


def tag_languages(rows: Sequence[RawRow]) -> list[RawRow]:
    """Rows with a language: that of their source, else that of their first document.

    Args:
        rows: Raw rows.

    Returns:
        The same rows, in their order, `language` filled in.

    Raises:
        BackendUnavailableError: The package py3langid is absent, and a row has no language.
    """
    untold = [row.documents[0] for row in rows if not row.language]
    found = iter(detect_languages(untold) if untold else ())
    return [
        row if row.language else replace(row, language=next(found), language_from=DETECTED)
        for row in rows
    ]


def _detect(identifier: Any, text: str) -> str:
    letters = "".join(letter for letter in text if letter.isalpha())
    if len(letters.encode()) < _MIN_LETTER_BYTES:
        return UNKNOWN_LANGUAGE
    code = str(identifier.classify(text)[0])
    return UNKNOWN_LANGUAGE if code == _NOT_A_LANGUAGE else code


def _import_identifier() -> Any:
    try:
        return importlib.import_module("py3langid")
    except ImportError as error:
        raise BackendUnavailableError(
            "language: detection needs the package py3langid",
            hint="pip install 'mgte[train]', or set `language` or `language_field` of the source",
        ) from error
