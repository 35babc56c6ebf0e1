"""Tokens, losses and answers of fine-tuning equal those computed in another way."""

import numpy as np
import pytest
import torch
from torch.nn.functional import log_softmax

from mgte.evaluate.fine_tuning.alignment import AlignedTokenizer
from mgte.evaluate.fine_tuning.config import Setting
from mgte.evaluate.fine_tuning.examples import (
    ChoiceExample,
    LinkedExample,
    QuestionExample,
    TaggedExample,
    TextExample,
)
from mgte.evaluate.fine_tuning.loop import pack_items
from mgte.evaluate.fine_tuning.methods.choice import ChoiceMethod
from mgte.evaluate.fine_tuning.methods.retrieval import RetrievalMethod
from mgte.evaluate.fine_tuning.methods.spans import SpanMethod
from mgte.evaluate.fine_tuning.methods.tagging import TaggingMethod
from mgte.evaluate.fine_tuning.methods.text import TextMethod
from mgte.evaluate.fine_tuning.network import TaskHead, TaskModel
from mgte.model import Encoder
from mgte.packing import unpack
from mgte.text import Tokenizer

CONTEXT = "the moon makes the tide rise , and trains turn wheels in the light of the sea ."
QUESTION = "what makes the tide rise ?"


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder) -> Tokenizer:
    return Tokenizer.load(tokenizer_folder)


@pytest.fixture(scope="module")
def reference(tokenizer_folder):
    transformers = pytest.importorskip("transformers")
    return transformers.PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)


def question(start=0, text="the moon", number=0) -> QuestionExample:
    return QuestionExample(
        example_id=f"q{number}",
        question=QUESTION,
        context=CONTEXT,
        answers=(text,),
        starts=(start,),
    )


def test_windows_equal_those_of_transformers(tokenizer, reference) -> None:
    windows = AlignedTokenizer(tokenizer).encode_windows(QUESTION, CONTEXT, max_length=20, stride=6)
    expected = reference(
        QUESTION,
        CONTEXT,
        truncation="only_second",
        max_length=20,
        stride=6,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
    )
    assert len(windows) > 2
    assert [window.ids.tolist() for window in windows] == expected["input_ids"]
    assert [list(window.offsets) for window in windows] == expected["offset_mapping"]
    assert [window.types.tolist() for window in windows] == expected["token_type_ids"]


def test_a_question_that_fills_the_window_is_cut(tokenizer) -> None:
    aligned = AlignedTokenizer(tokenizer)
    windows = aligned.encode_windows(" ".join([QUESTION] * 20), CONTEXT, max_length=20, stride=6)
    assert max(len(window.ids) for window in windows) == 20
    owned = {
        place
        for window in windows
        for place, owner in zip(window.offsets, window.owners, strict=True)
        if owner
    }
    assert {CONTEXT[start:end] for start, end in owned} >= {"moon", "sea", "."}


def test_words_equal_those_of_transformers(tokenizer, reference) -> None:
    words = ["moon", "tides", "don't", "\u200b", "turn", "sea", "light"]
    found = AlignedTokenizer(tokenizer).encode_words(words, max_length=12)
    expected = reference(words, is_split_into_words=True, truncation=True, max_length=12)
    assert found.ids.tolist() == expected["input_ids"]
    assert list(found.words) == expected.word_ids()


def test_lowercasing_that_is_not_in_the_tokenizer_is_kept(tokenizer_folder) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import normalizers

    file = tokenizer_folder / "tokenizer.json"
    cased = Backend.from_file(str(file))
    cased.normalizer = normalizers.NFC()
    folder = tokenizer_folder.parent / "cased"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(cased.to_str(), encoding="utf-8")
    lowered = Tokenizer.load(folder, lowercase=True)
    found = AlignedTokenizer(lowered).encode_words(["Moon", "SEA"], max_length=8)
    assert found.ids.tolist() == lowered.encode("moon sea").ids[0].tolist()


def outputs_for(items, num_outputs, *, per_token) -> torch.Tensor:
    rows = sum(item.num_tokens if per_token else len(item.sequences) for item in items)
    generator = torch.Generator().manual_seed(3)
    return torch.randn(rows, num_outputs, generator=generator, dtype=torch.float64)


def test_loss_of_choices_equals_a_loop(tokenizer) -> None:
    method = ChoiceMethod(tokenizer, Setting())
    examples = [
        ChoiceExample(example_id="0", first="a", choices=("sea", "moon", "tide"), target=2),
        ChoiceExample(example_id="1", first="b", choices=("sea", "moon"), target=0),
    ]
    items = method.prepare(examples, is_training=True)
    outputs = outputs_for(items, 1, per_token=False)
    first = -log_softmax(outputs[:3, 0], 0)[2]
    second = -log_softmax(outputs[3:, 0], 0)[0]
    assert method.loss(outputs, items).item() == pytest.approx(((first + second) / 2).item())


