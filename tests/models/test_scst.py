"""Self-critical training: rewards with their end, gradients that are the exact ones."""

import math
from dataclasses import replace

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.metrics import cider
from mmdl_lib.models.captioner import Captioner
from mmdl_lib.models.m2 import M2
from mmdl_lib.models.scst import (
    END,
    SelfCritical,
    cider_d,
    count_rarity,
    others,
    self_critical_loss,
    until_end,
)

TEXTS = [
    ["a red circle", "a photo of a red circle", "red circle red circle"],
    ["a blue star and a red ring", "a star", "there is a ring"],
    ["a red star", "a star and a star and a star", "a red circle"],
    ["a ring and a blue circle", "a blue ring", "a picture"],
]
SAID = [
    ["a red circle", "red red red red", "a circle of a photo"],
    ["a blue star and a ring", "a", "a blue star and a red ring and a ring"],
    ["a star and a star", "a green star", "a red star"],
    ["ring", "a blue ring and a circle", "a ring and a blue circle"],
]
WORDS = sorted({w for row in TEXTS + SAID for text in row for w in text.split()})


def ids(rows, *, end=True):
    """Token ids and mask (b, n, t) of lists of texts, without a start token."""
    known = {word: i + 3 for i, word in enumerate(WORDS)}
    rows = [[[known[w] for w in t.split()] + [END] * end for t in row] for row in rows]
    longest = max(len(text) for row in rows for text in row)
    mask = [[[True] * len(t) + [False] * (longest - len(t)) for t in r] for r in rows]
    # what stands in padding must not matter
    tokens = [[t + [5] * (longest - len(t)) for t in row] for row in rows]
    return torch.tensor(tokens), torch.tensor(mask)


def official(said, *, end=True):
    """Our metric of words, which `tests/parity` compares with coco-caption's."""
    ending = " END" if end else ""
    texts = [[t + ending for t in row] for row in TEXTS]
    known = cider.rarity(texts, tokenize=str.split)
    found = [
        cider.cider_d([row[k] + ending for row in said], texts, known=known,
                      tokenize=str.split) for k in range(3)
    ]  # fmt: skip
    return torch.tensor(found).T


@pytest.mark.parametrize("end", [True, False])
def test_the_reward_is_cider_d_of_the_words(end):
    references, true = ids(TEXTS, end=end)
    said, mask = ids(SAID, end=end)
    rarity = count_rarity(references, true, 3 + len(WORDS))
    found = cider_d(said, mask, references, true, rarity)
    assert torch.allclose(found, official(SAID, end=end).float(), atol=1e-4)


def test_a_caption_that_stops_in_the_middle_is_rewarded_less_than_one_that_ends():
    references, true = ids(TEXTS)
    rarity = count_rarity(references, true, 3 + len(WORDS))
    said, mask = ids([["a red circle"]] * 4)
    whole = cider_d(said, mask, references, true, rarity)
    # the same words, the end token not said
    cut = cider_d(said, mask & (said != END), references, true, rarity)
    assert (cut[0] < whole[0] - 0.5).all()
    # the wrong version has no end on either side: "of a" costs it nothing more
    no_end, flags = ids(TEXTS, end=False)
    plain = count_rarity(no_end, flags, 3 + len(WORDS))
    said, mask = ids([["a red circle"]] * 4, end=False)
    assert cider_d(said, mask, no_end, flags, plain)[0] > cut[0] + 0.3


def test_rarity_is_that_of_the_corpus_and_not_of_the_batch():
    references, true = ids(TEXTS)
    rarity = count_rarity(references, true, 3 + len(WORDS))
    said, mask = ids(SAID)
    whole = cider_d(said, mask, references, true, rarity)
    for i in range(4):  # a picture alone is rewarded as among others
        one = slice(i, i + 1)
        alone = cider_d(said[one], mask[one], references[one], true[one], rarity)
        assert torch.allclose(alone[0], whole[i], atol=1e-5)
    own = count_rarity(references[:1], true[:1], 3 + len(WORDS))
    lone = cider_d(said[:1], mask[:1], references[:1], true[:1], own)
    assert (lone == 0).all()  # in a batch of one picture nothing is rare


