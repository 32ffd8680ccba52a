"""GAN-INT-CLS: three kinds of pairs, who is a stranger, and texts between texts."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models import gan_int_cls
from mmdl_lib.models.attngan import AttnGAN
from mmdl_lib.models.gan_int_cls import GANINTCLS, discriminator_loss, joint_loss
from mmdl_lib.models.stackgan import StackGAN


def make(name="tiny"):
    torch.manual_seed(0)
    return GANINTCLS.from_preset(name).eval()


def batch_of(model, n=6):
    return GANINTCLS.example_batch(model.config, n, generator=generator(1))


def test_a_discriminator_that_knows_nothing_pays_twice_log_two():
    zero = torch.zeros(5)
    for pairs in ((zero, zero), (zero, zero, zero)):
        assert discriminator_loss(*pairs).item() == pytest.approx(2 * math.log(2))


def pays_by_halves(loss):
    """Slopes at logit 0: one for the true pair, a half for each of the two false."""
    logits = [torch.zeros(4, requires_grad=True) for _ in range(3)]
    loss(*logits).backward()
    slopes = [x.grad.sum().item() for x in logits]
    return slopes == pytest.approx([-0.5, 0.25, 0.25])


def test_true_and_false_pairs_weigh_the_same():
    assert pays_by_halves(discriminator_loss)


def test_a_loss_in_which_false_pairs_weigh_more_or_are_called_true_is_refused():
    def summed(right, drawn, wrong):
        return F.softplus(-right).mean() + F.softplus(drawn).mean() + wrong.mean() / 2

    def called_true(right, drawn, wrong):
        return discriminator_loss(right, -drawn, wrong)

    assert not pays_by_halves(summed)
    assert not pays_by_halves(called_true)


def test_the_best_discriminator_is_a_ratio_of_three_densities():
    """D* = r / (r + (w + f) / 2), on six cells of which each kind has twelve rows."""
    counts = torch.tensor([[4, 1, 2, 3, 1, 1], [1, 5, 1, 1, 2, 2], [2, 2, 6, 0, 1, 1]])
    logits = torch.zeros(6, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-9)
    right, wrong, fake = (torch.arange(6).repeat_interleave(c) for c in counts)

    def closure():
        optimizer.zero_grad()
        loss = discriminator_loss(logits[right], logits[fake], logits[wrong])
        loss.backward()
        return loss

    optimizer.step(closure)
    r, w, f = counts / 12
    assert torch.allclose(logits.sigmoid(), r / (r + (w + f) / 2), atol=1e-4)


def strangers(choose):
    """Whether no row is ever paired with a text that is its own, word by word."""
    tokens = torch.tensor([[1, 2], [1, 2], [3, 4], [1, 2], [3, 9]])
    mask = torch.tensor([[1, 1], [1, 1], [1, 1], [1, 1], [1, 0]]).bool()
    same = gan_int_cls.same_text(tokens, mask)
    seen = torch.zeros(5, 5)
    for seed in range(300):
        row = choose(same, generator(seed))
        seen[torch.arange(5), row] += 1
    return not (seen.bool() & same).any() and bool((seen.bool() | same).all())


def test_a_wrong_text_is_never_the_own_one_and_each_other_is_drawn():
    assert strangers(lambda same, g: gan_int_cls.mismatched(same, generator=g))


def test_the_next_row_and_any_row_are_refused_as_wrong_texts():
    assert not strangers(lambda same, g: torch.arange(5).roll(1))
    assert not strangers(lambda same, g: torch.randperm(5, generator=g))


def test_padding_is_no_word():
    tokens = torch.tensor([[5, 7], [5, 8], [5, 7]])
    mask = torch.tensor([[1, 0], [1, 0], [1, 1]]).bool()
    expected = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]]).bool()
    assert torch.equal(gan_int_cls.same_text(tokens, mask), expected)


@pytest.mark.parametrize("kind", [GANINTCLS, StackGAN, AttnGAN])
def test_one_row_and_other_pictures_are_refused_in_one_sentence(kind, as_a_reader):
    torch.manual_seed(0)
    model = kind.from_preset("tiny")
    batch = kind.example_batch(model.config, 4, generator=generator(1))
    image, one = batch["image"], {key: value[:1] for key, value in batch.items()}
    bad = {
        "image expected at least 2 rows for BatchNorm": one,
        "image expected 16 x 16 pixels, got": batch | {"image": image[..., 1:]},
        "image expected pixels in": batch | {"image": image * 3},
    }
    for words, given in bad.items():
        for phase in model.phases():
            with pytest.raises(ValueError, match=words):
                model.loss(given, phase=phase)


def test_a_batch_that_says_one_thing_is_refused(as_a_reader):
    model = make()
    batch = batch_of(model)
    batch |= {key: batch[key][:1].expand(6, -1) for key in ("tokens", "mask")}
    with pytest.raises(ValueError, match="at least two different texts"):
        model.loss(batch, phase="discriminator")


def test_between_is_a_point_between_two_rows():
    x = torch.tensor([[0.0, 4.0], [2.0, 2.0], [4.0, 0.0], [6.0, 6.0]])
    middle = gan_int_cls.between(x)
    assert torch.equal(middle, torch.tensor([[2.0, 2.0], [4.0, 4.0]]))
    assert torch.equal(gan_int_cls.between(x, beta=1.0), x[:2])


class Greedy(GANINTCLS):
    """The wrong version: texts between texts, called true with a real picture."""

    def loss(self, batch, *, phase="generator", generator=None):
        found = super().loss(batch, phase=phase, generator=generator)
        if phase == "discriminator":
            text = self.encode_text(batch["tokens"], batch["mask"])
            middle = gan_int_cls.between(text, beta=self.config.beta)
            real = self.discriminator(batch["image"][: len(middle)], middle)
            found = {"loss": found["loss"] + F.softplus(-real).mean()}
        return found


def only_the_generator_meets_texts_between(kind):
    """Whether beta moves the generator's loss and not the discriminator's."""
    losses = {}
    for beta in (0.5, 0.2):
        torch.manual_seed(0)
        config = replace(GANINTCLS.PRESETS["tiny"], beta=beta)
        model = kind(config).eval()
        for phase in model.STAGES[1]:
            with torch.no_grad():
                for p in model.discriminator.parameters():
                    p.mul_(1.5)
            found = model.loss(batch_of(model), phase=phase, generator=generator(0))
            losses[phase, beta] = found["loss"].item()
    moved = {
        p: losses[p, 0.5] != losses[p, 0.2] for p in ("discriminator", "generator")
    }
    return moved == {"discriminator": False, "generator": True}


def test_texts_between_texts_reach_the_generator_only():
    assert only_the_generator_meets_texts_between(GANINTCLS)
    assert not only_the_generator_meets_texts_between(Greedy)


def test_with_the_wrong_pair_a_real_picture_alone_is_not_enough():
    """Equal texts in all rows but one: its wrong text can only be the others'."""
    model = make()
    batch = batch_of(model)
    text = model.encode_text(batch["tokens"], batch["mask"])
    found = model.loss(batch, phase="discriminator", generator=generator(4))["loss"]
    # the same draws by hand
    g = generator(4)
    fake = model.draw(text, g)
    same = gan_int_cls.same_text(batch["tokens"], batch["mask"])
    other = gan_int_cls.mismatched(same, generator=g)
    logits = [
        model.discriminator(batch["image"], text),
        model.discriminator(fake, text),
    ]
    expected = discriminator_loss(
        *logits, model.discriminator(batch["image"], text[other])
    )
    assert torch.allclose(found, expected)
    plain = make("tiny-gan").loss(batch, phase="discriminator", generator=generator(4))
    assert torch.allclose(plain["loss"], discriminator_loss(*logits))