def test_loss_of_tags_is_a_mean_over_words(tokenizer) -> None:
    method = TaggingMethod(tokenizer, Setting(), ("O", "X", "Y"))
    examples = [
        TaggedExample(example_id="0", words=("moons", "sea"), tags=("X", "O")),
        TaggedExample(example_id="1", words=("tide",), tags=("Y",)),
    ]
    items = method.prepare(examples, is_training=True)
    # [CLS] moon ##s sea [SEP] [CLS] tide [SEP]
    assert [len(item.sequences[0]) for item in items] == [5, 3]
    outputs = outputs_for(items, 3, per_token=True)
    logs = log_softmax(outputs, 1)
    expected = -(logs[1, 1] + logs[3, 0] + logs[6, 2]) / 3
    assert method.loss(outputs, items).item() == pytest.approx(expected.item())


def test_loss_of_spans_equals_a_loop(tokenizer) -> None:
    method = SpanMethod(tokenizer, Setting(max_length=20, stride=6))
    start = CONTEXT.index("trains")
    items = method.prepare([question(start, "trains turn")], is_training=True)
    targets = [item.target for item in items]
    assert (0, 0) in targets  # a window without the answer points at its first token
    assert any(target != (0, 0) for target in targets)
    outputs = outputs_for(items, 2, per_token=True)
    losses, begin = [], 0
    for item in items:
        logs = log_softmax(outputs[begin : begin + item.num_tokens], 0)
        begin += item.num_tokens
        losses += [-logs[item.target[0], 0], -logs[item.target[1], 1]]
    expected = torch.stack(losses).mean()
    assert method.loss(outputs, items).item() == pytest.approx(expected.item())


def test_loss_of_retrieval_equals_a_loop(tokenizer) -> None:
    method = RetrievalMethod(tokenizer, Setting(temperature=0.5))
    texts = ("moon", "sea", "tide")
    examples = [LinkedExample(example_id=t, first=t, second=f"the {t}") for t in texts]
    items = method.prepare(examples, is_training=True)
    outputs = outputs_for(items, 4, per_token=False)
    scores = outputs[[0, 2, 4]] @ outputs[[1, 3, 5]].T / 0.5
    expected = -sum(log_softmax(scores, 1)[row, row] for row in range(3)) / 3
    assert method.loss(outputs, items).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("answer", ["the moon", "tide", "trains turn wheels", "sea .", "moon"])
def test_scores_at_the_target_give_back_the_answer(tokenizer, answer) -> None:
    method = SpanMethod(tokenizer, Setting(max_length=20, stride=6))
    example = question(CONTEXT.index(answer), answer)
    trained = method.prepare([example], is_training=True)
    outputs = []
    for item in trained:
        scores = np.zeros((item.num_tokens, 2), np.float32)
        if item.target != (0, 0):
            scores[item.target[0], 0] = scores[item.target[1], 1] = 5.0
        outputs.append([scores])
    items = method.prepare([example], is_training=False)
    measured = method.measure([example], items, outputs)
    assert measured.metrics["exact_match"] == measured.metrics["f1"] == 1.0
    assert measured.worst[0].found == answer


def test_a_pair_is_tokenised_as_rerankers_read_it(tokenizer) -> None:
    method = TextMethod(tokenizer, Setting(max_length=8), ("a", "b"))
    example = TextExample(example_id="0", first="moon", second=CONTEXT, target=1.0)
    (item,) = method.prepare([example], is_training=True)
    expected = tokenizer.encode_pairs("moon", CONTEXT, max_length=8)
    assert item.sequences[0].tolist() == expected.ids[0].tolist()
    batch = pack_items([item], torch.device("cpu"))
    assert batch.token_type_ids.tolist() == expected.token_type_ids[0].tolist()


def test_words_that_are_cut_off_are_counted(tokenizer) -> None:
    method = TaggingMethod(tokenizer, Setting(max_length=5), ("O", "X"))
    example = TaggedExample(example_id="0", words=("sea",) * 9, tags=("X",) * 9)
    items = method.prepare([example], is_training=False)
    outputs = [[np.tile(np.array([0.0, 1.0], np.float32), (5, 1))]]
    measured = method.measure([example], items, outputs)
    assert measured.metrics["accuracy"] == 1.0
    assert (measured.facts["words"], measured.facts["words_left_out"]) == (9, 6)


def test_heads_read_the_first_token_or_the_mean(tokenizer, tiny_config) -> None:
    encoder = Encoder(tiny_config).eval()
    head = TaskHead(tiny_config.hidden_size, 3, dropout=0.5, has_pooler=True).eval()
    examples = [
        TextExample(example_id=text, first=text, second=None, target=0.0)
        for text in ("moon", CONTEXT, QUESTION)
    ]
    items = TextMethod(tokenizer, Setting(), ("a", "b")).prepare(examples, is_training=False)
    batch = pack_items(items, torch.device("cpu"))
    states = unpack(encoder(batch), batch)
    rows = {"cls": [state[0] for state in states], "mean": [state.mean(0) for state in states]}
    for pooling, expected in rows.items():
        scored = TaskModel(encoder, head, "sequences", pooling)(batch)
        by_hand = head.output(head.dense(torch.stack(expected)).tanh())
        torch.testing.assert_close(scored, by_hand, atol=1e-5, rtol=1e-4)
        vectors = TaskModel(encoder, None, "vectors", pooling)(batch)
        for vector, state in zip(vectors, expected, strict=True):
            torch.testing.assert_close(vector, state / state.norm(), atol=1e-5, rtol=1e-4)
    tokens = TaskModel(encoder, head, "tokens", "mean")(batch)
    assert tokens.shape == (batch.num_tokens, 3)
