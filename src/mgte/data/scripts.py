"""Which letters belong to scripts that put no spaces between words."""

import re

# Thai to Myanmar, Khmer, Kana and Bopomofo, ideographs with their extensions. Korean puts spaces.
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u312f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_UNSPACED_LETTER = re.compile(f"[{_UNSPACED}]")


def is_unspaced(letter: str) -> bool:
    """Whether a letter is of a script without spaces: Chinese, Japanese, Thai and their like."""
    return _UNSPACED_LETTER.match(letter) is not None


def count_unspaced(text: str) -> int:
    """Letters of a text that are of a script without spaces."""
    return 0 if text.isascii() else len(_UNSPACED_LETTER.findall(text))