def test_the_generator_is_paid_for_what_the_discriminator_takes_for_true():
    for name in ("tiny", "tiny-gan"):
        model = make(name)
        batch = batch_of(model)
        text = model.encode_text(batch["tokens"], batch["mask"])
        found = model.loss(batch, phase="generator", generator=generator(4))["loss"]
        g = generator(4)
        expected = F.softplus(-model.discriminator(model.draw(text, g), text)).mean()
        if name == "tiny":
            middle = (text[:3] + text[3:]) / 2
            fake = model.draw(middle, g)
            expected += F.softplus(-model.discriminator(fake, middle)).mean()
        assert torch.allclose(found, expected)


def ranks(loss):
    """No cost where own pairs win by the margin; b - 1 strangers cost it where all tie;
    equal texts are no strangers; and both directions count, each with its own rank."""
    eye, same = torch.eye(4), torch.eye(4).bool()
    ones, twins = torch.ones(4, 3), torch.ones(4, 4).bool()
    # cosines 1 0 / 1 0: pictures pay 0 and 1.2, texts 0.2 each
    uneven = eye[[0, 0]], eye[[0, 1]], same[:2, :2]
    values = [loss(eye, eye, same), loss(ones, ones, same), loss(ones, ones, twins)]
    found = [x.item() for x in (*values, loss(*uneven))]
    return found == pytest.approx([0, 2 * 3 * 0.2, 0, (1.2 + 0.4) / 2])


