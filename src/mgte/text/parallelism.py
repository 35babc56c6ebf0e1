"""Keeps the tokenizer's thread pool and `fork` at peace, without touching the user's settings."""

import functools
import os

_SETTING = "TOKENIZERS_PARALLELISM"


@functools.cache
def prepare_for_forks() -> None:
    """Make a later `fork` of this process quiet and safe; does nothing after the first call.

    A forked child has no thread pool, so `tokenizers` must work serially there. It does so by
    itself, but prints five lines for every fork unless the setting is present when the child
    starts. So the setting exists in the child, and in the parent only while it forks. A value
    that the user chose is left alone.
    """
    if not hasattr(os, "register_at_fork"):  # Windows has no fork
        return
    was_set_here = False

    def before() -> None:
        nonlocal was_set_here
        if _SETTING not in os.environ:
            os.environ[_SETTING] = "false"
            was_set_here = True

    def after_in_parent() -> None:
        nonlocal was_set_here
        if was_set_here:
            os.environ.pop(_SETTING, None)
            was_set_here = False

    os.register_at_fork(before=before, after_in_parent=after_in_parent)
