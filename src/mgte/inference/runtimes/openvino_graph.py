"""The encoder's layers as an OpenVINO graph, built straight from an EncoderConfig.

No ONNX and no tracing. One graph takes equally long sequences without padding and serves pooled
and token-wise outputs: the last layer computes keys and values of all tokens, and everything else
only for the wanted `rows`. Its inputs:

* `x` `[B, L, H]`: summed embeddings, before their norm (a table lookup needs no graph, and so the
  vocabulary is neither copied nor converted when the graph is compiled);
* `cos`, `sin` `[1, L, 1, D]`, and `local_cos`, `local_sin`: rotary tables of each kind of layer;
* `query_scale` `[1]`: log-n factor;
* `rows` `[R]`: tokens of each sequence whose last state is wanted;
* `blocks.queries` `[G, S]`, `blocks.keys` `[G, S + 2 W]`, `blocks.tokens` `[B L]`, `blocks.mask`
  `[G, 1, S, S + 2 W]`: which token stands where when local layers run in blocks.

Its output is `[B, R, H]` float32. Inputs that a config does not need are absent.

Legend: B sequences, L tokens of each, R rows, H hidden size, N heads, K key/value heads, D
head_dim, W window, S tokens of a block, G blocks of all sequences.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from openvino import Model, PartialShape, Type
from openvino import opset13 as ops

from mgte.model.config import Activation, EncoderConfig

Node = Any
Weight = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Weights = Mapping[str, Weight]


class Linear(Protocol):
    """How a product with a weight enters the graph: in float, or quantised."""

    def __call__(self, x: Node, weight: Weight) -> Node:
        """`x @ weight.T`."""
        ...


def float_linear(x: Node, weight: Weight) -> Node:
    """The plain product; the plugin converts the weight when it computes in bfloat16."""
    return ops.matmul(x, constant(weight), transpose_a=False, transpose_b=True)


def constant(values: Weight) -> Node:
    """A constant that reads the array's own memory where it can."""
    return ops.constant(np.ascontiguousarray(values), shared_memory=True)


def build_graph(config: EncoderConfig, weights: Weights, linear: Linear = float_linear) -> Model:
    """Build the graph of one encoder.

    Args:
        config: Shape and switches.
        weights: Tensors by canonical name without the `encoder.` prefix, float32. The graph reads
            their memory: they must live as long as it.
        linear: How products with weights enter the graph.

    Returns:
        The graph, to be compiled.
    """
    return _Builder(config, weights, linear).build()


