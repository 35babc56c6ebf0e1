"""Near duplicates are found in every script, and other texts are kept."""

import random

import pytest

from mgte.data.near_duplicates import NearDuplicates
from mgte.errors import ConfigError

ENGLISH = (
    "The tide rises and falls because the moon pulls on the water of the sea, and the earth turns "
    "under the bulge that this makes, so that most coasts see high water twice a day."
)
CHINESE = "潮汐的涨落是因为月亮吸引海水，地球在隆起的海水之下转动，所以大多数海岸每天有两次高潮。"
JAPANESE = "月が海の水を引くので潮が満ちたり引いたりし、多くの海岸では一日に二度満潮になります。"
THAI = "น้ำขึ้นน้ำลงเพราะดวงจันทร์ดึงดูดน้ำทะเล ชายฝั่งส่วนใหญ่จึงมีน้ำขึ้นสูงสุดวันละสองครั้ง"


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, JAPANESE, THAI])
def test_a_text_with_little_changed_is_a_near_duplicate(text: str) -> None:
    near = NearDuplicates(0.7)
    assert near.add(text)
    assert not near.add(text)
    assert not near.add(f"  {text.upper()}")
    assert not near.add(text[:-1] + " !")


def test_different_texts_are_kept() -> None:
    near = NearDuplicates(0.7)
    assert all(near.add(text) for text in (ENGLISH, CHINESE, JAPANESE, THAI))
    assert near.add(ENGLISH[: len(ENGLISH) // 2])
    assert near.add(ENGLISH[::-1] + " " + CHINESE)


def test_short_and_empty_texts_are_compared_whole() -> None:
    near = NearDuplicates(0.8)
    assert [near.add(text) for text in ("", "ab", "ac", "AB", "")] == [True] * 3 + [False] * 2


def test_similarity_on_either_side_of_the_threshold() -> None:
    # 400 random words; of a text with share s of words changed, about (1-s)/(1+s) shingles agree.
    words = random.Random(3)
    text = [f"{words.getrandbits(40):x}" for _ in range(400)]

    def changed(share: float) -> str:
        step = round(1 / share)
        return " ".join("qqqqqqqqqq" if i % step == 0 else word for i, word in enumerate(text))

    near = NearDuplicates(0.8)
    assert near.add(" ".join(text))
    assert not near.add(changed(0.02))
    assert near.add(changed(0.25))


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_thresholds_are_shares(threshold: float) -> None:
    with pytest.raises(ConfigError, match="near_duplicates"):
        NearDuplicates(threshold)
