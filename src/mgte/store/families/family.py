"""Family: how one kind of checkpoint is translated into our vocabulary and back.

A family is data: two functions for `config.json`, one for the head, and a table of name rules.
The same table loads and saves. `expand_rules` turns it into one rule per tensor and refuses a
table that names a tensor twice or forgets one, so names are a bijection by construction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mgte.model import EncoderConfig, HeadConfig, HeadKind
from mgte.packing import Pooling
from mgte.store.families.canonical import canonical_shapes
from mgte.store.families.raw_config import RawConfig

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True, kw_only=True, slots=True)
class NameRule:
    """Names of one module (all its tensors) or of one tensor, ours and theirs.

    Attributes:
        ours: Our module or tensor name; `{}` stands for the layer number.
        theirs: Their names; several are joined along the first dimension into ours.
        swap_halves: Whether their two halves along the first dimension stand the other way round.
        in_backbone: Whether a checkpoint with a head writes the family's prefix before the name.
        copies: Other names under which checkpoints store the same values once more.
    """

    ours: str
    theirs: tuple[str, ...]
    swap_halves: bool = False
    in_backbone: bool = True
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorRule:
    """One tensor of ours and the checkpoint tensors that it is made of.

    Attributes:
        ours: Our tensor name.
        shape: Its shape.
        theirs: Their names, without prefix.
        rows: Rows of each part along the first dimension.
        swap_halves: As in `NameRule`.
        in_backbone: As in `NameRule`.
        copies: As in `NameRule`.
    """

    ours: str
    shape: Shape
    theirs: tuple[str, ...]
    rows: tuple[int, ...]
    swap_halves: bool
    in_backbone: bool
    copies: tuple[str, ...]

    def part_shape(self, part: int) -> Shape:
        """Shape of one of their tensors."""
        return (self.rows[part], *self.shape[1:])


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Two-way translation of one checkpoint family.

    Attributes:
        name: `model_type` in config.json.
        prefixes: Prefixes of the backbone in checkpoints with a head, the one we write first.
        default_pooling: Pooling of an embedding model without side files.
        architectures: Class names of transformers by head kind.
        read_config: From config.json to our encoder settings.
        write_config: From our settings to the keys of config.json; raises ConfigError for
            settings that the family cannot say.
        read_head: From config.json and the checkpoint's shapes (without prefix) to the head.
        name_rules: The table of names; the checkpoint's names choose between layouts, and
            without any (when saving) the family's own layout is taken.
        unused: Patterns of tensors that no model of ours reads; dropped with a log line.
        renames: Old endings of tensor names and what they are called now.
    """

    name: str
    prefixes: tuple[str, ...]
    default_pooling: Pooling
    architectures: Mapping[HeadKind, str]
    read_config: Callable[[RawConfig], EncoderConfig]
    write_config: Callable[[EncoderConfig, HeadConfig], dict[str, Any]]
    read_head: Callable[[RawConfig, Shapes], HeadConfig]
    name_rules: Callable[[EncoderConfig, HeadConfig, frozenset[str]], list[NameRule]]
    unused: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()

    def strip_prefix(self, name: str) -> str:
        """The name without the family's prefix and with its current ending."""
        for old, new in self.renames:
            if name.endswith(old):
                name = name.removesuffix(old) + new
        for prefix in self.prefixes:
            if name.startswith(prefix):
                return name.removeprefix(prefix)
        return name


def expand_rules(
    rules: list[NameRule], config: EncoderConfig, head: HeadConfig
) -> list[TensorRule]:
    """One rule per tensor of the model that the two configs describe.

    Args:
        rules: A family's table.
        config: The encoder's settings.
        head: The head's settings.

    Returns:
        Every tensor of the model exactly once.

    Raises:
        ValueError: The table names a tensor twice or forgets one.
    """
    shapes = canonical_shapes(config, head)
    expanded: dict[str, TensorRule] = {}
    for rule in rules:
        layers = range(config.num_hidden_layers) if "{}" in rule.ours else range(1)
        for layer in layers:
            for ending in ("", ".weight", ".bias"):
                name = rule.ours.format(layer) + ending
                if name not in shapes:
                    continue
                if name in expanded:
                    raise ValueError(f"two rules name {name}")
                theirs = tuple(part.format(layer) + ending for part in rule.theirs)
                expanded[name] = TensorRule(
                    ours=name,
                    shape=shapes[name],
                    theirs=theirs,
                    rows=_part_rows(shapes[name][0], len(theirs), config),
                    swap_halves=rule.swap_halves,
                    in_backbone=rule.in_backbone,
                    copies=tuple(copy.format(layer) + ending for copy in rule.copies),
                )
    forgotten = shapes.keys() - expanded.keys()
    if forgotten:
        raise ValueError(f"no rule names {', '.join(sorted(forgotten))}")
    return list(expanded.values())


def _part_rows(rows: int, num_parts: int, config: EncoderConfig) -> tuple[int, ...]:
    if num_parts == 3:
        return (config.query_size, config.key_value_size, config.key_value_size)
    return (rows // num_parts,) * num_parts