def test_each_picture_counts_once_however_often_it_says_a_word():
    references, true = ids(TEXTS)
    rarity = count_rarity(references, true, 3 + len(WORDS))
    a, picture = (torch.tensor([WORDS.index(w) + 3]) for w in ("a", "picture"))
    assert rarity.of(a, 1).item() == pytest.approx(0.0)
    assert rarity.of(picture, 1).item() == pytest.approx(math.log(4))
    assert rarity.of(torch.tensor([10**6]), 1).item() == pytest.approx(math.log(4))


def test_the_gradient_on_two_words_is_the_exact_one():
    """E[r] = sum_w p(w) r(w): its gradient is known, the samples only estimate it."""
    logits = torch.tensor([0.4, -0.3], requires_grad=True)
    reward_of = torch.tensor([2.0, 5.0])
    exact = torch.autograd.grad((logits.softmax(0) * reward_of).sum(), logits)[0]
    for baseline in (0.0, 3.0):  # a baseline changes the noise, not the mean
        said = torch.multinomial(
            logits.detach().softmax(0).expand(40, -1), 2000, replacement=True,
            generator=generator(0),
        )  # fmt: skip
        log_prob = logits.log_softmax(0)[said][..., None]
        mask, base = torch.ones_like(log_prob).bool(), torch.full((40, 1), baseline)
        loss = self_critical_loss(log_prob, mask, reward_of[said], base)
        found = -torch.autograd.grad(loss, logits)[0]
        # noise: deviation of r times that of the score, over the root of 80,000
        assert torch.allclose(found, exact, atol=0.02)


def test_equal_rewards_give_no_gradient():
    log_prob = torch.randn(3, 4, 5, requires_grad=True)
    mask = torch.ones(3, 4, 5, dtype=torch.bool)
    same = torch.full((3, 4), 0.7)
    for baseline in (same, same[:, :1], others(same)):
        loss = self_critical_loss(log_prob, mask, same, baseline)
        (gradient,) = torch.autograd.grad(loss, log_prob)
        assert torch.allclose(gradient, torch.zeros_like(gradient), atol=1e-7)


def test_tokens_up_to_the_end_get_a_gradient_and_those_behind_it_none():
    said = torch.tensor([[[7, 9, END, 8, END], [END, 3, 3, 3, 3], [4, 5, 6, 7, 8]]])
    mask = until_end(said)
    expected = [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]
    assert mask.int().tolist() == [expected]
    log_prob = torch.zeros(1, 3, 5, requires_grad=True)
    reward = torch.tensor([[2.0, 3.0, -1.0]])
    loss = self_critical_loss(log_prob, mask, reward, torch.zeros(1, 1))
    (gradient,) = torch.autograd.grad(loss, log_prob)
    # nine real tokens: each has the weight of a ninth
    assert torch.allclose(gradient, -reward[..., None] * mask / 9)


def test_no_gradient_runs_through_reward_and_baseline():
    log_prob = torch.randn(2, 3, 4, requires_grad=True)
    reward = torch.rand(2, 3, requires_grad=True)
    base = torch.rand(2, 1, requires_grad=True)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    self_critical_loss(log_prob, mask, reward, base).backward()
    assert reward.grad is None and base.grad is None
    assert log_prob.grad.abs().sum() > 0


def test_others_leave_the_sample_itself_out():
    reward = torch.tensor([[1.0, 2.0, 6.0]])
    assert others(reward).tolist() == [[4.0, 3.5, 1.5]]


def make(dropout=0.0, **changes):
    torch.manual_seed(0)
    inner = replace(Captioner.PRESETS["tiny"], dropout=dropout)
    changes = {"captioner": inner, "samples": 4, "max_length": 9} | changes
    return SelfCritical(replace(SelfCritical.PRESETS["tiny"], **changes))


