"""Hashes of texts are stable, and blind to case, width and white space."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from mgte.data import text_hash, text_hashes
from mgte.data.hashing import combined_hash, exact_hash, normalize_text

VALID_TEXT = st.text(st.characters(exclude_categories=("Cs",)))


def test_a_hash_is_the_same_in_every_process() -> None:
    # Hashes are stored in no file, but must agree between processes and machines.
    assert text_hash("the tide and the moon") == 5307891538791729760
    code = "from mgte.data import text_hash; print(text_hash('the tide and the moon'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) == text_hash("the tide and the moon")


def test_case_width_and_white_space_do_not_matter() -> None:
    assert text_hash(" The\tTide\n") == text_hash("the tide") == text_hash("Ｔｈｅ\u3000ｔｉｄｅ")
    assert text_hash("STRASSE") == text_hash("Straße")
    assert text_hash("the tide") != text_hash("the tides")


@given(VALID_TEXT)
def test_normalising_twice_is_normalising_once_for_the_hash(text: str) -> None:
    assert text_hash(f"  {text} ") == text_hash(text)
    assert normalize_text(text) == normalize_text(f"\n{text}")


def test_order_matters_in_combined_hashes() -> None:
    a, b = text_hash("a"), text_hash("b")
    assert len({combined_hash([a, b]), combined_hash([b, a]), combined_hash([a]), a}) == 4


def test_exact_hashes_see_case() -> None:
    assert exact_hash("A") != exact_hash("a")


def test_several_hashes_are_the_single_ones() -> None:
    texts = ["a", "B ", ""]
    assert text_hashes(texts).tolist() == [text_hash(text) for text in texts]
    assert text_hashes([]).dtype == "int64"
