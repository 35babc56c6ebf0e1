"""All texts of excluded collections are known by their hashes."""

from pathlib import Path

from tests.unit.data.made_files import write_rows

from mgte.data import text_hash
from mgte.data.exclusions import excluded_hashes


def test_folders_and_files_give_all_their_texts(tmp_path: Path) -> None:
    write_rows(tmp_path / "beir/corpus.jsonl.gz", [{"_id": "1", "title": "Sea", "text": "Water"}])
    write_rows(tmp_path / "beir/queries.jsonl", [{"_id": "q", "text": "how wet?"}])
    write_rows(tmp_path / "test.jsonl", [{"query": "a", "positives": ["b", {"text": "c"}], "n": 3}])
    (tmp_path / "lines.txt").write_text("one line\n\n", encoding="utf-8")
    hashes = excluded_hashes(["beir", "*.jsonl", "lines.txt"], tmp_path)
    texts = ["Sea", "water", "SEA  WATER", "how wet?", "a", "b", "c", "One line"]
    assert hashes == {text_hash(text) for text in texts}
