"""Seeds follow from what is drawn, and from nothing else."""

import numpy as np

from mgte.data.seeds import mix_seed


def test_seeds_are_the_same_for_all_kinds_of_integers() -> None:
    assert mix_seed(np.int64(3), "plan", np.uint16(7)) == mix_seed(3, "plan", 7)


def test_seeds_differ_by_order_kind_and_split() -> None:
    seeds = [mix_seed(1, 2), mix_seed(2, 1), mix_seed(12), mix_seed("1", 2), mix_seed("1, 2")]
    assert len({*seeds}) == len(seeds)


def test_seeds_stay_what_they_are() -> None:
    # A run that was begun with an older version goes on with the same batches.
    assert mix_seed(0, "stage", "plan") == 6527719057453759741
