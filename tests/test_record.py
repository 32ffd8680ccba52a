"""Recorded numbers, intervals over seeds, and what they allow to say."""

import json
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from scipy import stats

from mmdl_lib import record
from mmdl_lib.record import (
    interval,
    keep,
    results,
    seeds_for,
    student,
    update,
    verdict,
)
from tests.lab import arms


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MMDL_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def test_the_interval_is_students_by_hand():
    # mean 2, standard deviation 1, t(2) = 4.303: 2 -+ 4.303 / sqrt(3)
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx(2)
    assert (low, high) == pytest.approx((-0.4841, 4.4841), abs=1e-4)


def test_lists_get_an_interval_each():
    mean, low, high = interval([[1.0, 5.0], [3.0, 5.0]])
    assert mean == [2.0, 5.0]
    assert low[1] == high[1] == 5.0
    assert high[0] == pytest.approx(2 + 12.706, abs=1e-3)


@pytest.mark.parametrize("margin", [0.05, 0.2, 5.0])
def test_so_many_seeds_are_enough_and_one_less_is_not(margin):
    values = [0.1, 0.3, -0.2, 0.5, 0.25]
    needed = seeds_for(values, margin)

    def half(seeds):
        return stats.t.ppf(0.975, seeds - 1) * np.std(values, ddof=1) / seeds**0.5

    assert half(needed) <= margin
    assert needed == 2 or half(needed - 1) > margin


@pytest.mark.parametrize(("values", "margin"), [([1, 1, 1], 0.1), ([1, 2], 0)])
def test_no_spread_and_no_margin_ask_for_no_number_of_seeds(values, margin):
    with pytest.raises(ValueError, match="above zero"):
        seeds_for(values, margin)


@pytest.mark.parametrize("seeds", [*range(2, 34), 101, 1000])
def test_the_quantile_is_that_of_scipy(seeds):
    assert student(seeds) == pytest.approx(stats.t.ppf(0.975, seeds - 1), rel=1e-10)


def test_the_interval_of_many_seeds_is_that_of_scipy():
    values = torch.randn(16, generator=torch.Generator().manual_seed(0)).tolist()
    _, low, high = interval(values)
    n = len(values)
    same = stats.t.interval(0.95, n - 1, np.mean(values), stats.sem(values))
    assert (low, high) == pytest.approx(same, rel=1e-5)


@pytest.mark.parametrize("runs", [[], [1.0]])
def test_one_seed_has_no_interval(runs):
    with pytest.raises(ValueError, match="two seeds or more, got"):
        interval(runs)


def test_no_interval_is_made_of_nan():
    with pytest.raises(ValueError, match="got NaN or infinity"):
        interval([1.0, float("nan"), 2.0])


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.001, 0.3, "holds"),
        (0.001, 0.005, "holds"),  # small, and yet the direction is certain
        (-0.3, -0.001, "reversed"),
        (-0.01, 0.01, "no effect here"),
        (-0.01, 0.0100001, "cannot tell"),
        (-0.3, 0.005, "cannot tell"),
        (0.0, 0.3, "cannot tell"),
        (-0.3, 0.0, "cannot tell"),
        (0.0, 0.0, "no effect here"),
        (None, None, "cannot tell"),
    ],
)
def test_the_four_verdicts_follow_the_interval(low, high, said):
    assert verdict(low, high, 0.01, seeds=5) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.01, 0.01, "holds"),
        (0.002, 0.004, "holds"),
        (0.02, 0.03, "reversed"),
        (-0.03, -0.02, "reversed"),
        (0.005, 0.03, "cannot tell"),
        (-0.3, 0.3, "cannot tell"),
    ],
)
def test_equality_holds_within_the_margin(low, high, said):
    assert verdict(low, high, 0.01, seeds=5, equality=True) == said


@pytest.mark.parametrize("span", [(0.1, 0.2), (-0.2, -0.1), (-0.001, 0.001)])
def test_four_seeds_are_no_verdict(span):
    assert verdict(*span, 0.01, seeds=4) == "cannot tell"
    assert verdict(*span, 0.01, seeds=5) != "cannot tell"


