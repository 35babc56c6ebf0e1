"""ModelDir and load_model: from a folder, a known name or a hub id to a model.

1. name -> folder; 2. config.json -> family, encoder settings; 3. headers -> head;
4. side files -> settings; 5. tensors -> model.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mgte.errors import CheckpointError, ConfigError
from mgte.model import EncoderConfig, HeadConfig, Model, build_model
from mgte.store.checkpoint_files import CONFIG, CheckpointFiles, read_json_object
from mgte.store.families import Family, RawConfig, find_family
from mgte.store.hub import resolve_model
from mgte.store.side_files import EmbeddingSettings, read_settings, transformer_folder
from mgte.store.tensor_names import load_tensors, strip_shapes

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
# Where a loaded model remembers the folder that it came from.
_ATTRIBUTE = "model_dir"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDir:
    """A model folder, read except for its weights.

    Attributes:
        name: What the caller asked for.
        path: Local folder of config.json, weights and tokenizer.
        family: Checkpoint family.
        raw_config: config.json as it is.
        config: The encoder's settings.
        head: The head's settings.
        settings: Pooling, prompts and limits.
        dtype: Type of most weights in the files, such as "F16".
        num_parameters: Numbers in all tensors of the files.
    """

    name: str
    path: Path
    family: str
    raw_config: Mapping[str, Any]
    config: EncoderConfig
    head: HeadConfig
    settings: EmbeddingSettings
    dtype: str
    num_parameters: int

    @property
    def tokenizer_file(self) -> Path | None:
        """The tokenizer's file; None if the folder has no tokenizer.json."""
        file = self.path / "tokenizer.json"
        return file if file.is_file() else None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedModel:
    """A model and the folder that it came from.

    Attributes:
        model: The model, in evaluation mode.
        model_dir: What the folder says.
    """

    model: Model
    model_dir: ModelDir


def load_model(
    model: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    revision: str | None = None,
    offline: bool | None = None,
    is_causal: bool | None = None,
) -> Model:
    """Load a model of any head kind.

    Args:
        model: Folder, name of a known model, or hub id.
        device: Where the weights go.
        dtype: Type of the weights; None means float32 whatever the files hold.
        revision: Branch, tag or commit of a hub model.
        offline: Whether to look into the hub cache only; None leaves it to HF_HUB_OFFLINE.
        is_causal: Overrides what the config says of the attention; None keeps it.

    Returns:
        `EmbeddingModel`, `RerankerModel` or `MaskedLM`, in evaluation mode.

    Raises:
        CheckpointError: The model cannot be found, or its files are damaged, incomplete or of an
            unknown kind.
        ConfigError: A setting in the folder is missing, wrong or not supported.
    """
    opened = open_model(model, revision=revision, offline=offline, is_causal=is_causal)
    return load_weights(opened, device=device, dtype=dtype).model


def open_model(
    model: str | Path,
    *,
    revision: str | None = None,
    offline: bool | None = None,
    is_causal: bool | None = None,
) -> ModelDir:
    """Find a model's folder and read everything but its weights.

    Args:
        model: Folder, name of a known model, or hub id.
        revision: Branch, tag or commit of a hub model.
        offline: Whether to look into the hub cache only; None leaves it to HF_HUB_OFFLINE.
        is_causal: Overrides what the config says of the attention; None keeps it.

    Returns:
        What the folder says.

    Raises:
        CheckpointError: As for `load_model`.
        ConfigError: As for `load_model`.
    """
    folder = resolve_model(model, revision=revision, offline=offline)
    path = transformer_folder(folder)
    values = read_json_object(path / CONFIG)
    raw = RawConfig(values=values, where=str(path / CONFIG))
    family = find_family(raw)
    files = CheckpointFiles(path)
    with _naming(path / CONFIG):
        config = family.read_config(raw)
        if is_causal is not None:
            config = replace(config, is_causal=is_causal)
        head = family.read_head(raw, strip_shapes(family, files))
    sizes = {name: torch.Size(shape).numel() for name, shape in files.shapes.items()}
    by_dtype: Counter[str] = Counter()
    for name, info in files.tensors.items():
        by_dtype[info.dtype] += sizes[name]
    return ModelDir(
        name=str(model),
        path=path,
        family=family.name,
        raw_config=values,
        config=config,
        head=head,
        settings=read_settings(folder, family, config),
        dtype=max(by_dtype, key=by_dtype.__getitem__, default="F32"),
        num_parameters=sum(sizes.values()),
    )


def load_weights(
    model_dir: ModelDir,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> LoadedModel:
    """Load the weights of an opened folder.

    Args:
        model_dir: The folder.
        device: Where the weights go.
        dtype: Type of the weights; None means float32 whatever the files hold.

    Returns:
        The model in evaluation mode, with its folder.

    Raises:
        CheckpointError: Weights are damaged, missing, left over, of the wrong shape or not finite.
    """
    family = find_family(RawConfig(values=model_dir.raw_config, where=str(model_dir.path)))
    config, head = model_dir.config, model_dir.head
    wanted = torch.float32 if dtype is None else dtype
    if not wanted.is_floating_point:
        raise ConfigError(f"dtype: got {wanted}, expected a floating-point type")
    state = load_tensors(CheckpointFiles(model_dir.path), family, config, head, wanted)
    with torch.device("meta"), _WithoutInit():
        model = build_model(
            config, head, pooling=model_dir.settings.pooling, family=model_dir.family
        )
    model.load_state_dict(state, assign=True)
    model.to(device).eval().requires_grad_(requires_grad=True)
    vars(model)[_ATTRIBUTE] = model_dir
    return LoadedModel(model=model, model_dir=model_dir)


def model_dir_of(model: nn.Module) -> ModelDir | None:
    """The folder that a model was loaded from; None for a model that was built."""
    found = vars(model).get(_ATTRIBUTE)
    return found if isinstance(found, ModelDir) else None


def family_of(model: Model) -> Family:
    """The checkpoint family of a model.

    Args:
        model: A model.

    Returns:
        Its family.

    Raises:
        CheckpointError: The model names an unknown family.
    """
    return find_family(RawConfig(values={"model_type": model.family}, where="model.family"))


class _WithoutInit(TorchFunctionMode):
    """Leaves new parameters as they are: the file's values replace them at once.

    Not only a saving: on the meta device the first random fill imports PyTorch's compiler, which
    takes longer than loading a small model.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before errors of the records that are built from it."""
    try:
        yield
    except ConfigError as error:
        if str(path) in error.message:
            raise
        raise ConfigError(f"{path}: {error.message}", hint=error.hint) from error
    except OverflowError as error:
        raise CheckpointError(f"{path}: holds a number that is too large") from error
