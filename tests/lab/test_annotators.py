"""Annotators err at the stated rates, and what follows from the rates follows."""

import pytest
import torch

from mmdl_lib.lab import annotators as an
from mmdl_lib.lab import iconic as ic

SURE = an.Rates(skill=(0.5, 0.5), half=0, alarm=0)
MANY = torch.full((4000, 1), 50)


def test_a_worker_sees_at_the_stated_rate():
    seen = an.spotted(MANY, 6, 0, SURE).double().mean((1, 2))
    # six standard errors of a share of one half among 4,000
    assert (seen - 0.5).abs().max() < 6 * 0.5 / 4000**0.5
    half = an.Rates(skill=(0.8, 0.8), half=50, alarm=0)
    assert an.spotted(MANY, 2, 0, half).double().mean().item() == pytest.approx(
        0.4, abs=0.03
    )


def test_independent_workers_keep_the_promise():
    seen = an.spotted(MANY, 8, 3, SURE)
    for k in (1, 2, 4, 8):
        found = seen[:k].any(0).double().mean().item()
        assert found == pytest.approx(an.promised(0.5, k), abs=0.03)
    assert an.promised(0.5, 8) == 1 - 1 / 256


def test_small_objects_break_the_promise_though_the_mean_rate_is_the_same():
    """Objects of 5 and of infinitely many pixels, half of each: Jensen's inequality."""
    pixels = torch.tensor([[5], [10**9]]).repeat(4000, 1)
    rates = an.Rates(skill=(0.9, 0.9), half=95, alarm=0)
    seen = an.spotted(pixels, 8, 1, rates)
    rate = seen.double().mean().item()
    found = seen.any(0).double().mean().item()
    exact = (1 - 0.955**8) / 2 + 0.5
    assert rate == pytest.approx(0.4725, abs=0.01)
    assert found == pytest.approx(exact, abs=0.02)
    assert found < an.promised(rate, 8) - 0.2


def test_what_shows_no_pixel_is_never_seen():
    pixels = torch.tensor([[0, 30]]).repeat(500, 1)
    assert not an.spotted(pixels, 3, 0)[..., 0].any()
    assert not an.spotted(pixels, 3, 0, SURE)[..., 0].any()


def test_false_alarms_come_at_their_rate_and_only_where_nothing_is():
    pixels, kind = torch.zeros(3000, 2).long(), torch.zeros(3000, 2).long()
    rates = an.Rates(skill=(1, 1), half=0, alarm=0.1)
    options = {"workers": 2, "seed": 0, "rates": rates}
    said = an.labeled(pixels, kind, 4, **options)
    assert said.double().mean().item() == pytest.approx(0.1, abs=0.01)
    pixels[:, 0] = 9
    said = an.labeled(pixels, kind, 4, **options)
    assert said[..., 0].all()  # seen for sure
    blind = an.Rates(skill=(0, 0), half=0, alarm=0.5)
    said = an.labeled(pixels, kind, 4, workers=2, seed=0, rates=blind)
    assert not said[..., 0].any()  # what is there and missed is no false alarm


def test_two_objects_of_a_category_give_two_chances():
    pixels, kind = torch.full((4000, 2), 9), torch.zeros(4000, 2).long()
    said = an.labeled(pixels, kind, 1, workers=1, seed=0, rates=SURE)
    assert said.double().mean().item() == pytest.approx(0.75, abs=0.03)


def test_more_workers_do_not_change_the_first():
    scenes = ic.non_iconic(50, 0)
    few, many = (an.spotted(ic.visible(scenes), n, 7) for n in (2, 6))
    assert torch.equal(few, many[:2]) and not torch.equal(many[0], many[1])
    options = {"seed": 7, "rates": an.WORKER}
    few, many = (
        an.labeled(ic.visible(scenes), scenes.shape, 8, workers=n, **options)
        for n in (2, 6)
    )
    assert torch.equal(few, many[:2])


