"""A share of the start's weights in what a stage saves: less forgetting of what the start knew.

Where a stage teaches a model something new, the straight line between the weights before and after
it often holds a model that keeps most of both (WiSE-FT, arXiv 2109.01903, equation 1).
"""

from collections.abc import Mapping

from torch import Tensor

from mgte.train.initial_model import InitialModel
from mgte.train.recipe import Stage


def start_weights(stage: Stage, initial: InitialModel) -> dict[str, Tensor]:
    """The weights that a stage needs once more at its end.

    Args:
        stage: The stage.
        initial: Its model before the first step, without adapters.

    Returns:
        A copy on the CPU, by name, of all that does not start from random weights; empty where
        the recipe asks for no share of it.
    """
    if not stage.output.start_share:
        return {}
    return {
        name: tensor.detach().cpu().clone()
        for name, tensor in initial.model.state_dict().items()
        if name not in initial.fresh and tensor.is_floating_point()
    }


def with_start(
    weights: Mapping[str, Tensor], start: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Weights on the line from the start to what was trained.

    Args:
        weights: Trained weights by name.
        start: Weights before the first step; what is not there is taken as trained.
        share: Share of the start: 0 gives the trained weights, 1 the start.

    Returns:
        share * start + (1 - share) * weights, by name, on the CPU.
    """
    return {
        name: tensor.detach().cpu() * (1.0 - share) + start[name] * share
        if name in start
        else tensor
        for name, tensor in weights.items()
    }
