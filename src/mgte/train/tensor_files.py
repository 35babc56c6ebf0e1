"""Tensors on disk: safetensors written as a stream, and trees of values around tensors.

Written here and not by the safetensors package, so that a checksum is made on the way, nothing is
copied, and a full disk is an `OSError`. The package reads what is written.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mgte.errors import CheckpointError

_NAMES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ALIGNMENT = 8
_READ_BYTES = 1 << 22
# Key of a tree node that stands for a tensor, and of one that stands for a tuple.
_TENSOR, _TUPLE = "$tensor", "$tuple"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """What a file must look like.

    Attributes:
        size_bytes: Its size.
        sha256: Its checksum, hexadecimal.
    """

    size_bytes: int
    sha256: str


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> FileFacts:
    """Write tensors as a safetensors file and wait until they are on the disk.

    Args:
        path: The file.
        tensors: Tensors on the CPU, by name.

    Returns:
        Size and checksum of the file.

    Raises:
        OSError: It cannot be written.
    """
    header: dict[str, Any] = {}
    place = 0
    # Widest first, as the format's own writer does, so that each starts at a multiple of its width.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    for name, tensor in ordered:
        end = place + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [place, end],
        }
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    chunks = [len(text).to_bytes(8, "little"), text, *(bytes_of(tensor) for _, tensor in ordered)]
    return write_chunks(path, chunks)


def write_chunks(path: Path, chunks: list[Any]) -> FileFacts:
    """Write buffers one after the other and wait until they are on the disk.

    Args:
        path: The file.
        chunks: Bytes, or anything that shows its bytes.

    Returns:
        Size and checksum of the file.

    Raises:
        OSError: It cannot be written.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return FileFacts(size_bytes=size, sha256=digest.hexdigest())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, on the CPU.

    Raises:
        CheckpointError: The file is damaged.
    """
    try:
        found: dict[str, Tensor] = load_file(path)
    except Exception as error:
        raise CheckpointError(f"{path}: is no intact safetensors file ({error})") from error
    return found


def facts_of(path: Path) -> FileFacts:
    """Size and checksum of a file.

    Raises:
        OSError: It cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return FileFacts(size_bytes=size, sha256=digest.hexdigest())


def bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's bytes; `tensor` must be on the CPU."""
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def take_apart(value: Any, place: str = "") -> tuple[Any, dict[str, Tensor]]:
    """Separate the tensors of a tree from its other values.

    Args:
        value: Dicts with text keys, lists, tuples, tensors, numbers, texts and None, nested.
        place: Where the value stands; starts the names of its tensors.

    Returns:
        The tree with names in the place of tensors, ready for JSON; and the tensors by name.
    """
    if isinstance(value, Tensor):
        return {_TENSOR: place}, {place: value}
    if isinstance(value, Mapping):
        parts = {key: take_apart(item, f"{place}/{key}") for key, item in value.items()}
        return {key: tree for key, (tree, _) in parts.items()}, _joined(parts.values())
    if isinstance(value, list | tuple):
        items = [take_apart(item, f"{place}/{index}") for index, item in enumerate(value)]
        trees = [tree for tree, _ in items]
        return ({_TUPLE: trees} if isinstance(value, tuple) else trees), _joined(items)
    return value, {}


def put_together(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that `take_apart` took apart."""
    if isinstance(tree, list):
        return [put_together(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {_TENSOR}:
        return tensors[tree[_TENSOR]]
    if set(tree) == {_TUPLE}:
        return tuple(put_together(item, tensors) for item in tree[_TUPLE])
    return {key: put_together(item, tensors) for key, item in tree.items()}


def _joined(parts: Any) -> dict[str, Tensor]:
    return {name: tensor for _, tensors in parts for name, tensor in tensors.items()}
