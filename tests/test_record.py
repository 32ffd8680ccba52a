"""Recorded numbers and intervals over seeds."""

import json
from multiprocessing import get_context

import pytest

from mmdl_lib import record
from mmdl_lib.record import claim, interval, keep, results


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


def keep_many(folder, number):
    record.PACKAGE = folder / "mmdl_lib"
    for i in range(30):
        keep("test-of-keep", "runs", f"{number}-{i}", value=[number, i])


def test_processes_that_write_together_lose_nothing(tmp_path):
    (tmp_path / "results").mkdir()
    context = get_context("spawn")
    writers = [context.Process(target=keep_many, args=(tmp_path, n)) for n in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = json.loads((tmp_path / "results/test-of-keep.json").read_text())
    assert len(found["runs"]) == 60
    assert [p.name for p in (tmp_path / "results").iterdir()] == ["test-of-keep.json"]


def test_a_claim_holds_if_its_whole_interval_is_above_zero():
    words = {"paper": "Table 1", "note": "points"}
    assert claim("x-a", "A.", values=[1.0, 1.1, 1.2], **words)["holds"] is True
    assert claim("x-a", "A.", values=[-1.0, 1.1, 1.2], **words)["holds"] is False
    found = claim("x-a", "A.", values=[1.0, 2.0, 3.0], holds="partly", **words)
    assert found["holds"] == "partly"
    assert (found["ours"], found["seeds"]) == (2.0, 3)
    assert (found["low"], found["high"]) == (-0.4843, 4.4843)
