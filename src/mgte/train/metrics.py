"""Where the lines of a training log go: a JSONL file (always), the terminal, TensorBoard.

A sink is a callable that takes one record. The loop knows nothing else about sinks, so that a
notebook or a service can pass its own.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from mgte.errors import BackendUnavailableError

# Keys of every record: kind ("step", "evaluation" or "event"), stage, step. A "step" record also
# has steps, loss, lr, tokens_per_s, tokens_seen, grad_norm, eta_s and the objective's own terms.
LogRecord = Mapping[str, Any]
Sink = Callable[[LogRecord], None]

# What every line has; everything else is a measurement.
FRAME_KEYS = frozenset({"kind", "stage", "step", "steps", "time"})


class JsonlSink:
    """Appends records to a file, one JSON object per line, flushed line by line.

    Args:
        path: The file; made with its folders where it is missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8")

    def __call__(self, record: LogRecord) -> None:
        """Write one record."""
        plain = {key: _plain(value) for key, value in record.items()}
        self._file.write(json.dumps(plain, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; a closed sink stays closed when closed again."""
        self._file.close()


def open_log(path: str | Path, resume_step: int = 0) -> JsonlSink:
    """Open a stage's log so that every step stands in it once.

    A run that was stopped may have logged steps after its last checkpoint; they will be computed
    again. The file is cut before the first line of such a step, and before a line that was only
    half written.

    Args:
        path: The log file.
        resume_step: Steps that are done and will not be computed again; 0 starts afresh.

    Returns:
        A sink that appends.
    """
    file = Path(path)
    if file.exists():
        size = _bytes_to_keep(file, resume_step)
        if size < file.stat().st_size:
            os.truncate(file, size)
    return JsonlSink(file)


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """Records of one log file; a half-written last line is left out."""
    records = []
    for line in Path(path).read_bytes().splitlines():
        record = _parsed(line)
        if record is not None:
            records.append(record)
    return records


class ConsoleSink:
    """One live line per stage on a terminal; elsewhere a plain line per record.

    Args:
        stream: Where words go; standard error unless told otherwise.
        is_live: Whether a line is redrawn in place; None asks the stream.
    """

    def __init__(self, stream: IO[str] | None = None, is_live: bool | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_live = self._stream.isatty() if is_live is None else is_live
        self._bar: Any = None
        self._stage = ""

    def __call__(self, record: LogRecord) -> None:
        """Show one record."""
        if record["stage"] != self._stage:
            self.close()
            self._stage = str(record["stage"])
        if record["kind"] == "step" and self._is_live:
            self._draw(record)
        else:
            self._write(_spoken(record))

    def close(self) -> None:
        """Leave the live line as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, record: LogRecord) -> None:
        from tqdm import tqdm

        step = int(record["step"])
        if self._bar is None:
            stage = self._stage.replace("{", "{{").replace("}", "}}")
            self._bar = tqdm(
                total=int(record.get("steps", 0)) or None,
                initial=step,
                file=self._stream,
                dynamic_ncols=True,
                bar_format=stage + " {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}  {desc}",
            )
        self._bar.n = step
        self._bar.set_description_str(_measurements(record), refresh=True)

    def _write(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            self._stream.write(text + "\n")
            self._stream.flush()


class TensorBoardSink:
    """Curves for TensorBoard: one tag per measurement, `stage/name`.

    Args:
        folder: Where the event files go.

    Raises:
        BackendUnavailableError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise BackendUnavailableError(
                "--tensorboard: the package `tensorboard` is missing",
                hint="pip install 'mgte[tensorboard]'",
            ) from None
        self._writer = SummaryWriter(str(folder))

    def __call__(self, record: LogRecord) -> None:
        """Add one record's numbers."""
        for name, value in measurements(record).items():
            self._writer.add_scalar(f"{record['stage']}/{name}", value, int(record["step"]))

    def close(self) -> None:
        """Write what is still held back."""
        self._writer.close()


def measurements(record: LogRecord) -> dict[str, float]:
    """The numbers of a record by name, nested ones joined by `/`; frame and words left out."""
    found: dict[str, float] = {}
    for key, value in record.items():
        if key in FRAME_KEYS:
            continue
        if isinstance(value, Mapping):
            inner = measurements(value)
            found.update({f"{key}/{name}": number for name, number in inner.items()})
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[key] = float(value)
    return found


def spoken_time(seconds: float) -> str:
    """A duration as a person reads it: `45s`, `3m20s`, `2h05m`, `3d04h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def spoken_count(number: float) -> str:
    """A count as a person reads it: `950`, `12.3k`, `4.56M`, `1.03T`."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{number:,.0f}"


def _spoken(record: LogRecord) -> str:
    """One line of words for a record."""
    clock = time.strftime("%H:%M:%S")
    place = f"{clock} {record['stage']}"
    if record["kind"] == "step":
        steps = f"/{record['steps']}" if "steps" in record else ""
        return f"{place} step {record['step']}{steps}  {_measurements(record)}"
    if record["kind"] == "evaluation":
        shown = "  ".join(f"{name} {value:.4g}" for name, value in measurements(record).items())
        return f"{place} step {record['step']}  evaluation: {shown}"
    words = record.get("message") or record.get("event") or ""
    return f"{place} step {record['step']}  {words}"


def _measurements(record: LogRecord) -> str:
    parts = []
    for key, form in (("loss", "loss {:.4g}"), ("lr", "lr {:.2e}")):
        if _is_number(record.get(key)):
            parts.append(form.format(record[key]))
    if _is_number(record.get("tokens_per_s")):
        parts.append(f"{spoken_count(record['tokens_per_s'])} tokens/s")
    if _is_number(record.get("eta_s")):
        parts.append(f"{spoken_time(record['eta_s'])} left")
    return "  ".join(parts)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _bytes_to_keep(file: Path, resume_step: int) -> int:
    """Length of the leading lines that are whole and belong to steps that are done."""
    size = 0
    if resume_step <= 0:
        return size
    for line in file.read_bytes().splitlines(keepends=True):
        record = _parsed(line) if line.endswith(b"\n") else None
        if record is None or int(record.get("step", 0)) > resume_step:
            break
        size += len(line)
    return size


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _plain(value: Any) -> Any:
    """A value that JSON can hold: NaN becomes null, NumPy and tensors become numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    number = float(value)
    return number if math.isfinite(number) else None
