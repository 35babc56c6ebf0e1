import logging

import pytest
import torch

from mgte.errors import CheckpointError
from mgte.store import load_model

WORD = "new.embeddings.word_embeddings.weight"
DECODER = "lm_head.decoder.weight"


def renamed(tensors: dict, old: str, new: str) -> None:
    for name in [name for name in tensors if name.startswith(old)]:
        tensors[new + name.removeprefix(old)] = tensors.pop(name)


def test_missing_and_left_over_tensors_are_both_listed(make_checkpoint) -> None:
    checkpoint = make_checkpoint()

    def damage(tensors: dict) -> None:
        renamed(tensors, "encoder.layer.0.mlp_ln.", "encoder.layer.0.odd.")
        del tensors["encoder.layer.1.attn_ln.bias"]

    checkpoint.edit_tensors(damage)
    with pytest.raises(CheckpointError) as caught:
        load_model(checkpoint.folder)
    text = caught.value.message
    assert "3 tensors missing (encoder.layer.1.attn_ln.bias, " in text
    assert "encoder.layer.0.mlp_ln.weight" in text
    assert "2 tensors left over (encoder.layer.0.odd.bias, encoder.layer.0.odd.weight)" in text


def test_long_lists_are_cut_and_counted(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_tensors(
        lambda tensors: tensors.update({f"odd.{i}": torch.zeros(1) for i in range(30)})
    )
    with pytest.raises(CheckpointError) as caught:
        load_model(checkpoint.folder)
    assert "30 tensors left over (odd.0, odd.1, odd.10, odd.11, ...)" in caught.value.message


def test_more_layers_than_tensors_are_refused_at_once(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_config(num_hidden_layers=900)
    with pytest.raises(CheckpointError, match="num_hidden_layers=900, but the checkpoint has only"):
        load_model(checkpoint.folder)


def test_fewer_layers_in_the_config_leave_tensors_over(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_config(num_hidden_layers=1)
    with pytest.raises(CheckpointError, match=r"11 tensors left over \(encoder\.layer\.1\."):
        load_model(checkpoint.folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("new.", ""),
        ("new.pooler.", "pooler."),
        ("new.", "gte."),
        ("classifier.", "new.classifier."),
    ],
)
def test_the_prefix_may_be_there_or_not(make_checkpoint, old: str, new: str) -> None:
    checkpoint = make_checkpoint("sequence_classification")
    before = load_model(checkpoint.folder).logits_ids([[2, 5, 3]])
    checkpoint.edit_tensors(lambda tensors: renamed(tensors, old, new))
    after = load_model(checkpoint.folder)
    assert after.head_config.kind == "sequence_classification"
    # Not bit-equal: the weights lie elsewhere in the file, which moves sums to another alignment.
    assert torch.allclose(after.logits_ids([[2, 5, 3]])[0], before[0], atol=1e-7)


def test_a_tensor_that_is_there_twice_is_left_over(make_checkpoint) -> None:
    checkpoint = make_checkpoint("sequence_classification")
    checkpoint.edit_tensors(
        lambda tensors: (
            tensors.update({"classifier.bias": tensors["classifier.bias"].clone()})
            or tensors.update({"new.classifier.bias": tensors["classifier.bias"].clone()})
        )
    )
    with pytest.raises(CheckpointError, match=r"1 tensor left over \(classifier\.bias\)"):
        load_model(checkpoint.folder)


def test_buffers_that_follow_from_the_config_are_dropped_in_silence(
    make_checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = make_checkpoint()
    buffers = {
        "embeddings.position_ids": torch.arange(64)[None],
        "embeddings.rotary_emb.inv_freq": torch.ones(4),
        "embeddings.rotary_emb.cos_cached": torch.ones(64, 8),
    }
    checkpoint.edit_tensors(lambda tensors: tensors.update(buffers))
    with caplog.at_level(logging.INFO):
        load_model(checkpoint.folder)
    assert not caplog.records


def test_a_tied_decoder_may_be_stored_as_its_own_tensor(make_checkpoint) -> None:
    checkpoint = make_checkpoint("masked_lm")
    before = load_model(checkpoint.folder).logits_ids([[2, 5, 3]])[0]
    checkpoint.edit_tensors(lambda tensors: tensors.update({DECODER: tensors[WORD].clone()}))
    model = load_model(checkpoint.folder)
    assert model.head_config.is_tied
    assert torch.equal(model.logits_ids([[2, 5, 3]])[0], before)


def test_only_the_decoder_of_two_tied_tensors_is_enough(make_checkpoint) -> None:
    checkpoint = make_checkpoint("masked_lm")
    before = load_model(checkpoint.folder).logits_ids([[2, 5, 3]])[0]
    checkpoint.edit_tensors(lambda tensors: renamed(tensors, WORD, DECODER))
    assert torch.equal(load_model(checkpoint.folder).logits_ids([[2, 5, 3]])[0], before)


def test_a_decoder_of_its_own_needs_the_config_to_say_so(make_checkpoint) -> None:
    checkpoint = make_checkpoint("masked_lm")
    before = load_model(checkpoint.folder).logits_ids([[2, 5, 3]])[0]
    checkpoint.edit_tensors(lambda tensors: tensors.update({DECODER: 2 * tensors[WORD]}))
    with pytest.raises(CheckpointError, match=r"differs from new\.embeddings\.word_emb"):
        load_model(checkpoint.folder)
    checkpoint.edit_config(tie_word_embeddings=False)
    model = load_model(checkpoint.folder)
    assert not model.head_config.is_tied
    bias = model.head.output.bias
    assert torch.allclose(model.logits_ids([[2, 5, 3]])[0] - bias, 2 * (before - bias), atol=1e-5)
