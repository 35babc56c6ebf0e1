"""Samples have the shares that alpha asks for, and the same seed draws the same texts."""

import pytest

from mgte.data.language_sample import sample_languages, share_out

TEXTS = [
    *(("big", f"big {i}") for i in range(900)),
    *(("middle", f"middle {i}") for i in range(90)),
    *(("small", f"small {i}") for i in range(9)),
]


def counts_of(sample: list[tuple[str, str]]) -> dict[str, int]:
    return {name: sum(language == name for language, _ in sample) for name, _ in sample}


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_shares_follow_alpha(alpha: float) -> None:
    counts = counts_of(sample_languages(TEXTS, max_texts=90, alpha=alpha, seed=1))
    # A language that is used up leaves the rest to the others.
    expected = {0.0: (40, 41, 9), 0.5: (63, 20, 6), 1.0: (81, 8, 0)}[alpha]
    found = tuple(counts.get(name, 0) for name in ("big", "middle", "small"))
    assert all(abs(a - b) <= 2 for a, b in zip(found, expected, strict=True))
    assert 88 <= sum(found) <= 90


def test_everything_is_taken_where_there_is_little() -> None:
    assert sample_languages(TEXTS, max_texts=999, alpha=0.5, seed=1) == TEXTS


def test_the_seed_decides() -> None:
    first, again, other = (
        sample_languages(iter(TEXTS), max_texts=50, alpha=0.5, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_language_is_drawn_evenly_from_the_whole_stream() -> None:
    drawn = sample_languages((("x", str(i)) for i in range(20_000)), max_texts=500, alpha=1, seed=4)
    mean = sum(int(text) for _, text in drawn) / len(drawn)
    # The mean of 500 evenly drawn numbers has a standard error of 258.
    assert abs(mean - 10_000) < 3 * 258


def test_shares_never_exceed_what_there_is() -> None:
    assert share_out({"a": 1, "b": 100}, 50, 0.0) == {"a": 1, "b": 49}
    assert share_out({}, 5, 0.5) == {}
