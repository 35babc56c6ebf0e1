"""Words, files and the tokenizer; loads no torch."""

from mgte.text.tokenizer import Overflow, TokenizedTexts, Tokenizer

__all__ = ["Overflow", "TokenizedTexts", "Tokenizer"]