def test_a_union_gains_recall_and_loses_precision():
    scenes = ic.non_iconic(400, 0)
    pixels, true = ic.visible(scenes), ic.named(scenes)
    said = an.labeled(pixels, scenes.shape, 8, workers=8, seed=0)
    one, all_ = an.quality(said[0], true), an.quality(said.any(0), true)
    assert all_["recall"] > one["recall"] + 0.3
    assert all_["precision"] < one["precision"] - 0.05
    after = an.quality(an.checked(said.any(0), true, seed=0), true)
    assert after["precision"] > 0.95 and after["recall"] > all_["recall"] - 0.05


def test_a_check_takes_away_at_its_rates_and_adds_nothing():
    claimed, true = torch.ones(4000, 2).bool(), torch.zeros(4000, 2).bool()
    true[:, 0] = True
    kept = an.checked(claimed, true, seed=0, caught=0.8, lost=0.1).double().mean(0)
    assert kept.tolist() == pytest.approx([0.9, 0.2], abs=0.03)
    assert not an.checked(~claimed, true, seed=0).any()


def test_recall_and_precision_by_hand():
    true = torch.tensor([[True, True, False]])
    said = torch.tensor([[True, False, True]])
    assert an.quality(said, true) == {"recall": 0.5, "precision": 0.5}
    said[0, 1] = True
    assert an.quality(said, true) == {"recall": 1.0, "precision": pytest.approx(2 / 3)}


def test_a_perfect_hand_draws_the_mask():
    mask = ic.non_iconic(20, 0).instance_masks(64)[:, 3]
    drawn = an.drawings(mask, 0, hands=2, blur=1, shake=5.0)
    assert torch.equal(drawn[0], mask) and torch.equal(drawn[1], mask)


def test_a_vote_removes_shaking_and_keeps_coarseness():
    mask = ic.non_iconic(150, 0).instance_masks(64)[:, 3]
    mask = mask[mask.sum((1, 2)) >= 40]

    def mean(drawn):
        return an.overlaps(drawn, mask).mean().item()

    drawn = an.drawings(mask, 1, hands=9, blur=7, shake=0.3)
    steady = mean(an.drawings(mask, 1, blur=7, shake=0.0)[0])
    one, three, nine = (
        mean(drawn[0]),
        mean(drawn[:3].sum(0) > 1),
        mean(drawn.sum(0) > 4),
    )
    assert one + 0.02 < three < nine < steady < 0.9


def test_hands_differ_and_a_seed_repeats_them():
    mask = ic.iconic(5, 0).instance_masks(64)[:, 0]
    one, two = (an.drawings(mask, 4, hands=2) for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(one[0], one[1])


def test_seconds_are_the_hours_of_the_paper():
    looks = 328_000 * 8
    assert an.SECONDS["naming"] * looks / 3600 == pytest.approx(20_000)
    assert an.SECONDS["spotting"] * looks / 3600 == pytest.approx(10_000)
    assert an.SECONDS["drawing"] == pytest.approx(79.2)
    assert an.HOURS["drawing"] == 55_000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"skill": (0.9, 0.5)}, r"low <= high <= 1, got \(0.9, 0.5\)"),
        ({"skill": (0.5, 1.5)}, "skill"),
        ({"half": -1}, "half"),
        ({"alarm": 2}, "alarm"),
    ],
)
def test_rates_outside_of_their_ranges_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        an.Rates(**({"skill": (0.5, 0.9), "half": 1, "alarm": 0} | change))


def test_other_wrong_arguments_are_named():
    pixels = torch.ones(2, 3).long()
    with pytest.raises(ValueError, match="from 0 to 1, got 2 to 2"):
        an.labeled(pixels, 2 * pixels, 2, workers=1, seed=0)
    with pytest.raises(ValueError, match="workers"):
        an.labeled(pixels, pixels, 2, workers=0, seed=0)
    mask = torch.zeros(2, 8, 8).bool()
    with pytest.raises(ValueError, match="odd number from 1 on, got 4"):
        an.drawings(mask, 0, blur=4)
    with pytest.raises(ValueError, match="expected a pixel"):
        an.overlaps(mask, mask)
    with pytest.raises(ValueError, match="something said, got 0 and 0"):
        an.quality(mask, mask)
