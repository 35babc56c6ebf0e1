"""Low-rank adapters through peft: put in before a stage, merged into the weights after it."""

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mgte.errors import BackendUnavailableError, ConfigError
from mgte.train.recipe import LoraConfig

_WRAPPED = "base_layer."


def add_adapters(
    model: nn.Module, config: LoraConfig, *, seed: int, fresh: Collection[str]
) -> None:
    """Put adapters into a model and freeze everything else but fresh weights.

    Args:
        model: The model; changed in place.
        config: Rank, scale and targets.
        seed: Seed of the adapters' first weights.
        fresh: Names of parameters that start from random weights and are trained whole.

    Raises:
        BackendUnavailableError: peft is not installed.
        ConfigError: No module is a target.
    """
    try:
        import peft
    except ImportError:
        raise BackendUnavailableError(
            "lora: the package `peft` is missing", hint="pip install 'mgte[lora]'"
        ) from None
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.rsplit(".", 1)[-1] in config.targets
    ]
    if not names:
        raise ConfigError(
            f"lora.targets: got {', '.join(config.targets)}, expected ends of names of linear "
            "layers, such as qkv"
        )
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type] # peft: int, though any number does
        lora_dropout=config.dropout,
        target_modules=names,
    )
    torch.manual_seed(seed)
    peft.inject_adapter_in_model(settings, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name or name in fresh)


def plain_weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights as the model had them before adapters, with the adapters added in.

    Args:
        model: A model with or without adapters.

    Returns:
        Detached weights by the names of a plain model.
    """
    changes = dict(_changes(model))
    weights = {}
    for name, tensor in model.state_dict().items():
        if ".lora_" in name:
            continue
        plain = name.replace(_WRAPPED, "")
        weights[plain] = tensor + changes[plain] if plain in changes else tensor
    return weights


def _changes(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What each adapter adds to a weight, by the weight's plain name."""
    for name, _ in model.named_modules():
        if name.endswith(_WRAPPED[:-1]):
            owner: Any = model.get_submodule(name.rpartition(".")[0])
            change: Tensor = owner.get_delta_weight("default").detach()
            yield f"{name.rpartition('.')[0]}.weight", change