class _Builder:
    """State of one construction: the config, the weights, and the inputs made so far."""

    def __init__(self, config: EncoderConfig, weights: Weights, linear: Linear) -> None:
        self.config = config
        self.weights = weights
        self.linear = linear
        self.inputs: dict[str, Node] = {}

    def build(self) -> Model:
        """All layers and the final norm."""
        config = self.config
        x = self.input("x", [-1, -1, config.hidden_size])
        if config.embedding_norm:
            x = self.layer_norm(x, "embeddings.norm")
        for layer in range(config.num_hidden_layers):
            x = self.layer(x, layer)
        if config.final_norm:
            x = self.norm(x, "final_norm")
        result = ops.result(x)
        return Model([result], list(self.inputs.values()), "mgte")

    def input(self, name: str, shape: list[int], dtype: Type = Type.f32) -> Node:
        """The named input; made when first asked for."""
        if name not in self.inputs:
            node = ops.parameter(PartialShape(shape), dtype, name=name)
            node.output(0).set_names({name})
            self.inputs[name] = node
        return self.inputs[name]

    def layer(self, x: Node, layer: int) -> Node:
        """One layer, its norms before or after attention and MLP."""
        prefix = f"layers.{layer}"
        is_pre_norm = self.config.norm_position == "pre"
        has_norm = layer > 0 or self.config.first_attention_norm
        inner = x
        if is_pre_norm and has_norm:
            inner = self.norm(x, f"{prefix}.attention_norm")
        kept = self.take_rows(x, layer)
        kept = ops.add(kept, self.attention(inner, layer))
        if not is_pre_norm and has_norm:
            kept = self.norm(kept, f"{prefix}.attention_norm")
        inner = self.norm(kept, f"{prefix}.mlp_norm") if is_pre_norm else kept
        out = ops.add(kept, self.mlp(inner, prefix))
        return out if is_pre_norm else self.norm(out, f"{prefix}.mlp_norm")

    def take_rows(self, x: Node, layer: int, axis: int = 1) -> Node:
        """The wanted rows in the last layer, everything before."""
        if layer + 1 < self.config.num_hidden_layers:
            return x
        rows = self.input("rows", [-1], Type.i64)
        return ops.gather(x, rows, np.int64(axis))

    def project(self, x: Node, name: str, rows: slice = slice(None)) -> Node:
        """Linear layer `name`, or the given rows of it, with its bias if it has one."""
        out = self.linear(x, self.weights[f"{name}.weight"][rows])
        bias = self.weights.get(f"{name}.bias")
        return out if bias is None else ops.add(out, constant(bias[rows]))

    def attention(self, x: Node, layer: int) -> Node:
        """Projections, rotary positions, attention, output projection."""
        config, name = self.config, f"layers.{layer}.attention"
        is_local = config.window_of_layer(layer) is not None
        # A causal mask and the blocks of a window need the queries of all tokens.
        is_early = not is_local and not config.is_causal
        q, k, v = self.queries_keys_values(x, layer, is_early)
        if config.rope_of_layer(layer) is not None:
            kind = "local_" if is_local else ""
            shape = [1, -1, 1, config.head_dim]
            cos, sin = (self.input(kind + part, shape) for part in ("cos", "sin"))
            k = _rotate(k, cos, sin, config.head_dim)
            if is_early:
                cos, sin = self.take_rows(cos, layer), self.take_rows(sin, layer)
            q = _rotate(q, cos, sin, config.head_dim)
        if config.logn_attention_scale:
            q = ops.multiply(q, self.input("query_scale", [1]))
        attend = self.local_attention if is_local else self.full_attention
        out = attend(q, k, v)
        return self.project(out if is_early else self.take_rows(out, layer), f"{name}.out")

    def queries_keys_values(self, x: Node, layer: int, is_early: bool) -> list[Node]:
        """`[B, L, heads, D]` of each kind; queries of the wanted rows only where that is exact.

        Three products, not one: its result would have to be copied apart.
        """
        config, name = self.config, f"layers.{layer}.attention.qkv"
        query, key_value = config.query_size, config.key_value_size
        ends = (0, query, query + key_value, query + 2 * key_value)
        heads = (config.num_attention_heads, *[config.num_key_value_heads] * 2)
        inputs = (self.take_rows(x, layer) if is_early else x, x, x)
        return [
            _reshape(
                self.project(inputs[part], name, slice(ends[part], ends[part + 1])),
                [0, 0, heads[part], config.head_dim],
            )
            for part in range(3)
        ]

    def full_attention(self, q: Node, k: Node, v: Node) -> Node:
        """Every token sees its whole sequence (or all tokens before it)."""
        config = self.config
        q, k, v = (_heads_first(part) for part in (q, self.repeat(k), self.repeat(v)))
        out = ops.scaled_dot_product_attention(q, k, v, causal=config.is_causal)
        return _reshape(_heads_first(out), [0, 0, config.query_size])

    def local_attention(self, q: Node, k: Node, v: Node) -> Node:
        """Every token sees its window: blocks of queries, each with the keys around it."""
        config = self.config
        queries = self.input("blocks.queries", [-1, -1], Type.i64)
        keys = self.input("blocks.keys", [-1, -1], Type.i64)
        mask = self.input("blocks.mask", [-1, 1, -1, -1])
        tokens = self.input("blocks.tokens", [-1, -1], Type.i64)
        # Heads are repeated before blocks are gathered: in the other order OpenVINO 2026.4 joins
        # the two gathers and gives wrong numbers.
        parts = []
        for part, places in ((q, queries), (self.repeat(k), keys), (self.repeat(v), keys)):
            flat = _reshape(part, [-1, config.query_size], special_zero=False)
            block = ops.gather(flat, places, np.int64(0))
            block = _reshape(block, [0, 0, config.num_attention_heads, config.head_dim])
            parts.append(_heads_first(block))
        out = ops.scaled_dot_product_attention(*parts, mask)
        flat = _reshape(_heads_first(out), [-1, config.query_size], special_zero=False)
        return ops.gather(flat, tokens, np.int64(0))

    def repeat(self, x: Node) -> Node:
        """Grouped key/value heads written out, one per query head."""
        config = self.config
        groups = config.num_attention_heads // config.num_key_value_heads
        if groups == 1:
            return x
        heads = np.repeat(np.arange(config.num_key_value_heads), groups)
        return ops.gather(x, heads, np.int64(2))

    def mlp(self, x: Node, prefix: str) -> Node:
        """act(gate) * up, or a plain two-layer MLP."""
        config, name = self.config, f"{prefix}.mlp.in_proj"
        if config.gated_mlp:
            half = config.intermediate_size
            gate = self.project(x, name, slice(0, half))
            up = self.project(x, name, slice(half, 2 * half))
            inner = ops.multiply(_activate(gate, config.hidden_act), up)
        else:
            inner = _activate(self.project(x, name), config.hidden_act)
        return self.project(inner, f"{prefix}.mlp.out_proj")

    def norm(self, x: Node, name: str) -> Node:
        """The norm of the layers, in the forms that the plugin fuses."""
        if self.config.norm_kind == "layer_norm":
            return self.layer_norm(x, name)
        mean = ops.reduce_mean(ops.power(x, np.float32(2)), np.array([-1]), keep_dims=True)
        scale = ops.divide(np.float32(1), ops.sqrt(ops.add(mean, np.float32(self.config.norm_eps))))
        return ops.multiply(ops.multiply(x, scale), constant(self.weights[f"{name}.weight"]))

    def layer_norm(self, x: Node, name: str) -> Node:
        """LayerNorm with or without bias."""
        x = ops.mvn(x, np.array([-1]), True, self.config.norm_eps, "INSIDE_SQRT")
        x = ops.multiply(x, constant(self.weights[f"{name}.weight"]))
        bias = self.weights.get(f"{name}.bias")
        return x if bias is None else ops.add(x, constant(bias))


