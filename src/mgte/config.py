"""Strict settings: YAML and plain dicts to frozen dataclasses and back.

Nothing is guessed: an unknown key, a missing value, or a value of another type is a `ConfigError`
that names the key's path. Traps of YAML are handled here: `1e-4` arrives as a string and is taken
as a number where one is wanted; `no` (Norwegian) arrives as False and is refused where a string is
wanted; a date stays the text that it is.
"""

import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml

from mgte.errors import ConfigError

T = TypeVar("T")

_MERGE, _TIMESTAMP = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:timestamp"


def from_dict(kind: type[T], values: Any, path: str = "") -> T:
    """Build a frozen dataclass from plain values.

    Args:
        kind: The dataclass.
        values: A mapping of its fields, as YAML or JSON gives it.
        path: Where the values stand, for messages.

    Returns:
        The record; its own checks have run.

    Raises:
        ConfigError: A key is unknown or missing, or a value is of the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{_place(path)}: got {_shown(values)}, expected a mapping of settings")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in known:
            raise _unknown_key(_join(path, str(key)), str(key), known)
    built: dict[str, Any] = {}
    for name, field in known.items():
        if name in values:
            built[name] = _convert(hints[name], values[name], _join(path, name))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{_join(path, name)}: missing, expected {_spoken(hints[name])}")
    try:
        return kind(**built)
    except ConfigError as error:
        if not path:
            raise
        raise ConfigError(f"{path}.{error.message}", hint=error.hint) from None


def to_dict(value: Any) -> Any:
    """Plain values of a record, ready for YAML or JSON; `from_dict` takes them back."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_dict(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_dict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    return value


