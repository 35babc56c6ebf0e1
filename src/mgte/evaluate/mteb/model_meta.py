"""What mteb keeps of a model beside its results: name, revision, sizes, licence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mgte.errors import MgteError
from mgte.evaluate.mteb.mteb_calls import import_mteb
from mgte.store import find_known_model, open_model

ModelType = Literal["dense", "sparse", "hybrid", "cross-encoder"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LICENCE = re.compile(r"^licen[sc]e:\s*[\"']?([^\s\"']+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """What is known of a model.

    Attributes:
        name: What it was loaded by: hub id, known name, folder, or whatever a server calls it.
        revision: Commit, or hash of its weights; "" where nobody says.
        model_type: How it ranks.
        max_length: Longest text in tokens; None where nobody says.
        width: Width of its vectors; None for a cross-encoder.
        is_cosine: Whether vectors are compared by cosine, not by dot product; None for a
            cross-encoder.
        has_prompts: Whether texts get prompts.
        folder: Folder of its checkpoint; None for models that others run.
        experiment: What differs from the plain model, such as a cut width. mteb keeps such results
            apart.
    """

    name: str
    revision: str
    model_type: ModelType = "dense"
    max_length: int | None = None
    width: int | None = None
    is_cosine: bool | None = None
    has_prompts: bool = False
    folder: Path | None = None
    experiment: Mapping[str, Any] = field(default_factory=dict)


def make_model_meta(facts: ModelFacts) -> Any:
    """The record that mteb keeps of a model.

    Args:
        facts: What is known.

    Returns:
        `mteb.models.ModelMeta`, checked by mteb itself.

    Raises:
        BackendUnavailableError: mteb is not installed.
    """
    kind = import_mteb("mteb.models").ModelMeta
    name = organised_name(facts.name)
    is_ours = facts.folder is not None
    num_parameters, num_embedding = _sizes(facts.folder)
    known = {
        "name": name,
        "revision": hub_commit(facts.folder) or facts.revision or "unknown",
        "max_tokens": facts.max_length,
        "embed_dim": facts.width,
        "similarity_fn_name": _similarity(facts.is_cosine),
        "framework": ["PyTorch"] if is_ours else [],
        "open_weights": True if is_ours else None,
        "n_parameters": num_parameters,
        "n_embedding_parameters": num_embedding,
        "license": licence_of(facts.folder),
        "reference": _reference(name),
        "use_instructions": facts.has_prompts,
        "model_type": [facts.model_type],
        "experiment_kwargs": dict(facts.experiment) or None,
    }
    return kind.model_validate(kind.create_empty().model_dump() | known)


def organised_name(name: str) -> str:
    """A name as mteb wants it, "organisation/model".

    Args:
        name: Hub id, known name, folder, "st:" and a name, or a server's address.

    Returns:
        The hub id where there is one, "mgte/NAME" of the models that come with the package or
        another one, "local/FOLDER" of a folder, "server/MODEL" of a server.
    """
    plain = name.removeprefix("st:")
    known = find_known_model(plain)
    if known is not None:
        return known.source if known.home == "hub" else f"mgte/{known.name}"
    if "://" in plain:
        address, _, model = plain.partition("#")
        return f"server/{_safe(model or address.partition('://')[2])}"
    if _HUB_ID.fullmatch(plain) and not Path(plain).exists():
        return plain
    return f"local/{_safe(Path(plain).resolve().name)}"


def hub_commit(folder: Path | None) -> str | None:
    """The commit of a folder in the hub's cache (.../snapshots/COMMIT); None for other folders."""
    if folder is None:
        return None
    parts = folder.parts
    places = [place for place, part in enumerate(parts[:-1]) if part == "snapshots"]
    commits = [parts[place + 1] for place in places if _COMMIT.fullmatch(parts[place + 1])]
    return commits[-1] if commits else None


def licence_of(folder: Path | None) -> str | None:
    """The licence that the card of a model folder states, as mteb spells it; None if unknown."""
    card = None if folder is None else folder / "README.md"
    if card is None or not card.is_file():
        return None
    text = card.read_text("utf-8", errors="replace")
    # The facts of a card stand between two lines of dashes.
    front = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = _LICENCE.search(front)
    licence = found.group(1).lower() if found else ""
    return licence if licence in _licences() else None


def _licences() -> set[str]:
    """Licences that mteb knows."""
    known = import_mteb("mteb.types").Licenses
    return {str(value) for value in known.__args__}


def _similarity(is_cosine: bool | None) -> str | None:
    if is_cosine is None:
        return None
    return "cosine" if is_cosine else "dot"


def _sizes(folder: Path | None) -> tuple[int | None, int | None]:
    """Parameters in all, and those of the table of tokens; None where they cannot be read."""
    if folder is None:
        return None, None
    try:
        opened = open_model(folder, offline=True)
    except MgteError:
        # A folder that others can read and we cannot: its size is not worth a failure.
        return None, None
    return opened.num_parameters, opened.config.vocab_size * opened.config.hidden_size


def _reference(name: str) -> str | None:
    organisation = name.partition("/")[0]
    is_on_hub = organisation not in ("mgte", "local", "server")
    return f"https://huggingface.co/{name}" if is_on_hub else None


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"
