"""Names and shapes of every tensor of our models: the vocabulary that families translate into."""

from mgte.model import EncoderConfig, HeadConfig

Shape = tuple[int, ...]


def canonical_shapes(config: EncoderConfig, head: HeadConfig) -> dict[str, Shape]:
    """Every tensor of the model that the two configs describe.

    Args:
        config: The encoder's settings.
        head: The head's settings.

    Returns:
        Shape by name, as in the model's state dict.
    """
    shapes = _embeddings(config)
    for layer in range(config.num_hidden_layers):
        shapes |= _layer(config, layer)
    if config.final_norm:
        shapes |= _layer_norm("encoder.final_norm", config)
    return shapes | _head(config, head)


def _embeddings(config: EncoderConfig) -> dict[str, Shape]:
    size, prefix = config.hidden_size, "encoder.embeddings"
    shapes: dict[str, Shape] = {f"{prefix}.word.weight": (config.vocab_size, size)}
    if config.type_vocab_size:
        shapes[f"{prefix}.token_type.weight"] = (config.type_vocab_size, size)
    if config.position_embedding_type == "absolute":
        shapes[f"{prefix}.position.weight"] = (config.max_position_embeddings, size)
    if config.embedding_norm:
        # Always a LayerNorm, also where the layers have RMSNorms.
        shapes |= _vectors(f"{prefix}.norm", size, has_bias=config.norm_bias)
    return shapes


def _layer(config: EncoderConfig, layer: int) -> dict[str, Shape]:
    size, inner = config.hidden_size, config.intermediate_size
    name = f"encoder.layers.{layer}"
    qkv_rows = config.query_size + 2 * config.key_value_size
    in_rows = 2 * inner if config.gated_mlp else inner
    shapes: dict[str, Shape] = {}
    if config.first_attention_norm or layer > 0:
        shapes |= _layer_norm(f"{name}.attention_norm", config)
    shapes |= _linear(f"{name}.attention.qkv", qkv_rows, size, has_bias=config.qkv_bias)
    shapes |= _linear(
        f"{name}.attention.out", size, config.query_size, has_bias=config.attention_out_bias
    )
    shapes |= _layer_norm(f"{name}.mlp_norm", config)
    shapes |= _linear(f"{name}.mlp.in_proj", in_rows, size, has_bias=config.mlp_in_bias)
    shapes |= _linear(f"{name}.mlp.out_proj", size, inner, has_bias=config.mlp_out_bias)
    return shapes


def _head(config: EncoderConfig, head: HeadConfig) -> dict[str, Shape]:
    size = config.hidden_size
    shapes: dict[str, Shape] = {}
    if head.has_dense:
        shapes |= _linear("head.dense", size, size, has_bias=head.dense_bias)
    if head.has_norm:
        shapes |= _vectors("head.norm", size, has_bias=head.norm_bias)
    if head.kind == "none":
        return shapes
    if not head.is_tied:
        shapes["head.output.weight"] = (head.num_labels, size)
    if head.output_bias:
        shapes["head.output.bias"] = (head.num_labels,)
    return shapes


def _linear(name: str, rows: int, columns: int, *, has_bias: bool) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {f"{name}.weight": (rows, columns)}
    return shapes | {f"{name}.bias": (rows,)} if has_bias else shapes


def _layer_norm(name: str, config: EncoderConfig) -> dict[str, Shape]:
    has_bias = config.norm_kind == "layer_norm" and config.norm_bias
    return _vectors(name, config.hidden_size, has_bias=has_bias)


def _vectors(name: str, size: int, *, has_bias: bool) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {f"{name}.weight": (size,)}
    return shapes | {f"{name}.bias": (size,)} if has_bias else shapes
