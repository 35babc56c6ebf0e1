"""build_method: from a training's record to the method that it names."""

from mgte.evaluate.fine_tuning.answer_metrics import AnswerStyle
from mgte.evaluate.fine_tuning.config import Training
from mgte.evaluate.fine_tuning.methods.choice import ChoiceMethod
from mgte.evaluate.fine_tuning.methods.method import Method
from mgte.evaluate.fine_tuning.methods.retrieval import RetrievalMethod
from mgte.evaluate.fine_tuning.methods.spans import SpanMethod
from mgte.evaluate.fine_tuning.methods.tagging import TaggingMethod
from mgte.evaluate.fine_tuning.methods.text import TextMethod
from mgte.text import Tokenizer


def build_method(
    training: Training,
    tokenizer: Tokenizer,
    *,
    answer_style: AnswerStyle = "squad",
    language: str = "en",
) -> Method:
    """The method of a training.

    Args:
        training: What is trained.
        tokenizer: The encoder's tokenizer.
        answer_style: Whose normalisation of answers.
        language: Language of answers, for MLQA's normalisation.

    Returns:
        The method.
    """
    setting = training.setting
    if training.method == "multiple_choice":
        return ChoiceMethod(tokenizer, setting)
    if training.method == "tagging":
        return TaggingMethod(tokenizer, setting, training.labels)
    if training.method == "spans":
        return SpanMethod(tokenizer, setting, style=answer_style, language=language)
    if training.method == "retrieval":
        return RetrievalMethod(tokenizer, setting)
    labels = training.labels if training.method == "classification" else ()
    return TextMethod(tokenizer, setting, labels)
