from dataclasses import replace

import pytest

from mgte.errors import CheckpointError, ConfigError
from mgte.model import EncoderConfig, HeadConfig, RopeConfig
from mgte.store.families import (
    FAMILIES,
    NameRule,
    RawConfig,
    canonical_shapes,
    expand_rules,
    find_family,
)

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
CLASSIFIER = {"classifier.weight": (2, 32), "classifier.bias": (2,)}
# For each family, tensors that show each kind of head, by names without prefix.
HEADS = {
    "new": {
        "none": {},
        "token_classification": CLASSIFIER,
        "sequence_classification": CLASSIFIER | {"pooler.dense.weight": (32, 32)},
        "masked_lm": {"lm_head.dense.weight": (32, 32)},
    },
    "modernbert": {
        "none": {},
        "sequence_classification": CLASSIFIER | {"head.dense.weight": (32, 32)},
        "masked_lm": {"head.dense.weight": (32, 32)},
    },
    "bert": {
        "none": {"pooler.dense.weight": (32, 32)},
        "token_classification": CLASSIFIER,
        "sequence_classification": CLASSIFIER | {"pooler.dense.weight": (32, 32)},
        "masked_lm": {"cls.predictions.transform.dense.weight": (32, 32)},
    },
    "xlm-roberta": {
        "none": {"pooler.dense.weight": (32, 32)},
        "token_classification": CLASSIFIER,
        "sequence_classification": {"classifier.out_proj.weight": (2, 32)},
        "masked_lm": {"lm_head.dense.weight": (32, 32)},
    },
    "qwen2": {"none": {}},
}
HEADS |= {"gte": HEADS["new"], "roberta": HEADS["xlm-roberta"]}
CASES = [(family, kind) for family, heads in HEADS.items() for kind in heads]


def read(family: str, kind: str = "none", **changes) -> tuple[EncoderConfig, HeadConfig]:
    raw = RawConfig(values=SIZES | changes)
    translation = FAMILIES[family]
    return translation.read_config(raw), translation.read_head(raw, HEADS[family][kind])


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_names_are_a_bijection(family: str, kind: str) -> None:
    config, head = read(family, kind)
    assert head.kind == kind
    rules = expand_rules(FAMILIES[family].name_rules(config, head, frozenset()), config, head)
    ours = [rule.ours for rule in rules]
    theirs = [name for rule in rules for name in rule.theirs]
    assert len(set(ours)) == len(ours)
    assert len(set(theirs)) == len(theirs)
    assert set(ours) == canonical_shapes(config, head).keys()
    assert all(sum(rule.rows) == rule.shape[0] for rule in rules)


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_our_names_are_those_of_the_model(family: str, kind: str) -> None:
    from mgte.model import build_model

    config, head = read(family, kind)
    state = build_model(config, head, family=family).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == canonical_shapes(
        config, head
    )


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_writing_a_config_and_reading_it_gives_it_back(family: str, kind: str) -> None:
    config, head = read(family, kind)
    # Qwen2 has no dropout.
    dropout = 0.0 if family == "qwen2" else 0.05
    config = replace(config, hidden_dropout_prob=dropout, initializer_range=0.01)
    raw = RawConfig(values=FAMILIES[family].write_config(config, head))
    assert FAMILIES[family].read_config(raw) == config
    assert FAMILIES[family].read_head(raw, HEADS[family][kind]) == head


@pytest.mark.parametrize(
    "changes",
    [
        {"position_embedding_type": "absolute"},
        {"layer_norm_type": "rms_norm"},
        {"logn_attention_scale": True, "logn_attention_clip1": True},
        {"rope_theta": 20000, "rope_scaling": {"type": "ntk", "factor": 8.0}},
        {"rope_scaling": {"type": "ntk", "factor": 4.0, "mixed_b": 0.625}},
        {"type_vocab_size": 0},
        {"hidden_act": "gelu_pytorch_tanh"},
    ],
    ids=str,
)
def test_every_switch_of_new_survives_a_round_trip(changes: dict) -> None:
    config, head = read("new", **changes)
    assert config != read("new")[0]
    raw = RawConfig(values=FAMILIES["new"].write_config(config, head))
    assert FAMILIES["new"].read_config(raw) == config