def test_the_greedy_caption_is_drawn_without_dropout_and_the_mode_returns():
    model = make(dropout=0.5).train()
    batch = SelfCritical.example_batch(model.config, 3, generator=generator(1))
    best = model.draw(batch, generator(2))[1]
    assert model.captioner.training
    quiet = model.captioner.eval().generate(batch["image"], max_length=9)
    real = until_end(best)
    assert torch.equal(best[real], quiet[until_end(quiet)])


def test_samples_have_the_log_probabilities_of_the_model():
    model = make().eval()
    batch = SelfCritical.example_batch(model.config, 3, generator=generator(1))
    said, _ = model.draw(batch, generator(2))
    found = model.log_prob(batch, said)
    assert said.shape == found.shape == (3, 4, 9)
    start = torch.ones(3, 1, dtype=torch.long)
    tokens = torch.cat([start, said[:, 2]], 1)[:, :-1]
    expected = model.captioner.logits(tokens, batch["image"]).log_softmax(-1)
    expected = expected.gather(-1, said[:, 2, :, None])[..., 0]
    assert torch.allclose(found[:, 2], expected, atol=1e-5)


def test_training_raises_the_reward_of_what_is_said():
    model = make(samples=8)
    batch = SelfCritical.example_batch(model.config, 4, generator=generator(1))
    optimizer, found = torch.optim.Adam(model.parameters(), lr=3e-3), []
    for step in range(60):
        terms = model.loss(batch, generator=generator(step))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        found.append(terms["reward"].item())
    assert sum(found[-10:]) > 1.5 * sum(found[:10])


def test_references_without_their_end_are_refused(as_a_reader):
    model = make()
    batch = SelfCritical.example_batch(model.config, 2, generator=generator(1))
    batch["references"] = batch["references"].masked_fill(batch["references"] == 2, 9)
    with pytest.raises(ValueError, match="end with the token 2, got 4 without"):
        model.loss(batch)


def two_words(length=2, **changes):
    """M2 that knows two words beside pad, start and end, and one scene to describe."""
    torch.manual_seed(0)
    inner = replace(M2.PRESETS["tiny"], vocab=5)
    made = {"captioner": inner, "samples": 5, "max_length": length} | changes
    model = SelfCritical(replace(SelfCritical.PRESETS["tiny-m2"], **made)).eval()
    batch = SelfCritical.example_batch(model.config, 1, generator=generator(1))
    batch["references"] = torch.tensor([[[1, 3, 4, 2], [1, 3, 2, 0]]])
    batch["reference_mask"] = batch["references"] > 0
    return model, batch


def every_caption(model, batch):
    """All captions of one or two tokens, log p of each with gradient, its reward."""
    short = [[END, END]] + [[a, b] for a in range(5) if a != END for b in range(5)]
    said = torch.tensor([short])
    if model.config.max_length == 1:
        said = torch.arange(5)[None, :, None]
    mask = until_end(said)
    log_p = (model.log_prob(batch, said) * mask).sum(-1)[0]
    references, true = batch["references"][..., 1:], batch["reference_mask"][..., 1:]
    reward = cider_d(said, mask, references, true, model._rarity(references))[0]
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-5)
    return said, log_p, reward


def slope(model, value):
    weight = model.captioner.out.weight
    found = torch.autograd.grad(value, weight, retain_graph=True)[0]
    return found.flatten().double()


