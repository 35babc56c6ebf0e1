"""Masking: the right share, the right replacements, never a special token, by key only."""

import numpy as np
import pytest

from mgte.data.masking import MaskingConfig, mask_rule, mask_tokens
from mgte.data.seeds import words
from mgte.data.text_frame import mask_id, pair_overhead, text_frame
from mgte.errors import ConfigError
from mgte.text import Tokenizer

NUM_ROWS, LENGTH = 400, 150


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return Tokenizer.load(tokenizer_folder)


@pytest.fixture(scope="module")
def sequences(tokenizer):
    generator = np.random.default_rng(3)
    rows = generator.integers(5, tokenizer.vocab_size, (NUM_ROWS, LENGTH)).astype(np.int32)
    rows[:, 0], rows[:, -1] = tokenizer.role_ids["cls"], tokenizer.role_ids["sep"]
    rows[:, 7] = tokenizer.role_ids["unk"]
    return list(rows)


def within_3_sigma(count, total, share):
    return abs(count - total * share) <= 3 * np.sqrt(total * share * (1 - share))


@pytest.mark.parametrize("probability", [0.05, 0.3])
def test_rates_and_replacements(tokenizer, sequences, probability):
    rule = mask_rule(tokenizer, MaskingConfig())
    masked = mask_tokens(sequences, words(1, np.arange(NUM_ROWS)), rule, probability)
    num_regular = NUM_ROWS * (LENGTH - 3)
    labels = np.concatenate(masked.labels)
    assert within_3_sigma(len(labels), num_regular, probability)
    pairs = zip(masked.sequences, masked.positions, strict=True)
    inputs = np.concatenate([sequence[positions] for sequence, positions in pairs])
    is_mask, is_kept = inputs == rule.mask_id, inputs == labels
    is_random = ~(is_mask | is_kept)
    assert within_3_sigma(is_mask.sum(), len(labels), 0.8)
    # A random token is the old one now and then.
    same = 0.1 / len(rule.regular_ids)
    assert within_3_sigma(is_random.sum(), len(labels), 0.1 - same)
    assert within_3_sigma(is_kept.sum(), len(labels), 0.1 + same)
    special = [*tokenizer.special_ids, rule.mask_id]
    assert not np.isin(labels, special).any()
    assert not np.isin(inputs[is_random], special).any()


def test_everything_else_stays_and_labels_are_what_stood_there(tokenizer, sequences):
    rule = mask_rule(tokenizer, MaskingConfig())
    masked = mask_tokens(sequences, words(1, np.arange(NUM_ROWS)), rule, 0.3)
    for before, after, positions, labels in zip(
        sequences, masked.sequences, masked.positions, masked.labels, strict=True
    ):
        assert np.array_equal(before[positions], labels)
        assert (np.diff(positions) > 0).all()
        rest = np.setdiff1d(np.arange(LENGTH), positions)
        assert np.array_equal(before[rest], after[rest])


def test_a_row_is_masked_the_same_alone_and_among_others(tokenizer, sequences):
    rule = mask_rule(tokenizer, MaskingConfig())
    keys = words(1, np.arange(NUM_ROWS))
    together = mask_tokens(sequences, keys, rule, 0.3)
    for row in (0, 17, NUM_ROWS - 1):
        alone = mask_tokens([sequences[row]], keys[row : row + 1], rule, 0.3)
        assert np.array_equal(alone.sequences[0], together.sequences[row])
        assert np.array_equal(alone.positions[0], together.positions[row])


def test_places_are_masked_independently(tokenizer, sequences):
    rule = mask_rule(tokenizer, MaskingConfig())
    masked = mask_tokens(sequences, words(5, np.arange(NUM_ROWS)), rule, 0.3)
    is_masked = np.zeros((NUM_ROWS, LENGTH))
    for row, positions in enumerate(masked.positions):
        is_masked[row, positions] = 1
    regular = np.delete(is_masked, [0, 7, LENGTH - 1], axis=1)
    per_place = regular.mean(axis=0)
    assert abs(per_place - 0.3).max() < 5 * np.sqrt(0.21 / NUM_ROWS)
    assert abs(np.corrcoef(regular[:, 1:].ravel(), regular[:, :-1].ravel())[0, 1]) < 0.02


def test_a_forced_row_holds_a_masked_token(tokenizer, sequences):
    rule = mask_rule(tokenizer, MaskingConfig())
    keys = words(1, np.arange(2))
    masked = mask_tokens(sequences[:2], keys, rule, 0.0, forced=1)
    assert [len(positions) for positions in masked.positions] == [0, 1]
    special = np.array([tokenizer.role_ids["cls"]] * 3, np.int32)
    nothing = mask_tokens([special], keys[:1], rule, 1.0, forced=0)
    assert len(nothing.positions[0]) == 0


def test_no_rows_at_all(tokenizer):
    rule = mask_rule(tokenizer, MaskingConfig())
    assert mask_tokens([], words(1, np.arange(0)), rule, 0.3).sequences == ()


def test_frames_are_read_off_the_tokenizer(tokenizer):
    frame = text_frame(tokenizer)
    assert frame.start.tolist() == [tokenizer.role_ids["cls"]]
    assert frame.end.tolist() == [tokenizer.role_ids["sep"]]
    assert pair_overhead(tokenizer) == 3
    assert tokenizer.token(mask_id(tokenizer)) == "[MASK]"


def test_the_mask_is_found_where_texts_are_lowercased(tokenizer, tokenizer_folder):
    lowercasing = Tokenizer.load(tokenizer_folder, lowercase=True)
    assert mask_id(lowercasing) == mask_id(tokenizer)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask_probability": 0.0}, "mask_probability: got 0"),
        ({"mask_probability": 1.5}, "mask_probability: got 1.5"),
        ({"replace_mask": 0.8, "replace_random": 0.3}, "got 0.8 and 0.3"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ConfigError, match=message):
        MaskingConfig(**settings)
