"""Files of a checkpoint: config.json and safetensors, whole or sharded, opened without reading.

Weights are memory-mapped: a tensor is read when somebody looks at it. Matrices of 8 bits come back
as float32, their scales with them. Pickle files are refused, because opening one runs code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from torch import Tensor

from mgte.errors import CheckpointError, ConfigError
from mgte.store.int8_weights import SCALE, dequantize

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
FLOAT_DTYPES = ("F32", "F16", "BF16", "F64")
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorInfo:
    """What a file's header says of one tensor.

    Attributes:
        shape: Its shape.
        dtype: Its type as safetensors names it, such as "F16".
        file: Name of the file that holds it.
    """

    shape: tuple[int, ...]
    dtype: str
    file: str


class CheckpointFiles:
    """The tensors of one folder, by name.

    Args:
        folder: Folder with model.safetensors, or with shards and their index.

    Attributes:
        folder: The folder.
        tensors: What the headers say, by tensor name; scales of 8-bit matrices are not listed.
        scales: What they say of these scales, by the name of the matrix.

    Raises:
        CheckpointError: There is no such file, or one is damaged or missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._handles: dict[str, Any] = {}
        self.tensors: dict[str, TensorInfo] = {}
        wanted = _files_by_tensor(folder)
        for file in sorted(set(wanted.values())) if wanted is not None else [WEIGHTS]:
            self._open(file)
        for name, file in (wanted or {}).items():
            if name not in self.tensors or self.tensors[name].file != file:
                raise CheckpointError(
                    f"{folder / INDEX}: tensor {name} is not in {file}, as the index says"
                )
        self.scales = {
            name: self.tensors[name + SCALE]
            for name, info in self.tensors.items()
            if info.dtype == "I8" and name + SCALE in self.tensors
        }
        for name in self.scales:
            del self.tensors[name + SCALE]
            self._check_scale(name)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes by tensor name."""
        return {name: info.shape for name, info in self.tensors.items()}

    def read(self, name: str) -> Tensor:
        """One tensor: memory-mapped, in the type that the file has; float32 if it has 8 bits."""
        values = cast(Tensor, self._handles[self.tensors[name].file].get_tensor(name))
        if name not in self.scales:
            return values
        scale = cast(Tensor, self._handles[self.scales[name].file].get_tensor(name + SCALE))
        return dequantize(values, scale)

    def _check_scale(self, name: str) -> None:
        info, scale = self.tensors[name], self.scales[name]
        expected = (*info.shape[:1], 1)
        if len(info.shape) != 2 or scale.shape != expected or scale.dtype not in FLOAT_DTYPES:
            raise CheckpointError(
                f"{self.folder / scale.file}: tensor {name + SCALE} has shape {list(scale.shape)} "
                f"and type {scale.dtype}, expected one number per row of {name}, of shape "
                f"{list(info.shape)}"
            )

    def _open(self, file: str) -> None:
        path = self.folder / file
        _check_weights_file(path)
        try:
            handle: Any = safe_open(path, framework="pt", device="cpu")
            self._handles[file] = handle
            for name in handle.keys():
                part = handle.get_slice(name)
                info = TensorInfo(
                    shape=tuple(part.get_shape()), dtype=str(part.get_dtype()), file=file
                )
                if name in self.tensors:
                    raise CheckpointError(f"{path}: tensor {name} is also in another shard")
                self.tensors[name] = info
        except (SafetensorError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(
                f"{path}: truncated or damaged ({reason}), expected a safetensors file",
                hint="download or copy the file again",
            ) from error


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file that must hold an object.

    Args:
        path: The file.

    Returns:
        The object.

    Raises:
        CheckpointError: There is no such file.
        ConfigError: It is not JSON, or not an object.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: got {json_kind(values)}, expected an object")
    return values


def read_json(path: Path) -> Any:
    """A JSON file.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        CheckpointError: There is no such file, or it cannot be read.
        ConfigError: It is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file, expected one in a model folder") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(f"{path}: is not JSON{place}, expected an object") from error


def json_kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "a string" if isinstance(value, str) else json.dumps(value)


def _files_by_tensor(folder: Path) -> dict[str, str] | None:
    """Which shard holds which tensor; None for one whole file."""
    if (folder / WEIGHTS).is_file():
        return None
    if not (folder / INDEX).is_file():
        raise _no_weights(folder)
    table = read_json_object(folder / INDEX).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise CheckpointError(f"{folder / INDEX}: weight_map: missing or empty, expected an object")
    for name, file in table.items():
        # A shard lies in the folder itself: an index must not lead anywhere else.
        if not isinstance(file, str) or Path(file).name != file:
            raise CheckpointError(
                f"{folder / INDEX}: {name}: got {file!r}, expected the name of a file in the folder"
            )
        if not (folder / file).is_file():
            raise CheckpointError(
                f"{folder / INDEX}: names the shard {file}, which is not there",
                hint="download or copy the folder again",
            )
    return cast(dict[str, str], table)


def _check_weights_file(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(_LFS_POINTER))
    if not start:
        raise CheckpointError(
            f"{path}: is empty, expected a safetensors file",
            hint="download or copy the file again",
        )
    if start == _LFS_POINTER:
        raise CheckpointError(
            f"{path}: is a Git LFS pointer, expected the weights themselves",
            hint="run git lfs pull",
        )


def _no_weights(folder: Path) -> CheckpointError:
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        # Loading a pickle can run any code; weights_only=True cannot.
        return CheckpointError(
            f"{folder}: holds only the pickle file {pickles[0]}, expected {WEIGHTS}",
            hint=(
                "convert it once with python: import torch; from safetensors.torch import "
                "save_file; w = torch.load('" + pickles[0] + "', weights_only=True); "
                "save_file({k: v.clone() for k, v in w.items()}, '" + WEIGHTS + "')"
            ),
        )
    if (folder / "adapter_config.json").is_file():
        return CheckpointError(
            f"{folder}: holds an adapter without its model, expected {WEIGHTS}",
            hint="merge the adapter into its model and save that",
        )
    return CheckpointError(f"{folder}: has no {WEIGHTS}, expected one in a model folder")
