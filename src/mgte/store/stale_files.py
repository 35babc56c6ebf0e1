"""Files of an older model in a folder that is saved into: what they say is no longer true."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from mgte.errors import MgteError
from mgte.store.checkpoint_files import INDEX, read_json_object
from mgte.store.sentence_files import MODULE_CONFIGS
from mgte.store.side_files import MODULES, SENTENCE_CONFIG, TRANSFORMER_CONFIGS
from mgte.text import flush

# What sentence-transformers keeps beside the model, and `read_settings` reads.
SIDE_FILES = (MODULES, SENTENCE_CONFIG, *TRANSFORMER_CONFIGS, *MODULE_CONFIGS)
# As transformers names the parts of a model that it cuts.
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


def stale_weights(folder: Path) -> list[str]:
    """Parts of an older model that was cut, and their index.

    Args:
        folder: Model folder.

    Returns:
        Names of files that may be there: those that look like parts, and those that an index names.
    """
    found = {path.name for path in folder.glob("model-*") if _SHARD.fullmatch(path.name)}
    try:
        table = read_json_object(folder / INDEX).get("weight_map")
    except MgteError:
        table = None
    for name in table.values() if isinstance(table, dict) else ():
        # A part lies in the folder itself: an index must not lead anywhere else.
        if isinstance(name, str) and name == Path(name).name and name.endswith(".safetensors"):
            found.add(name)
    return [INDEX, *sorted(found)]


def remove_stale(folder: Path, names: Iterable[str], written: Collection[str]) -> None:
    """Remove files of an older model, and the folders that they leave empty.

    Args:
        folder: Model folder, written by now.
        names: Names from the folder that mean something to a reader; others are never touched.
        written: Those of them that belong to the new model.

    Raises:
        OSError: A file cannot be removed.
    """
    changed: set[Path] = set()
    for name in names:
        path = folder / name
        if name in written or not path.is_file():
            continue
        path.unlink()
        changed.add(path.parent)
        if path.parent != folder and not any(path.parent.iterdir()):
            path.parent.rmdir()
            changed = (changed - {path.parent}) | {folder}
    for parent in changed:
        flush(parent)
