"""Recorded numbers and intervals over seeds."""

import pytest

from mmdl_lib.record import interval, results


def test_the_interval_is_students_by_hand():
    # mean 2, standard deviation 1, t(2) = 4.303: 2 -+ 4.303 / sqrt(3)
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx(2)
    assert (low, high) == pytest.approx((-0.4843, 4.4843), abs=1e-4)


def test_lists_get_an_interval_each():
    mean, low, high = interval([[1.0, 5.0], [3.0, 5.0]])
    assert mean == [2.0, 5.0]
    assert low[1] == high[1] == 5.0
    assert high[0] == pytest.approx(2 + 12.706)


@pytest.mark.parametrize("runs", [[], [1.0], [1.0] * 9])
def test_a_wrong_count_of_seeds_is_named(runs):
    with pytest.raises(ValueError, match="two to eight seeds"):
        interval(runs)


def test_missing_results_name_the_recipe():
    with pytest.raises(FileNotFoundError, match="python recipes/none.py"):
        results("none")