def _activate(x: Node, activation: Activation) -> Node:
    match activation:
        case "gelu":
            return ops.gelu(x, "ERF")
        case "gelu_tanh":
            return ops.gelu(x, "TANH")
        case "silu":
            return ops.swish(x)
        case "relu":
            return ops.relu(x)
        case "tanh":
            return ops.tanh(x)


def _rotate(x: Node, cos: Node, sin: Node, head_dim: int) -> Node:
    """Rotary positions of `[B, L, N, D]` in the pattern that the plugin fuses into one kernel."""
    halves = np.array([head_dim // 2] * 2)
    # The plugin recognises rotary positions only if the axis is written as 3, not as -1.
    first, second = ops.variadic_split(x, np.int64(3), halves).outputs()
    turned = ops.concat([ops.multiply(second, np.float32(-1)), first], -1)
    return ops.add(ops.multiply(x, cos), ops.multiply(turned, sin))


def _heads_first(x: Node) -> Node:
    """`[B, L, N, D]` to `[B, N, L, D]`, and back."""
    return ops.transpose(x, np.array([0, 2, 1, 3]))


def _reshape(x: Node, shape: list[int], *, special_zero: bool = True) -> Node:
    """Reshape; with `special_zero` a 0 keeps the dimension of that place."""
    return ops.reshape(x, np.array(shape), special_zero=special_zero)
