"""Fetching a model from the hub. Only data files: never code, never a pickle."""

from pathlib import Path

import huggingface_hub
from huggingface_hub import errors

from mgte.errors import CheckpointError

_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]
_OTHER_ENGINES = ["onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*"]


def is_downloaded(hub_id: str) -> bool:
    """Whether configuration and weights of a hub model are in the cache."""
    try:
        found = huggingface_hub.try_to_load_from_cache(hub_id, "config.json")
    except errors.HFValidationError:
        return False
    if not isinstance(found, str):
        return False
    return any(Path(found).parent.glob("*.safetensors"))


def download(hub_id: str, *, revision: str | None, offline: bool | None) -> Path:
    """Fetch a model's data files, or find them in the cache.

    Args:
        hub_id: Owner and name.
        revision: Branch, tag or commit; None means the main branch.
        offline: Whether to look into the cache only; None leaves it to HF_HUB_OFFLINE.

    Returns:
        The local folder.

    Raises:
        CheckpointError: The model or revision does not exist, is restricted, or cannot be fetched.
    """
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
