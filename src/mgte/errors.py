"""Every exception of the package.

::

    MgteError
    ├── ConfigError(ValueError)               a setting is unknown, missing or of the wrong type
    ├── DataError(ValueError)                 an input, line or file cannot mean what it should
    ├── CheckpointError                       a model folder is incomplete, damaged or refused
    ├── TrainingError                         a training run cannot go on; nothing was overwritten
    ├── BackendUnavailableError(ImportError)  an optional package or hardware feature is absent
    ├── IndexMismatchError(ValueError)        vectors and index disagree
    └── OverloadedError                       the server queue is full

A message is one sentence: where, what came, what is expected. What the user can do next stands in
`hint` and is printed after a blank line.
"""


class MgteError(Exception):
    """Root of all errors that this package raises on purpose.

    Args:
        message: One sentence: where, what we got, what we expect.
        hint: What to do next, if there is a next step.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\n\nhint: {hint}")
        self.message = message
        self.hint = hint


class ConfigError(MgteError, ValueError):
    """A setting is unknown, missing, of the wrong type, or contradicts another."""


class DataError(MgteError, ValueError):
    """An input text, line or file cannot mean what it should."""


class CheckpointError(MgteError):
    """A model folder is incomplete, damaged, or of a kind that is refused."""


class TrainingError(MgteError):
    """A run cannot go on (a loss that is no number, a full disk); the last checkpoint is intact."""


class BackendUnavailableError(MgteError, ImportError):
    """An optional package or a hardware feature is absent; the hint carries the install line."""


class IndexMismatchError(MgteError, ValueError):
    """Vectors and index disagree on width, model or ids."""


class OverloadedError(MgteError):
    """The queue is full; the message carries the limit."""