def test_the_joint_embedding_ranks_own_pairs_first():
    assert ranks(joint_loss)
    scale = torch.tensor([[3.0], [0.1], [7.0], [1.0]])
    g = generator(2)
    x, y = torch.randn(2, 4, 5, generator=g)
    same = torch.eye(4).bool()
    assert torch.allclose(joint_loss(scale * x, y, same), joint_loss(x, y, same))


def test_a_joint_loss_that_forgets_twins_or_one_direction_is_refused():
    def forgetful(image, text, same):
        return joint_loss(image, text, torch.eye(len(image)).bool())

    def one_way(image, text, same):
        table = F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
        ranks = F.relu(0.2 + table - table.diagonal()[:, None])
        return ranks.masked_fill(same, 0).sum() / len(table)

    assert not ranks(forgetful)
    assert not ranks(one_way)
    assert not ranks(lambda *given: 2 * one_way(*given))


def test_the_text_and_the_noise_both_change_the_picture():
    model = make()
    batch = batch_of(model)
    tokens, mask = batch["tokens"], batch["mask"]
    first = model.sample(tokens, mask, generator=generator(0))
    assert first.shape == (6, 3, 16, 16) and first.abs().max() <= 1
    again = model.sample(tokens, mask, generator=generator(1))
    other = model.sample(tokens.flip(0), mask.flip(0), generator=generator(0))
    for changed in (again, other):
        assert (changed - first).abs().amax((1, 2, 3)).min() > 1e-3


def test_a_picture_looked_at_once_is_judged_as_one_looked_at_twice():
    model = make()
    batch = batch_of(model)
    text = model.encode_text(batch["tokens"], batch["mask"])
    cells = model.discriminator.look(batch["image"])
    direct = model.discriminator(batch["image"], text)
    assert torch.equal(model.discriminator.compare(cells, text), direct)
    turned = model.discriminator.compare(cells, text.flip(0))
    assert not torch.allclose(turned, direct, atol=1e-5)


def is_the_penalty(penalty):
    """For a linear D the slopes are known; their two lengths are added, then raised."""
    g = generator(5)
    a, b = torch.randn(3, 4, 4, generator=g) / 4, torch.randn(6, generator=g) / 2
    image, text = torch.randn(2, 3, 4, 4, generator=g), torch.randn(2, 6, generator=g)
    image, text = image.clamp(-1, 1), text

    def linear(x, e):
        return (x * a).sum((1, 2, 3)) + e @ b

    expected = 2 * (a.norm() + b.norm()) ** 6
    return torch.allclose(penalty(linear, image, text), expected)


def test_the_matching_aware_penalty_has_its_closed_form():
    assert is_the_penalty(gan_int_cls.matching_penalty)


def test_penalties_of_one_common_length_or_of_the_picture_alone_are_refused():
    def slopes(judge, image, text):
        image, text = (x.detach().requires_grad_() for x in (image, text))
        total = judge(image, text).sum()
        return [x.flatten(1) for x in torch.autograd.grad(total, (image, text))]

    def common(judge, image, text):
        both = torch.cat(slopes(judge, image, text), 1)
        return 2 * (both.norm(dim=1) ** 6).mean()

    def picture(judge, image, text):
        return 2 * (slopes(judge, image, text)[0].norm(dim=1) ** 6).mean()

    assert not is_the_penalty(common)
    assert not is_the_penalty(picture)


def test_the_penalty_trains_the_discriminator():
    model = make()
    batch = batch_of(model)
    text = model.encode_text(batch["tokens"], batch["mask"])
    penalty = gan_int_cls.matching_penalty(model.discriminator, batch["image"], text)
    penalty.backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all()
        for name, p in model.discriminator.named_parameters()
        if name.endswith("weight")
    )
    assert all(p.grad is None for p in model.text_encoder.parameters())
