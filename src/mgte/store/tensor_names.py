"""From checkpoint tensors to ours and back, by a family's table of rules.

Loading: resolve names (with or without prefix) -> every tensor used exactly once, shapes right ->
read, join, swap, cast, check for NaN. Saving runs the same rules the other way.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mgte.errors import CheckpointError
from mgte.model import EncoderConfig, HeadConfig
from mgte.store.checkpoint_files import FLOAT_DTYPES, CheckpointFiles
from mgte.store.families import Family, TensorRule, expand_rules

_LOG = logging.getLogger(__name__)

# Buffers that old versions of the reference code saved although they follow from the config.
_DERIVED = re.compile(
    r"(.*\.)?(position_ids|token_type_ids|rotary_emb\.(inv_freq|cos_cached|sin_cached))"
)
_SHOWN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """A rule and the names that it has found in a checkpoint.

    Attributes:
        rule: The rule.
        parts: The checkpoint's names of the rule's parts.
        copies: Further tensors that must hold the same values.
    """

    rule: TensorRule
    parts: tuple[str, ...]
    copies: tuple[str, ...]


def strip_shapes(family: Family, files: CheckpointFiles) -> dict[str, tuple[int, ...]]:
    """Shapes of the checkpoint's tensors by their names without the family's prefix."""
    return {family.strip_prefix(name): info.shape for name, info in files.tensors.items()}


def load_tensors(
    files: CheckpointFiles,
    family: Family,
    config: EncoderConfig,
    head: HeadConfig,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """The state dict of the model that the two configs describe.

    Args:
        files: The checkpoint.
        family: Its family.
        config: The encoder's settings.
        head: The head's settings.
        dtype: Type of the result; where the file has it already, tensors stay memory-mapped.

    Returns:
        Our tensors by our names.

    Raises:
        CheckpointError: Tensors are missing, left over, of the wrong shape or type, or not finite.
    """
    bindings = bind(files, family, config, head)
    return {binding.rule.ours: _load(files, binding, dtype) for binding in bindings}


def bind(
    files: CheckpointFiles, family: Family, config: EncoderConfig, head: HeadConfig
) -> list[Binding]:
    """Find every rule's tensors and make sure that every tensor is used exactly once.

    Args:
        files: The checkpoint.
        family: Its family.
        config: The encoder's settings.
        head: The head's settings.

    Returns:
        One binding per tensor of ours.

    Raises:
        CheckpointError: Tensors are missing, left over, or of the wrong shape or type.
    """
    # Each layer has tensors of its own; checked first, so that a wild count is not worked through.
    if config.num_hidden_layers > len(files.tensors):
        raise CheckpointError(
            f"{files.folder}: config.json says num_hidden_layers={config.num_hidden_layers:,}, "
            f"but the checkpoint has only {len(files.tensors):,} tensors"
        )
    stripped = frozenset(strip_shapes(family, files))
    rules = expand_rules(family.name_rules(config, head, stripped), config, head)
    finder = _Finder(family, files)
    bindings = [finder.bind(rule) for rule in rules]
    _check_complete(files, family, finder, head)
    for binding in bindings:
        _check_header(files, binding)
    return bindings


def export_tensors(
    state: Mapping[str, Tensor], family: Family, config: EncoderConfig, head: HeadConfig
) -> dict[str, Tensor]:
    """The tensors of a checkpoint of the family, from our state dict.

    Args:
        state: Our tensors by our names.
        family: Family to write.
        config: The encoder's settings.
        head: The head's settings.

    Returns:
        Their tensors by their names, on the CPU, contiguous, sharing no memory with each other.

    Raises:
        CheckpointError: A tensor is missing from the state dict, or left over.
    """
    rules = expand_rules(family.name_rules(config, head, frozenset()), config, head)
    missing = [rule.ours for rule in rules if rule.ours not in state]
    left_over = sorted(state.keys() - {rule.ours for rule in rules})
    if missing or left_over:
        raise CheckpointError(f"state dict: {_mismatch(missing, left_over)}")
    exported: dict[str, Tensor] = {}
    for rule in rules:
        prefix = family.prefixes[0] if rule.in_backbone and head.kind != "none" else ""
        values = state[rule.ours].detach().cpu()
        values = _swap_halves(values) if rule.swap_halves else values
        for name, part in zip(rule.theirs, values.split(rule.rows), strict=True):
            exported[prefix + name] = part.clone(memory_format=torch.contiguous_format)
    return exported


class _Finder:
    """Looks tensors up by name, with each prefix and without, and remembers what was taken."""

    def __init__(self, family: Family, files: CheckpointFiles) -> None:
        self._prefixes = (*family.prefixes, "")
        self._actual = {_rename(family, name): name for name in files.tensors}
        self.left_over = set(files.tensors)
        self.missing: list[str] = []

    def bind(self, rule: TensorRule) -> Binding:
        parts = [self._take(name) for name in rule.theirs]
        copies = [copy for name in rule.copies if (copy := self._take(name)) is not None]
        if parts == [None] and copies:
            # Of tied tensors some checkpoints keep only the other one.
            parts = [copies.pop(0)]
        for name, part in zip(rule.theirs, parts, strict=True):
            if part is None:
                self.missing.append(name)
        found = tuple(part for part in parts if part is not None)
        return Binding(rule=rule, parts=found, copies=tuple(copies))

    def _take(self, name: str) -> str | None:
        for prefix in self._prefixes:
            actual = self._actual.get(prefix + name)
            if actual is not None and actual in self.left_over:
                self.left_over.remove(actual)
                return actual
        return None


def _rename(family: Family, name: str) -> str:
    for old, new in family.renames:
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _check_complete(
    files: CheckpointFiles, family: Family, finder: _Finder, head: HeadConfig
) -> None:
    unused: list[str] = []
    left_over: list[str] = []
    for name in sorted(finder.left_over):
        if _DERIVED.fullmatch(name):
            continue
        stripped = family.strip_prefix(name)
        is_unused = any(re.fullmatch(pattern, stripped) for pattern in family.unused)
        (unused if is_unused else left_over).append(name)
    if finder.missing or left_over:
        raise CheckpointError(
            f"{files.folder}: {_mismatch(finder.missing, left_over)}",
            hint=f"config.json says model_type {family.name!r}, and the tensors show a head of "
            f"kind {head.kind!r}",
        )
    if unused:
        _LOG.info("%s: not read, no model here uses them: %s", files.folder, ", ".join(unused))


def _mismatch(missing: list[str], left_over: list[str]) -> str:
    said = [
        f"{len(names):,} tensor{'s' * (len(names) > 1)} {word} ({', '.join(names[:_SHOWN])}"
        f"{', ...' if len(names) > _SHOWN else ''})"
        for word, names in (("missing", missing), ("left over", left_over))
        if names
    ]
    return " and ".join(said)


def _check_header(files: CheckpointFiles, binding: Binding) -> None:
    rule = binding.rule
    whole = [rule.shape] * len(binding.copies)
    parts = [rule.part_shape(part) for part in range(len(binding.parts))]
    for name, expected in zip((*binding.parts, *binding.copies), parts + whole, strict=True):
        info = files.tensors[name]
        if info.shape != expected:
            raise CheckpointError(
                f"{files.folder / info.file}: tensor {name} has shape {list(info.shape)}, "
                f"expected {list(expected)} from config.json"
            )
        if info.dtype not in FLOAT_DTYPES and name not in files.scales:
            raise CheckpointError(
                f"{files.folder / info.file}: tensor {name} has type {info.dtype}, expected one "
                f"of {', '.join(FLOAT_DTYPES)}"
            )


def _load(files: CheckpointFiles, binding: Binding, dtype: torch.dtype) -> Tensor:
    parts = [_read_finite(files, name, dtype) for name in binding.parts]
    values = parts[0] if len(parts) == 1 else torch.cat(parts)
    for name in binding.copies:
        if not torch.equal(values, files.read(name).to(dtype)):
            raise CheckpointError(
                f"{files.folder}: tensor {name} differs from {binding.parts[0]}, expected equal "
                "values because config.json ties them",
                hint='set "tie_word_embeddings": false in config.json if they differ on purpose',
            )
    return _swap_halves(values) if binding.rule.swap_halves else values


def _read_finite(files: CheckpointFiles, name: str, dtype: torch.dtype) -> Tensor:
    values = files.read(name)
    # One pass without a mask of the same size; a sum can overflow though all values are finite.
    if not values.sum(dtype=torch.float32).isfinite() and not values.isfinite().all():
        raise CheckpointError(
            f"{files.folder / files.tensors[name].file}: tensor {name} holds NaN or infinite "
            "values, expected finite ones"
        )
    cast = values.to(dtype)
    if cast is not values and not cast.sum(dtype=torch.float32).isfinite():
        if not cast.isfinite().all():
            raise CheckpointError(
                f"{files.folder / files.tensors[name].file}: tensor {name} does not fit into "
                f"{str(dtype).removeprefix('torch.')}",
                hint="load it as float32 or bfloat16",
            )
    return cast


def _swap_halves(values: Tensor) -> Tensor:
    first, second = values.chunk(2)
    return torch.cat((second, first))
