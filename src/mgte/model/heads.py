"""Head: [dense -> activation [-> norm]] -> output, the shape of every head of the families."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from mgte.model.config import EncoderConfig, HeadConfig
from mgte.model.layers import activate


class Head(nn.Module):
    """Scores from hidden states.

    With a tied output (masked LM) the weight is the token embedding table, which the caller
    passes in; the head owns only the bias.
    """

    def __init__(self, config: EncoderConfig, head: HeadConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.config = head
        self.dense = nn.Linear(size, size, bias=head.dense_bias) if head.has_dense else None
        self.norm = (
            nn.LayerNorm(size, eps=config.norm_eps, bias=head.norm_bias) if head.has_norm else None
        )
        self.dropout = nn.Dropout(head.dropout)
        self.output = (
            None
            if head.kind == "none"
            else _Output(size, head.num_labels, has_bias=head.output_bias, is_tied=head.is_tied)
        )

    def transform(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        """What the output layer reads: dense, activation and norm, as far as they exist."""
        if self.dense is not None:
            states = activate(self.dense(states), self.config.activation)
        return states if self.norm is None else self.norm(states)

    def forward(
        self, states: Float[Tensor, "rows dim"], tied_weight: Tensor | None = None
    ) -> Float[Tensor, "rows labels"]:
        """Scores of the given states; `tied_weight` is the embedding table of a tied output."""
        if self.output is None:
            raise TypeError("a head of kind 'none' has no output layer")
        scores: Tensor = self.output(self.dropout(self.transform(states)), tied_weight)
        return scores


class _Output(nn.Module):
    """A linear layer whose weight may be somebody else's."""

    def __init__(self, size: int, num_labels: int, *, has_bias: bool, is_tied: bool) -> None:
        super().__init__()
        own = nn.Linear(size, num_labels, bias=has_bias)
        self.weight = None if is_tied else own.weight
        self.bias = own.bias if has_bias else None

    def forward(self, states: Tensor, tied_weight: Tensor | None) -> Tensor:
        weight = tied_weight if self.weight is None else self.weight
        if weight is None:
            raise TypeError("a tied output needs the embedding table")
        return linear(states, weight, self.bias)
