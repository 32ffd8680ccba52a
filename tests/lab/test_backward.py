"""Seconds of real speech, some turned round: what is cut, turned and kept apart."""

import pytest
import torch

from mmdl_lib.data import sounds
from mmdl_lib.lab import backward
from mmdl_lib.lab.backward import RATE

FOLDER = sounds.ROOT / "share/asterisk/sounds/en_US_f_Allison"
installed = pytest.mark.skipif(
    not (FOLDER / "digits/5.wav").exists(),
    reason="the packages asterisk-core-sounds-en and asterisk-core-sounds-en-wav "
    "are not there.",
)


def ramps(n=20):
    """Sounds that rise all the time, and whose beginnings tell which one it is."""
    return [torch.linspace(i, i + 0.5, RATE * 2 + i) for i in range(n)]


def test_no_prompt_is_both_learned_from_and_asked():
    waves = ramps()
    for seed in range(5):
        old, new = backward.split(waves, seed)
        assert (len(old), len(new)) == (14, 6)
        first = {wave[0].item() for wave in [*old, *new]}
        assert first == set(range(20))
    one, other = (backward.split(waves, seed)[1] for seed in (0, 1))
    assert [x[0] for x in one] != [x[0] for x in other]


def test_a_second_runs_backward_where_its_label_says_so():
    world = backward.seconds(ramps(), 300, 0)
    rows = world.batch["sound"]
    assert rows.shape == (300, RATE)
    falls = (rows[:, 1:] <= rows[:, :-1]).all(1)
    rises = (rows[:, 1:] >= rows[:, :-1]).all(1)
    assert torch.equal(falls, world.label == 1)
    assert torch.equal(rises, world.label == 0)
    assert 100 < world.label.sum() < 200


def test_seconds_come_from_anywhere_and_from_all_sounds():
    world = backward.seconds(ramps(), 300, 0)
    low = world.batch["sound"].amin(1)
    assert set(low.floor().int().tolist()) == set(range(20))
    at = (low - low.floor()) * 4  # the beginning, as a share of what may be one
    assert at.min() < 0.02 and at.max() > 0.98 and 0.4 < at.mean() < 0.6


def test_equal_seeds_give_equal_seconds():
    one, same, other = (backward.seconds(ramps(), 8, seed) for seed in (3, 3, 4))
    assert torch.equal(one.batch["sound"], same.batch["sound"])
    assert not torch.equal(one.batch["sound"], other.batch["sound"])


def test_a_sound_of_just_one_second_is_taken_whole():
    wave = torch.linspace(0, 1, RATE)
    row = backward.seconds([wave], 1, 0)
    kept = row.batch["sound"][0]
    assert torch.equal(kept.flip(0) if row.label[0] else kept, wave)


def test_the_mean_spectrum_of_a_turned_sound_is_the_same():
    noise = torch.randn(4, RATE, generator=torch.Generator().manual_seed(0)) / 10
    worlds = [backward.World({"sound": x}, torch.zeros(4).long()) for x in
              (noise, noise.flip(1))]  # fmt: skip
    one, turned = (backward.spectrum(world) for world in worlds)
    assert one.shape == (4, 40)
    assert (one - turned).abs().max() < 0.02


@installed
def test_prompts_are_those_that_last_a_second_at_least():
    waves = backward.prompts()
    assert len(waves) == 328
    assert min(map(len, waves)) >= RATE and max(map(len, waves)) <= 6 * RATE
    # nothing that filled them up
    assert all(wave[-400:].abs().max() > 0 for wave in waves)


@installed
def test_three_worlds_of_which_the_last_has_other_prompts():
    train, known, asked = backward.worlds(100, train=30, known=20, asked=10)
    assert [len(x.label) for x in (train, known, asked)] == [30, 20, 10]
    old, new = backward.split(backward.prompts(), 100)
    for world, own in ((train, old), (known, old), (asked, new)):
        for row, turned in zip(world.batch["sound"][:5], world.label, strict=False):
            row = row.flip(0) if turned else row
            assert any(
                torch.equal(wave.unfold(0, RATE, 1)[i], row)
                for wave in own
                for i in (wave[: len(wave) - RATE + 1] == row[0]).nonzero()[:50, 0]
            )
