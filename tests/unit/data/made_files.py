"""Raw files of every format, made for a test."""

import bz2
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mgte.config import from_dict
from mgte.data import DatasetConfig


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """JSON lines, compressed as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    compress = {".gz": lambda raw: gzip.compress(raw, mtime=0), ".bz2": bz2.compress}
    path.write_bytes(compress.get(path.suffix, bytes)(content))
    return path


def dataset_config(kind: str, *sources: dict[str, Any], **settings: Any) -> DatasetConfig:
    """Settings of a dataset; a source is called after its path, and English, unless it says so."""
    filled = [{"source": s["path"], **_language(s), **s} for s in sources]
    return from_dict(DatasetConfig, {"kind": kind, "sources": filled, **settings})


def _language(source: dict[str, Any]) -> dict[str, str]:
    return {} if {"language", "language_field"} & source.keys() else {"language": "en"}