def test_samples_of_m2_have_the_exact_gradient_of_all_its_captions():
    """The expected reward is a sum over 21 captions; draws only estimate its slope."""
    model, batch = two_words(draws="samples", samples=20_000, baseline="others")
    _, log_p, reward = every_caption(model, batch)
    exact = slope(model, (log_p.exp() * reward).sum())
    words = until_end(model.draw(batch, generator(3))[0]).sum()
    loss = model.loss(batch, generator=generator(3))["loss"]
    found = -slope(model, loss * words / 20_000)
    assert (found - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("length", [1, 2])
def test_beams_count_alike_against_their_mean(length):
    """Closed form: sum over beams of (r - mean r) grad log p, over their number."""
    model, batch = two_words(length)
    said, log_p, reward = every_caption(model, batch)
    best = log_p.topk(5).indices
    held, r = log_p[best], reward[best]
    expected = slope(model, (held * (r - r.mean())).sum() / 5)
    assert r.std() > 0.1 and expected.norm() > 0.01
    beams, _ = model.draw(batch)
    found = [row[:length] for row in said[0, best].tolist()]
    assert [row[: len(found[0])] for row in beams[0].tolist()] == found
    terms = model.loss(batch)
    words = until_end(beams).sum()
    assert torch.allclose(-slope(model, terms["loss"] * words / 5), expected, atol=1e-6)
    assert terms["reward"].item() == pytest.approx(r.mean().item(), abs=1e-5)
    assert terms["baseline"].item() == pytest.approx(r.mean().item(), abs=1e-5)


def test_beams_over_all_captions_are_exact_only_where_all_are_equally_likely():
    for shaken, alike in ((0.0, True), (1.0, False)):
        model, batch = two_words(length=1)
        with torch.no_grad():
            model.captioner.out.weight.mul_(3 * shaken)
        _, log_p, reward = every_caption(model, batch)
        exact = slope(model, (log_p.exp() * reward).sum())
        found = -slope(model, model.loss(batch)["loss"])
        assert torch.allclose(found, exact, atol=1e-6) == alike
        # counted by their probability, they would be exact
        gain = (log_p.exp().detach() * (reward - 0.7) * log_p).sum()
        assert torch.allclose(slope(model, gain), exact, atol=1e-6)


def test_more_beams_than_tokens_are_refused(as_a_reader):
    model, batch = two_words(length=1)
    model.config = replace(model.config, samples=6)
    with pytest.raises(ValueError, match="beams expected .* 5, got 6"):
        model.loss(batch)


def test_a_greedy_caption_is_made_only_where_it_is_the_baseline():
    for preset in ("tiny-others", "tiny-m2"):
        model = SelfCritical.from_preset(preset)
        batch = SelfCritical.example_batch(model.config, 2, generator=generator(1))
        assert model.draw(batch, generator(2))[1] is None


def test_beams_are_searched_without_dropout_and_learn_with_it():
    inner = replace(M2.PRESETS["tiny"], dropout=0.5)
    torch.manual_seed(0)
    made = {"captioner": inner, "max_length": 6}
    model = SelfCritical(replace(SelfCritical.PRESETS["tiny-m2"], **made)).train()
    batch = SelfCritical.example_batch(model.config, 3, generator=generator(1))
    beams, _ = model.draw(batch)
    assert torch.equal(beams, model.draw(batch)[0]) and model.captioner.training
    first, again = (model.log_prob(batch, beams, generator(s)) for s in (0, 1))
    assert not torch.allclose(first, again)


def test_each_picture_has_the_mean_of_its_own_beams_for_a_baseline():
    torch.manual_seed(0)
    model = SelfCritical.from_preset("tiny-m2").eval()
    batch = SelfCritical.example_batch(model.config, 2, generator=generator(1))
    # the second scene is described by what its beams say, so these are worth more
    beams, _ = model.draw(batch)
    said = torch.cat([torch.ones(1, 1, dtype=torch.long), beams[1, :1]], 1)
    end = torch.tensor([[END]])
    said = torch.cat([said, end], 1)
    references = torch.full((2, 1, said.shape[1]), END)
    references[1, 0], references[0, 0, :3] = said[0], torch.tensor([1, 7, 8])
    mask = until_end(references)
    batch |= {"references": references, "reference_mask": mask}
    alone, words = [], []
    for i in range(2):
        one = {name: part[i : i + 1] for name, part in batch.items()}
        words.append(until_end(model.draw(one)[0]).sum())
        alone.append(slope(model, model.loss(one)["loss"] * words[-1]))
    both = slope(model, model.loss(batch)["loss"] * sum(words))
    assert alone[1].norm() > 1e-3
    assert torch.allclose(both, sum(alone), atol=1e-4)
