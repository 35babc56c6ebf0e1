"""All weight initialisation, as one table.

| parameter                  | initial value                                  |
|----------------------------|------------------------------------------------|
| weights of linear layers   | normal, mean 0, std `initializer_range`        |
| embedding tables           | the same; the padding token's row is 0         |
| biases                     | 0                                              |
| norm weights               | 1                                              |

Source: GTE new-impl modeling.py, `_init_weights`.
"""

import torch
from torch import nn

from mgte.model.config import EncoderConfig


def init_weights(model: nn.Module, config: EncoderConfig, *, generator: torch.Generator) -> None:
    """Fill all parameters of a new model in place, in a fixed order."""
    std = config.initializer_range
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name.rsplit(".", 2)[-2]:
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, std, generator=generator)
            if name == "encoder.embeddings.word.weight":
                parameter[config.pad_token_id].zero_()
