"""The models on tiny random weights: laws 1, 2, 5, and each output computed in a second way."""

from dataclasses import replace

import pytest
import torch

from mgte.errors import ConfigError, DataError
from mgte.model import HeadConfig, build_model, init_weights
from mgte.packing import first_rows, pack, unpack

SPARSE = HeadConfig(kind="token_classification", num_labels=1)
# float32 sums in another order, on states as large as 10.
TOLERANCE = 1e-5


def make_model(config, head=SPARSE, **options):
    model = build_model(config, head, family="new", **options)
    init_weights(model, config, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0)  # larger than at training's start, so that differences show
    return model.eval()


def random_ids(generator, lengths=(1, 3, 9, 30, 9)):
    return [torch.randint(5, 60, (n,), generator=generator).tolist() for n in lengths]


VARIANTS = {
    "as it is": {},
    "pre-norm rms": {"norm_position": "pre", "norm_kind": "rms_norm", "final_norm": True},
    "grouped causal": {"num_key_value_heads": 2, "is_causal": True, "hidden_act": "silu"},
    "local": {"local_layers": (1,), "local_window": 4},
    "log-n": {"logn_attention_scale": True, "logn_attention_clip1": True},
    "plain mlp": {"gated_mlp": False, "mlp_in_bias": True},
    "types": {"type_vocab_size": 2},
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def config(request, tiny_config):
    changes = dict(request.param)
    if "local_layers" in changes:
        changes["local_rope"] = tiny_config.rope
    return replace(tiny_config, **changes)


def test_a_row_of_a_batch_equals_the_row_alone_in_any_order(config, generator):
    model, ids = make_model(config), random_ids(generator)
    with torch.inference_mode():
        alone = [model.encoder(pack([row])) for row in ids]
        for order in ([0, 1, 2, 3, 4], [3, 0, 4, 2, 1], [2, 2, 4]):
            batch = pack([ids[index] for index in order])
            for index, states in zip(order, unpack(model.encoder(batch), batch), strict=True):
                assert (states - alone[index]).abs().max() <= TOLERANCE


def test_wanted_rows_equal_those_rows_of_all(config, generator):
    model, batch = make_model(config), pack(random_ids(generator))
    rows = torch.tensor([0, 1, 5, 13, 20])
    with torch.inference_mode():
        assert (
            model.encoder(batch, rows=rows) - model.encoder(batch)[rows]
        ).abs().max() < TOLERANCE


def test_dense_and_sparse_from_one_pass_equal_each_alone(tiny_config, generator):
    model, batch = make_model(tiny_config), pack(random_ids(generator))
    with torch.inference_mode():
        both = model(batch, dense=True, sparse=True)
        dense = model(batch).dense
        sparse = model(batch, dense=False, sparse=True).sparse
        states = model.encoder(batch)
    torch.testing.assert_close(both.dense, dense, atol=TOLERANCE, rtol=0.0)
    assert torch.equal(both.sparse.token_ids, sparse.token_ids)
    assert torch.equal(both.sparse.weights, sparse.weights)
    torch.testing.assert_close(dense, states[first_rows(batch)], atol=TOLERANCE, rtol=0.0)


def test_sparse_weights_equal_a_literal_loop(tiny_config, generator):
    model, ids = make_model(tiny_config), random_ids(generator)
    ids[3][4] = ids[3][5] = ids[3][6]  # a token that stands three times
    ids[2][0] = tiny_config.pad_token_id
    model.skip_ids = (tiny_config.pad_token_id, ids[3][0])
    with torch.inference_mode():
        sparse = model(pack(ids), sparse=True).sparse
        logits = model.logits_ids(ids)
    bounds = sparse.cu_terms.tolist()
    for row, (tokens, scores) in enumerate(zip(ids, logits, strict=True)):
        expected: dict[int, float] = {}
        for token, score in zip(tokens, scores[:, 0].tolist(), strict=True):
            if token not in model.skip_ids and score > expected.get(token, 0.0):
                expected[token] = score
        part = slice(bounds[row], bounds[row + 1])
        actual = dict(
            zip(sparse.token_ids[part].tolist(), sparse.weights[part].tolist(), strict=True)
        )
        assert actual == pytest.approx(expected, abs=TOLERANCE)
        assert list(actual) == sorted(expected)


def test_sparse_weights_pass_gradients_to_the_largest_position(tiny_config):
    from mgte.model import sparse_weights

    batch = pack([[7, 8, 7]])
    logits = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
    weights = sparse_weights(logits, batch, skip_ids=(), vocab_size=60)
    weights.weights.sum().backward()
    assert weights.token_ids.tolist() == [7]
    assert logits.grad.tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_reranker_reads_its_pooling(tiny_config, generator, pooling):
    head = HeadConfig(
        kind="sequence_classification", num_labels=2, pooling=pooling, has_dense=True, has_norm=True
    )
    model, ids = make_model(tiny_config, head), random_ids(generator)
    with torch.inference_mode():
        scores = model(pack(ids))
        for row, tokens in enumerate(ids):
            states = model.encoder(pack([tokens]))
            pooled = states[0] if pooling == "cls" else states.mean(0)
            torch.testing.assert_close(scores[row], model.head(pooled[None])[0], atol=1e-5, rtol=0)
    assert [score.shape for score in model.logits_ids(ids)] == [(2,)] * 5


def test_masked_lm_scores_only_the_wanted_rows(tiny_config, generator):
    head = HeadConfig(
        kind="masked_lm",
        num_labels=tiny_config.vocab_size,
        has_dense=True,
        has_norm=True,
        activation="gelu",
        is_tied=True,
    )
    model, ids = make_model(tiny_config, head), random_ids(generator)
    assert "head.output.weight" not in model.state_dict()
    rows = torch.tensor([2, 9])
    with torch.inference_mode():
        some = model(pack(ids), rows=rows)
        everything = torch.cat(model.logits_ids(ids))
    torch.testing.assert_close(some, everything[rows], atol=1e-5, rtol=0)
    assert some.shape == (2, tiny_config.vocab_size)


def test_gradients_of_a_packed_batch_equal_the_sum_of_single_ones(tiny_config, generator):
    model, ids = make_model(tiny_config), random_ids(generator)
    model(pack(ids)).dense.square().sum().backward()
    packed = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for row in ids:
        model(pack([row])).dense.square().sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(packed[name], parameter.grad, atol=2e-4, rtol=2e-4)


def test_new_weights_follow_the_table_and_the_seed(tiny_config):
    first, second = (build_model(tiny_config, SPARSE, family="new") for _ in range(2))
    for model in (first, second):
        init_weights(model, tiny_config, generator=torch.Generator().manual_seed(1))
    weights = first.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in second.state_dict().items())
    table = weights["encoder.embeddings.word.weight"]
    assert table[tiny_config.pad_token_id].abs().max() == 0
    assert abs(float(table.std()) - 0.02) < 0.002
    assert torch.equal(weights["encoder.layers.0.mlp_norm.weight"], torch.ones(32))
    assert weights["encoder.layers.0.attention.qkv.bias"].abs().max() == 0


def test_what_the_model_cannot_take_is_named(tiny_config):
    model = make_model(tiny_config, HeadConfig())
    absolute = replace(tiny_config, position_embedding_type="absolute", position_offset=2)
    with pytest.raises(DataError, match="sequence 1: has 63 tokens, more than the model's 62"):
        make_model(absolute, HeadConfig())(pack([[5], [5] * 63]))
    assert model(pack([[5] * 100])).dense.isfinite().all()  # rotary positions know no end
    with pytest.raises(ConfigError, match="no token-weight head"):
        model(pack([[5]]), sparse=True)
    with pytest.raises(ConfigError, match="num_key_value_heads: got 3"):
        replace(tiny_config, num_key_value_heads=3)
    assert model.logits_ids([]) == []