def test_new_and_gte_write_the_same_scaling_in_their_own_words() -> None:
    config, head = read("new", rope_theta=20000, rope_scaling={"type": "ntk", "factor": 8.0})
    assert config.rope == RopeConfig(theta=20000.0, ntk_factor=8.0)
    written = FAMILIES["gte"].write_config(config, head)
    # s^(2/d) with d = 8; base * s.
    assert written["rope_parameters"] == {
        "rope_type": "linear",
        "factor": pytest.approx(8.0 ** (2 / 8)),
        "rope_theta": 160_000.0,
    }
    back = FAMILIES["gte"].read_config(RawConfig(values=written))
    assert FAMILIES["new"].write_config(back, head)["rope_scaling"] == {"type": "ntk", "factor": 8}


def test_an_ntk_factor_of_one_or_less_scales_nothing() -> None:
    config, _ = read("new", rope_scaling={"type": "ntk", "factor": 0.5})
    assert config.rope == RopeConfig()


def test_arctic_spells_flags_as_strings() -> None:
    values = {"unpad_inputs": "true", "logn_attention_scale": "true", "rope_scaling": None}
    config, _ = read("gte", **values)
    assert config.logn_attention_scale


def test_both_spellings_of_modernbert_mean_the_same() -> None:
    old, _ = read("modernbert", global_attn_every_n_layers=2, local_attention=16)
    kinds = ["full_attention", "sliding_attention"]
    new, _ = read(
        "modernbert",
        layer_types=kinds * 2,
        local_attention=16,
        rope_parameters={
            kind: {"rope_type": "default", "rope_theta": theta}
            for kind, theta in zip(kinds, (160_000.0, 10_000.0), strict=True)
        },
    )
    assert old == new
    assert old.local_layers == (1, 3)
    assert old.local_window == 8


@pytest.mark.parametrize(
    ("family", "classes", "kind"),
    [
        ("modernbert", ["ModernBertForTokenClassification"], "token_classification"),
        ("modernbert", ["ModernBertForSequenceClassification"], "sequence_classification"),
        ("modernbert", [], "sequence_classification"),
        ("bert", ["BertForTokenClassification"], "token_classification"),
        ("new", ["NewModel", "NewForTokenClassification"], "token_classification"),
    ],
)
def test_architectures_decide_where_tensors_leave_it_open(family, classes, kind) -> None:
    shapes = CLASSIFIER | {"head.dense.weight": (32, 32)}
    shapes |= {"pooler.dense.weight": (32, 32)} if family == "bert" else {}
    raw = RawConfig(values=SIZES | {"architectures": classes})
    assert FAMILIES[family].read_head(raw, shapes).kind == kind


@pytest.mark.parametrize(
    ("changes", "is_causal"),
    [
        ({}, True),
        ({"is_causal": False}, False),
        ({"auto_map": {"AutoModel": "modeling_qwen.Qwen2Model"}}, False),
        ({"auto_map": {"AutoModel": "modeling_qwen.Qwen2Model"}, "is_causal": True}, True),
        ({"auto_map": {"AutoModel": "modeling_other.Thing"}}, True),
    ],
)
def test_qwen2_is_causal_unless_the_config_says_not(changes: dict, is_causal: bool) -> None:
    assert read("qwen2", **changes)[0].is_causal is is_causal


