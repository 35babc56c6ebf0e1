"""Tiny models on disk, and a way to run a command and see what it wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from mgte.cli.main import main


class Result(NamedTuple):
    """Exit code and what was written."""

    code: int
    out: str
    err: str


@pytest.fixture
def mgte(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs one command in this process."""

    def run(*words: str | Path) -> Result:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def save_tiny(folder: Path, config, head, tokenizer: Path) -> Path:
    import torch

    from mgte.model import build_model, init_weights
    from mgte.store import save_model

    model = build_model(config, head, pooling="cls", family="gte")
    init_weights(model, config, generator=torch.Generator().manual_seed(7))
    save_model(model, folder, "sentence-transformers", tokenizer=tokenizer)
    return folder


@pytest.fixture(scope="session")
def tiny_embedder(tmp_path_factory, tiny_config, tokenizer_folder) -> Path:
    from mgte.model import HeadConfig

    folder = tmp_path_factory.mktemp("tiny-embedder")
    return save_tiny(folder, tiny_config, HeadConfig(), tokenizer_folder)


@pytest.fixture(scope="session")
def tiny_sparse_embedder(tmp_path_factory, tiny_config, tokenizer_folder) -> Path:
    from mgte.model import HeadConfig

    folder = tmp_path_factory.mktemp("tiny-sparse-embedder")
    head = HeadConfig(kind="token_classification", num_labels=1, labels=("LABEL_0",))
    return save_tiny(folder, tiny_config, head, tokenizer_folder)


@pytest.fixture(scope="session")
def tiny_reranker(tmp_path_factory, tiny_config, tokenizer_folder) -> Path:
    from mgte.model import HeadConfig

    folder = tmp_path_factory.mktemp("tiny-reranker")
    head = HeadConfig(
        kind="sequence_classification", num_labels=1, labels=("LABEL_0",), has_dense=True
    )
    return save_tiny(folder, tiny_config, head, tokenizer_folder)
