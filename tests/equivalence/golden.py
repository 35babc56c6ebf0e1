"""The golden checkpoints: where they lie, what goes in, what must come out."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

_DEFAULT = Path(__file__).resolve().parents[3] / "shared"
GOLDEN = Path(os.environ.get("MGTE_SHARED", _DEFAULT)) / "golden"
FOLDERS = sorted(path.parent for path in GOLDEN.glob("*/config.json")) if GOLDEN.is_dir() else []


def folders_with(output: str) -> list[Path]:
    """Folders whose reference gives this output, "last_hidden_state" or "logits"."""
    return [folder for folder in FOLDERS if f"0.{output}" in _names(folder)]


def _names(folder: Path) -> set[str]:
    with safe_open(folder / "expected.safetensors", framework="pt") as file:
        return set(file.keys())


@dataclass(frozen=True)
class GoldenCase:
    input_ids: list[list[int]]
    token_type_ids: list[list[int]] | None
    expected: dict[str, Tensor]

    def hidden(self, sequence: int) -> Tensor | None:
        return self.expected.get(f"{sequence}.last_hidden_state")

    def logits(self, sequence: int) -> Tensor | None:
        return self.expected.get(f"{sequence}.logits")


def read_case(folder: Path) -> GoldenCase:
    inputs = json.loads((folder / "inputs.json").read_text())
    return GoldenCase(
        input_ids=inputs["input_ids"],
        token_type_ids=inputs.get("token_type_ids"),
        expected=load_file(folder / "expected.safetensors"),
    )


def is_causal(folder: Path) -> bool | None:
    # Both Qwen2 folders have the same config: the folder's name says how the reference was run.
    return folder.name == "qwen2-causal" if folder.name.startswith("qwen2") else None