def test_a_table_that_forgets_or_repeats_a_tensor_is_refused() -> None:
    config, head = read("new")
    rules = FAMILIES["new"].name_rules(config, head, frozenset())
    with pytest.raises(ValueError, match="no rule names"):
        expand_rules(rules[1:], config, head)
    twice = NameRule(ours="encoder.embeddings.word", theirs=("again",))
    with pytest.raises(ValueError, match="two rules name"):
        expand_rules([*rules, twice], config, head)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({}, ConfigError, "config.json: model_type: missing, expected one of new, gte"),
        ({"model_type": 3}, ConfigError, "model_type: got 3, expected a string"),
        ({"model_type": "llama"}, CheckpointError, "'llama' is not supported, expected one of new"),
        (
            {"model_type": "nomic_bert", "auto_map": {"AutoModel": "x.Y"}},
            CheckpointError,
            "runs code of its own, which is never executed",
        ),
        (
            {"model_type": "bert", "quantization_config": {"quant_method": "gptq"}},
            CheckpointError,
            "weights are quantised (quant_method 'gptq')",
        ),
    ],
)
def test_unknown_kinds_are_named(values: dict, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        find_family(RawConfig(values=values))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("new", {"hidden_size": None}, "config.json: hidden_size: missing, expected an integer"),
        ("new", {"hidden_size": "768"}, "hidden_size: got '768', expected an integer"),
        ("new", {"hidden_size": 30}, "hidden_size: got 30, expected a multiple of"),
        ("new", {"vocab_size": 0}, "vocab_size: got 0, expected at least 1"),
        (
            "new",
            {"num_hidden_layers": 10**9},
            "num_hidden_layers: got 1000000000, expected at most",
        ),
        ("new", {"pad_token_id": 64}, "pad_token_id: got 64, expected below vocab_size=64"),
        ("new", {"type_vocab_size": -1}, "type_vocab_size: got -1, expected at least 0"),
        ("new", {"layer_norm_eps": True}, "layer_norm_eps: got True, expected a number"),
        ("new", {"layer_norm_eps": float("nan")}, "layer_norm_eps: got nan, expected a finite"),
        ("new", {"hidden_act": "mish"}, "hidden_act: got 'mish', expected one of gelu"),
        ("new", {"layer_norm_type": "batch"}, "layer_norm_type: got 'batch', expected one of"),
        ("new", {"rope_scaling": {"type": "yarn", "factor": 2}}, "rope_scaling.type: got 'yarn'"),
        ("new", {"rope_scaling": {"type": "ntk"}}, "rope_scaling.factor: missing"),
        ("new", {"rope_scaling": {"type": "ntk", "factor": 0}}, "rope_scaling.factor: got 0"),
        ("new", {"rope_scaling": 8}, "rope_scaling: got 8, expected an object"),
        ("gte", {"rope_parameters": {"rope_type": "llama3"}}, "rope_parameters.rope_type: got"),
        ("modernbert", {"layer_types": ["full_attention"]}, "expected 4 entries, one per layer"),
        ("modernbert", {"layer_types": ["odd"] * 4}, "layer_types: got 'odd', expected one of"),
        ("modernbert", {"local_attention": 1}, "local_attention: got 1, expected at least 2"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type: got"),
        ("bert", {"is_decoder": True}, "is_decoder: got True, expected false"),
        ("qwen2", {"use_sliding_window": True}, "sliding windows are not supported"),
        ("qwen2", {"num_key_value_heads": 3}, "num_key_value_heads: got 3, expected a divisor"),
    ],
)
def test_config_errors_name_the_key(family: str, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(family, **changes)
    assert message in str(caught.value)


def test_unknown_poolings_of_a_classifier_are_named() -> None:
    with pytest.raises(ConfigError, match="classifier_pooling: got 'max', expected one of cls"):
        read("modernbert", "sequence_classification", classifier_pooling="max")


def test_labels_must_be_numbered_from_zero() -> None:
    raw = RawConfig(values=SIZES | {"id2label": {"1": "yes", "2": "no"}})
    with pytest.raises(ConfigError, match=r"id2label\.0: missing"):
        FAMILIES["new"].read_head(raw, CLASSIFIER)
