"""prepare_dataset: raw files to one prepared folder."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from mgte.data.atomic_folder import building_folder
from mgte.data.config import DatasetConfig
from mgte.data.dataset import TOKENIZER_FOLDER, PreparedDataset, open_dataset
from mgte.data.exclusions import excluded_files, excluded_hashes
from mgte.data.kind_writers import (
    EncodeVectors,
    KindWriter,
    RowWriter,
    StoredRows,
    TextWriter,
    VectorWriter,
)
from mgte.data.languages import tag_languages
from mgte.data.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    InputFile,
    Manifest,
    StoredSource,
    describe_files,
    folder_fingerprint,
    read_manifest,
    settings_hash,
    write_manifest,
)
from mgte.data.raw_rows import RawSource, batched_rows, find_sources
from mgte.data.row_filter import RowFilter
from mgte.data.source_files import SourceFile
from mgte.data.token_shards import DEFAULT_SHARD_BYTES
from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer

# Rows of one source by language, or by what told it.
_RowCounts = dict[str, dict[str, int]]
# Sources and languages are numbered in 16 bits.
_MOST_NAMES = 2**16


def prepare_dataset(
    config: DatasetConfig,
    out: str | Path,
    *,
    tokenizer: Tokenizer,
    root: str | Path,
    encode_vectors: EncodeVectors | None = None,
    on_progress: Callable[[int], None] | None = None,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> PreparedDataset:
    """Clean raw rows and store them so that training reads any row at once.

    Rows are read as a stream: memory grows with the number of rows (hashes of their texts, and a
    few kilobytes each where near duplicates are looked for), not with their text. The same raw
    files and settings give the same bytes.

    Args:
        config: What is read and what is left out.
        out: Folder to make. One that exists is kept where settings, and names and sizes of the raw
            and excluded files, are the same.
        tokenizer: Tokenises or counts tokens; a copy is stored.
        root: Folder from which the paths of the settings count.
        encode_vectors: The teacher of kind "vectors": texts to vectors [texts, dim].
        on_progress: Called with the number of raw rows that were read since the last call.
        shard_bytes: Size of a file of tokens.

    Returns:
        The dataset, opened.

    Raises:
        ConfigError: Settings contradict each other, or kind "vectors" has no teacher.
        DataError: A raw file cannot be read, no row is left, or `out` holds something else.
        BackendUnavailableError: A package that the settings need is absent.
    """
    out, root = Path(out), Path(root)
    if (out / MANIFEST_NAME).is_file():
        return _kept(config, out, tokenizer, root)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(
            f"{out}: holds something that is no prepared dataset, expected an absent folder"
        )
    if config.kind == "vectors" and encode_vectors is None:
        raise ConfigError("kind 'vectors': got no teacher, expected one that makes the vectors")
    sources = find_sources(config, root)
    row_filter = RowFilter(config, excluded_hashes(config.exclude, root))
    with building_folder(out) as folder:
        inputs = _describe_inputs(_files_of(sources))
        excluded = _describe_inputs(excluded_files(config.exclude, root))
        languages = dict[str, int]()
        if config.kind == "texts":
            writer: KindWriter = TextWriter(
                folder,
                tokenizer,
                shard_bytes,
                sources=_numbers(source.config.source for source in sources),
                languages=languages,
                files=_numbers(file.name for file in inputs),
            )
        elif encode_vectors is not None and config.kind == "vectors":
            writer = VectorWriter(folder, tokenizer, encode_vectors)
        else:
            writer = RowWriter(folder, config.kind, tokenizer)
        with closing(writer):
            counts, told = _write_rows(sources, row_filter, writer, languages, on_progress)
            if not any(counts.values()):
                raise _nothing_left(out, row_filter)
            content = writer.finish()
        described = _describe_sources(sources, row_filter, counts, told)
        parts = (described, inputs, excluded, list(languages))
        _store_manifest(folder, config, tokenizer, content, parts)
    return open_dataset(out, tokenizer=tokenizer)


def _write_rows(
    sources: list[RawSource],
    row_filter: RowFilter,
    writer: KindWriter,
    languages: dict[str, int],
    on_progress: Callable[[int], None] | None,
) -> tuple[_RowCounts, _RowCounts]:
    """Clean, tag and store all rows; numbers of stored rows by language, and by what told it.

    `languages` numbers the languages in the order in which they come.
    """
    counts: _RowCounts = defaultdict(lambda: defaultdict(int))
    told: _RowCounts = defaultdict(lambda: defaultdict(int))
    for batch in batched_rows(row for source in sources for row in source.rows()):
        rows = tag_languages([kept for row in batch if (kept := row_filter.clean(row))])
        for row in rows:
            languages.setdefault(row.language, len(languages))
            if len(languages) > _MOST_NAMES:
                raise DataError(
                    f"{row.place}: got language number {len(languages):,} ({row.language[:60]!r}), "
                    f"expected at most {_MOST_NAMES:,}",
                    hint="does `language_field` name the column of the languages?",
                )
        for row, is_stored in zip(rows, writer.write(rows) if rows else (), strict=True):
            if is_stored:
                counts[row.source][row.language] += 1
                told[row.source][row.language_from] += 1
            else:
                row_filter.removed[row.source]["no_tokens"] += 1
        if on_progress is not None:
            on_progress(len(batch))
    return counts, told


def _kept(config: DatasetConfig, out: Path, tokenizer: Tokenizer, root: Path) -> PreparedDataset:
    """The dataset that is there already, if it is the one that is asked for."""
    manifest = read_manifest(out)
    hint = "choose another folder, or delete this one"
    if manifest.config_hash != settings_hash(config, tokenizer.fingerprint):
        raise DataError(
            f"{out}: was prepared with other settings or another tokenizer, expected an absent "
            "folder or the same settings",
            hint=hint,
        )
    if manifest.inputs != _if_there(lambda: _files_of(find_sources(config, root)), manifest.inputs):
        raise DataError(f"{out}: its raw files have changed since it was prepared", hint=hint)
    if manifest.excluded != _if_there(
        lambda: excluded_files(config.exclude, root), manifest.excluded
    ):
        raise DataError(
            f"{out}: the texts to leave out have changed since it was prepared", hint=hint
        )
    return open_dataset(out, tokenizer=tokenizer)


def _if_there(
    find: Callable[[], list[SourceFile]], stored: tuple[InputFile, ...] | None
) -> tuple[InputFile, ...] | None:
    """Files as they are now; as they were where the machine that trains does not have them."""
    if stored is None:
        return None
    try:
        return _describe_inputs(find())
    except DataError:
        return stored


def _numbers(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _files_of(sources: list[RawSource]) -> list[SourceFile]:
    return [file for source in sources for file in source.files]


def _describe_inputs(files: list[SourceFile]) -> tuple[InputFile, ...]:
    paths = {file.name: file.path for file in files}
    return tuple(
        InputFile(name=name, size_bytes=path.stat().st_size) for name, path in paths.items()
    )


def _describe_sources(
    sources: list[RawSource], row_filter: RowFilter, counts: _RowCounts, told: _RowCounts
) -> tuple[StoredSource, ...]:
    symmetric = {source.config.source: source.config.symmetric for source in sources}
    return tuple(
        StoredSource(
            name=name,
            symmetric=is_symmetric,
            num_read=row_filter.num_read[name],
            removed=dict(sorted(row_filter.removed[name].items())),
            rows=dict(sorted(counts[name].items())),
            languages_from=dict(sorted(told[name].items())),
        )
        for name, is_symmetric in symmetric.items()
    )


def _store_manifest(
    folder: Path,
    config: DatasetConfig,
    tokenizer: Tokenizer,
    content: StoredRows,
    manifest_parts: tuple[
        tuple[StoredSource, ...], tuple[InputFile, ...], tuple[InputFile, ...], list[str]
    ],
) -> None:
    """Copy the tokenizer and write the manifest, which makes the folder complete."""
    sources, inputs, excluded, languages = manifest_parts
    files = describe_files(folder, content.files)
    names = [[source.name for source in sources], languages]
    tokenizer.save(folder / TOKENIZER_FOLDER)
    copied = sorted(f"{TOKENIZER_FOLDER}/{p.name}" for p in (folder / TOKENIZER_FOLDER).iterdir())
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        kind=config.kind,
        # The copy of the tokenizer is left out: its fingerprint says what its ids are.
        fingerprint=folder_fingerprint(config.kind, [*names, [tokenizer.fingerprint]], files),
        config_hash=settings_hash(config, tokenizer.fingerprint),
        config=config,
        tokenizer_fingerprint=tokenizer.fingerprint,
        num_rows=sum(count for source in sources for count in source.rows.values()),
        num_tokens=content.num_tokens,
        vector_dim=content.vector_dim,
        sources=sources,
        languages=tuple(languages),
        inputs=inputs,
        files=(*files, *describe_files(folder, copied)),
        excluded=excluded,
    )
    write_manifest(folder, manifest)


def _nothing_left(out: Path, row_filter: RowFilter) -> DataError:
    reasons: dict[str, int] = defaultdict(int)
    for removed in row_filter.removed.values():
        for reason, count in removed.items():
            reasons[reason] += count
    told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
    num_read = sum(row_filter.num_read.values())
    return DataError(
        f"{out}: no row is left of {num_read:,} ({told}), expected at least one",
        hint="check min_characters, exclude and the fields of the sources",
    )
