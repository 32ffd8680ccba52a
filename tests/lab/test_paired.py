"""The made world keeps its laws, its best answer is the best, stages come in order."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import things
from mmdl_lib.lab import paired
from mmdl_lib.metrics.top_k import top_k_accuracy
from mmdl_lib.models.bimodal_autoencoder import (
    BimodalAutoencoder,
    BimodalAutoencoderConfig,
)


def test_attributes_have_mean_zero_and_variance_one():
    batch = paired.world(0).sample(20_000, seed=1)
    for name in ("text", "picture"):
        # a deviation of 0.007 for the means and 0.01 for the variances
        assert batch[name].mean(0).abs().max() < 0.05
        assert (batch[name].var(0) - 1).abs().max() < 0.06
    assert batch["label"].bincount().min() > 4_500


def test_the_closed_form_is_what_least_squares_finds():
    made = paired.world(3, noise=0.3)
    batch = made.sample(40_000, seed=1)
    found = torch.linalg.lstsq(batch["text"], batch["picture"]).solution
    assert (found - made.best()).abs().max() < 0.04
    new = made.sample(20_000, seed=2)
    said = new["text"] @ made.best()
    assert paired.told(said, new["picture"]) == pytest.approx(made.ceiling(), abs=0.01)


def test_what_no_cause_shares_cannot_be_told():
    """With all causes shared and no noise everything can."""
    all_shared = paired.world(0, own=0, noise=0)
    everything = paired.World(
        all_shared.text.double(), all_shared.picture.double(), 4, 1e-9
    )
    x, y = everything.text, everything.picture
    within = x.T @ x + 1e-9 * torch.eye(24).double()
    best = torch.linalg.solve(within, x.T @ y)
    assert (x @ best - y).abs().max() < 1e-5
    # half of the causes are a picture's own: at best about half is told
    assert 0.25 < paired.world(0, noise=0.01).ceiling() < 0.75
    assert paired.world(0, noise=0.5).ceiling() < paired.world(0, noise=0.1).ceiling()


def test_the_label_is_in_the_shared_causes():
    made = paired.world(0, noise=0.01)
    one = made.sample(2000, seed=1)
    new = made.sample(2000, seed=2)
    target = torch.nn.functional.one_hot(one["label"], 4).float() - 0.25
    for name in ("text", "picture"):
        map = torch.linalg.lstsq(one[name], target).solution
        assert top_k_accuracy(new[name] @ map, new["label"]) > 0.85


def test_equal_seeds_give_equal_things_and_others_others():
    one, two, other = (paired.world(0).sample(5, seed=s) for s in (1, 1, 2))
    for name in one:
        assert torch.equal(one[name], two[name])
    assert not torch.equal(one["text"], other["text"])
    assert not torch.equal(paired.world(0).text, paired.world(1).text)


def test_told_is_one_for_all_zero_for_the_mean_and_below_for_worse():
    true = torch.randn(50, 3, generator=generator(0))
    assert paired.told(true, true) == 1
    assert paired.told(true.mean(0).expand(50, 3), true) == pytest.approx(0, abs=1e-6)
    assert paired.told(-true, true) < -1


def test_thirds_share_no_row_and_are_standardized_by_what_is_seen():
    found = things.load()
    batch, seen, asked = paired.thirds(found, 0)
    assert len(asked) == 107 and len(seen) == 214
    assert set(seen.tolist()) | set(asked.tolist()) == set(range(321))
    for name in ("text", "picture"):
        assert batch[name][seen].mean(0).abs().max() < 1e-5
        assert (batch[name][seen].std(0) - 1).abs().max() < 1e-5
        assert batch[name][asked].mean(0).abs().max() > 0.05
    # rows stay where they were
    assert torch.equal(batch["label"], found.topic)
    one = (found.text[:, 0] - found.text[seen, 0].mean()) / found.text[seen, 0].std()
    assert torch.allclose(batch["text"][:, 0], one)
    assert not torch.equal(paired.thirds(found, 1)[2], asked)


def moved(before, softmax=True, steps=0):
    torch.manual_seed(0)
    model = BimodalAutoencoder(BimodalAutoencoderConfig(text=24, picture=24))
    begin = {k: v.clone() for k, v in model.state_dict().items()}
    batch = paired.world(0).sample(8, seed=0)
    sizes = {"before": before, "steps": steps, "softmax": softmax}
    paired.trained(model, lambda step: batch, **sizes)
    assert not model.training
    found = model.state_dict()
    return {k.partition(".")[0] for k in begin if not torch.equal(begin[k], found[k])}


def test_stages_come_before_the_whole_and_can_be_left_out():
    assert moved(2) == {"text", "picture", "joint", "classify"}
    assert moved(2, softmax=False) == {"text", "picture", "joint"}
    assert moved(0) == set()
    assert moved(0, steps=2) == {"text", "picture", "joint", "classify"}


def test_bad_input_is_one_sentence(as_a_reader):
    with pytest.raises(ValueError, match="shared expected a whole number from 2"):
        paired.world(0, shared=1)
    with pytest.raises(ValueError, match="noise expected a number from 0 to 1"):
        paired.world(0, noise=2)
    with pytest.raises(ValueError, match="said expected as many as true"):
        paired.told(torch.zeros(2, 3), torch.zeros(3, 3))
    with pytest.raises(ValueError, match="true expected numbers that vary"):
        paired.told(torch.zeros(2, 3), torch.ones(2, 3))
