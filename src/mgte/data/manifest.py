"""manifest.json of a prepared folder: what is in it, where from, and whether it is whole."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from mgte.config import from_dict, to_dict
from mgte.data.config import DatasetConfig, DatasetKind
from mgte.errors import ConfigError, DataError

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
_CHUNK_BYTES = 2**20
_PREPARE_AGAIN = "delete the folder and run `mgte data prepare` again"


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """A raw file that was read.

    Attributes:
        name: Path from the root.
        size_bytes: Its size when it was read.
    """

    name: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file of the prepared folder.

    Attributes:
        name: Its name.
        size_bytes: Its size.
        sha256: Its checksum.
    """

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSource:
    """A source of the rows.

    Attributes:
        name: Its name.
        symmetric: Whether the two sides of its pairs may swap places.
        num_read: Raw rows that were read.
        removed: Reason to number of rows that were left out; "document_..." counts single
            documents of groups.
        rows: Language to number of rows that were kept.
        languages_from: What told the language of kept rows ("setting", "column", "detected") to
            their number; empty in folders of before it was noted.
    """

    name: str
    symmetric: bool
    num_read: int
    removed: dict[str, int]
    rows: dict[str, int]
    languages_from: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A prepared folder.

    Attributes:
        format_version: Version of the layout.
        kind: Kind of the rows.
        fingerprint: Hash over all that decides what a row number means.
        config_hash: Hash over the settings and the tokenizer.
        config: The settings.
        tokenizer_fingerprint: Fingerprint of the tokenizer.
        num_rows: Rows.
        num_tokens: Tokens of all texts (kind "texts"), without special tokens.
        vector_dim: Width of the vectors; 0 for other kinds.
        sources: Sources, numbered in this order.
        languages: Languages, numbered in this order.
        inputs: Raw files, numbered in this order.
        files: Files of the folder.
        excluded: Files whose texts were left out; None in folders of before they were noted.
    """

    format_version: int
    kind: DatasetKind
    fingerprint: str
    config_hash: str
    config: DatasetConfig
    tokenizer_fingerprint: str
    num_rows: int
    num_tokens: int
    vector_dim: int
    sources: tuple[StoredSource, ...]
    languages: tuple[str, ...]
    inputs: tuple[InputFile, ...]
    files: tuple[StoredFile, ...] = field(default_factory=tuple)
    excluded: tuple[InputFile, ...] | None = None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json; a folder that has one is complete."""
    text = json.dumps(to_dict(manifest), ensure_ascii=False, indent=1) + "\n"
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read manifest.json.

    Args:
        folder: Prepared folder.

    Returns:
        The manifest.

    Raises:
        DataError: There is none, it is damaged, or of another version of the layout.
    """
    path = folder / MANIFEST_NAME
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder, expected a prepared dataset",
            hint="make it with `mgte data prepare`",
        )
    if not path.is_file():
        raise DataError(
            f"{folder}: has no {MANIFEST_NAME}, expected a prepared dataset",
            hint="make it with `mgte data prepare`; an interrupted preparation leaves none",
        )
    try:
        content = json.loads(path.read_bytes())
        version = content.get("format_version") if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise DataError(
                f"{path}: has format version {version}, expected {FORMAT_VERSION}",
                hint=_PREPARE_AGAIN,
            )
        return from_dict(Manifest, content)
    except (ConfigError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.message if isinstance(error, ConfigError) else str(error)
        raise DataError(f"{path}: damaged ({reason})", hint=_PREPARE_AGAIN) from error


def settings_hash(config: DatasetConfig, tokenizer_fingerprint: str) -> str:
    """Hash of everything but the raw files that decides what is prepared."""
    content = [FORMAT_VERSION, to_dict(config), tokenizer_fingerprint]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def describe_files(folder: Path, names: list[str]) -> tuple[StoredFile, ...]:
    """Sizes and checksums of files."""
    return tuple(
        StoredFile(
            name=name, size_bytes=(folder / name).stat().st_size, sha256=_checksum(folder / name)
        )
        for name in names
    )


def folder_fingerprint(
    kind: DatasetKind, names: list[list[str]], files: tuple[StoredFile, ...]
) -> str:
    """Hash over the checksums and the names that numbers stand for."""
    content = [FORMAT_VERSION, kind, names, [[file.name, file.sha256] for file in files]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def check_files(folder: Path, manifest: Manifest, *, verify: bool) -> None:
    """Check that every file is there in its full size.

    Args:
        folder: Prepared folder.
        manifest: Its manifest.
        verify: Whether the checksums are computed as well, which reads everything.

    Raises:
        DataError: A file is absent, cut off or changed.
    """
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file():
            raise DataError(f"{path}: is missing from the dataset", hint=_PREPARE_AGAIN)
        size = path.stat().st_size
        if size != file.size_bytes:
            raise DataError(
                f"{path}: has {size:,} bytes, expected {file.size_bytes:,}", hint=_PREPARE_AGAIN
            )
        if verify and _checksum(path) != file.sha256:
            raise DataError(
                f"{path}: its checksum is not the manifest's, expected an unchanged file",
                hint=_PREPARE_AGAIN,
            )


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
