"""What tests of training runs share."""

from pathlib import Path

import pytest
from tests.laws.training_runs import write_texts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with the texts of the laws' tiny runs."""
    folder = tmp_path / "root"
    folder.mkdir()
    write_texts(folder)
    return folder