def read_yaml(path: str | Path) -> Any:
    """Plain values of a YAML file.

    Raises:
        ConfigError: The file is missing, is no YAML, or gives a key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    return _parse_yaml(text, f"{path}: is not valid YAML")


def write_yaml(values: Any, path: str | Path) -> None:
    """Write plain values as YAML, keys in their own order."""
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
    Path(path).write_text(text, encoding="utf-8")


def override(values: Any, assignments: Mapping[str, Any]) -> Any:
    """Replace single values deep inside.

    Args:
        values: Plain values; left as they are.
        assignments: New values by path: "stages.0.steps", or by name "stages.mlm-512.steps".

    Returns:
        A copy with the new values.

    Raises:
        ConfigError: A path leads nowhere.
    """
    result = to_dict(values)
    for path, value in assignments.items():
        *parents, last = path.split(".")
        if not all((*parents, last)):
            raise ConfigError(f"{path}: has an empty part, expected names between single dots")
        place: Any = result
        for depth, part in enumerate(parents):
            place = _step_into(place, part, ".".join(parents[: depth + 1]))
        if isinstance(place, list):
            place[_position(place, last, path)] = value
        elif isinstance(place, dict):
            place[last] = value
        else:
            raise ConfigError(f"{path}: got {_shown(place)} above `{last}`, expected a mapping")
    return result


def parse_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """`key=value` of a command line; values are read as YAML.

    Raises:
        ConfigError: A text has no `=`, or its value is no YAML.
    """
    found = {}
    for text in texts:
        path, sign, value = text.partition("=")
        if not sign or not path.strip():
            raise ConfigError(f"--set: got {text!r}, expected key=value")
        found[path.strip()] = _parse_yaml(value, f"--set {path}: {value!r} is not valid YAML")
    return found


def _parse_yaml(text: str, complaint: str) -> Any:
    try:
        return yaml.load(text, Loader=_UniqueKeys)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{complaint} ({reason})") from None


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key given twice instead of taking the last.

    Dates stay texts: no setting is a date, and many names look like one.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:  # what is merged in may be given again
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.append(key)
        return super().construct_mapping(node, deep)


_UniqueKeys.yaml_implicit_resolvers = {
    letter: [resolver for resolver in resolvers if resolver[0] != _TIMESTAMP]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _convert(hint: Any, value: Any, path: str) -> Any:
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(get_args(hint), value, path)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in get_args(hint)):
            raise _wrong(hint, value, path)
        return value
    if origin is tuple:
        return _convert_tuple(hint, value, path)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(hint, value, path)
        for key in value:
            if not isinstance(key, str):
                raise ConfigError(
                    f"{_join(path, str(key))}: got the key {_shown(key)}, expected a text",
                    hint="put quotes around it",
                )
        item = get_args(hint)[1]
        return {key: _convert(item, entry, _join(path, key)) for key, entry in value.items()}
    if is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, path)
    return _convert_plain(hint, value, path)


def _convert_plain(hint: Any, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise _wrong(hint, value, path) from None
        if not math.isfinite(number):
            raise ConfigError(f"{_place(path)}: got {_shown(value)}, expected a finite number")
        return number
    if hint is str and isinstance(value, bool | int | float):
        error = _wrong(hint, value, path)
        raise ConfigError(error.message, hint="put quotes around it")
    if hint is Any:
        return value
    matches = isinstance(value, hint) and not (hint is not bool and isinstance(value, bool))
    if not matches:
        raise _wrong(hint, value, path)
    return value


def _convert_tuple(hint: Any, value: Any, path: str) -> Any:
    if not isinstance(value, list | tuple):
        raise _wrong(hint, value, path)
    kinds = get_args(hint)
    if kinds[-1] is Ellipsis:
        return tuple(_convert(kinds[0], item, _join(path, str(i))) for i, item in enumerate(value))
    if len(value) != len(kinds):
        raise _wrong(hint, value, path)
    return tuple(
        _convert(kind, item, _join(path, str(i)))
        for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _convert_union(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    records = [kind for kind in kinds if is_dataclass(kind)]
    if value is None and type(None) in kinds:
        return None
    if isinstance(value, Mapping) and records:
        return from_dict(_chosen_record(records, value, path), value, path)
    wanted = dict if isinstance(value, Mapping) else tuple
    containers = [kind for kind in kinds if get_origin(kind) is wanted]
    if isinstance(value, Mapping | list | tuple) and len(containers) == 1:
        return _convert(containers[0], value, path)  # its errors say which item is wrong
    for kind in kinds:
        if kind in records or kind is type(None):
            continue
        try:
            return _convert(kind, value, path)
        except ConfigError:
            continue
    raise _wrong(typing.Union[kinds], value, path)  # noqa: UP007 - the kinds are known here only


def _chosen_record(records: list[Any], value: Mapping[str, Any], path: str) -> Any:
    """The record whose `kind` the mapping names."""
    if len(records) == 1:
        return records[0]
    by_kind = {
        name: record
        for record in records
        for name in get_args(typing.get_type_hints(record)["kind"])
    }
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in by_kind:
        got = _shown(kind) if "kind" in value else "nothing"
        raise ConfigError(f"{_join(path, 'kind')}: got {got}, expected one of {', '.join(by_kind)}")
    return by_kind[kind]


def _step_into(place: Any, part: str, path: str) -> Any:
    if isinstance(place, list):
        return place[_position(place, part, path)]
    if isinstance(place, dict):
        if place.get(part) is None:  # "sampling:" with nothing behind it is a mapping to be filled
            place[part] = {}
        return place[part]
    raise ConfigError(f"{path}: got {_shown(place)}, expected a mapping or a list")


def _position(items: list[Any], part: str, path: str) -> int:
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if part in names:
        return names.index(part)
    if part.isdecimal() and int(part) < len(items):
        return int(part)
    if not items:
        raise ConfigError(f"{path}: no entry {part!r}, the list is empty")
    known = ", ".join(str(name) for name in names if name is not None) or f"0 to {len(items) - 1}"
    raise ConfigError(f"{path}: no entry {part!r}, expected one of {known}")


def _unknown_key(path: str, key: str, known: Iterable[str]) -> ConfigError:
    close = difflib.get_close_matches(key, list(known), n=1)
    return ConfigError(
        f"{path}: unknown key; known keys: {', '.join(known)}",
        hint=f"did you mean `{close[0]}`?" if close else None,
    )


def _wrong(hint: Any, value: Any, path: str) -> ConfigError:
    return ConfigError(f"{_place(path)}: got {_shown(value)}, expected {_spoken(hint)}")


def _spoken(hint: Any) -> str:
    """What a type is called in a message."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(str(choice) for choice in inner)}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_spoken(kind) for kind in inner))
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return f"a list, each {_spoken(inner[0])}"
        return f"a list of {len(inner)} values"
    if origin in (dict, Mapping):
        return "a mapping"
    names = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    return names.get(hint, "nothing" if hint is type(None) else "a mapping of settings")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _place(path: str) -> str:
    return path or "settings"
