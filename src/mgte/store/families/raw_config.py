"""RawConfig: a config.json read key by key, with errors that name the file and the key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mgte.errors import ConfigError

T = TypeVar("T")

_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class RawConfig:
    """A JSON object and where it came from.

    Attributes:
        values: The object.
        where: File that errors name.
        path: Key of this object inside the file, with a final dot; empty at the top.
    """

    values: Mapping[str, Any]
    where: str = "config.json"
    path: str = ""

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self.values.get(key) is not None

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number; without a default the key must be there."""
        value = self._value(key, default, "an integer")
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, value, "an integer")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number; without a default the key must be there."""
        value = self._value(key, default, "a number")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, value, "a number")
        if not abs(value) < float("inf"):
            raise self.error(key, value, "a finite number")
        return float(value)

    def boolean(self, key: str, default: bool | None = None) -> bool:
        """True or false; published configs also spell them as strings."""
        value = self._value(key, default, "true or false")
        if isinstance(value, str):
            value = _TRUTH.get(value.lower(), value)
        if not isinstance(value, bool):
            raise self.error(key, value, "true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without a default the key must be there."""
        value = self._value(key, default, "a string")
        if not isinstance(value, str):
            raise self.error(key, value, "a string")
        return value

    def choice(self, key: str, choices: Mapping[str, T], default: str | None = None) -> T:
        """What one of several known words stands for."""
        word = self.text(key, default)
        if word not in choices:
            raise self.error(key, word, f"one of {', '.join(choices)}")
        return choices[word]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty if the key is absent."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, value, "a list of strings")
        return tuple(value)

    def mapping(self, key: str) -> "RawConfig | None":
        """A nested object; None if the key is absent or null."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.error(key, value, "an object")
        return RawConfig(values=value, where=self.where, path=f"{self.path}{key}.")

    def error(self, key: str, value: Any, expected: str, *, hint: str | None = None) -> ConfigError:
        """The error that names file, key, what came and what is expected."""
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return ConfigError(
            f"{self.where}: {self.path}{key}: got {shown}, expected {expected}", hint=hint
        )

    def _value(self, key: str, default: Any, expected: str) -> Any:
        value = self.values.get(key)
        if value is not None:
            return value
        if default is None:
            raise ConfigError(f"{self.where}: {self.path}{key}: missing, expected {expected}")
        return default
