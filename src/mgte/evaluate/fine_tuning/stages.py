"""From a checkpoint to a model of a task: a chain of trainings, kept on disk where they are shared.

1. The encoder: that of the training before, else of the checkpoint.
2. The head: that of the training before where its shape fits, else drawn by the seed.
3. Examples, tokenised; the loop.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mgte._version import __version__
from mgte.config import to_dict
from mgte.data import mix_seed
from mgte.errors import ConfigError, DataError
from mgte.evaluate.fine_tuning.config import Training
from mgte.evaluate.fine_tuning.example_reading import read_examples
from mgte.evaluate.fine_tuning.examples import hash_examples
from mgte.evaluate.fine_tuning.loop import fit
from mgte.evaluate.fine_tuning.methods import Method, build_method
from mgte.evaluate.fine_tuning.network import TaskHead, TaskModel
from mgte.evaluate.subjects.own_models import weights_revision
from mgte.model import Encoder
from mgte.store import ModelDir, load_weights, open_model
from mgte.text import Tokenizer, replace_file, replace_text

OnStep = Callable[[int, int, float], None]
_FOLDER = "fine_tuning"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Start:
    """What a chain of trainings starts from.

    Attributes:
        model_dir: The checkpoint.
        tokenizer: Its tokenizer.
        root: Folder from which paths of data count.
        device: Where models are trained.
        seed: Decides whatever is drawn.
        cache_folder: Where shared trainings are kept; None for nowhere.
        on_step: Told the step, all steps and the loss of each step.
    """

    model_dir: ModelDir
    tokenizer: Tokenizer
    root: Path
    device: torch.device
    seed: int = 0
    cache_folder: Path | None = None
    on_step: OnStep | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainedStage:
    """A trained model.

    Attributes:
        model: The model, on its device.
        method: Its method.
        num_examples: Examples that it learned from.
        losses: Mean loss of every epoch.
        seconds: How long training took; 0 where the model was on disk.
        key: Changes whenever the model would.
    """

    model: TaskModel
    method: Method
    num_examples: int
    losses: tuple[float, ...] = field(default=())
    seconds: float = 0.0
    key: str = ""


def open_start(
    folder: Path,
    root: Path,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    cache_folder: Path | None = None,
    on_step: OnStep | None = None,
) -> Start:
    """Open a checkpoint of any family for fine-tuning; its head is not used.

    Args:
        folder: Model folder.
        root: Folder from which paths of data count.
        seed: Decides whatever is drawn.
        device: Where models are trained; None means a GPU if there is one.
        cache_folder: Where shared trainings are kept; None for nowhere.
        on_step: Told the step, all steps and the loss of each step.

    Returns:
        The start.

    Raises:
        CheckpointError: The folder holds no usable model or tokenizer.
    """
    model_dir = open_model(folder)
    settings = model_dir.settings
    return Start(
        model_dir=model_dir,
        tokenizer=Tokenizer.load(model_dir.path, lowercase=settings.lowercase),
        root=root,
        device=device or torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        seed=seed,
        cache_folder=cache_folder,
        on_step=on_step,
    )


def train_stage(training: Training, start: Start, *, is_shared: bool = False) -> TrainedStage:
    """Train, after what comes before.

    Args:
        training: What is trained.
        start: The checkpoint and what else a training needs.
        is_shared: Whether the result is kept on disk for others; trainings that others start from
            always are.

    Returns:
        The trained model, in evaluation mode.

    Raises:
        DataError: Examples are missing or damaged, or none of them can be learned from.
        ConfigError: Texts are longer than the encoder allows.
        TrainingError: The loss is no number.
    """
    before = None
    if training.start_from is not None:
        before = train_stage(training.start_from, start, is_shared=True)
    _check_length(training, start.model_dir)
    examples = read_examples(training.train, training.method, training.labels, start.root)
    key = _key(training, start, hash_examples(examples), "" if before is None else before.key)
    method = build_method(training, start.tokenizer)
    model = _initial_model(training, method, start, before).to(start.device)
    kept = _kept_file(start.cache_folder, key) if is_shared else None
    if kept is not None and kept.is_file() and kept.with_suffix(".json").is_file():
        model.load_state_dict(load_file(kept, device=str(start.device)))
        losses = tuple(json.loads(kept.with_suffix(".json").read_text("utf-8")))
        return TrainedStage(
            model=model.eval(), method=method, num_examples=len(examples), losses=losses, key=key
        )
    items = method.prepare(examples, is_training=True)
    if not items:
        raise DataError(f"{training.name}: no example can be learned from, expected some")
    begin = time.perf_counter()
    losses = tuple(
        fit(model, method, items, training.setting, seed=start.seed, on_step=start.on_step)
    )
    seconds = time.perf_counter() - begin
    if kept is not None:
        _keep(model, losses, kept)
    return TrainedStage(
        model=model,
        method=method,
        num_examples=len(examples),
        losses=losses,
        seconds=seconds,
        key=key,
    )


def _initial_model(
    training: Training, method: Method, start: Start, before: TrainedStage | None
) -> TaskModel:
    config = start.model_dir.config
    encoder: Encoder
    if before is None:
        encoder = load_weights(start.model_dir).model.encoder
    else:
        encoder = before.model.encoder
    setting = training.setting
    if method.num_outputs == 0:
        return TaskModel(encoder, None, method.reading, setting.pooling)
    head = TaskHead(
        config.hidden_size,
        method.num_outputs,
        dropout=setting.dropout,
        has_pooler=setting.has_pooler,
    )
    seed = mix_seed("fine-tuning head", start.seed)
    head.draw(config.initializer_range, torch.Generator().manual_seed(seed))
    old = None if before is None else before.model.head
    if old is not None:
        # As transformers with ignore_mismatched_sizes: what fits is taken over.
        fresh = head.state_dict()
        fitting = {
            name: values.cpu()
            for name, values in old.state_dict().items()
            if name in fresh and fresh[name].shape == values.shape
        }
        head.load_state_dict(fresh | fitting)
    return TaskModel(encoder, head, method.reading, setting.pooling)


def _check_length(training: Training, model_dir: ModelDir) -> None:
    limit, setting = model_dir.config.position_limit, training.setting
    longest = setting.max_length
    if training.method == "retrieval":
        longest = max(longest, setting.max_query_length)
    if limit is not None and longest > limit:
        raise ConfigError(
            f"{training.name}.setting.max_length: got {longest}, expected at most the model's "
            f"{limit}"
        )


def _key(training: Training, start: Start, examples: str, before: str) -> str:
    parts = [__version__, weights_revision(start.model_dir), start.tokenizer.fingerprint]
    parts += [json.dumps(to_dict(training.setting), sort_keys=True), training.method]
    parts += [json.dumps(training.labels), examples, before, str(start.seed), start.device.type]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _kept_file(cache_folder: Path | None, key: str) -> Path | None:
    return None if cache_folder is None else cache_folder / _FOLDER / f"{key[:24]}.safetensors"


def _keep(model: TaskModel, losses: tuple[float, ...], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    state = {name: values.cpu().contiguous() for name, values in model.state_dict().items()}
    replace_file(file, lambda path: save_file(state, path))
    replace_text(file.with_suffix(".json"), json.dumps(losses) + "\n")
