"""Token shards give back what was written, whatever the lengths and the size of a shard."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgte.data.token_shards import TokenShards, TokenShardWriter
from mgte.errors import DataError


def write(folder: Path, texts: list[list[int]], shard_bytes: int) -> TokenShards:
    writer = TokenShardWriter(folder, shard_bytes=shard_bytes)
    for number, text in enumerate(texts):
        writer.add(
            np.array(text, dtype=np.int64), source=number % 3, language=1, file=7, file_row=number
        )
    names = writer.finish()
    return TokenShards(folder, [name for name in names if name.startswith("tokens-")])


@given(
    st.lists(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9), min_size=1, max_size=30),
    st.integers(1, 64),
)
def test_what_was_written_is_read(tmp_path_factory, texts, shard_bytes) -> None:
    shards = write(tmp_path_factory.mktemp("shards"), texts, shard_bytes)
    assert [shards.tokens(row).tolist() for row in range(len(texts))] == texts
    assert shards.lengths.tolist() == [len(text) for text in texts]
    assert shards.source_ids.tolist() == [number % 3 for number in range(len(texts))]
    assert shards.file_and_row(len(texts) - 1) == (7, len(texts) - 1)


def test_parts_of_a_text_never_reach_into_the_next(tmp_path: Path) -> None:
    shards = write(tmp_path, [[1, 2, 3], [4, 5]], 1000)
    parts = [(0, 2), (1, None), (2, 99), (3, 5), (9, 10), (2, 1)]
    found = [shards.tokens(0, *part).tolist() for part in parts]
    assert found == [[1, 2], [2, 3], [3], [], [], []]


def test_shards_have_the_asked_size_and_are_not_loaded(tmp_path: Path) -> None:
    shards = write(tmp_path, [[5] * 100] * 10, 4 * 250)
    assert len(list(tmp_path.glob("tokens-*.npy"))) == 4
    tokens = shards.tokens(9)
    assert not tokens.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [[1, 2, 3]], 1000)
    np.save(tmp_path / "tokens-00000.npy", np.zeros(3, np.float32))
    with pytest.raises(DataError, match=r"tokens-00000.npy: holds float32"):
        TokenShards(tmp_path, ["tokens-00000.npy"])
    (tmp_path / "tokens-00000.npy").write_bytes(b"not an array")
    with pytest.raises(DataError, match="not readable as an array"):
        TokenShards(tmp_path, ["tokens-00000.npy"])
    np.save(tmp_path / "tokens-00000.npy", np.zeros(2, np.uint32))
    with pytest.raises(DataError, match=r"hold 2 tokens"):
        TokenShards(tmp_path, ["tokens-00000.npy"])