@pytest.mark.parametrize("margin", [0, -1, float("nan"), float("inf")])
def test_a_verdict_needs_a_margin(margin):
    with pytest.raises(ValueError, match="margin above zero"):
        verdict(0.1, 0.2, margin, seeds=5)


def test_an_interval_the_wrong_way_round_is_refused():
    with pytest.raises(ValueError, match="expected low <= high"):
        verdict(0.2, 0.1, 0.01, seeds=5)


def test_missing_results_name_the_recipe():
    with pytest.raises(FileNotFoundError, match="python recipes/none.py"):
        results("none")


@pytest.mark.parametrize("slug", ["../secret", "/etc/passwd", "", "a b"])
def test_a_slug_stays_in_the_folder(slug):
    with pytest.raises(ValueError, match="expected a recipe's name"):
        results(slug)


def test_tensors_and_arrays_are_kept_as_numbers(folder):
    value = {"a": torch.tensor([1, 2]), 3: np.float64(0.5), "c": (None, True, "x")}
    keep("toy", "group", 0, value=value)
    assert results("toy") == {
        "group": {"0": {"a": [1, 2], "3": 0.5, "c": [None, True, "x"]}}
    }


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), torch.tensor([1, -1e40])])
def test_what_is_not_finite_is_never_stored(folder, bad):
    keep("toy", "good", value=1)
    with pytest.raises(ValueError, match="expected a finite number"):
        keep("toy", "bad", value={"deep": [bad]})
    assert results("toy") == {"good": 1}


def test_what_json_cannot_hold_is_named(folder):
    with pytest.raises(TypeError, match="JSON can hold, got Generator"):
        keep("toy", "bad", value=torch.Generator())


@pytest.mark.parametrize("damage", [b'{"a": [1, 2', b"\xff\xfe", b"", b'{"a": 1}}'])
def test_a_damaged_file_is_one_sentence_and_stays_as_it_is(folder, damage):
    folder.mkdir()
    (folder / "toy.json").write_bytes(damage)
    for attempt in (lambda: results("toy"), lambda: keep("toy", "a", value=1)):
        with pytest.raises(ValueError, match="toy.json, got a file that is cut"):
            attempt()
    assert (folder / "toy.json").read_bytes() == damage


def test_a_change_that_fails_leaves_the_file_as_it_was(folder):
    keep("toy", "a", value=1)
    before = (folder / "toy.json").read_bytes()

    def change(whole):
        whole["a"] = 2
        raise RuntimeError

    with pytest.raises(RuntimeError):
        update("toy", change)
    assert (folder / "toy.json").read_bytes() == before


def test_nobody_ever_reads_half_a_file(folder, monkeypatch):
    keep("toy", "a", value=1)
    seen = []

    def replace(part, path):
        seen.append((json.loads(part.read_text()), json.loads(path.read_text())))

    monkeypatch.setattr(record.os, "replace", replace)
    keep("toy", "a", value=2)
    assert seen == [({"a": 2}, {"a": 1})]


def test_a_list_of_numbers_is_one_line(folder):
    keep("toy", "a", value=[1, 2.5, [3, 4], "x, [\ny"])
    text = (folder / "toy.json").read_text()
    assert "[3, 4]" in text
    assert json.loads(text) == {"a": [1, 2.5, [3, 4], "x, [\ny"]}
    keep("toy", "a", value=[1, 2, "x\n 3"])
    assert len((folder / "toy.json").read_text().splitlines()) == 3


def test_nobody_writes_into_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "PACKAGE", tmp_path / "site-packages/mmdl_lib")
    monkeypatch.delenv("MMDL_RESULTS", raising=False)
    with pytest.raises(OSError, match="MMDL_RESULTS"):
        keep("toy", "a", value=1)


def test_processes_that_write_together_lose_nothing(folder):
    context = get_context("spawn")
    writers = [context.Process(target=arms.keep_many, args=(n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = results("many")["runs"]
    assert found == {f"{n}-{i}": [n, i] for n in range(3) for i in range(30)}
    assert [p.name for p in folder.glob("*.*") if not p.name.startswith(".")] == [
        "many.json"
    ]
