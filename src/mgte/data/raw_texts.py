"""The bare texts of a dataset's raw files, for training a tokenizer on them."""

from collections.abc import Iterator
from pathlib import Path

from mgte.data.config import DatasetConfig
from mgte.data.exclusions import excluded_hashes
from mgte.data.languages import tag_languages
from mgte.data.raw_rows import batched_rows, find_sources
from mgte.data.row_filter import RowFilter


def read_raw_texts(config: DatasetConfig, root: str | Path) -> Iterator[tuple[str, str]]:
    """Texts that preparation would keep, in the order of settings and files.

    Args:
        config: The dataset.
        root: Folder from which its paths count.

    Yields:
        Language and text; of pairs and groups every text, under the row's language.

    Raises:
        ConfigError: Settings contradict each other.
        DataError: A raw file cannot be read.
        BackendUnavailableError: A package that the settings need is absent.
    """
    row_filter = RowFilter(config, excluded_hashes(config.exclude, Path(root)))
    sources = find_sources(config, Path(root))
    for batch in batched_rows(row for source in sources for row in source.rows()):
        kept = [cleaned for row in batch if (cleaned := row_filter.clean(row))]
        for row in tag_languages(kept):
            for text in (row.query, *row.documents, *row.negatives):
                if text:
                    yield row.language, text
